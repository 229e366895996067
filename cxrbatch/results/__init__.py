"""Import PCR results: CSV file of a laboratory in, results in the state out."""

from cxrbatch.results.lab_file import Answer, Columns, LabFormat, meanings
from cxrbatch.results.matching import import_results, rows_csv, summarise_rows

__all__ = [
    "Answer",
    "Columns",
    "LabFormat",
    "import_results",
    "meanings",
    "rows_csv",
    "summarise_rows",
]

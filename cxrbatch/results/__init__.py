"""Import PCR results: CSV file of a laboratory in, results in the state out."""

from cxrbatch.results.importing import (
    forget_patient,
    import_results,
    imports_csv,
    list_imports,
    rows_csv,
    summarise_rows,
    undo_import,
)
from cxrbatch.results.lab_file import Columns, LabFormat
from cxrbatch.results.words import WORD_OPTIONS, meanings

__all__ = [
    "WORD_OPTIONS",
    "Columns",
    "LabFormat",
    "forget_patient",
    "import_results",
    "imports_csv",
    "list_imports",
    "meanings",
    "rows_csv",
    "summarise_rows",
    "undo_import",
]

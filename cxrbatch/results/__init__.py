"""Import PCR results: CSV file of a laboratory in, results in the state out."""

from cxrbatch.results.entry import BY_HAND, enter_result, has_entries_by_hand, undo_entry
from cxrbatch.results.importing import (
    forget_patient,
    import_results,
    imports_csv,
    is_known,
    list_imports,
    rows_csv,
    summarise_rows,
    undo_import,
)
from cxrbatch.results.lab_file import Columns, LabFormat
from cxrbatch.results.words import WORD_OPTIONS, meanings

__all__ = [
    "BY_HAND",
    "WORD_OPTIONS",
    "Columns",
    "LabFormat",
    "enter_result",
    "forget_patient",
    "has_entries_by_hand",
    "import_results",
    "imports_csv",
    "is_known",
    "list_imports",
    "meanings",
    "rows_csv",
    "summarise_rows",
    "undo_entry",
    "undo_import",
]

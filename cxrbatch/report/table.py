"""Make the two tables of a report: `TriageRun` in, CSV bytes out.

The format is UTF-8 (with a byte order mark on request) with LF, scores with six decimals, and empty cells for missing
values. Text is neutralised for spreadsheets, and escaped so that one record is one line (`cxrbatch._lib.text`).
Numbers are not changed.
"""

from cxrbatch._lib.csv import csv_bytes
from cxrbatch.records import FILE_COLUMNS, PATIENT_COLUMNS, TriageRun, file_row, patient_row


def patients_csv(run: TriageRun, encoding: str = "utf-8") -> bytes:
    """Make ``report.csv``: one row per patient, in the order of the run."""
    return csv_bytes(PATIENT_COLUMNS, map(patient_row, run.patients), encoding)


def files_csv(run: TriageRun, encoding: str = "utf-8") -> bytes:
    """Make ``report.files.csv``: one row per file found, sorted by name."""
    return csv_bytes(FILE_COLUMNS, map(file_row, run.files()), encoding)

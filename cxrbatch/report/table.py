"""The two tables, as bytes: UTF-8, LF, scores with six decimals, empty cells where there is nothing.

Text is neutralised for spreadsheets and escaped so that one record is one line (`cxrbatch._lib.text`); numbers
are left alone.
"""

from cxrbatch._lib.csv import csv_bytes
from cxrbatch.records import FILE_COLUMNS, PATIENT_COLUMNS, TriageRun, file_row, patient_row


def patients_csv(run: TriageRun) -> bytes:
    """Write ``report.csv``: one row per patient, in the order of the run."""
    return csv_bytes(PATIENT_COLUMNS, map(patient_row, run.patients))


def files_csv(run: TriageRun) -> bytes:
    """Write ``report.files.csv``: one row per file found, by name."""
    return csv_bytes(FILE_COLUMNS, map(file_row, run.files()))

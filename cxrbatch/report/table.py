"""Make the two tables of a report: `TriageRun` in, CSV out in pieces of bytes.

The format is UTF-8 (with a byte order mark on request) with LF, scores with six decimals, and empty cells for missing
values. Text is neutralised for spreadsheets, and escaped so that one record is one line (`cxrbatch._lib.text`).
Numbers are not changed.
"""

from collections.abc import Iterator

from cxrbatch._lib.csv import csv_pieces
from cxrbatch.records import FILE_COLUMNS, PATIENT_COLUMNS, TriageRun, file_row, patient_row


def patients_csv(run: TriageRun, encoding: str = "utf-8") -> Iterator[bytes]:
    """Make ``report.csv`` in pieces: one row per patient, in the order of the run."""
    return csv_pieces(PATIENT_COLUMNS, map(patient_row, run.patients), encoding)


def files_csv(run: TriageRun, encoding: str = "utf-8") -> Iterator[bytes]:
    """Make ``report.files.csv`` in pieces: one row per file found, sorted by name."""
    return csv_pieces(FILE_COLUMNS, map(file_row, run.files()), encoding)

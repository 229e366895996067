"""The two tables, as bytes: UTF-8, LF, scores with six decimals, empty cells where there is nothing.

Text is neutralised for spreadsheets and escaped so that one record is one line (`cxrbatch._lib.text`); numbers
are left alone.
"""

from operator import attrgetter

from cxrbatch._lib.csv import Row, csv_bytes
from cxrbatch._lib.text import as_code
from cxrbatch.records import FINDINGS, Failure, ImageHeader, ImageScore, PatientTriage, TriageRun

_SCORES = tuple(f"score_{finding}" for finding in FINDINGS)

PATIENT_COLUMNS = (
    *("rank", "status", "priority", "patient_id", "accession_number", "study_date", "score", *_SCORES),
    *("n_images", "top_image", "nights_waiting", "flags", "reason", "issuer_of_patient_id", "probability"),
)
"""Of ``report.csv``. People script them: append only."""

FILE_COLUMNS = (
    *("file", "status", "reason", "detail", "patient_id", "study_instance_uid", "sop_instance_uid"),
    *("view_position", *_SCORES),
)
"""Of ``report.files.csv``. People script them: append only."""

_HEADER_COLUMNS = ("patient_id", "study_instance_uid", "sop_instance_uid")


def patients_csv(run: TriageRun) -> bytes:
    """``report.csv``: one row per patient, in the order of the run."""
    return csv_bytes(PATIENT_COLUMNS, (_patient_row(patient) for patient in run.patients))


def files_csv(run: TriageRun) -> bytes:
    """``report.files.csv``: one row per file found, by name."""
    records: list[ImageScore | Failure] = [*run.images, *run.failures]
    by_name = sorted(records, key=attrgetter("name"))
    return csv_bytes(FILE_COLUMNS, (_file_row(record) for record in by_name))


def _patient_row(patient: PatientTriage) -> Row:
    return {
        "rank": patient.rank,
        "status": "ranked" if patient.is_ranked else "not_scored",
        "priority": patient.priority,
        "patient_id": patient.patient_id,
        "accession_number": patient.accession_number,
        "study_date": patient.study_date,
        "score": patient.score,
        **_scores(patient.scores),
        "n_images": patient.n_images,
        "top_image": patient.top_image,
        "nights_waiting": patient.nights_waiting,
        "flags": ";".join(patient.flags),
        "reason": patient.reason,
        "issuer_of_patient_id": patient.issuer_of_patient_id,
        "probability": patient.probability,
    }


def _file_row(record: ImageScore | Failure) -> Row:
    if isinstance(record, ImageScore):
        return {"file": record.name, "status": "scored", **_header(record.header), **_scores(record.scores)}
    status = "skipped" if record.skipped else "not_scored"
    outcome: Row = {"status": status, "reason": record.reason, "detail": record.detail}
    return {"file": record.name, **outcome, **_header(record.header)}


def _header(header: ImageHeader | None) -> Row:
    if header is None:
        return {}
    return {column: getattr(header, column) for column in _HEADER_COLUMNS} | {
        "view_position": as_code(header.view_position)
    }


def _scores(scores: tuple[float, ...] | None) -> Row:
    return dict(zip(_SCORES, scores, strict=True)) if scores else {}

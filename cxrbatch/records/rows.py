"""Make the rows of a run's tables: a patient or file in, its values by column out."""

from cxrbatch._lib.csv import Row
from cxrbatch._lib.text import as_code
from cxrbatch.records.columns import SCORE_COLUMNS
from cxrbatch.records.images import ImageHeader
from cxrbatch.records.outcomes import Failure, ImageScore
from cxrbatch.records.patients import PatientTriage

_HEADER_COLUMNS = ("patient_id", "study_instance_uid", "sop_instance_uid")


def patient_row(patient: PatientTriage) -> Row:
    """Return the values of a patient, by column of `PATIENT_COLUMNS`."""
    return {
        "rank": patient.rank,
        "status": patient.status,
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
        "swabbed": patient.swabbed.isoformat() if patient.swabbed else "",
    }


def file_row(record: ImageScore | Failure) -> Row:
    """Return the values of a file, by column of `FILE_COLUMNS`; those of empty cells may be missing."""
    known = {"file": record.name, "status": record.status, **header_cells(record.header)}
    if isinstance(record, ImageScore):
        return {**known, **_scores(record.scores)}
    return {**known, "reason": record.reason, "detail": record.detail}


def header_cells(header: ImageHeader | None) -> Row:
    """Return the values that a header gives to the row of a file; none where it could not be read."""
    if header is None:
        return {}
    return {column: getattr(header, column) for column in _HEADER_COLUMNS} | {
        "view_position": as_code(header.view_position)
    }


def _scores(scores: tuple[float, ...] | None) -> Row:
    return dict(zip(SCORE_COLUMNS, scores, strict=True)) if scores else {}

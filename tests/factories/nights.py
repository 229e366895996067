"""A state with a night of a few patients, without reading a file."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageHeader, PatientTriage, Priority
from cxrbatch.state import open_state
from tests.factories.records import image_score
from tests.factories.stored import context, found, moment

HOSTILE = "<img src=x onerror=alert(1)>"
JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a"
    "1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080001000101011100ffc4001f00000105010101"
    "01010100000000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d010203000411051221314106"
    "13516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455"
    "565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9ba"
    "c2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda0008010100003f00fbd3ffd9"
)


def line(position: int, patient_id: str, score: float | None = None, **changes: Any) -> PatientTriage:
    """A line of a list."""
    return PatientTriage(
        rank=position if score is not None else None,
        priority=Priority.HIGH if score is not None else None,
        patient_id=patient_id,
        accession_number="",
        study_date="2026-03-01",
        score=score,
        scores=None if score is None else (score, 0.0, 1 - score),
        n_images=1,
        top_image=patient_id,
        patient_key=("dicom", "", patient_id),
        **changes,
    )


def write_night(
    path: Path, patients: Sequence[PatientTriage], number: int = 0, page: Path | None = None
) -> int:
    """Write a finished run with an image for each patient; return its number."""
    with open_state(path) as state:
        run = state.begin(context(number))
        state.put_all([(found(f"{one.patient_id}.dcm"), _outcome(one)) for one in patients], context(number))
        counts = dict.fromkeys(("n_found", "n_scored", "n_not_scored", "n_skipped"), len(patients))
        finished = moment(number) + dt.timedelta(minutes=10)
        state.finish(run, SimpleNamespace(patients=patients, **counts), finished, page)  # type: ignore[arg-type]
    return run


def _outcome(patient: PatientTriage) -> Any:
    name = f"{patient.patient_id}.dcm"
    if patient.score is not None:
        return replace(image_score(name, patient.score, patient.patient_id), thumbnail=JPEG)
    header = ImageHeader(patient_key=patient.patient_key, patient_id=patient.patient_id)
    return Failure(name=name, reason=Reason.LATERAL_VIEW, detail="view LL", header=header, thumbnail=JPEG)

"""A small made-up night: two ranked patients, one whom a human must look at, one text file."""

import datetime as dt

import pytest

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageHeader, ImageScore, PatientTriage, Priority, Provenance, TriageRun


@pytest.fixture
def header() -> ImageHeader:
    return ImageHeader(
        patient_key=("dicom", "", "4711"),
        patient_id="4711",
        accession_number="A1",
        study_date="2026-11-21",
        study_instance_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        view_position="PA",
    )


@pytest.fixture
def ranked() -> PatientTriage:
    return PatientTriage(
        rank=1,
        priority=Priority.URGENT,
        patient_id="4711",
        accession_number="A1",
        study_date="2026-11-21",
        score=0.875,
        scores=(0.875, 0.1, 0.025),
        n_images=2,
        top_image="a/1",
        nights_waiting=1,
        flags=(Flag.AGE_UNKNOWN, Flag.LOSSY),
        issuer_of_patient_id="WARD",
    )


@pytest.fixture
def routine() -> PatientTriage:
    return PatientTriage(
        rank=2,
        priority=Priority.ROUTINE,
        patient_id="b.png",
        accession_number="",
        study_date="",
        score=1 / 3,
        scores=(1 / 3, 1 / 3, 1 / 3),
        n_images=1,
        top_image="b.png",
    )


@pytest.fixture
def not_scored() -> PatientTriage:
    return PatientTriage(
        rank=None,
        priority=None,
        patient_id="c.dcm",
        accession_number="",
        study_date="",
        score=None,
        scores=None,
        n_images=1,
        top_image="c.dcm",
        reason=Reason.TRUNCATED,
        detail="ends, too early",
    )


@pytest.fixture
def run(
    header: ImageHeader, ranked: PatientTriage, routine: PatientTriage, not_scored: PatientTriage
) -> TriageRun:
    png = ImageHeader(patient_key=("file", "b.png"), patient_id="b.png")
    return TriageRun(
        folder="night",
        n_found=5,
        started=dt.datetime(2026, 11, 22, 1, 30, tzinfo=dt.UTC),
        duration_s=200.4,
        patients=(ranked, routine, not_scored),
        images=(
            ImageScore(name="a/1", header=header, scores=(0.875, 0.1, 0.025), pixels_sha256="1"),
            ImageScore(name="b.png", header=png, scores=(1 / 3, 1 / 3, 1 / 3), pixels_sha256="2"),
        ),
        failures=(
            Failure(name="a/2", reason=Reason.LATERAL_VIEW, detail="ViewPosition LL", header=header),
            Failure(name="c.dcm", reason=Reason.TRUNCATED, detail="ends, too early"),
            Failure(name="readme.txt", reason=Reason.NOT_AN_IMAGE, skipped=True),
        ),
        provenance=Provenance(
            bundle_id="default@0123456789ab",
            bundle_sha256="0123456789ab" + 52 * "0",
            cxrbatch_version="0.1.0",
            runtime="TensorFlow 2.21.0",
            device="CPU",
            precision="float32",
            batch_size=16,
        ),
    )

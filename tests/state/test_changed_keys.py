"""Patients whose key is another one since a new version reads their files otherwise: what follows them, and what not.

`state_of_former_night.sqlite` was written by commit 9847cd3 on two nights over the files of
`tests.factories.former_night`; between them PCR results of the first night came in for 12, 77 and OTHER1. Only place
and times of the files are put right.
"""

import datetime as dt
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.bundle import DEFAULT_BUNDLE, write_bundle
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import ImageScore, Outcome, PatientKey, TriageRun
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.state.connection import open_state
from cxrbatch.state.records import PcrResult
from tests.factories.former_night import write_former_night
from tests.factories.records import failure, image_score
from tests.factories.stored import context, found, moment, night

WRITTEN = Path(__file__).with_name("state_of_former_night.sqlite")
NIGHTS = (dt.date(2025, 11, 28), dt.date(2025, 11, 29))
ISSUER = ("UniversalEntityID=1.2.40.1", "UniversalEntityIDType=ISO")
CHANGED = {Flag.PATIENT_CHANGED}


@pytest.fixture(scope="module")
def bundle_of_that_time(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the preprocessing of the bundle shipped then: pixels are compared as a network gets them."""
    import keras

    folder = tmp_path_factory.mktemp("bundle")
    layers = keras.layers
    keras.utils.set_random_seed(0)
    keras.Sequential(
        [
            layers.Input((160, 160, 1)),
            layers.Rescaling(1 / 255),
            layers.AveragePooling2D(40),
            layers.Flatten(),
            layers.Dense(3),
            layers.Softmax(dtype="float32"),
        ]
    ).save(folder / "model.keras")
    write_bundle(
        folder / "then",
        name="then",
        model=folder / "model.keras",
        gate=DEFAULT_BUNDLE / "gate.npz",
        preprocess=PreprocessSpec(height=160, width=160),
        aggregation="mean",
        operating_points=None,
        training={},
        evaluation={},
    )
    return folder / "then"


@pytest.fixture(scope="module")
def migrated(
    sample_night: Path, bundle_of_that_time: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TriageRun, Path]:
    """The third night, and the state after it."""
    folder = tmp_path_factory.mktemp("former")
    export = write_former_night(folder / "export", sample_night / "emergency/SAMPLE-005/IM0001.dcm")
    state = folder / "state.sqlite"
    shutil.copyfile(WRITTEN, state)
    with closing(sqlite3.connect(state)) as connection:
        for id_, name in connection.execute("SELECT id, name FROM image").fetchall():
            version = (export / json.loads(name)).stat()
            assert connection.execute("SELECT size_bytes FROM image WHERE id = ?", (id_,)).fetchone() == (
                version.st_size,
            )
            connection.execute(
                "UPDATE image SET root = ?, mtime_ns = ?, ctime_ns = ? WHERE id = ?",
                (json.dumps(str(export)), version.st_mtime_ns, version.st_ctime_ns, id_),
            )
        connection.commit()
    (export / "gone.dcm").unlink()
    clock = dt.datetime(2025, 11, 30, 22, tzinfo=dt.UTC)
    options = ScreenOptions(bundle=bundle_of_that_time, state=state, clock=lambda: clock)
    return screen(export, options=options), state


def test_every_file_that_is_still_there_is_read_again(migrated: tuple[TriageRun, Path]) -> None:
    run, _ = migrated
    assert (run.n_found, run.n_remembered, run.n_scored) == (9, 0, 9)


def test_the_list_has_every_patient_and_merges_none(migrated: tuple[TriageRun, Path]) -> None:
    """12 and OTHER1 have their results; that of 77 has followed. Whose result "12" was for 12\\34 nobody knows."""
    run, _ = migrated
    listed = {
        (patient.patient_id, patient.accession_number): (
            patient.nights_waiting,
            {flag for flag in patient.flags if flag in CHANGED | {Flag.PLACEHOLDER_PATIENT_ID}},
        )
        for patient in run.patients
    }
    assert listed == {
        ("12\\34", "BACKSLASH-A"): (2, CHANGED),
        ("12\\56", "BACKSLASH-B"): (2, CHANGED),
        ("M\udcd6LLER", "LATIN-A"): (2, set()),
        ("M\udcdcLLER", "LATIN-B"): (2, set()),
        ("ANONYMOUS", "ANONYMOUS-A"): (2, {Flag.PLACEHOLDER_PATIENT_ID}),
        ("ANONYMOUS", "ANONYMOUS-B"): (2, {Flag.PLACEHOLDER_PATIENT_ID}),
        ("88", "GONE"): (2, set()),
    }


def test_results_and_lists_follow_or_stay(migrated: tuple[TriageRun, Path]) -> None:
    with open_state(migrated[1], read_only=True) as state:
        results = {result.patient_key: result.positive for result in state.pcr.results()}
        listed = {entry.patient_key for entry in state.lists.entries() if entry.night in NIGHTS}
    assert results == {
        ("dicom", "", "12"): False,
        ("dicom", "", "77", *ISSUER): True,
        ("dicom", "", "OTHER1"): True,
    }
    assert ("dicom", "", "77") not in listed
    assert {("dicom", "", "12"), ("dicom", "", "77", *ISSUER), ("dicom", "", "M\ufffdLLER")} < listed


# --- the rule, case by case


def reread(
    tmp_path: Path, before: Outcome, after: Outcome, *others: Outcome
) -> tuple[list[PatientKey], dt.date, bool]:
    """Store `before` and `others` with a result, read the first again; whose the result is, its night, its flag."""
    with open_state(tmp_path / "state.sqlite") as state:
        for outcome in (before, *others):
            state.put(found(outcome.name), outcome, context(0))
        assert before.header
        state.pcr.add(
            [PcrResult(patient_key=before.header.patient_key, date=night(0), positive=True)], moment(0)
        )
        stored = state.put(found(after.name), after, context(1, settings="read otherwise"))
        state.follow_new_keys()
        flags: frozenset[Flag] = getattr(stored.outcome, "flags", frozenset())
        return (
            [result.patient_key for result in state.pcr.results()],
            stored.first_night,
            Flag.PATIENT_CHANGED in flags,
        )


UID = {"sop_instance_uid": "1.2.3", "picture": "p"}


def score(patient: str, name: str = "1", **fields: str) -> Outcome:
    return image_score(name, 0.5, patient, **UID | fields)


OLD, NEW = ("dicom", "", "12"), ("dicom", "", "12\\34")


NEVER_SCORED = [failure("1", Reason.LATERAL_VIEW, patient) for patient in ("12", "12\\34")]


@pytest.mark.parametrize(
    ("before", "after", "others", "expected"),
    [
        (score("12"), score("12\\34"), [], (NEW, 0, False)),
        (score("12"), score("12\\34"), [score("12", "2", sop_instance_uid="1.2.4")], (OLD, 0, False)),
        (score("12"), score("12\\34", picture="another"), [], (OLD, 1, True)),
        (score("12"), score("12\\34", sop_instance_uid="1.2.4"), [], (OLD, 1, True)),
        (score("12", sop_instance_uid=""), score("12\\34", sop_instance_uid=""), [], (OLD, 1, True)),
        (NEVER_SCORED[0], score("12\\34"), [], (OLD, 1, True)),
        (*NEVER_SCORED, [], (OLD, 1, False)),
        (score("12"), score("12", picture="another"), [], (OLD, 0, False)),
    ],
    ids=["same", "others", "pixels", "uid", "no-uid", "not-scored", "never-scored", "same-key"],
)
def test_what_follows_a_new_key(
    tmp_path: Path,
    before: Outcome,
    after: Outcome,
    others: list[Outcome],
    expected: tuple[PatientKey, int, bool],
) -> None:
    whose, first_night, is_flagged = expected
    assert reread(tmp_path, before, after, *others) == ([whose], night(first_night), is_flagged)


def test_a_file_that_was_unreadable_for_one_night_keeps_its_patient(tmp_path: Path) -> None:
    with open_state(tmp_path / "state.sqlite") as state:
        state.put(found("1"), score("12"), context(0))
        state.put(found("1"), failure("1", Reason.UNREADABLE), context(1, settings="1"))
        stored = state.put(found("1"), score("12"), context(2, settings="2"))
    assert stored.first_night == night(0)
    assert isinstance(stored.outcome, ImageScore)
    assert stored.outcome.flags == frozenset()


def test_the_flag_stays_while_the_image_is_read_again(tmp_path: Path) -> None:
    with open_state(tmp_path / "state.sqlite") as state:
        state.put(found("1"), score("12"), context(0))
        for number, picture in enumerate("ab", start=1):
            stored = state.put(
                found("1"), score("12\\34", picture=picture), context(number, settings=str(number))
            )
            assert getattr(stored.outcome, "flags", None) == {Flag.PATIENT_CHANGED}
    assert stored.first_night == night(1)


def test_the_results_of_one_key_go_to_no_two(tmp_path: Path) -> None:
    with open_state(tmp_path / "state.sqlite") as state:
        for name in "12":
            state.put(found(name), score("12", name, sop_instance_uid=f"1.{name}"), context(0))
        state.pcr.add([PcrResult(patient_key=OLD, date=night(0), positive=False)], moment(0))
        for name in "12":
            again = score(f"12\\{name}", name, sop_instance_uid=f"1.{name}")
            state.put(found(name), again, context(1, settings="2"))
        state.follow_new_keys()
        assert [result.patient_key for result in state.pcr.results()] == [OLD]
        assert {item.former_key for item in state.stored_images(night(-1))} == {OLD}

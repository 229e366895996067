"""Nights of `screen` with and without a state, on real files; only the clock is ours."""

import csv
import datetime as dt
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph

from cxrbatch.discover import classify_all, walk
from cxrbatch.engines import local
from cxrbatch.engines.options import EngineOptions
from cxrbatch.errors import ExportVanished, Locked, NoLocks, StateError, UsageProblem
from cxrbatch.infer.runtime import Device
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import FoundFile, TriageRun
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.state.connection import open_state
from cxrbatch.state.lock import lock_path, locked
from tests.factories.dicom_files import write_dicom
from tests.factories.report_pages import thumbnails

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
Screen = Callable[..., TriageRun]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def film(seed: int) -> np.ndarray:
    return np.rint(radiograph(320, 280, seed=seed) * 4095).astype(np.uint16)


def add(folder: Path, name: str, patient: str, seed: int) -> Path:
    """A film whose file was last modified long ago."""
    path = folder / name
    write_dicom(path, film(seed), PatientID=patient, SOPInstanceUID=f"1.2.{seed}")
    os.utime(path, (NOON.timestamp() - 86400,) * 2)
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "export").mkdir()
    return tmp_path / "export"


@pytest.fixture
def at_night(export: Path, tmp_path: Path, tiny_bundle: Path) -> Screen:
    """Screens the export on the n-th night, the first being 0."""

    def run(number: float, **options: object) -> TriageRun:
        moment = NOON + dt.timedelta(days=number, hours=11)
        given = ScreenOptions(
            bundle=tiny_bundle,
            state=tmp_path / "kept" / "state",
            clock=lambda: moment,
            engine=EngineOptions(device=Device.CPU, n_workers=1),
        )
        return screen(export, tmp_path / "report.csv", given.with_changes(**options))

    return run


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened from now on."""
    opened_names: list[str] = []

    def counted(files: list[FoundFile]) -> Iterator[tuple[FoundFile, object]]:
        for file, item in classify_all(files):
            opened_names.append(file.name)
            yield file, item

    monkeypatch.setattr(local, "classify_all", counted)
    return opened_names


def test_only_what_is_new_is_read(
    export: Path, at_night: Screen, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path
) -> None:
    add(export, "a.dcm", "A", 1)
    (export / "README").write_text("not an image")
    names = reads(monkeypatch)
    first = at_night(0)
    add(export, "b.dcm", "B", 2)
    second = at_night(1)
    assert names == ["README", "a.dcm", "b.dcm"]
    assert (first.n_remembered, second.n_remembered) == (0, 2)
    assert [
        (p.patient_id, p.nights_waiting) for p in sorted(second.patients, key=lambda p: p.patient_id)
    ] == [
        ("A", 1),
        ("B", 0),
    ]
    assert {image.name: image.scores for image in first.images}.items() <= {
        image.name: image.scores for image in second.images
    }.items()
    names.clear()
    at_night(1, rescore=True)
    assert names == ["README", "a.dcm", "b.dcm"]


def test_the_same_without_a_state(export: Path, at_night: Screen, tmp_path: Path) -> None:
    add(export, "a.dcm", "A", 1)
    add(export, "again.dcm", "A", 1)
    (export / "cut.dcm").write_bytes(add(export, "b.dcm", "B", 2).read_bytes()[:3000])
    tables = []
    for state in (tmp_path / "state", None):
        at_night(0, state=state)
        tables.append([(tmp_path / name).read_bytes() for name in ("report.csv", "report.files.csv")])
    assert tables[0] == tables[1]


def test_who_waits_stays_with_score_and_picture_after_the_files_are_gone(
    export: Path, at_night: Screen, tmp_path: Path
) -> None:
    add(export, "a.dcm", "A", 1)
    (before,) = at_night(0).patients
    (export / "a.dcm").unlink()
    add(export, "b.dcm", "B", 2)
    run = at_night(2)
    after = next(patient for patient in run.patients if patient.patient_id == "A")
    assert after.top_image in thumbnails(tmp_path / "report.csv")
    assert [image.is_here for image in (*before.images, *after.images)] == [True, False]
    same = replace(after, rank=1, nights_waiting=0, images=before.images, earlier=before.earlier)
    assert same == before
    assert after.nights_waiting == 2
    assert [row["file"] for row in rows(tmp_path / "report.files.csv")] == ["b.dcm"]
    assert {row["patient_id"]: row["nights_waiting"] for row in rows(tmp_path / "report.csv")} == {
        "A": "2",
        "B": "0",
    }


def test_pictures_that_share_a_name_on_two_nights_are_two_patients(export: Path, at_night: Screen) -> None:
    from PIL import Image

    for number, seed in enumerate((1, 2)):
        Image.fromarray((film(seed) >> 4).astype(np.uint8)).save(export / "IM0001.png")
        run = at_night(number)
    assert [(p.patient_id, p.n_images) for p in run.patients] == [("IM0001.png", 1)] * 2
    assert sorted(p.nights_waiting for p in run.patients) == [0, 1]


def test_a_changed_bundle_scores_again(
    export: Path, at_night: Screen, tmp_path: Path, tiny_bundle: Path
) -> None:
    from cxrbatch.bundle.bundle import load_bundle, write_bundle

    add(export, "a.dcm", "A", 1)
    add(export, "b.dcm", "B", 2)
    at_night(0)
    (export / "b.dcm").unlink()
    tiny = load_bundle(tiny_bundle)
    write_bundle(
        tmp_path / "other",
        name="other",
        model=tiny.model_path,
        gate=tiny.gate_path,
        preprocess=tiny.preprocess,
        aggregation="mean",
        operating_points=None,
        training={},
        evaluation={},
    )
    run = at_night(1, bundle=tmp_path / "other")
    assert run.n_remembered == 0
    ranked, gone = run.patients
    assert (ranked.patient_id, ranked.nights_waiting, ranked.rank) == ("A", 1, 1)
    assert (gone.patient_id, gone.nights_waiting, gone.reason) == ("B", 1, Reason.OTHER_BUNDLE)


def test_max_wait_comes_first(export: Path, at_night: Screen) -> None:
    for seed, patient in enumerate("ABCD"):
        add(export, f"{patient}.dcm", patient, seed)
    last = at_night(0).patients[-1]
    for patient in "ABCD":
        (export / f"{patient}.dcm").rename(export / f"{patient}.old") if patient == last.patient_id else (
            export / f"{patient}.dcm"
        ).unlink()
    add(export, "E.dcm", "E", 9)
    run = at_night(3, max_nights=3)
    assert [Flag.MAX_WAIT in patient.flags for patient in run.patients] == [True] * 4 + [False]
    assert run.patients[-1].patient_id == "E"
    assert run.warnings == ()
    (warning,) = at_night(3, max_nights=3, capacity=4).warnings
    assert warning.startswith(
        "4 patients come first because of the wait (--max-nights), and there are 4 swabs: "
    )
    assert at_night(3, max_nights=3, capacity=5).warnings == at_night(3, capacity=1).warnings == ()


def test_a_clock_behind_the_last_night_is_not_believed(
    export: Path, at_night: Screen, tmp_path: Path
) -> None:
    add(export, "a.dcm", "A", 1)
    at_night(5)
    add(export, "b.dcm", "B", 2)
    run = at_night(-3000)
    assert {patient.patient_id: patient.nights_waiting for patient in run.patients} == {"A": 0, "B": 0}
    assert "the last run in the state was on the night of 2026-03-06" in run.notes[0]
    back = at_night(6)
    assert {patient.patient_id: patient.nights_waiting for patient in back.patients} == {"A": 1, "B": 1}
    assert back.warnings == ()


def test_a_long_pause_is_said(export: Path, at_night: Screen) -> None:
    add(export, "a.dcm", "A", 1)
    assert at_night(0).warnings == ()
    add(export, "b.dcm", "B", 2)
    assert at_night(13).warnings == ()
    run = at_night(27)
    assert (run.patients, run.n_scored) == ((), 2)
    assert "14 nights ago, on the night of 2026-03-14: whoever waited then has left" in run.warnings[0]


def test_without_a_state_a_kill_before_noon_changes_nothing_after_it(
    export: Path, at_night: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(export, "b.dcm", "A", 1)
    with monkeypatch.context() as patched:
        patched.setitem(screen.__globals__, "write_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            at_night(0, state=None)
    shutil.copy(export / "b.dcm", export / "a.dcm")
    run = at_night(1, state=None)
    assert run.n_remembered == 1
    assert [(f.name, f.detail) for f in run.failures] == [("b.dcm", "the same image as a.dcm")]


def test_files_that_are_still_written_wait_for_the_next_night(export: Path, at_night: Screen) -> None:
    path = add(export, "a.dcm", "A", 1)
    path.rename(export / "a.dcm.part")
    add(export, "b.dcm", "B", 2)
    os.utime(export / "b.dcm", ((NOON + dt.timedelta(hours=11)).timestamp() - 59,) * 2)
    run = at_night(0, settle_s=60)
    assert [(f.name, f.reason) for f in run.failures] == [
        ("a.dcm.part", Reason.STILL_CHANGING),
        ("b.dcm", Reason.STILL_CHANGING),
    ]
    (export / "a.dcm.part").rename(path)
    run = at_night(1, settle_s=60)
    assert [(p.patient_id, p.is_ranked, p.nights_waiting) for p in run.patients] == [
        ("A", True, 0),
        ("B", True, 1),
    ]


def test_a_file_that_changes_while_it_is_read(
    export: Path, at_night: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(export, "a.dcm", "A", 1)

    def then_written(folder: Path) -> object:
        yield from walk(folder)
        path.write_bytes(path.read_bytes() + b"\0\0")

    monkeypatch.setattr(local, "walk", then_written)
    run = at_night(0)
    assert [(f.name, f.reason, f.detail) for f in run.failures] == [
        ("a.dcm", Reason.STILL_CHANGING, "it changed while it was read")
    ]


def test_an_export_that_goes_away_is_no_folder_of_broken_files(
    export: Path, at_night: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, patient in enumerate("ABC"):
        add(export, f"{patient}.dcm", patient, seed)

    def unmounting(files: list[FoundFile]) -> Iterator[tuple[FoundFile, object]]:
        for file, item in classify_all(files):
            if file.name == "C.dcm":
                export.rename(tmp_path / "elsewhere")
            yield file, item

    monkeypatch.setattr(local, "classify_all", unmounting)
    with pytest.raises(ExportVanished, match="is the share mounted"):
        at_night(0)
    assert not (tmp_path / "report.csv").exists()
    with open_state(tmp_path / "kept" / "state") as state:
        assert state.problems() == []
    (tmp_path / "elsewhere").rename(export)
    monkeypatch.undo()
    assert at_night(0).n_scored == 3


def test_a_run_that_fails_at_the_report_goes_on_where_it_was(
    export: Path, at_night: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(export, "a.dcm", "A", 1)
    for state in (tmp_path / "state", None):
        with monkeypatch.context() as patched:
            patched.setitem(screen.__globals__, "write_report", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                at_night(0, state=state)
        names = reads(monkeypatch)
        run = at_night(0, state=state)
        assert (names, run.n_remembered) == ([], 1)
        assert run.patients[0].top_image in thumbnails(tmp_path / "report.csv")
        assert sorted(path.name for path in tmp_path.iterdir() if "report" in path.name) == [
            "report.csv",
            "report.files.csv",
            "report.html",
        ]


def test_one_run_at_a_time(export: Path, at_night: Screen, tmp_path: Path) -> None:
    add(export, "a.dcm", "A", 1)
    (tmp_path / "kept").mkdir()
    for state, lock in ((tmp_path / "kept" / "state", None), (None, tmp_path / ".report.csv")):
        with (
            locked(lock_path(lock or tmp_path / "kept" / "state"), ""),
            pytest.raises(Locked, match=str(os.getpid())),
        ):
            at_night(0, state=state)
    assert not (tmp_path / "report.csv").exists()


def test_a_report_on_a_share_without_locks(
    export: Path, at_night: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    add(export, "a.dcm", "A", 1)
    monkeypatch.setattr("fcntl.flock", no_locks)
    assert at_night(0, state=None).n_scored == 1
    assert (tmp_path / "report.csv").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with pytest.raises(NoLocks, match="choose a place on a local disk"):
        at_night(0)


def test_a_report_on_a_share_where_the_locks_of_sqlite_fail(
    export: Path, at_night: Screen, tmp_path: Path
) -> None:
    add(export, "a.dcm", "A", 1)
    with closing(sqlite3.connect(tmp_path / ".report.csv.partial")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert at_night(0, state=None).n_scored == 1


def test_places_and_options_that_cannot_be(export: Path, at_night: Screen, tmp_path: Path) -> None:
    add(export, "a.dcm", "A", 1)
    with pytest.raises(UsageProblem, match="lies inside the screened folder"):
        at_night(0, state=export / "state")
    with pytest.raises(UsageProblem, match="--max-nights: nights are only counted with --state"):
        at_night(0, state=None, max_nights=3)
    (tmp_path / "report.xml").write_text("something else")
    with pytest.raises(StateError, match="this is no state"):
        at_night(0, state=tmp_path / "report.xml")
    assert sorted(path.name for path in export.iterdir()) == ["a.dcm"]


def test_the_export_can_be_mounted_elsewhere(export: Path, at_night: Screen, tmp_path: Path) -> None:
    add(export, "a.dcm", "A", 1)
    at_night(0)
    shutil.move(export, tmp_path / "moved")
    export.symlink_to(tmp_path / "moved")
    run = at_night(1)
    assert (run.n_scored, run.n_remembered) == (1, 0)
    assert [(p.patient_id, p.nights_waiting, p.n_images) for p in run.patients] == [("A", 1, 1)]

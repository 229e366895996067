"""Who is removed is gone to the last byte, and nobody else is; a backup is a whole state, taken at any moment."""

import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxrbatch.errors import StateError, UsageProblem
from cxrbatch.records import FoundFile, Outcome
from cxrbatch.results import forget_patient
from cxrbatch.state import back_up
from cxrbatch.state.codec import encode_key
from cxrbatch.state.connection import open_state, read_only_uri
from cxrbatch.state.records import PcrResult
from cxrbatch.state.removal import Removal
from cxrbatch.state.store import State
from tests.factories.audits import Line, _run
from tests.factories.records import image_score
from tests.factories.stored import context, found, moment, night


def key(patient: str, issuer: str = "") -> tuple[str, ...]:
    return ("dicom", issuer, patient)


def fill(state: State, root: Path, *, nights: int = 1) -> None:
    """ZQX-1 and B on every night, each with an image, thumbnail, result and line; B's is a second copy."""
    for number in range(nights):
        where = replace(context(number), root=str(root))
        run_id = state.begin(where)
        ids = []
        for patient in ("ZQX-1", "B"):
            name = f"{patient}-{number}.dcm"
            outcome: Outcome = replace(
                image_score(name, 0.5, patient), thumbnail=b"thumb of " + patient.encode()
            )
            ids.append(state.put(found(name), outcome, where).id)
        state.mark_duplicates([(ids[1], f"ZQX-1-{number}.dcm")])
        state.pcr.add(
            [PcrResult(patient_key=key(p), date=night(number), positive=False) for p in ("ZQX-1", "B")],
            moment(number),
        )
        lines = [Line(patient=patient, score=0.5) for patient in ("ZQX-1", "B")]
        state.finish(run_id, _run(lines, moment(number)), moment(number))


def test_nothing_of_a_forgotten_patient_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state"
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "ZQX-1-1.dcm").touch()
    with open_state(path) as state:
        fill(state, tmp_path / "export", nights=3)
        before = [item for item in state.images() if item.patient_key == key("B")]
    assert b"ZQX-1" in path.read_bytes()
    removed = forget_patient(path, "ZQX-1")
    assert removed is not None
    assert (removed.n_images, removed.n_thumbnails, removed.n_results, removed.n_list_entries) == (3, 3, 3, 3)
    assert removed.files == (tmp_path / "export" / "ZQX-1-1.dcm",)
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"ZQX-1" not in left
    assert b"thumb of B" in left
    assert removed.is_rewritten
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    with open_state(path) as state:
        assert state.problems() == []
        after = list(state.images())
        assert [replace(item, duplicate_of="") for item in after] == [
            replace(item, duplicate_of="") for item in before
        ]
        assert all(item.duplicate_of for item in after)
        assert {entry.patient_key for entry in state.lists.entries()} == {key("B")}
        assert {result.patient_key for result in state.pcr.results()} == {key("B")}
    with pytest.raises(UsageProblem, match="nobody in the state has this PatientID"):
        forget_patient(path, "ZQX-1")


def test_whom_to_forget_must_be_one_patient(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with open_state(path) as state:
        for number, issuer in enumerate(("X", "Y")):
            name = str(number)
            score = image_score(name, 0.5, "7", patient_key=key("7", issuer), issuer_of_patient_id=issuer)
            state.put(found(name), score, context())
        state.pcr.add([PcrResult(patient_key=key("9", "X"), date=night(0), positive=True)], moment(0))
    with pytest.raises(UsageProblem, match="nobody in the state has this PatientID with this issuer"):
        forget_patient(path, "9", "Y")
    with pytest.raises(UsageProblem, match="2 patients have this PatientID; say which one with --issuer"):
        forget_patient(path, "7")
    assert forget_patient(path, "7", "Y", dry_run=True) is None
    with pytest.raises(UsageProblem, match="nobody in the state has this PatientID with this issuer"):
        forget_patient(path, "7", "Z", dry_run=True)
    cases: list[tuple[str, str | None, int]] = [("7", "Y", 1), ("9", "X", 0)]
    for patient, whose, n_images in cases:
        removed = forget_patient(path, patient, whose)
        assert removed is not None
        assert (removed.n_patients, removed.n_images) == (1, n_images)
    with open_state(path) as state:
        assert state.removal.keys("7") == [key("7", "X")]


def test_whom_to_forget_may_be_written_as_in_the_report(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for name in ("-4711", "M\\LLER", "'+1", "+1"):
            state.put(found(name), image_score("a", 0.5, name), context())
        for number, issuer in enumerate(("=X", "Y", "Y")):
            outcome = image_score("b", 0.5, "7", accession_number=f"-{number}", issuer_of_patient_id=issuer)
            header = replace(outcome.header, patient_key=(*key("7", issuer), f"{number}"))
            state.put(found(f"7{number}"), replace(outcome, header=header), context())
    for written in (("'-4711",), ("M\\\\LLER",), ("7", "'=X"), ("7", None, "'-1"), ("7", "Y", "-2")):
        assert forget_patient(tmp_path / "state", *written) is not None
    with pytest.raises(UsageProblem, match="has this PatientID; zeros at the start"):
        forget_patient(tmp_path / "state", "7")
    with pytest.raises(UsageProblem, match="2 patients"):
        forget_patient(tmp_path / "state", "'+1")


def test_one_of_many_with_a_placeholder_is_named_by_accession_number(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for number in range(2):
            outcome = image_score(f"{number}.dcm", 0.5, "ANONYMOUS", accession_number=f"A{number}")
            header = replace(outcome.header, patient_key=("study", f"1.2.{number}"))
            state.put(found(f"{number}.dcm"), replace(outcome, header=header), context())
    with pytest.raises(UsageProblem, match=r"2 patients have this PatientID; .* or --accession"):
        forget_patient(tmp_path / "state", "ANONYMOUS")
    with pytest.raises(UsageProblem, match="nobody in the state"):
        forget_patient(tmp_path / "state", "ANONYMOUS", accession_number="")
    assert forget_patient(tmp_path / "state", "ANONYMOUS", accession_number="A1") is not None
    with open_state(tmp_path / "state") as state:
        assert [item.patient_key for item in state.images()] == [("study", "1.2.0")]


def test_what_others_have_of_a_forgotten_patient_goes_and_nothing_else_of_theirs(tmp_path: Path) -> None:
    """The key of before, and the name of the first copy; a copy of another file keeps its name."""
    path = tmp_path / "state"
    with open_state(path) as state:
        ids = {
            name: state.put(found(name), image_score(name, 0.5, name[0]), context()).id
            for name in ("F", "B1", "B2")
        }
        state.mark_duplicates([(ids["B1"], "F"), (ids["B2"], "B1")])
        state.pcr.add([PcrResult(patient_key=key("F"), date=night(0), positive=True)], moment(0))
    with closing(sqlite3.connect(path)) as connection:
        for name, former in (("B1", "F"), ("B2", "G")):
            connection.execute(
                "UPDATE image SET former_key = ? WHERE id = ?", (encode_key(key(former)), ids[name])
            )
        connection.commit()
    assert forget_patient(path, "F") is not None
    with open_state(path) as state:
        left = {item.name: (item.duplicate_of, item.former_key) for item in state.stored_images(night(-1))}
        assert [(one.id, one.n_positive) for one in state.pcr.imports()] == [
            (1, 0)
        ]  # an import without a row
    assert left == {"B1": ("a file that was deleted from the state", ()), "B2": ("B1", key("G"))}


def test_old_lists_and_whoever_is_long_gone_are_pruned(tmp_path: Path) -> None:
    root = tmp_path / "export"
    root.mkdir()
    with open_state(tmp_path / "state") as state:
        for number, patient, uid in (
            (0, "gone", "1.4"),
            (0, "its file is there", ""),
            (0, "of one image with the last", "1.2"),
            (5, "came in lately", "1.2"),
            (0, "of one file name with the last", "1.3"),
        ):
            where = replace(context(number), root=str(root))
            outcome = image_score(f"{patient}.dcm", 0.5, patient, sop_instance_uid=uid, picture="x")
            name = "came in lately" if uid == "1.3" else patient
            state.put(found(f"{name}.dcm", len(patient)), outcome, where)
        for number, patients in ((0, ["gone", "listed lately"]), (5, ["listed lately"])):
            run_id = state.begin(context(number))
            lines = [Line(patient=patient, score=0.5) for patient in patients]
            state.finish(run_id, _run(lines, moment(number)), moment(number))
        for number, patient in ((0, "gone"), (5, "swabbed lately")):
            state.pcr.add(
                [PcrResult(patient_key=key(patient), date=night(number), positive=None)], moment(number)
            )
        assert state.removal.prune(night(5)).n_patients == 0  # the export is empty: not mounted
        root.rmdir()
        assert state.removal.prune(night(5)).n_patients == 0  # nor is it there
        root.mkdir()
        state.begin(context(0))
        (root / "its file is there.dcm").touch()
        removed = state.removal.prune(night(5))
        assert (removed.n_patients, removed.n_images, removed.n_results, removed.n_runs) == (1, 1, 1, 1)
        assert {item.patient_key[2] for item in state.images()} == {
            *("its file is there", "of one image with the last", "came in lately"),
            "of one file name with the last",
        }
        assert [(e.night, e.patient_key[2]) for e in state.lists.entries()] == [(night(5), "listed lately")]
        assert [swab.patient_key[2] for swab in state.pcr.swabs()] == ["swabbed lately"]
        assert [run.night for run in state.runs()] == [night(5)]


class FullDisk:
    """A connection to a disk that has room for what is deleted, and none for the whole file once more."""

    def __init__(self, connection: sqlite3.Connection, error: str) -> None:
        self._connection, self._error = connection, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        if query == "VACUUM":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = self._error
            raise error
        return self._connection.execute(query, *values)


def test_on_a_full_disk_a_patient_is_overwritten_and_the_file_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with open_state(path) as state:
        fill(state, tmp_path, nights=3)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        with pytest.raises(sqlite3.OperationalError):
            Removal(FullDisk(connection, "SQLITE_CORRUPT")).prune(night(0))  # type: ignore[arg-type]
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TEMP TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")  # begins a transaction
        removed = Removal(FullDisk(connection, "SQLITE_FULL")).forget(key("ZQX-1"))  # type: ignore[arg-type]
        assert (tmp_path / "state-wal").stat().st_size == 0
    assert (removed.n_images, removed.is_rewritten, removed.n_runs) == (3, False, 0)
    assert b"ZQX-1" not in path.read_bytes()
    with open_state(path) as state:
        assert state.removal.forget(key("B")).is_rewritten


def test_a_state_on_a_read_only_disk_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite makes a file beside a state even to read it; one with a log is left to it."""
    path = tmp_path / "state"
    with open_state(path) as state:
        fill(state, tmp_path)
    assert "immutable" not in read_only_uri(path)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with open_state(path, read_only=True) as state:
        assert state.n_images() == 2
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "state-wal").touch()
    assert "immutable" in read_only_uri(path)
    (tmp_path / "state-wal").write_bytes(b"x")
    assert "immutable" not in read_only_uri(path)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_backup_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = tmp_path / "state", tmp_path / "copy"
    with open_state(path) as state:
        fill(state, tmp_path)
    synced: list[tuple[str, bool, bool]] = []

    def fsync(descriptor: int) -> None:
        file = Path(f"/proc/self/fd/{descriptor}").resolve()
        synced.append((file.name, dump(file) == dump(path), copy.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    back_up(path, copy)
    assert synced == [(".copy.partial", True, False)]
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open


def test_a_backup_is_the_state_of_one_moment_while_a_run_is_at_work(tmp_path: Path) -> None:
    path, copy = tmp_path / "state", tmp_path / "copy d'été"
    with open_state(path) as state:
        fill(state, tmp_path)
        with state.at_once():
            state._put(FoundFile(path=Path("x"), name="x"), image_score("x", 0.5), context())
            back_up(path, copy)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with open_state(copy, read_only=True) as copied:
            assert (copied.problems(), copied.n_images()) == ([], 2)
    back_up(path, copy)
    assert dump(copy) == dump(path)
    assert sorted(
        file.name for file in tmp_path.iterdir() if "copy" in file.name and "-" not in file.name
    ) == [copy.name]


def test_the_program_of_sqlite_makes_the_same_backup(tmp_path: Path) -> None:
    path, copy = tmp_path / "state", tmp_path / "copy"
    with open_state(path) as state:
        fill(state, tmp_path)
        try:
            subprocess.run(["sqlite3", path, f".backup {copy}"], check=True)
        except FileNotFoundError:
            pytest.skip("there is no sqlite3 on this machine")
    assert dump(copy) == dump(path)


def test_what_cannot_be_backed_up(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(UsageProblem, match="no such file"):
        back_up(path, tmp_path / "copy")
    with open_state(path) as state:
        fill(state, tmp_path)
    with pytest.raises(UsageProblem, match="is the state itself"):
        back_up(path, path)
    with pytest.raises(StateError, match=r"cannot be copied to .*copy: No such file or directory"):
        back_up(path, tmp_path / "nowhere" / "copy")
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(StateError, match="is no state of cxrbatch"):
        back_up(tmp_path / "foreign", tmp_path / "copy")
    for name in (".copy.partial", ".copy.partial-journal", "copy-wal"):
        (tmp_path / name).write_bytes(b"left by a killed one")
    back_up(path, tmp_path / "copy")
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(("copy-", ".copy"))]
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    (tmp_path / "copy").unlink()
    (tmp_path / "other").write_bytes(b"no database" * 100)
    with pytest.raises(StateError, match="this is no state"):
        back_up(tmp_path / "other", tmp_path / "copy")
    assert not [file for file in tmp_path.iterdir() if "copy" in file.name]

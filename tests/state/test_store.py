"""What is remembered: comes back as it was, is private, and says clearly when it cannot be used."""

import datetime as dt
import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.errors import StateError
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, FoundFile, ImageHeader, ImageScore, Outcome
from cxrbatch.state import schema
from cxrbatch.state.codec import as_stored, decode, decode_key, encode, encode_key
from cxrbatch.state.connection import _connect as connection_of
from cxrbatch.state.connection import open_state
from cxrbatch.state.records import PcrResult
from tests.factories.records import failure, image_score
from tests.factories.stored import context, found, moment, night

names = st.text(st.characters(codec=None), max_size=8)  # lone surrogates too: names that are no UTF-8
headers = st.builds(
    ImageHeader,
    patient_key=st.lists(names, min_size=1, max_size=3).map(tuple),
    patient_id=names,
)
scores = st.floats(0, 1)
outcomes = st.builds(
    ImageScore,
    name=names,
    header=headers,
    scores=st.tuples(scores, scores, scores),
    pixels_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    flags=st.frozensets(st.sampled_from(Flag)),
) | st.builds(
    Failure,
    name=names,
    reason=st.sampled_from(Reason),
    detail=names,
    header=st.none() | headers,
    skipped=st.booleans(),
)


@given(outcomes)
def test_records_come_back_to_the_last_bit(outcome: Outcome) -> None:
    text = encode(outcome)
    assert text.isascii()
    assert decode(text) == outcome
    if outcome.header:
        assert decode_key(encode_key(outcome.header.patient_key)) == outcome.header.patient_key


def test_the_age_is_not_stored() -> None:
    """With the day of the study it would tell the day of birth."""
    stored = encode(image_score("a", 0.5, age_years=51.2345))
    assert "51.2345" not in stored
    restored = decode(stored)
    assert restored.header is not None
    assert restored.header.age_years is None


def test_an_outcome_is_as_it_will_be_remembered() -> None:
    """With what is not stored: age, free text, contradictions, thumbnail."""
    header: dict[str, Any] = {
        "age_years": 51.2,
        "modality": "Jane Doe",
        "view_conflict": "PA, LL",
        "view_position": "pa?",
    }
    outcome = replace(image_score("a", 0.5, **header), thumbnail=b"jpeg")
    assert as_stored(outcome, 7) == decode(encode(outcome))
    assert as_stored(outcome, 7).stored_id == 7


def test_only_the_same_version_and_settings_are_recalled(tmp_path: Path) -> None:
    file, outcome = (
        found("a/\udcff.dcm", 10, 20),
        replace(image_score("a/\udcff.dcm", 0.5), thumbnail=b"jpeg"),
    )
    with open_state(tmp_path / "state") as state:
        new = state.put(file, outcome, context())
        known = state.get(file, context(3))
        assert known is not None
        assert (known.id, known.outcome, known.first_night) == (new.id, new.outcome, night(0))
        assert new.outcome == replace(outcome, thumbnail=b"")
        assert [one.outcome.stored_id for one in (new, known)] == [new.id, new.id]
        assert (state.thumbnail(new.id), state.thumbnail(new.id + 1)) == (b"jpeg", b"")
        assert state.get(found("a/\udcff.dcm", 10, 21), context()) is None
        assert state.get(found("a/b.dcm", 10, 20), context()) is None
        assert state.get(file, context(settings="other")) is None
        assert state.get(file, replace(context(), root="/mnt")) is None


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.STILL_CHANGING])
def test_what_may_be_better_tomorrow_is_judged_anew(tmp_path: Path, reason: Reason) -> None:
    with open_state(tmp_path / "state") as state:
        state.put(found("a"), failure("a", reason, "A"), context())
        assert state.get(found("a"), context()) is None
        state.put(found("b"), failure("b", Reason.CORRUPT, "A"), context())
        assert state.get(found("b"), context()) is not None


def test_judged_again_it_came_in_when_it_first_did(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        first = state.put(found("a"), image_score("a", 0.1), context(0))
        again = state.put(found("a"), image_score("a", 0.9), context(5, bundle="c" * 64, settings="new"))
        assert (again.id, again.first_night) == (first.id, night(0))
        (item,) = state.stored_images(after=night(-1))
        assert (item.first_seen, item.bundle_sha256) == (moment(0), "c" * 64)
        assert isinstance(item.outcome, ImageScore)
        assert item.outcome.scores[0] == 0.9


def test_evidence_is_whoever_had_an_image_lately_and_what_bears_on_it(tmp_path: Path) -> None:
    old, lately = context(0), context(10)
    with open_state(tmp_path / "state") as state:
        for name, outcome, when in (
            ("1", image_score("1", 0.5, "gone"), old),
            ("2", image_score("2", 0.5, "A"), old),
            ("3", image_score("3", 0.5, "A", sop_instance_uid="1.2"), lately),
            ("4", image_score("4", 0.5, "B", sop_instance_uid="1.2"), old),
            ("5", failure("5", Reason.CORRUPT, "C"), lately),
            ("6", failure("6", Reason.NOT_AN_IMAGE, "D", skipped=True), lately),
        ):
            state.put(found(name), outcome, when)
        state.put(found("5", 99), image_score("5", 0.5, "E"), old)
        assert [item.name for item in state.stored_images(after=night(9))] == ["2", "3", "4", "5", "5"]
        assert not list(state.stored_images(after=night(10)))


def test_evidence_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for name in ("1", "2", "3"):
            state.put(found(name), image_score(name, 0.5, f"P{name}"), context(0))
        other = image_score("2", 0.9, "P2")
        images = state.stored_images(night(-1), outcomes={2: other})
        assert [item.outcome.stored_id for item in images[1:]] == [0, 3]
        assert images[1].outcome is other
        assert list(images.patients()) == [("dicom", "", f"P{number}") for number in (1, 2, 3)]
        state.put(found("3"), image_score("3", 0.7, "P3"), context(1, settings="new"))
        assert images[-1].outcome == image_score("3", 0.7, "P3")


def test_evidence_leaves_out_whoever_has_a_result_for_all_that_came_in_lately(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for name, patient, number in (
            ("1", "A", 3),
            ("2", "B", 3),
            ("3", "B", 5),
            ("4", "C", 0),
            ("5", "C", 3),
        ):
            state.put(found(name), image_score(name, 0.5, patient), context(number))
        swabs = (("A", 3), ("B", 4), ("C", 2))
        state.pcr.add(
            [PcrResult(patient_key=("dicom", "", who), date=night(day), positive=True) for who, day in swabs],
            moment(6),
        )
        assert [item.name for item in state.stored_images(after=night(2))] == ["2", "3", "4", "5"]


def test_second_copies_and_thumbnails(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        rows = [
            state.put(found(name), replace(image_score(name, 0.5), thumbnail=b"x"), context(number))
            for number, name in enumerate(("a", "b"))
        ]
        state.mark_duplicates([(rows[0].id, ""), (rows[1].id, "a")])
        state.forget_thumbnails(before=night(1))
        images = state.stored_images(after=night(-9))
        seen = [(item.duplicate_of, state.thumbnail(item.outcome.stored_id)) for item in images]
        assert seen == [("", b""), ("a", b"x")]
        state.mark_duplicates([(rows[1].id, "")])
        assert [item.duplicate_of for item in state.stored_images(after=night(-9))] == ["", ""]


def test_results(tmp_path: Path) -> None:
    a, b = ("dicom", "", "A"), ("dicom", "", "B")
    with open_state(tmp_path / "state") as state:
        first = [
            PcrResult(patient_key=a, date=night(1), positive=True),
            PcrResult(patient_key=b, date=night(1), positive=False),
        ]
        later = [
            PcrResult(patient_key=a, date=night(3), positive=True),
            PcrResult(patient_key=a, date=night(1), positive=False),
        ]
        state.pcr.add(first, moment(1))
        state.pcr.add(later, moment(3))
        assert state.pcr.results() == [later[1], later[0], first[1]]
        assert state.pcr.days([b, ("dicom", "", "C"), a]) == ({a: [night(1), night(3)], b: [night(1)]}, {})
        assert state.pcr.days([b]) == ({b: [night(1)]}, {})


def test_what_stands_of_a_patient_is_the_last_result_of_each_day_or_else_a_swab(tmp_path: Path) -> None:
    a, b = ("dicom", "", "A"), ("dicom", "", "B")
    with open_state(tmp_path / "state") as state:
        for number, (patient, day, positive) in enumerate(
            [(a, 1, True), (a, 1, False), (a, 1, None), (a, 2, None), (b, 3, True), (a, 4, True)]
        ):
            state.pcr.add(
                [PcrResult(patient_key=patient, date=night(day), positive=positive)], moment(number)
            )
        state.pcr.undo(6, moment(9))
        assert state.pcr.standing(a) == {night(1): False, night(2): None}
        assert state.pcr.standing(b) == {night(3): True}
        assert state.pcr.standing(("dicom", "", "C")) == {}


def test_who_imported_is_found_by_the_beginning_of_the_name(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        state.pcr.add([], moment(1), "ward%")
        assert [state.pcr.has_import_by(name) for name in ("", "ward%", "war", "w%", "ward%s")] == [
            True,
            True,
            True,
            False,
            False,
        ]


def test_no_step_of_a_night_reads_all_images_or_sorts_whole_rows(tmp_path: Path) -> None:
    """With ten million images either takes minutes; SQLite says what it will do."""
    statements: list[str] = []
    with open_state(tmp_path / "state") as state:
        connection = state._connection
        connection.set_trace_callback(statements.append)
        stored = state.put(found("a"), image_score("a", 0.5, sop_instance_uid="1.2"), context())
        assert state.get(found("a"), context()) is not None
        state.follow_new_keys()
        state.mark_duplicates([(stored.id, "")])
        list(state.stored_images(after=night(-9)))
        state.forget_thumbnails(before=night(1))
        state.pcr.days([("dicom", "", "A")])
        state.patients(patient_id="A")
        connection.set_trace_callback(None)
        steps = [
            ("WITH waiting" in statement, step)
            for statement in statements
            if statement.split()[0] in ("SELECT", "WITH", "UPDATE", "INSERT")
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        assert connection.execute("PRAGMA temp_store").fetchone()[0] == 2  # in memory
    assert len([step for _, step in steps if step.startswith("SEARCH image USING")]) > 8
    assert [step for _, step in steps if step == "SCAN image"] == []
    assert [step for is_evidence, step in steps if is_evidence and "ORDER BY" in step] == []


def test_patients_are_found_by_exactly_what_is_asked(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for number, (patient, issuer, accession) in enumerate(
            [("007", "X", "1"), ("007", "Y", "2"), ("7", "X", "1"), ("", "X", "")]
        ):
            name = str(number)
            key = ("dicom", issuer, patient)
            score = image_score(
                name, 0.5, patient, patient_key=key, issuer_of_patient_id=issuer, accession_number=accession
            )
            state.put(found(name), score, context())
        assert state.patients(patient_id="007") == [("dicom", "X", "007"), ("dicom", "Y", "007")]
        assert state.patients(patient_id="007", issuer_of_patient_id="Y") == [("dicom", "Y", "007")]
        assert state.patients(accession_number="1") == [("dicom", "X", "007"), ("dicom", "X", "7")]
        assert state.patients(patient_id="007", accession_number="1") == [("dicom", "X", "007")]
        assert state.patients(patient_id="07") == []
        assert state.patients() == []


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "state"
    with open_state(path) as state:
        state.put(found("a"), image_score("a", 0.5), context())
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["state"]


def test_an_empty_file_becomes_a_state_and_reopens(tmp_path: Path) -> None:
    path = tmp_path / "état d'été"
    path.touch()
    for expected in (0, 1):
        with open_state(path) as state:
            assert state.n_images() == expected
            assert state.problems() == []
            state.put(found("a"), image_score("a", 0.5), context())
    connection = sqlite3.connect(path)
    assert schema.schema_version(connection) == schema.SCHEMA_VERSION
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_what_a_killed_process_had_stored_is_there(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cxrbatch.state.connection import open_state\n"
        "from tests.factories.stored import context, found\n"
        "from tests.factories.records import image_score\n"
        "with open_state(Path(sys.argv[1])) as state:\n"
        "    for i in range(10):\n"
        "        names = [f'{i} {j}' for j in range(64)]\n"
        "        state.put_all([(found(name), image_score(name, 0.5)) for name in names], context())\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path / "state"], check=False)
    assert result.returncode == -9
    with open_state(tmp_path / "state") as state:
        assert state.n_images() == 640
        assert state.problems() == []


def damaged(path: Path) -> None:
    with open_state(path) as state:
        for i in range(200):
            state.put(found(str(i)), image_score(str(i), 0.5), context())
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 4096] = os.urandom(len(content) - 8192)
    path.write_bytes(content)


def of_another_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()


def of_a_later_version(path: Path) -> None:
    with open_state(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "this is no state"),
        (damaged, "is damaged"),
        (of_another_program, "of another program"),
        (of_a_later_version, f"version {schema.SCHEMA_VERSION + 1}"),
        (lambda path: path.mkdir(), "cannot be written"),
    ],
)
def test_what_is_no_state_is_refused_and_left_alone(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "state"
    make(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StateError, match=message), open_state(path) as state:
        list(state.images())
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_looking_at_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened"), open_state(tmp_path / "state", read_only=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_costs_only_what_was_not_stored(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the kernel refuses to let the file grow, as a full disk does."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from cxrbatch.errors import StateError\n"
        "from cxrbatch.state.connection import open_state\n"
        "from tests.factories.stored import context, found\n"
        "from tests.factories.records import image_score\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "try:\n"
        "    with open_state(Path(sys.argv[1])) as state:\n"
        "        for i in range(80):\n"
        "            names = [f'{i} {j}' for j in range(64)]\n"
        "            state.put_all([(found(name), image_score(name, 0.5)) for name in names], context())\n"
        "except StateError as error:\n"
        "    print(error); sys.exit(1)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "state"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stderr
    assert "is the disk full" in result.stdout
    with open_state(tmp_path / "state") as state:
        assert state.problems() == []
        assert 64 <= state.n_images() < 5120
        assert state.n_images() % 64 == 0


def test_nights_are_those_of_the_runs(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        assert state.last_night() is None
        state.begin(context(3))
        state.begin(context(1))
        assert state.last_night() == night(3)
        first, second = state.runs()
        assert (first.night, first.started, first.finished) == (night(3), moment(3), None)
        assert second.night - first.night == dt.timedelta(days=-2)


def test_a_file_that_was_copied_anew_is_the_version_that_it_was(tmp_path: Path) -> None:
    def copied(ctime_ns: int, size_bytes: int = 10) -> FoundFile:
        version = FileVersion(size_bytes=size_bytes, mtime_ns=20, ctime_ns=ctime_ns)
        return replace(found("a.dcm"), version=version)

    first = image_score("a.dcm", 0.5, picture="x", sop_instance_uid="1.2")
    with open_state(tmp_path / "state") as state:
        row = state.put(copied(1), first, context(0))
        assert state.get(copied(2), context(1)) is None
        again = state.put(copied(2), first, context(1))
        assert (again.id, again.first_night) == (row.id, night(0))
        assert state.get(copied(2), context(2)) is not None
        others: list[Outcome] = [
            image_score("a.dcm", 0.5, picture="y", sop_instance_uid="1.2"),
            image_score("a.dcm", 0.5, picture="x", sop_instance_uid="1.3"),
            image_score("a.dcm", 0.5, "Q", picture="x", sop_instance_uid="1.2"),
            failure("a.dcm", Reason.CORRUPT, "P"),
        ]
        for number, other in enumerate(others, start=3):
            assert state.put(copied(number), other, context(number)).first_night == night(number)
        cut = failure("a.dcm", Reason.TRUNCATED, "P")
        assert state.put(copied(9), cut, context(9)).first_night == night(6)
        assert state.put(copied(9, size_bytes=11), cut, context(9)).first_night == night(9)
        assert state.n_images() == 6


def test_opening_a_state_releases_no_lock_of_this_process(tmp_path: Path) -> None:
    """POSIX locks end when any descriptor of the file is closed (https://sqlite.org/howtocorrupt.html, 2.2)."""
    path = tmp_path / "state"
    with open_state(path) as first:
        first.n_images()
        with open_state(path, read_only=True) as second:
            second.n_images()
        code = (
            "import fcntl, sys\n"
            "with open(sys.argv[1], 'r+b') as file:\n"
            "    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)\n"
        )
        with pytest.raises(
            subprocess.CalledProcessError
        ):  # SQLite's shared lock, as long as the database is open
            subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True)
        connection = _writable(path)
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True)
        connection.close()


def _writable(path: Path) -> sqlite3.Connection:
    return connection_of(path, durable=True, read_only=False)

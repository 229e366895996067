"""A state of version 6, which commit 1f8b09a wrote: not a value of it is lost, and its files are known again.

Two nights of five files of the sample night, of which two came in on the second. Only the path of the export and of
the report are others.
"""

import datetime as dt
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.records import NOWHERE, FoundFile, ObjectKey
from cxrbatch.state import RunContext, State
from cxrbatch.state.connection import open_state
from tests.factories.former_release import write_dumped_state
from tests.factories.records import image_score
from tests.factories.stored import context

WRITTEN = "state_of_1f8b09a.sql"
ROWS = {"run": 2, "image": 5, "listed": 7}
INDEXES = 8


def rows(path: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = write_dumped_state(tmp_path / "state.sqlite", WRITTEN)
    with open_state(path):
        pass
    return path


@pytest.mark.parametrize("table", ROWS)
def test_every_value_is_the_same(state: Path, tmp_path: Path, table: str) -> None:
    before = write_dumped_state(tmp_path / "before.sqlite", WRITTEN)
    names = ", ".join(str(row["name"]) for row in rows(before, f"PRAGMA table_info({table})"))
    found = rows(before, f"SELECT {names} FROM {table} ORDER BY 1, 2")  # noqa: S608
    assert len(found) == ROWS[table]
    assert [tuple(row) for row in rows(state, f"SELECT {names} FROM {table} ORDER BY 1, 2")] == [  # noqa: S608
        tuple(row) for row in found
    ]


def test_what_is_new_is_empty_and_indexes_are_there(state: Path) -> None:
    assert [row["tag"] for row in rows(state, "SELECT tag FROM image")] == [""] * ROWS["image"]
    assert (
        len(rows(state, "SELECT 1 FROM sqlite_master WHERE type = 'index' AND tbl_name = 'image'")) == INDEXES
    )
    assert rows(state, "SELECT 1 FROM sqlite_master WHERE name = 'image_of_files'") == []


def test_its_files_are_known_again(state: Path) -> None:
    stored = rows(state, "SELECT * FROM image")
    with open_state(state) as opened:
        for row in stored:
            version = FileVersion(**{name: row[name] for name in ("size_bytes", "mtime_ns", "ctime_ns")})
            name = json.loads(row["name"])
            file = FoundFile(path=Path("/srv/export") / name, name=name, version=version)
            then = RunContext(
                root=json.loads(row["root"]),
                settings=row["settings"],
                bundle_sha256=row["bundle_sha256"],
                night=context(1).night,
                moment=context(1).moment,
            )
            known = opened.get(file, then)
            assert known
            assert known.id == row["id"]
            changed = replace(file, version=replace(version, mtime_ns=1))
            assert opened.get(changed, then) is None


# --- objects, in a state of today


def an_object(tag: str, mtime_ns: int = 0, size_bytes: int = 1) -> FoundFile:
    version = FileVersion(size_bytes=size_bytes, mtime_ns=mtime_ns, tag=tag)
    return FoundFile(path=NOWHERE, object=ObjectKey(bucket="b", key="x"), name="x", version=version)


def test_an_object_is_known_by_its_tag_whatever_its_time(state: Path) -> None:
    with open_state(state) as opened:
        opened.put(an_object("one", mtime_ns=5), image_score("x", 0.5), context())
        first = known(opened, an_object("one", mtime_ns=5))
        assert first
        assert known(opened, an_object("one", mtime_ns=7)) == first
        assert known(opened, an_object("two", mtime_ns=5)) is None
        assert known(opened, an_object("one", mtime_ns=5, size_bytes=2)) is None
        assert known(opened, an_object("", mtime_ns=5)) is None


def test_versions_of_one_second_are_two_and_one_that_is_copied_anew_is_one(state: Path) -> None:
    with open_state(state) as opened:
        before = opened.n_images()
        for number, (tag, mtime_ns) in enumerate([("one", 5), ("two", 5), ("one", 9)]):
            opened.put(an_object(tag, mtime_ns), image_score("x", 0.5), context(number))
        assert opened.n_images() == before + 2
        again = opened.put(an_object("one", 11), image_score("x", 0.5), context(3))
        assert again.first_night == context(0).night


def test_an_object_may_be_there_still_and_is_no_file_of_its_name(state: Path, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    name = str(tmp_path / "x")
    with open_state(state) as opened:
        file = replace(an_object("one"), name=name)
        opened.put(file, image_score(name, 0.5), replace(context(), root="s3://bucket/prefix"))
        assert opened.removal.prune(dt.date(2030, 1, 1)).n_images == 0
        gone = opened.removal.forget(image_score(name, 0.5).header.patient_key)
        assert (gone.n_images, gone.files) == (1, ())


def known(opened: State, file: FoundFile) -> int | None:
    found = opened.get(file, context())
    return found.id if found else None

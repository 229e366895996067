"""A state of version 4, which commit ac1bf95 wrote: not a value of it is lost, and today's code reads it.

Three nights of six files of the sample night. Before the third, the laboratory imported that the first patient of the
list was swabbed, and a result of another. Only the path of the export and the name of the user are others.
"""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.state import schema
from cxrbatch.state.connection import open_state
from tests.factories.former_release import write_dumped_state

WRITTEN = "state_of_ac1bf95.sql"
ROWS = {"run": 3, "image": 6, "listed": 8, "import": 2, "result": 2}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = write_dumped_state(tmp_path / "state.sqlite", WRITTEN)
    with open_state(path):
        pass
    return path


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("table", ROWS)
def test_every_value_is_the_same(state: Path, tmp_path: Path, table: str) -> None:
    before = write_dumped_state(tmp_path / "before.sqlite", WRITTEN)
    names = ", ".join(str(row[1]) for row in _rows(before, f"PRAGMA table_info({table})"))
    found = _rows(before, f"SELECT {names} FROM {table} ORDER BY 1, 2")  # noqa: S608
    assert len(found) == ROWS[table]
    assert _rows(state, f"SELECT {names} FROM {table} ORDER BY 1, 2") == found  # noqa: S608


def test_what_is_new_is_empty(state: Path) -> None:
    assert _rows(state, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert _rows(state, "SELECT count(*) FROM large_image") == [(0,)]
    assert _rows(state, "SELECT DISTINCT page FROM run") == [("",)]


def test_it_is_read_as_it_was_meant(state: Path, tmp_path: Path) -> None:
    with open_state(state) as opened:
        lists = [(entry.night.day, entry.position, entry.status) for entry in opened.lists.entries()]
        results, swabs = opened.pcr.days({one.patient_key for one in opened.lists.entries()})
        assert opened.lists.previous_page(tmp_path / "report.html") is None
        assert (opened.last_night(), opened.n_images(), opened.problems()) == (dt.date(2026, 3, 3), 6, [])
        assert not opened.large_images.get()
    assert lists == [
        (1, 1, "ranked"),
        *((2, position, "ranked") for position in (1, 2, 3, 4)),
        *((3, position, "ranked") for position in (1, 2)),
        (3, 3, "swabbed"),
    ]
    assert [(key[-1][:10], list(days)) for key, days in swabs.items() if days] == [
        ("SAMPLE-004", [dt.date(2026, 3, 3)])
    ]
    assert [(key[1], list(days)) for key, days in results.items() if days] == [
        ("SAMPLE-024.png", [dt.date(2026, 3, 3)])
    ]

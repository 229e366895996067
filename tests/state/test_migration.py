"""A state that commit 9847cd3 wrote, as SQL: nothing of it is lost on the way to the tables of today.

Three nights of six radiographs. In the first, a result came between two runs: the second list took the place of the
first. In the second, two imports brought three results, of one patient who had one already and of one who had none,
and a run was killed. Only the path of the export is another.
"""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.audit.episodes import find_episodes
from cxrbatch.state import schema
from cxrbatch.state.connection import open_state

WRITTEN = Path(__file__).with_name("lists_of_9847cd3.sql")
VERSION = 1
CHANGED = {"settings"}
"""Columns of images whose value is another one: every file is read again."""

Row = tuple[object, ...]


def write_state(path: Path, version: int = VERSION) -> Path:
    """Write the state of then, brought to a later version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WRITTEN.read_text())
        for step in schema.STEPS[VERSION:version]:
            connection.executescript(step)
        connection.execute(f"PRAGMA user_version = {version}")
    return path


def read(path: Path, names: str, tables: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(f"SELECT {names} FROM {tables}").fetchall(), key=repr)  # noqa: S608


def columns(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return write_state(tmp_path / "before")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = write_state(tmp_path / "state")
    with open_state(path):
        pass
    return path


@pytest.mark.parametrize("table", ["run", "image"])
def test_runs_and_images_are_the_same(before: Path, state: Path, table: str) -> None:
    names = ", ".join(name for name in columns(before, table) if name not in CHANGED)
    rows = read(before, names, table)
    assert len(rows) == {"run": 5, "image": 6}[table]
    assert read(state, names, table) == rows
    assert read(state, "DISTINCT settings, former_key", "image") == [("", "")]


def test_every_line_of_every_list_belongs_to_the_run_that_reported_it(before: Path, state: Path) -> None:
    of_a_line = "patient_key, position, status, score, priority, nights_waiting, flags, reason, bundle_sha256"
    lines = read(before, f"night, {of_a_line}", "listed")
    assert len(lines) == 11
    joined = "listed JOIN run ON run.id = listed.run"
    assert read(state, f"night, {of_a_line}", joined) == lines
    assert read(state, "DISTINCT night, run", joined) == [
        ("2026-03-01", 2),
        ("2026-03-02", 3),  # 4 was killed
        ("2026-03-03", 5),
    ]


def test_every_result_is_there_and_those_of_one_moment_are_one_import(before: Path, state: Path) -> None:
    of_a_result = "patient_key, date, positive, imported"
    results = read(before, of_a_result, "result")
    assert len(results) == 4
    joined = "result JOIN import ON import.id = result.import"
    assert read(state, of_a_result, joined) == results
    with open_state(state, read_only=True) as opened:
        imports = [(one.id, one.n_positive, one.n_negative, one.n_swabbed) for one in opened.pcr.imports()]
        assert {(one.imported_by, one.source_sha256, one.undone) for one in opened.pcr.imports()} == {
            ("", "", None)
        }
    assert imports == [(1, 1, 0, 0), (2, 0, 2, 0), (3, 1, 0, 0)]


def test_what_was_imported_then_can_be_undone_and_audited(state: Path) -> None:
    moment = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
    with open_state(state) as opened:
        opened.pcr.undo(2, moment)
        assert [(one.patient_key[2], one.date.day, one.positive) for one in opened.pcr.results()] == [
            ("0007", 1, True),
            ("0008", 1, True),
        ]
        found = find_episodes(
            [run for run in opened.runs() if run.finished],
            opened.lists.entries(),
            opened.pcr.results(),
            opened.images(),
        )
    assert {one.patient_key[2]: one.is_positive for one in found.episodes} == {
        **dict.fromkeys(("0009", "0010", "0012", "0013")),
        "0008": True,
    }
    assert found.n_results_outside == 1  # of 0007: 9847cd3 had deleted the first list of that night


@pytest.mark.parametrize("version", range(VERSION + 1, schema.SCHEMA_VERSION))
def test_step_by_step_gives_the_same_state(state: Path, tmp_path: Path, version: int) -> None:
    path = write_state(tmp_path / "by steps", version)
    with open_state(path):
        pass
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(state)) as other:
        assert list(one.iterdump()) == list(other.iterdump())

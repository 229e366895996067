"""Others write between the parts of a long list, and never within one."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbatch.state.connection import open_state
from cxrbatch.state.turns import at_once, write_in_turns
from tests.factories.records import image_score
from tests.factories.stored import context, found, night


def test_others_write_between_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.sqlite"
    connection, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    connection.execute("CREATE TABLE line (text)")
    pauses = []

    def enter(seconds: float) -> None:
        pauses.append(seconds)
        other.execute("INSERT INTO line VALUES ('by another')")
        other.commit()

    monkeypatch.setattr("cxrbatch.state.turns._ROWS_AT_ONCE", 2)
    monkeypatch.setattr("cxrbatch.state.turns.time.sleep", enter)
    write_in_turns(connection, "INSERT INTO line VALUES (?)", [("a",), ("b",), ("c",)])
    assert [text for (text,) in other.execute("SELECT text FROM line")] == ["a", "b", "by another", "c"]
    assert len(pauses) == 1


def test_thumbnails_are_forgotten_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("cxrbatch.state.turns._ROWS_AT_ONCE", 2)
    monkeypatch.setattr("cxrbatch.state.turns.time.sleep", pauses.append)
    with open_state(tmp_path / "state") as state:
        for name in ("a", "b", "c"):
            state.put(found(name), replace(image_score(name, 0.5), thumbnail=b"x"), context(0))
        state.forget_thumbnails(before=night(1))
        assert [item.outcome.thumbnail for item in state.stored_images(night(-9))] == [b""] * 3
    assert len(pauses) == 1


def test_what_fails_leaves_nothing_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlite"
    connection, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    connection.execute("CREATE TABLE line (text NOT NULL)")
    with pytest.raises(sqlite3.IntegrityError):
        write_in_turns(connection, "INSERT INTO line VALUES (?)", [("a",), (None,)])
    with at_once(other):
        assert other.execute("SELECT count(*) FROM line").fetchone() == (0,)
        connection.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError):
            write_in_turns(connection, "INSERT INTO line VALUES (?)", [("b",)])


def test_who_opens_a_state_waits_for_others(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        assert state._connection.execute("PRAGMA busy_timeout").fetchone()[0] == 30_000

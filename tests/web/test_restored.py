"""Files that are missing, damaged or of another version when the service starts."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.errors import NewerState, StateError
from cxrbatch.records import PatientKey
from cxrbatch.results import enter_result
from cxrbatch.state import SCHEMA_VERSION, lock_path, locked, open_state
from cxrbatch.web import ServeOptions
from cxrbatch.web.restored import check_files
from tests.factories.nights import line, write_night
from tests.factories.stored import moment

PATIENT: PatientKey = ("dicom", "", "A")


@pytest.fixture
def options(tmp_path: Path) -> ServeOptions:
    return ServeOptions(state=tmp_path / "state.sqlite")


def write_state(options: ServeOptions) -> None:
    write_night(options.state, [line(1, "A", 0.5)])


def swab(options: ServeOptions) -> None:
    write_state(options)
    enter_result(options.state, PATIENT, moment(0).date(), None, "anna", clock=lambda: moment(0))


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def set_version(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {number}")


@pytest.mark.parametrize(
    ("made", "warning"),
    [
        ([], ""),
        ([write_state], ""),
        ([write_state, lambda options: options.database.touch()], ""),
        ([lambda options: options.database.touch()], "state.sqlite is missing"),
        ([lambda options: options.key_file.touch()], "web.sqlite is missing"),
        ([swab], "web.sqlite is missing"),
    ],
)
def test_a_missing_file_says_what_to_do(
    made: list[Callable[[ServeOptions], None]],
    warning: str,
    options: ServeOptions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for make in made:
        make(options)
    check_files(options)
    said = caplog.text
    assert (warning in said, "stop the service" in said) == (True, bool(warning))


def test_a_newer_state_ends_the_start(options: ServeOptions) -> None:
    write_state(options)
    set_version(options.state, SCHEMA_VERSION + 1)
    with pytest.raises(NewerState, match="use the cxrbatch that wrote it"):
        check_files(options)


def test_an_older_state_is_brought_up_to_date_unless_a_run_is_at_work(options: ServeOptions) -> None:
    with open_state(options.state):
        pass
    with closing(sqlite3.connect(options.state)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            if not table.startswith("sqlite_"):
                connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 0")
        connection.execute("CREATE TABLE of_an_older_version (id INTEGER)")
    with locked(lock_path(options.state), "a run"):
        check_files(options)
        assert version(options.state) == 0
    check_files(options)
    assert version(options.state) == SCHEMA_VERSION


@pytest.mark.web
def test_a_damaged_or_newer_database_ends_the_start(application: ServeOptions, tmp_path: Path) -> None:
    from django.db import connection

    from cxrbatch.web.restored import migrate_database

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('web', '9999_later', '2026-01-01')"
        )
    try:
        with pytest.raises(StateError, match="a newer cxrbatch wrote it"):
            migrate_database(application)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '9999_later'")
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = str(tmp_path / "damaged.sqlite")
    (tmp_path / "damaged.sqlite").write_bytes(b"no database " * 100)
    try:
        with pytest.raises(StateError, match="put a backup in its place"):
            migrate_database(application)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before

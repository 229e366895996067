"""Open a state: path in, `State` out. The file is made, checked and updated to the latest version if needed."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cxrbatch.errors import NewerState, OlderState, StateError
from cxrbatch.state import schema
from cxrbatch.state.store import State

_MODE = 0o600
_TIMEOUT_S = 30
"""Longest wait for the transactions of others, which are short; a disk may stand still for seconds."""


@contextmanager
def open_state(path: Path, *, durable: bool = True, read_only: bool = False) -> Iterator["State"]:
    """Open a state; it is made, or updated to the latest version, if needed.

    Parameters
    ----------
    path : Path
        Must be on a local disk: SQLite's write-ahead log does not work over a network.
    durable : bool
        False for the temporary state of a single run: it may be lost in a power cut.
    read_only : bool
        True for commands that only read; the file must exist.

    Raises
    ------
    StateError
        On opening or while in use: no such file, damaged file, later version, full disk.
    """
    try:
        with closing(_connect(path, durable=durable, read_only=read_only)) as connection:
            yield State(connection)
            connection.commit()
    except sqlite3.Error as error:
        raise StateError(f"state {path}: {in_words(error)}") from error


@contextmanager
def in_memory() -> Iterator["State"]:
    """Open a state in memory; nothing is written to disk."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        schema.migrate(connection)
        yield State(connection)


def _connect(path: Path, *, durable: bool, read_only: bool) -> sqlite3.Connection:
    if read_only:
        connection = sqlite3.connect(read_only_uri(path), uri=True, timeout=_TIMEOUT_S)
    else:
        _make_private(path)
        # Reports may lie on a share where SQLite's own locks fail ("database is locked"). Our own lock is taken.
        how = "" if durable else "?vfs=unix-none"
        connection = sqlite3.connect(f"{path.resolve().as_uri()}{how}", uri=True, timeout=_TIMEOUT_S)
    connection.row_factory = sqlite3.Row
    try:
        if not durable:
            # Must come first: otherwise SQLite needs shared memory, which network shares do not have.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA temp_store = MEMORY")  # nothing of a patient is put into TMPDIR
        _check_version(connection, path, read_only=read_only)
        if not read_only:
            _prepare(connection, durable=durable)
    except BaseException:
        connection.close()
        raise
    return connection


def read_only_uri(path: Path) -> str:
    """Make the URI with which SQLite only reads a state, also from a read-only disk or snapshot.

    SQLite makes a file beside a state even to read it. Where it cannot, and no log is left to be read too, it is told
    that nothing changes.
    """
    log = path.with_name(f"{path.name}-wal")
    is_fixed = path.exists() and bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    has_log = log.exists() and log.stat().st_size > 0
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if is_fixed and not has_log else ''}"


def make_parent(path: Path) -> None:
    """Make the folder of a state if it is missing, with access for its owner only.

    Raises
    ------
    StateError
        The folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            f"state {path}: its folder cannot be made: {error.strerror}; choose another place with --state"
        ) from error


def remove_state(path: Path) -> None:
    """Remove a state, and what SQLite may have left beside it."""
    remove_logs(path)
    path.unlink(missing_ok=True)


def remove_logs(path: Path) -> None:
    """Remove what SQLite may have left beside a state: it would take that for a part of another file of this name."""
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, so that its mode is never weaker.

    SQLite gives the same mode to the files that it makes beside it. A file that is there is not opened: closing it
    would release the locks of other connections of this process (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    make_parent(path)
    try:
        if path.is_file():
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    except OSError as error:
        raise StateError(
            f"state {path}: cannot be written: {error.strerror}; choose another place with --state"
        ) from error


def _check_version(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    version = schema.schema_version(connection)
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    if not empty and application != schema.APPLICATION_ID:
        raise StateError(f"state {path}: is an SQLite file of another program; choose another name")
    if version > schema.SCHEMA_VERSION:
        raise NewerState(
            f"state {path}: version {version}, this cxrbatch knows versions up to {schema.SCHEMA_VERSION}; "
            "use the cxrbatch that wrote it, or a newer one"
        )
    if read_only and version < schema.SCHEMA_VERSION:
        raise OlderState(
            f"state {path}: version {version} of {schema.SCHEMA_VERSION}; the next run brings it up to date"
        )


def _prepare(connection: sqlite3.Connection, *, durable: bool) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    schema.migrate(connection)


def in_words(error: sqlite3.Error) -> str:
    """Say what a fault of SQLite means, and what to do."""
    advice = {
        "SQLITE_FULL": "the disk is full; free some space and run again",
        "SQLITE_NOTADB": "this is no state; choose another name, or move it away",
        "SQLITE_CORRUPT": "is damaged; move it away to begin anew, or put a backup in its place",
        "SQLITE_READONLY": "cannot be written; make it and its folder writable for this user",
        "SQLITE_CANTOPEN": "cannot be opened; is the name right, and its folder writable for this user?",
        "SQLITE_IOERR": "reading or writing failed; is the disk full or gone?",
    }
    name = getattr(error, "sqlite_errorname", "")
    return next((text for code, text in advice.items() if name.startswith(code)), str(error))

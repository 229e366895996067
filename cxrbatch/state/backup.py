"""Back up a state while it is in use: path in, copy out, by SQLite's online backup."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cxrbatch._lib.text import visible
from cxrbatch.errors import StateError, UsageProblem
from cxrbatch.state.connection import in_words, read_only_uri, remove_logs, remove_state
from cxrbatch.state.schema import APPLICATION_ID


def back_up(path: Path, copy: Path) -> None:
    """Copy a state as it is at one moment, also while a run is at work on it.

    The copy has mode 0600. It replaces an earlier file of its name once it is complete, and not before.

    Raises
    ------
    UsageProblem
        There is no such state, or `copy` is the state itself.
    StateError
        The state cannot be read, or the copy cannot be written.
    """
    if not path.is_file():
        raise UsageProblem(f"--state {visible(str(path))}: no such file")
    if copy.resolve() == path.resolve():
        raise UsageProblem(f"--out {visible(str(copy))}: is the state itself; choose another name")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        remove_state(partial)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _copy(path, partial)
        remove_logs(copy)
        partial.replace(copy)
    except (OSError, sqlite3.Error) as error:
        reason = in_words(error) if isinstance(error, sqlite3.Error) else error.strerror
        raise StateError(
            f"state {visible(str(path))}: cannot be copied to {visible(str(copy))}: {reason}"
        ) from error
    finally:
        remove_state(partial)


def _copy(path: Path, partial: Path) -> None:
    with (
        closing(sqlite3.connect(read_only_uri(path), uri=True)) as source,
        closing(sqlite3.connect(partial)) as target,
    ):
        if source.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise StateError(f"state {visible(str(path))}: is no state of cxrbatch")
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

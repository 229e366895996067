"""Where a run remembers: in the user's state, or, without one, in a file that lasts until the report is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrbatch.nightly.lock import lock_path, locked
from cxrbatch.nightly.state import State, make_folder, opened


@contextmanager
def lasting(path: Path) -> Iterator[State]:
    """The user's state, for this process alone.

    Raises
    ------
    Locked, StateError, OutputError
    """
    make_folder(path)
    with locked(lock_path(path), f"state {path}"), opened(path) as state:
        yield state


@contextmanager
def until_written(out: Path) -> Iterator[State]:
    """Memory beside a report that is not written yet: what a killed run leaves, the next one finds.

    It is removed when all went well, and kept when not.

    Raises
    ------
    Locked, StateError, OutputError
    """
    partial = out.with_name(f".{out.name}.partial")
    with locked(lock_path(out.with_name(f".{out.name}")), f"--out {out}"):
        with opened(partial, lasting=False) as state:
            try:
                yield state
            except BaseException:
                if state.n_images():
                    raise
                _remove(partial)
                raise
        _remove(partial)


def _remove(state: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        state.with_name(state.name + ending).unlink(missing_ok=True)

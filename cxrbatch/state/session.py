"""Open the state of a run, for one process at a time.

It is the user's state or, without one, a temporary file that is kept until the report is written.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cxrbatch._lib.text import visible
from cxrbatch.errors import NoLocks
from cxrbatch.state.connection import in_memory, make_parent, open_state, remove_state
from cxrbatch.state.lock import lock_path, locked
from cxrbatch.state.store import State


@contextmanager
def persistent_state(path: Path) -> Iterator[State]:
    """Open the user's state for this process alone.

    Raises
    ------
    Locked
        Another process uses the state.
    StateError
        The state cannot be opened or written.
    OutputError
        The lock cannot be made.
    """
    make_parent(path)
    with locked(lock_path(path), f"state {visible(str(path))}"), open_state(path) as state:
        yield state


@contextmanager
def temporary_state(out: Path | None) -> Iterator[State]:
    """Keep a temporary state beside a report that is not written yet; after a killed run the next one continues it.

    It is removed after a successful run, and kept after a failed one. On a share without locks it is in memory only.

    Parameters
    ----------
    out : Path or None
        The report. None, if no report is written, keeps the state in memory.

    Raises
    ------
    Locked
        Another process writes the same report.
    StateError
        The state cannot be opened or written.
    OutputError
        The lock cannot be made.
    """
    with ExitStack() as stack:
        if out is None:
            yield stack.enter_context(in_memory())
            return
        try:
            stack.enter_context(locked(lock_path(out.with_name(f".{out.name}")), f"--out {out}"))
        except NoLocks:
            yield stack.enter_context(in_memory())
        else:
            yield stack.enter_context(_kept_until_written(out.with_name(f".{out.name}.partial")))


@contextmanager
def _kept_until_written(partial: Path) -> Iterator[State]:
    with open_state(partial, durable=False) as state:
        try:
            yield state
        except BaseException:
            if not state.n_images():
                remove_state(partial)
            raise
    remove_state(partial)

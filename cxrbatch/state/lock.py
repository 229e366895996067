"""Allow one run at a time, with a lock that the operating system releases when its process dies."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cxrbatch.errors import Locked, NoLocks, OutputError

_MODE = 0o600
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_TRIES, _PAUSE_S = 5, 0.02
_NO_LOCKS_HERE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def lock_path(path: Path) -> Path:
    """Return the path of the lock file of a state or report."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Lock the file `path`, and write the process number into it.

    The lock is on the open file (``flock``), and does not depend on the existence of the file. So the lock of a
    killed process is free.

    Parameters
    ----------
    path : Path
        The lock file; it is removed afterwards.
    what : str
        Name of the locked thing, for the message.

    Raises
    ------
    Locked
        Another process has the lock.
    NoLocks
        The file system has no locks.
    OutputError
        The file cannot be made.
    """
    descriptor = _locked_file(path, what)
    try:
        _write_pid(descriptor)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still ours
        os.close(descriptor)


def _write_pid(descriptor: int) -> None:
    """Write who has the lock; on a full disk it stays unknown, and whoever writes more will say that it is full."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def holder(path: Path) -> int | None:
    """Return the number of the process that has the lock; None if no process has it, or if its number is unknown."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _locked_file(path: Path, what: str) -> int:
    """Open and lock the file; try again if the previous process removed it in between."""
    while True:
        descriptor = _open(path)
        try:
            _lock(descriptor, path, what)
            if _is_still_there(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _open(path: Path) -> int:
    try:
        # Other users of the folder could have put a link here; the target of the link would be emptied.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    except OSError as error:
        raise OutputError(f"{path}: the lock file cannot be made: {error.strerror}") from error


def _lock(descriptor: int, path: Path, what: str) -> None:
    for _ in range(_TRIES - 1):
        if _is_free(descriptor, path):
            return
        time.sleep(_PAUSE_S)  # `holder` takes the lock for a moment, to test it
    if not _is_free(descriptor, path):
        raise Locked(f"{what}: in use by process {_pid(descriptor) or 'unknown'}; wait until it ends")


def _is_free(descriptor: int, path: Path) -> bool:
    """Try to take the lock; return True if it was taken."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS_HERE:
            path.unlink(missing_ok=True)
            raise NoLocks(f"{path}: this file system has no locks; choose a place on a local disk") from error
        raise OutputError(f"{path}: cannot be locked: {error.strerror}") from error
    return True


def _pid(descriptor: int) -> int | None:
    content = os.pread(descriptor, 32, 0).strip()
    return int(content) if content.isdigit() else None

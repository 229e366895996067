"""Opening files in a folder that others write to.

What stands under a name may be another thing a moment later.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """What tells, without reading it, whether a file is still the same.

    Attributes
    ----------
    size_bytes, mtime_ns, ctime_ns : int
        Size, time of modification and time of change (of content, name or rights), as the file system gives them; -1
        and zeros where it gave none.
    """

    size_bytes: int = -1
    mtime_ns: int = 0
    ctime_ns: int = 0


UNKNOWN_VERSION = FileVersion()
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST = 2**63 - 1
_N_TRIES = 50
_PAUSE_S = 0.1


class NotRegular(Exception):
    """A pipe, a socket, a device, a folder, or a symbolic link where there was none.

    Attributes
    ----------
    found : os.stat_result
        What it is.
    """

    def __init__(self, found: os.stat_result) -> None:
        super().__init__()
        self.found = found


@contextmanager
def open_regular(path: Path, *, follow: bool) -> Iterator[BinaryIO]:
    """Open a regular file for reading, and nothing else.

    What is something else already is not touched: a device may act on being opened. What becomes something else just
    then is opened without waiting (a pipe would wait for its writer for ever) and closed again.

    Parameters
    ----------
    path : Path
    follow : bool
        Whether symbolic links are followed. If not, no folder on the way may be one either.

    Raises
    ------
    NotRegular
    OSError
    """
    with ExitStack() as stack:
        above = None if follow else stack.enter_context(_reached_without_links(path.absolute().parent))
        name = path if follow else path.name
        _require_regular(os.stat(name, dir_fd=above, follow_symlinks=follow))
        descriptor = _open(name, _FLAGS if follow else _FLAGS | os.O_NOFOLLOW, above)
        stack.callback(os.close, descriptor)
        _require_regular(os.fstat(descriptor))
        yield stack.enter_context(open(descriptor, "rb", closefd=False))


@contextmanager
def _reached_without_links(folder: Path) -> Iterator[int]:
    """Go the way step by step: the kernel, given all of it, would follow a link that has taken a folder's place."""
    descriptor = os.open(folder.anchor, _FOLDER)
    try:
        for part in folder.parts[1:]:
            above, descriptor = descriptor, os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(name: Path | str, flags: int, above: int | None) -> int:
    """Whoever holds a lease on the file (a Samba server whose client writes) is given time to return it."""
    for _ in range(_N_TRIES):
        try:
            return os.open(name, flags, dir_fd=above)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
    return os.open(name, flags, dir_fd=above)


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotRegular(found)


@contextmanager
def hold_open(path: Path, version: FileVersion) -> Iterator[tuple[Path, int]]:
    """Open a file once for all who read it, so that they read the same one, whatever happens to its name meanwhile.

    Parameters
    ----------
    version : FileVersion
        What it was when `cxrbatch.discover.walk` found it, whose paths hold no links; unknown for one that may.

    Yields
    ------
    Path
        Another name of the open file; the path itself where the system has none (not Linux, no ``/proc``).
    int
        Its descriptor.

    Raises
    ------
    NotRegular
    OSError
    """
    with open_regular(path, follow=version == UNKNOWN_VERSION) as stream:
        other = Path(f"/proc/self/fd/{stream.fileno()}")
        yield other if other.exists() else path, stream.fileno()


def version_of(found: os.stat_result) -> FileVersion:
    """Tell a file by its size and times; times beyond what SQLite can store (the year 2262) are all alike."""
    return FileVersion(
        size_bytes=found.st_size, mtime_ns=_storable(found.st_mtime_ns), ctime_ns=_storable(found.st_ctime_ns)
    )


def _storable(time_ns: int) -> int:
    return max(min(time_ns, _LARGEST), -_LARGEST)


def has_changed(version: FileVersion, now: os.stat_result) -> bool:
    """Whether somebody wrote to a file since it was found; unknown is no.

    The time of change says nothing here: a backup or a change of rights moves it too.
    """
    then = version_of(now)
    return version != UNKNOWN_VERSION and (then.size_bytes, then.mtime_ns) != (
        version.size_bytes,
        version.mtime_ns,
    )

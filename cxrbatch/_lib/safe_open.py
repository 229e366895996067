"""Open files safely in a folder that others write to.

A name may refer to another file a moment later.
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
    """Size and times of a file, or tag of an object: they show, without reading it, whether it is still the same.

    Attributes
    ----------
    size_bytes, mtime_ns, ctime_ns : int
        Size, time of modification and time of change (of content, name or rights), as the file system states them; -1
        and zeros where they are unknown.
    tag : str
        ETag and VersionId of an object in a store, by which it is known, whatever its times; empty for a file.
    """

    size_bytes: int = -1
    mtime_ns: int = 0
    ctime_ns: int = 0
    tag: str = ""


UNKNOWN_VERSION = FileVersion()
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST = 2**63 - 1
_N_TRIES = 50
_PAUSE_S = 0.1


class NotRegular(Exception):
    """Not a regular file: a pipe, a socket, a device, a folder, or a symbolic link where there was none.

    Attributes
    ----------
    found : os.stat_result
        State of what was found instead.
    """

    def __init__(self, found: os.stat_result) -> None:
        super().__init__()
        self.found = found


@contextmanager
def open_regular(path: Path, *, follow: bool) -> Iterator[BinaryIO]:
    """Open a regular file for reading, and nothing else.

    Anything else is not opened: a device may react to being opened. If a file is replaced by something else between
    the check and the opening, it is opened without waiting (a pipe would wait for its writer for ever) and closed
    again.

    Parameters
    ----------
    path : Path
    follow : bool
        Follow symbolic links. If False, no folder on the path may be a link either.

    Raises
    ------
    NotRegular
        It is not a regular file.
    OSError
        It cannot be opened.
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
    """Open a folder part by part: given the whole path, the kernel would follow a link that replaced a folder."""
    descriptor = os.open(folder.anchor, _FOLDER)
    try:
        for part in folder.parts[1:]:
            above, descriptor = descriptor, os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def _open(name: Path | str, flags: int, above: int | None) -> int:
    """Open a file; wait up to 5 s while another process has a lease on it (a Samba server whose client writes)."""
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
    """Open a file once for several readers, so that all read the same file even if its name is reused meanwhile.

    Parameters
    ----------
    version : FileVersion
        Its version when `cxrbatch.discover.walk` found it: paths from there contain no links.
        `UNKNOWN_VERSION` for a path that may be a link.

    Yields
    ------
    Path
        Another name of the open file; the path itself where the system has none (not Linux, no ``/proc``).
    int
        Its descriptor.

    Raises
    ------
    NotRegular
        It is not a regular file.
    OSError
        It cannot be opened.
    """
    with open_regular(path, follow=version == UNKNOWN_VERSION) as stream:
        other = Path(f"/proc/self/fd/{stream.fileno()}")
        yield other if other.exists() else path, stream.fileno()


def version_of(found: os.stat_result) -> FileVersion:
    """Return the size and times of a file; times beyond what SQLite can store (the year 2262) are clipped."""
    return FileVersion(
        size_bytes=found.st_size, mtime_ns=_storable(found.st_mtime_ns), ctime_ns=_storable(found.st_ctime_ns)
    )


def _storable(time_ns: int) -> int:
    return max(min(time_ns, _LARGEST), -_LARGEST)


def has_changed(version: FileVersion, now: os.stat_result) -> bool:
    """Check whether a file was written to since it was found; False where its version is unknown.

    The time of change (ctime) is not compared: a backup or a change of rights moves it too.
    """
    then = version_of(now)
    return version != UNKNOWN_VERSION and (then.size_bytes, then.mtime_ns) != (
        version.size_bytes,
        version.mtime_ns,
    )

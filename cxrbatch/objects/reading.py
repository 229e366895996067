"""Read objects: an object and its version in, a file in memory out. Nothing of it is written to a disk.

Runs in worker processes, within their limits of time and memory.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cxrbatch._lib.safe_open import UNKNOWN_VERSION, FileVersion
from cxrbatch.errors import CxrbatchError
from cxrbatch.objects.client import client, in_words, require_place, tried_again
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import ObjectKey, ObjectPrefix

N_REQUESTS = 16
"""Requests at a time, of the process that lists."""
_PART_BYTES = 16 << 20
_HEAD_BYTES = 4 << 10
"""Read of an object to recognise it; longer than any error, which else would not be told from the answer."""
_MARK = 0xA5


def stated_version(place: ObjectKey) -> FileVersion:
    """Find size, ETag and VersionId of an object.

    Raises
    ------
    OSError
        As pyarrow raises it; `cxrbatch.objects.client.in_words` says what it means.
    """
    return _version(_opened(place))


def read_head(place: ObjectKey, version: FileVersion) -> bytes:
    """Read the first bytes of an object.

    Raises
    ------
    Refusal
        It cannot be read, or is no longer of this version.
    """
    try:
        stream = _opened(place)
        _require_version(_version(stream), version)
        head = bytearray(min(_HEAD_BYTES, stream.size()))
        _read_part(stream, 0, memoryview(head))
    except OSError as error:
        raise Refusal(Reason.UNREADABLE, in_words(error)) from None
    return bytes(head)


@contextmanager
def hold_object(place: ObjectKey, version: FileVersion, most_bytes: int) -> Iterator[Path]:
    """Read an object into memory, as long as the context lasts.

    Parameters
    ----------
    version : FileVersion
        Its version when it was found; `UNKNOWN_VERSION` for any.
    most_bytes : int
        A larger object is refused before it is read.

    Yields
    ------
    Path
        Of a file in memory, which counts as memory of this process.

    Raises
    ------
    Refusal
        ``too_large``; ``still_changing`` if it was replaced since it was found, or while it was read; ``unreadable``
        if it is gone, the store fails or sends less or more than it states.
    """
    with ExitStack() as stack:
        try:
            stream = _opened(place)
            _require_version(_version(stream), version)
            if stream.size() > most_bytes:
                raise Refusal(Reason.TOO_LARGE, f"{stream.size()} bytes, limit {most_bytes}")
            descriptor = os.memfd_create("object", os.MFD_CLOEXEC)
            stack.callback(os.close, descriptor)
            _fill(stack, descriptor, stream)
            _require_version(stated_version(place), _version(stream))
        except OSError as error:
            raise Refusal(Reason.UNREADABLE, in_words(error)) from None
        yield Path(f"/proc/self/fd/{descriptor}")


def _opened(place: ObjectKey) -> Any:
    return tried_again(lambda: client().open_input_file(place.path))


def _version(stream: Any) -> FileVersion:
    """Return the version that the store stated; one without an ETag has the time of its last modification."""
    stated = stream.metadata()
    named = [stated.get(name, b"").decode("utf-8", "replace") for name in ("ETag", "VersionId")]
    tag = " ".join(filter(None, named)) or stated.get("Last-Modified", b"").decode("utf-8", "replace")
    return FileVersion(size_bytes=stream.size(), tag=tag)


def _require_version(now: FileVersion, then: FileVersion) -> None:
    if then != UNKNOWN_VERSION and (now.size_bytes, now.tag) != (then.size_bytes, then.tag):
        raise Refusal(Reason.STILL_CHANGING, "it changed after it was found")


def _fill(stack: ExitStack, descriptor: int, stream: Any) -> None:
    """Read an object into a file in memory; it is mapped, so that it counts as memory of this process."""
    size = stream.size()
    os.ftruncate(descriptor, size)
    try:
        mapping = stack.enter_context(mmap.mmap(descriptor, size))
    except (OSError, ValueError):
        raise MemoryError from None
    with memoryview(mapping) as content:
        for begin in range(0, size, _PART_BYTES):
            with content[begin : begin + _PART_BYTES] as part:
                _read_part(stream, begin, part)


def _read_part(stream: Any, begin: int, part: memoryview) -> None:
    """Read until a part is full.

    pyarrow returns the length that it asked for also where less was sent, and leaves the rest of the memory as it
    was: a mark in the last byte tells.
    """
    for mark in (_MARK, _MARK ^ 0xFF) if part else ():
        part[-1] = mark
        if tried_again(lambda: _read_at(stream, begin, part)) != len(part):
            break
        if part[-1] != mark:
            return
    if part:
        raise Refusal(Reason.UNREADABLE, "the store sent less than it states")


def _read_at(stream: Any, begin: int, part: memoryview) -> int:
    stream.seek(begin)
    return int(stream.readinto(part))


def is_there(place: ObjectPrefix) -> bool:
    """Check whether a prefix can still be asked for."""
    try:
        require_place(place)
    except CxrbatchError:
        return False
    return True

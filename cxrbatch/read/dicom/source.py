"""Find the bytes that hold a DICOM file as its meta information states it: file in, the same or other bytes out.

Files that are packed by gzip, deflated, or encoded otherwise than they state are unpacked or relabelled in memory.
pydicom and `cxrbatch.read.dicom.pixel_data` then read them as any other file.
"""

import io
import os
from pathlib import Path
from typing import BinaryIO

from pydicom import uid

from cxrbatch.limits import Limits
from cxrbatch.read.dicom.encoding import (
    EXPLICIT,
    SYNTAX_OF,
    Encoding,
    FileMeta,
    file_meta,
    fits,
    found_encoding,
    stated_encoding,
)
from cxrbatch.read.dicom.inflate import GZIP, gunzip, inflate, inflated_head
from cxrbatch.reasons import Reason, Refusal

Source = Path | bytes
"""What to read from: a file, or bytes in memory."""

_HEAD_BYTES = 1 << 16
_LEAST_BYTES = 512
_USUAL, _USUAL_END = b"DICM\x02\0\0\0UL\4\0", 144
_SYNTAX = b"\x02\0\x10\0UI"
_FIRST_BYTES = 1024
"""How much of a data set is looked at."""


def open_source(source: Source, buffering: int = -1) -> BinaryIO:
    """Open a source for reading, a file with this `buffering`; bytes are not copied."""
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", buffering)  # noqa: PTH123


def n_bytes_of(stream: BinaryIO) -> int:
    """Return the size of an open file; it is left at its beginning."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def plain_bytes(stream: io.BufferedReader, limits: Limits) -> bytes | None:
    """Unpack or relabel a DICOM file.

    Parameters
    ----------
    stream : file
        At its beginning; it is left there if there is nothing to do.

    Returns
    -------
    bytes or None
        Another file, uncompressed but for its pixels, whose meta information states its encoding. None where the file
        is one already.

    Raises
    ------
    Refusal
        ``corrupt``, ``truncated`` or ``too_large``.
    """
    head = stream.peek()
    if _is_gzip(head):
        n_stored = n_bytes_of(stream)
        data = gunzip(stream, n_stored, limits)
        return _relabelled(io.BytesIO(data), data[:_HEAD_BYTES], n_stored, limits) or data
    if _is_as_stated(head):
        return None
    if (meta := file_meta(head)) is None or meta.end + _LEAST_BYTES > len(head):
        head = stream.read(_HEAD_BYTES)
        stream.seek(0)
    return _relabelled(stream, head, 0, limits)


def _is_as_stated(head: bytes) -> bool:
    """Check, without taking the meta information apart, for a file as nearly all are: its label fits its content."""
    if head[128:140] != _USUAL:
        return False
    end = _USUAL_END + int.from_bytes(head[140:144], "little")
    at = head.find(_SYNTAX, _USUAL_END, end) + len(_SYNTAX)
    syntax = (
        head[at + 2 : at + 2 + head[at]].decode("ascii", "replace").rstrip(" \0") if at < len(head) else ""
    )
    stated = stated_encoding(syntax)
    is_deflated = syntax == uid.DeflatedExplicitVRLittleEndian
    return stated is not None and not is_deflated and fits(head[end : end + _FIRST_BYTES], stated)


def _is_gzip(head: bytes) -> bool:
    return head.startswith(GZIP) and head[128:132] != b"DICM"


def _relabelled(stream: BinaryIO, head: bytes, n_stored: int, limits: Limits) -> bytes | None:
    meta = file_meta(head)
    if meta is None:
        return None
    first = head[meta.end : meta.end + _FIRST_BYTES]
    stated = stated_encoding(meta.syntax)
    is_deflated = meta.syntax == uid.DeflatedExplicitVRLittleEndian
    if stated and not is_deflated and fits(first, stated):
        return None
    found = found_encoding(first)
    if found is None and (is_deflated or found_encoding(inflated_head(first, _FIRST_BYTES)) == EXPLICIT):
        n_stored = n_stored or n_bytes_of(stream) - meta.end
        stream.seek(meta.end)
        return meta.with_syntax(uid.ExplicitVRLittleEndian) + inflate(stream.read(), n_stored, limits)
    if found is None or stated is None:
        return None
    return _with_syntax(stream, meta, found, limits)


def _with_syntax(stream: BinaryIO, meta: FileMeta, found: Encoding, limits: Limits) -> bytes:
    if (size := n_bytes_of(stream)) > limits.file_bytes:
        raise Refusal(Reason.TOO_LARGE, f"{size} bytes, limit {limits.file_bytes}")
    stream.seek(meta.end)
    return meta.with_syntax(SYNTAX_OF[found]) + stream.read()

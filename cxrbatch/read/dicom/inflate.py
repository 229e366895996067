"""Unpack deflated data sets (PS3.5 A.5) and gzip files (RFC 1952), up to the limits on size."""

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from cxrbatch.limits import Limits
from cxrbatch.reasons import Reason, Refusal

GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_CHUNK_BYTES = 1 << 16


def inflate(data: bytes, n_stored: int, limits: Limits) -> bytes:
    """Unpack a deflated data set.

    Parameters
    ----------
    data : bytes
    n_stored : int
        Number of bytes in the file, of which the ratio is counted.

    Raises
    ------
    Refusal
        ``corrupt``, ``truncated`` or ``too_large``.
    """
    most = _most(n_stored, limits)
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflator.decompress(data, most + 1)
    except zlib.error as error:
        raise Refusal(Reason.CORRUPT, "the deflated data set is damaged") from error
    if len(plain) > most:
        raise _too_large(n_stored, most, limits)
    if not inflator.eof:
        raise Refusal(Reason.TRUNCATED, "the deflated data set is cut off")
    return plain


def inflated_head(data: bytes, n_bytes: int, *, gzip: bool = False) -> bytes:
    """Unpack the first bytes of what may be deflated; empty where it is not."""
    try:
        return zlib.decompressobj(_GZIP_WINDOW if gzip else -zlib.MAX_WBITS).decompress(data, n_bytes)
    except zlib.error:
        return b""


def gunzip(stream: BinaryIO, n_stored: int, limits: Limits) -> bytes:
    """Unpack a gzip file, with all of its members; parameters and errors as of `inflate`."""
    most = _most(n_stored, limits)
    plain = io.BytesIO()
    try:
        for part in _members(stream):
            plain.write(part)
            if plain.tell() > most:
                raise _too_large(n_stored, most, limits)
    except zlib.error as error:
        raise Refusal(Reason.CORRUPT, "the gzip data is damaged") from error
    return plain.getvalue()


def _members(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the content of all members (RFC 1952 2.2) in parts; what follows the last one is ignored, as by gzip."""
    data = stream.read(_CHUNK_BYTES)
    while data.startswith(GZIP):
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            if not data:
                raise Refusal(Reason.TRUNCATED, "the gzip data is cut off")
            yield member.decompress(data, _CHUNK_BYTES)
            data = member.unconsumed_tail or member.unused_data or stream.read(_CHUNK_BYTES)
        data += stream.read(len(GZIP)) if len(data) < len(GZIP) else b""


def _most(n_stored: int, limits: Limits) -> int:
    return min(limits.ratio * n_stored, limits.file_bytes)


def _too_large(n_stored: int, most: int, limits: Limits) -> Refusal:
    return Refusal(
        Reason.TOO_LARGE, f"{n_stored} bytes inflate to more than {most}, limit {limits.ratio} times as many"
    )

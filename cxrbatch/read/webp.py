"""Read the header of a WebP file (RFC 9649): Pillow would take the memory of its whole canvas at once."""

import os
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.reasons import Reason, Refusal

_HEAD_BYTES = 30
_ANIMATED = 0x02
_LOSSLESS_SIGNATURE = 0x2F
_SIDE = (1 << 14) - 1
"""Sides of simple files have 14 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebpHeader:
    """Size and kind of a WebP.

    Attributes
    ----------
    animated : bool
        True if there may be several frames.
    lossy : bool
        False for a simple lossless file; others may be lossy.
    """

    rows: int
    columns: int
    animated: bool = False
    lossy: bool = True


def read_webp_header(path: Path) -> WebpHeader:
    """Read the first chunk, which states the size.

    Raises
    ------
    Refusal
        ``truncated`` or ``corrupt``.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        n_bytes = stream.seek(0, os.SEEK_END)
    if len(head) < _HEAD_BYTES or 8 + int.from_bytes(head[4:8], "little") > n_bytes:
        raise Refusal(Reason.TRUNCATED, "the webp data ends before the image does")
    if found := _first_chunk(head):
        return found
    raise Refusal(Reason.CORRUPT, "the webp data is damaged")


def _first_chunk(head: bytes) -> WebpHeader | None:
    kind = head[12:16]
    if kind == b"VP8X":
        columns, rows = (1 + int.from_bytes(head[place : place + 3], "little") for place in (24, 27))
        return WebpHeader(rows=rows, columns=columns, animated=bool(head[20] & _ANIMATED))
    if kind == b"VP8L" and head[20] == _LOSSLESS_SIGNATURE:
        bits = int.from_bytes(head[21:25], "little")
        return WebpHeader(rows=1 + (bits >> 14 & _SIDE), columns=1 + (bits & _SIDE), lossy=False)
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        columns, rows = (int.from_bytes(head[place : place + 2], "little") & _SIDE for place in (26, 28))
        return WebpHeader(rows=rows, columns=columns)
    return None

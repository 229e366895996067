"""Inflate a PNG by libdeflate, in half the time that zlib takes: PNG in, PNG without compression out.

Pillow then undoes the filters. It accepts only a complete file, so the file is written again in memory, with the same
image in stored (that is, not compressed) blocks.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from io import BytesIO
from itertools import pairwise
from typing import BinaryIO

import imagecodecs
import numpy as np

Buffer = bytes | memoryview

_SIGNATURE_BYTES = 8
_HEAD_BYTES = 33
"""Signature and IHDR, which comes first (PNG specification, 5.6). No more is read of a file that is unchanged."""
_CHUNK_BYTES = 12
"""Length, type and CRC of a chunk (PNG specification, 5.3)."""
_SAMPLES = {0: 1, 2: 3}
"""Samples per pixel by colour type (11.2.1): grey and RGB, the only types that are averaged."""
_MOST_BYTES = 1 << 26
"""Larger images are left as they are: they would need their memory twice."""
_ZLIB_HEADER = b"\x78\x01"
_MOST_STORED_BYTES = 0xFFFF
"""Largest number of bytes in one block (RFC 1951, 3.2.4)."""


class _LeaveIt(Exception):
    """The PNG gains nothing by this, or is incomplete; in that case the code that reads it reports the error."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    begin: int
    end: int


def store_uncompressed(stream: BinaryIO) -> BinaryIO:
    """Convert a compressed PNG to one without compression.

    Parameters
    ----------
    stream : binary file
        A PNG from its beginning.

    Returns
    -------
    binary file
        At its beginning; `stream` itself where the image is interlaced, has a palette or an alpha channel, is
        damaged, or larger than 64 MiB.
    """
    try:
        n_bytes = _n_bytes(stream.read(_HEAD_BYTES))
        stream.seek(0)
        return BytesIO(_store(stream.read(), n_bytes))
    except MemoryError:
        raise
    except Exception:  # damaged bytes can lead to any error
        stream.seek(0)
        return stream


def _store(png: bytes, n_bytes: int) -> bytes:
    data = [chunk for chunk in _chunks(png) if chunk.kind == b"IDAT"]
    if any(one.end != following.begin for one, following in pairwise(data)):
        raise _LeaveIt
    compressed = b"".join(png[chunk.begin + 8 : chunk.end - 4] for chunk in data)
    lines = np.empty(n_bytes, np.uint8).data
    if len(imagecodecs.deflate_decode(compressed, out=lines)) != len(lines):
        raise _LeaveIt
    return b"".join((png[: data[0].begin], *_data_chunk(lines), png[data[-1].end :]))


def _chunks(png: bytes) -> Iterator[_Chunk]:
    place, kind = _SIGNATURE_BYTES, b""
    while kind != b"IEND":
        n_bytes, kind = struct.unpack_from(">I4s", png, place)
        end = place + _CHUNK_BYTES + n_bytes
        if end > len(png):
            raise _LeaveIt
        yield _Chunk(kind, place, end)
        place = end


def _n_bytes(head: bytes) -> int:
    """Compute the bytes of the filtered lines; a byte before each line names its filter (PNG specification, 9)."""
    columns, rows, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", head, 16)
    if interlaced or bits < 8:
        raise _LeaveIt
    n_bytes = int(rows) * (1 + int(columns) * _SAMPLES[colour] * bits // 8)
    if n_bytes > _MOST_BYTES:
        raise _LeaveIt
    return n_bytes


def _data_chunk(lines: memoryview) -> Iterator[Buffer]:
    """Yield the parts of an IDAT chunk that holds the lines uncompressed (RFC 1950, RFC 1951 3.2.4)."""
    adler = imagecodecs.deflate_adler32(lines)  # type: ignore[arg-type]  # any buffer will do
    content = (b"IDAT", _ZLIB_HEADER, *_blocks(lines), struct.pack(">I", adler))
    yield struct.pack(">I", sum(map(len, content[1:])))
    yield from content
    yield struct.pack(">I", reduce(_crc, content, 0))


def _crc(before: int, part: Buffer) -> int:
    return imagecodecs.deflate_crc32(part, before)  # type: ignore[arg-type]


def _blocks(lines: memoryview) -> Iterator[Buffer]:
    for begin in range(0, len(lines), _MOST_STORED_BYTES):
        block = lines[begin : begin + _MOST_STORED_BYTES]
        is_last = begin + len(block) == len(lines)
        yield struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF)
        yield block

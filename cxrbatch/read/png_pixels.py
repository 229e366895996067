"""Decode the pixels of a plain PNG in half the time that Pillow takes: file in, pixels out.

libdeflate inflates, and libpng undoes the filters. libpng takes complete files only, so it gets one that is made in
memory, of the header and the image in stored (that is, not compressed) blocks. It sees nothing else of the file.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_SIGNATURE_BYTES = 8
_HEAD_BYTES = 33
"""Signature and IHDR, which comes first (PNG specification, 5.6). No more is read of what is left to Pillow."""
_CHUNK_BYTES = 12
"""Length, type and CRC of a chunk (PNG specification, 5.3)."""
_GREY, _RGB = 0, 2
"""Colour types (PNG specification, 11.2.1)."""
_SAMPLES = {(_GREY, 8): 1, (_GREY, 16): 1, (_RGB, 8): 3}
"""Samples per pixel by colour type and bits of a sample; no others are decoded here."""
_MOST_BYTES = 1 << 26
"""Larger images are left to Pillow: they would need their memory twice."""
_BESIDE = {
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"pHYs": 9,
    b"tIME": 7,
    b"sBIT": None,
    b"bKGD": None,
    b"hIST": None,
    b"tEXt": None,
}
"""Chunks that change no pixel as Pillow reads them, with their length where Pillow refuses another one."""
_COMPRESSED = (b"zTXt", b"iCCP")
_MAY_TURN = b"Raw profile type"
"""Keyword of a text that may hold EXIF, which states how the image is turned."""
_MOST_INFLATED_BYTES = 1 << 20
"""Pillow refuses files in which a text or a colour profile has more."""
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_ZLIB_HEADER = b"\x78\x01"
_CHUNK_HEAD, _BLOCK_HEAD, _SUM = struct.Struct(">I4s"), struct.Struct("<BHH"), struct.Struct(">I")
_BLOCK_BYTES = 0xFFFF
"""Most bytes in one stored block (RFC 1951, 3.2.4)."""


class _LeaveIt(Exception):
    """The PNG is not plain, or incomplete; in that case Pillow reports the error."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    begin: int
    end: int


def plain_pixels(path: Path) -> Pixels | None:
    """Decode a PNG of which Pillow would read the same pixels.

    Returns
    -------
    ndarray of uint8 or uint16, shape (rows, columns) or (rows, columns, 3)
        Grey values, or RGB of 8 bits; None where the image is another one, interlaced, damaged, or larger than
        64 MiB, or where something beside it may say that it is turned, transparent, or one of several.

    Raises
    ------
    MemoryError
    """
    try:
        return _plain_pixels(path)
    except MemoryError:
        raise
    except Exception:  # damaged bytes can lead to any error
        return None


def _plain_pixels(path: Path) -> Pixels:
    with path.open("rb", buffering=0) as stream:  # a buffer would cost a second copy
        head = stream.read(_HEAD_BYTES)
        n_bytes = _n_bytes(head)
        stream.seek(0)
        compressed = _image_data(stream.readall())
    return np.asarray(imagecodecs.png_decode(_stored(head, compressed, n_bytes)))


def _n_bytes(head: bytes) -> int:
    """Compute the bytes of the filtered lines; a byte before each line names its filter (PNG specification, 9)."""
    columns, rows, bits, colour, *methods = struct.unpack_from(">IIBBBBB", head, 16)
    if any(methods) or (colour, bits) not in _SAMPLES:  # of compression, filter and interlace
        raise _LeaveIt
    n_bytes = int(rows) * (1 + int(columns) * _SAMPLES[colour, bits] * bits // 8)
    if n_bytes > _MOST_BYTES:
        raise _LeaveIt
    return n_bytes


def _image_data(png: bytes) -> bytes:
    """Find the data of the image, and join them; their chunks follow each other (PNG specification, 5.6)."""
    first, *chunks = _chunks(png)
    data = [chunk for chunk in chunks if chunk.kind == b"IDAT"]
    if first.kind != b"IHDR" or any(one.end != following.begin for one, following in pairwise(data)):
        raise _LeaveIt
    beside = [chunk for chunk in chunks[:-1] if chunk.kind != b"IDAT"]
    if not all(_is_intact(png, chunk) for chunk in (first, *beside, chunks[-1])):
        raise _LeaveIt
    if not all(_says_nothing(png, chunk) for chunk in beside):
        raise _LeaveIt
    whole = memoryview(png)
    return b"".join(whole[chunk.begin + 8 : chunk.end - 4] for chunk in data)


def _chunks(png: bytes) -> Iterator[_Chunk]:
    place, kind = _SIGNATURE_BYTES, b""
    while kind != b"IEND":
        n_bytes, kind = struct.unpack_from(">I4s", png, place)
        end = place + _CHUNK_BYTES + n_bytes
        if end > len(png):
            raise _LeaveIt
        yield _Chunk(kind, place, end)
        place = end


def _is_intact(png: bytes, chunk: _Chunk) -> bool:
    (stated,) = struct.unpack_from(">I", png, chunk.end - 4)
    return bool(zlib.crc32(png[chunk.begin + 4 : chunk.end - 4]) == stated)


def _says_nothing(png: bytes, chunk: _Chunk) -> bool:
    """Check that Pillow reads the same pixels without a chunk; it has to look at what is unknown."""
    content = png[chunk.begin + 8 : chunk.end - 4]
    if content.startswith(_MAY_TURN):
        return False
    if chunk.kind in _COMPRESSED:
        return _inflates(content)
    return chunk.kind in _BESIDE and _BESIDE[chunk.kind] in (None, len(content))


def _inflates(content: bytes) -> bool:
    """Check the data after name and method (PNG specification, 11.3.3.3): whole, and of a size that Pillow takes."""
    _, _, data = content.partition(b"\0")
    inflater = zlib.decompressobj()
    inflater.decompress(data[1:], _MOST_INFLATED_BYTES)
    return data.startswith(b"\0") and inflater.eof


def _stored(head: bytes, compressed: bytes, n_bytes: int) -> bytearray:
    """Write a PNG that holds the filtered lines uncompressed (RFC 1950, RFC 1951 3.2.4), and nothing but the header.

    The lines are inflated behind the space that the heads of the blocks will take, and then moved to their place.
    """
    n_heads_bytes = -(-n_bytes // _BLOCK_BYTES) * _BLOCK_HEAD.size
    n_content_bytes = n_heads_bytes + n_bytes + _SUM.size
    start = head + _CHUNK_HEAD.pack(len(_ZLIB_HEADER) + n_content_bytes, b"IDAT") + _ZLIB_HEADER
    png = bytearray(len(start) + n_content_bytes + _SUM.size + len(_END))
    png[: len(start)], png[-len(_END) :] = start, _END
    content = memoryview(png)[len(start) : len(start) + n_content_bytes]
    lines = content[n_heads_bytes : -_SUM.size]
    if len(imagecodecs.deflate_decode(compressed, out=lines)) != n_bytes:
        raise _LeaveIt
    _SUM.pack_into(content, n_content_bytes - _SUM.size, imagecodecs.deflate_adler32(lines))  # type: ignore[arg-type]
    _cut_into_blocks(content, lines)
    summed = memoryview(png)[len(head) + 4 : len(start) + n_content_bytes]  # type and data of the chunk
    _SUM.pack_into(png, len(start) + n_content_bytes, imagecodecs.deflate_crc32(summed))  # type: ignore[arg-type]
    return png


def _cut_into_blocks(place: memoryview, lines: memoryview) -> None:
    """Move lines, which lie further behind in the same memory, to their place, with a head before each block."""
    for number, begin in enumerate(range(0, len(lines), _BLOCK_BYTES)):
        block = lines[begin : begin + _BLOCK_BYTES]
        n = len(block)
        at = begin + number * _BLOCK_HEAD.size
        place[at + _BLOCK_HEAD.size : at + _BLOCK_HEAD.size + n] = block
        _BLOCK_HEAD.pack_into(place, at, begin + n == len(lines), n, n ^ 0xFFFF)

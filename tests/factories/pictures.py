"""Making pictures outside DICOM, byte for byte: TIFF of any kind, BMP, boxes of JP2."""

import struct
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_TYPES = {"H": 3, "L": 4}


def tiff(
    pixels: NDArray[Any],
    *,
    bits: int | None = None,
    order: Literal["<", ">"] = "<",
    white_is_zero: bool = False,
    data: bytes | None = None,
    next_page: int = 0,
    **tags: int,
) -> bytes:
    """One strip, not compressed.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns) or (rows, columns, samples)
    data : bytes, optional
        The strip; by default the pixels.
    tags
        Further or other tags, as ``_274=6``.
    """
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    strip = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if data is None else data
    photometric = 2 if samples == 3 else int(not white_is_zero)
    entries: dict[int, int] = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: bits or 8 * pixels.itemsize,
        259: 1,
        262: photometric,
        273: 0,
        277: samples,
        278: pixels.shape[0],
        279: len(strip),
        **{int(tag[1:]): value for tag, value in tags.items()},
    }
    # BitsPerSample is one number for each sample; three do not fit into the entry.
    begin = 8 + 2 + 12 * len(entries) + 4
    depths = struct.pack(f"{order}3H", *[entries[258]] * 3) if samples == 3 else b""
    entries[273] = begin + len(depths)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(entries))
    body = b"".join(_entry(order, tag, value, samples, begin) for tag, value in sorted(entries.items()))
    return head + body + struct.pack(f"{order}L", next_page) + depths + strip


def _entry(order: str, tag: int, value: int, samples: int, begin: int) -> bytes:
    if tag == 258 and samples == 3:
        return struct.pack(f"{order}HHLL", tag, 3, 3, begin)
    kind = "L" if tag in (256, 257, 273, 278, 279) else "H"
    number = struct.pack(order + kind, value)
    return struct.pack(f"{order}HHL", tag, _TYPES[kind], 1) + number.ljust(4, b"\0")


def packed_12_bits(pixels: NDArray[Any]) -> bytes:
    """Two values in three bytes, as TIFF stores 12 bits; for an even number of columns."""
    first, second = pixels[:, 0::2].astype(np.uint32), pixels[:, 1::2].astype(np.uint32)
    both = (first << 12 | second).ravel()
    return np.stack([both >> 16, both >> 8 & 255, both & 255], axis=1).astype(np.uint8).tobytes()


def bmp(pixels: NDArray[np.uint8], *, rows: int | None = None, columns: int | None = None) -> bytes:
    """A grey BMP with a palette of 256 greys, from the lowest row up; it may state another size than it has."""
    line = -(-pixels.shape[1] // 4) * 4
    data = np.zeros((pixels.shape[0], line), np.uint8)
    data[:, : pixels.shape[1]] = pixels[::-1]
    palette = bytes(value for grey in range(256) for value in (grey, grey, grey, 0))
    begin = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<LLL", begin + data.size, 0, begin)
    size = (columns or pixels.shape[1], rows or pixels.shape[0])
    return (
        head
        + struct.pack("<LllHHLLllLL", 40, *size, 1, 8, 0, data.size, 0, 0, 256, 0)
        + palette
        + data.tobytes()
    )


def box(kind: bytes, content: bytes) -> bytes:
    """A box of a JP2 file (ISO/IEC 15444-1 annex I)."""
    return struct.pack(">L", 8 + len(content)) + kind + content


def jp2(codestream: bytes, *, colour_space: int = 17, further: bytes = b"") -> bytes:
    """A JP2 file around a codestream; `further` are boxes in its header."""
    colour = box(b"colr", b"\1\0\0" + struct.pack(">L", colour_space))
    signature, brand = box(b"jP  ", b"\r\n\x87\n"), box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    header = box(b"jp2h", box(b"ihdr", bytes(14)) + colour + further)
    return signature + brand + header + box(b"jp2c", codestream)


def webp_header(rows: int, columns: int, kind: Literal["VP8X", "VP8L", "VP8 "], flags: int = 0) -> bytes:
    """The beginning of a WebP of any size, and some bytes that are no picture."""
    if kind == "VP8X":
        body = (
            bytes([flags, 0, 0, 0]) + (columns - 1).to_bytes(3, "little") + (rows - 1).to_bytes(3, "little")
        )
    elif kind == "VP8L":
        body = b"\x2f" + ((columns - 1) | (rows - 1) << 14).to_bytes(4, "little") + bytes(5)
    else:
        body = b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", columns, rows)
    chunk = kind.encode() + struct.pack("<L", len(body)) + body + bytes(40)
    return b"RIFF" + struct.pack("<L", 4 + len(chunk)) + b"WEBP" + chunk

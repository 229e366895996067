"""Making grey PNG files of every bit depth, which Pillow does not write."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GREY_BITS = (1, 2, 4, 8, 16)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and CRC (PNG specification, 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def write_grey_png(
    path: Path, values: NDArray[np.integer[Any]], bits: int, transparent: int | None = None
) -> Path:
    """Write grey values as a PNG, one of them transparent if stated.

    Parameters
    ----------
    values : ndarray of integers below 2**bits, shape (rows, columns)
    transparent : int, optional
        Content of the tRNS chunk (PNG specification, 11.3.2.1).
    """
    rows, columns = values.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, bits, 0, 0, 0, 0))
    clear = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in _lines(values, bits)), 1))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + clear + data + chunk(b"IEND", b""))
    return path


def _lines(values: NDArray[np.integer[Any]], bits: int) -> list[bytes]:
    """Pixels packed from the left, each line from a new byte on (PNG specification, 7.2)."""
    if bits == 16:
        return [line.astype(">u2").tobytes() for line in values]
    shifts = np.arange(bits - 1, -1, -1)
    planes = (values[:, :, np.newaxis] >> shifts & 1).astype(np.uint8)
    return [np.packbits(line).tobytes() for line in planes]

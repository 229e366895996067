"""Read the main header of a JPEG 2000 or HTJ2K codestream (ISO/IEC 15444-1 A.5.1, A.6.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

_BEGINNING = b"\xff\x4f\xff\x51"
_CAP, _COD, _QCD, _SOT = b"\xff\x50", b"\xff\x52", b"\xff\x5c", b"\xff\x90"
_PART_15 = 1 << (32 - 15)
_LEAST_BYTES = {_COD: 10, _QCD: 2}
_FILE_SIGNATURE = b"\0\0\0\x0cjP  "
_BOX_BYTES = 8
_PALETTE_BOXES = (b"pclr", b"cmap")
_ENUMERATED = b"\x01"
_COLOUR_SPACES = ((16).to_bytes(4, "big"), (17).to_bytes(4, "big"))
"""sRGB and greyscale (ISO/IEC 15444-1 table I.10)."""


class NoMainHeader(Exception):
    """The bytes do not begin like a codestream, or their header is impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MainHeader:
    """Contents of marker segment SIZ.

    Attributes
    ----------
    size, origin, tile : tuple of int
        Of the reference grid, each as (rows, columns); the image reaches from `origin` to `size`.
    n_components : int
    precision : int
        Largest number of bits of a component.
    signed : bool
        Whether the first component is signed.
    """

    size: tuple[int, int]
    origin: tuple[int, int]
    tile: tuple[int, int]
    n_components: int
    precision: int
    signed: bool

    @classmethod
    def of(cls, codestream: bytes) -> Self:
        """Read SIZ, the first marker segment.

        Raises
        ------
        NoMainHeader
        """
        siz = codestream[6 : 4 + _length(codestream, 4)]
        n_components = int.from_bytes(siz[34:36], "big")
        if not codestream.startswith(_BEGINNING) or not n_components or len(siz) < 36 + 3 * n_components:
            raise NoMainHeader
        (x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0) = np.frombuffer(siz, ">u4", 8, offset=2).tolist()
        if not (_is_grid(x, x0, tile_x, tile_x0) and _is_grid(y, y0, tile_y, tile_y0)):
            raise NoMainHeader
        return cls(
            size=(y, x),
            origin=(y0, x0),
            tile=(tile_y, tile_x),
            n_components=n_components,
            precision=max(depth & 0x7F for depth in siz[36 : 36 + 3 * n_components : 3]) + 1,
            signed=bool(siz[36] & 0x80),
        )


def _is_grid(end: int, begin: int, tile: int, tile_begin: int) -> bool:
    """Check that the first tile covers part of the image (ISO/IEC 15444-1 B.3); if not, OpenJPH never returns."""
    return tile_begin <= begin < end and begin < tile_begin + tile


def n_levels(codestream: bytes) -> int:
    """Read how often the wavelet transform halves the image, from marker segment COD.

    Raises
    ------
    NoMainHeader
        There is no such segment.
    """
    return _required(marker_segments(codestream), _COD)[5]


def is_reversible(codestream: bytes) -> bool:
    """Check for the reversible wavelet transform (ISO/IEC 15444-1 table A.20), without which nothing is lossless.

    Raises
    ------
    NoMainHeader
        There is no segment COD.
    """
    return _required(marker_segments(codestream), _COD)[9] == 1


def is_htj2k(codestream: bytes) -> bool:
    """Check for segment CAP with the bit of part 15, High-Throughput JPEG 2000 (ISO/IEC 15444-1 A.5.2).

    Raises
    ------
    NoMainHeader
        The segments are damaged.
    """
    return bool(int.from_bytes(marker_segments(codestream).get(_CAP, b"")[:4], "big") & _PART_15)


def require_main_header(codestream: bytes) -> None:
    """Check that the segments of a main header are contiguous and long enough; if not, OpenJPH reads beyond them.

    Raises
    ------
    NoMainHeader
    """
    found = marker_segments(codestream)
    quantisation = _required(found, _QCD)
    n_bands = 3 * _required(found, _COD)[5] + 1
    needed = {0: n_bands, 1: 2}.get(quantisation[0] & 0x1F, 2 * n_bands)
    if len(quantisation) - 1 < needed:
        raise NoMainHeader


def marker_segments(codestream: bytes) -> dict[bytes, bytes]:
    """Read the parameters of the marker segments before the first tile, by marker; of several, the last.

    Raises
    ------
    NoMainHeader
        The segments are damaged.
    """
    return {
        codestream[begin : begin + 2]: codestream[begin + 4 : end] for begin, end in _segments(codestream)
    }


def first_tile_part(codestream: bytes) -> int:
    """Find the marker segment SOT behind the main header.

    Raises
    ------
    NoMainHeader
        The segments before it are damaged.
    """
    return max((end for _, end in _segments(codestream)), default=2)


def _segments(codestream: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the marker segments of the main header."""
    place = 2
    while (marker := codestream[place : place + 2]) != _SOT:
        n_bytes = _length(codestream, place + 2)
        if marker[:1] != b"\xff" or n_bytes < 2:
            raise NoMainHeader
        yield place, place + 2 + n_bytes
        place += 2 + n_bytes


def _required(segments: dict[bytes, bytes], marker: bytes) -> bytes:
    """Return the parameters of a required segment (ISO/IEC 15444-1 A.6.1, A.6.4), if there are enough of them."""
    if len(segment := segments.get(marker, b"")) < _LEAST_BYTES[marker]:
        raise NoMainHeader
    return segment


def strip_jp2(frame: bytes) -> bytes:
    """Extract the codestream from a JP2 file (ISO/IEC 15444-1 annex I), in which some devices send it.

    DICOM does not allow these files (PS3.5 A.4.4), and the decoder must not use their other contents, such as
    palettes. Any other frame is returned as it is.
    """
    if not frame.startswith(_FILE_SIGNATURE):
        return frame
    boxes = (frame[begin:end] for kind, begin, end in _boxes(frame, 0, len(frame)) if kind == b"jp2c")
    return next(boxes, frame)


def jp2_rejection(data: bytes) -> str | None:
    """Say why the codestream of a JP2 file alone does not give its greys or colours.

    Returns
    -------
    str or None
        None where it does, or where `data` is no such file.
    """
    if not data.startswith(_FILE_SIGNATURE):
        return None
    outer = list(_boxes(data, 0, len(data)))
    if sum(kind == b"jp2c" for kind, _, _ in outer) != 1:
        return "a JPEG 2000 file with no or several images"
    inner = [box for kind, *place in outer if kind == b"jp2h" for box in _boxes(data, *place)]
    if any(kind in _PALETTE_BOXES for kind, _, _ in inner):
        return "a JPEG 2000 image with a palette"
    colours = [data[begin:end] for kind, begin, end in inner if kind == b"colr"]
    if any(colour[:1] == _ENUMERATED and colour[3:7] not in _COLOUR_SPACES for colour in colours):
        return "a JPEG 2000 image in other colours than grey and RGB"
    return None


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, begin and end of the contents of boxes (ISO/IEC 15444-1 I.4); a length of 0 reaches to the end."""
    while place + _BOX_BYTES <= end:
        length, kind, head = (
            int.from_bytes(data[place : place + 4], "big"),
            data[place + 4 : place + 8],
            _BOX_BYTES,
        )
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16], "big"), 2 * _BOX_BYTES
        length = max(length or end - place, head)
        yield kind, place + head, min(place + length, end)
        place += length


def _length(codestream: bytes, place: int) -> int:
    return int.from_bytes(codestream[place : place + 2], "big")

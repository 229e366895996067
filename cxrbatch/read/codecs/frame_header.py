"""Check the size that a compressed frame states against the DICOM header, before a decoder relies on it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
from pydicom import uid

from cxrbatch.read.codecs import jpeg2000
from cxrbatch.reasons import Reason, Refusal

_SOF = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""Frame headers of JPEG (ISO/IEC 10918-1 table B.1) and JPEG-LS (14495-1 C.1)."""
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_SOS, _EOI = 0xDA, 0xD9
_RLE_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True)
class FrameSize:
    """Size of an image.

    Attributes
    ----------
    bits : int
        Per sample.
    """

    rows: int
    columns: int
    samples: int
    bits: int

    def __str__(self) -> str:
        return f"{self.columns} × {self.rows} × {self.samples} of {self.bits} bits"


class Coding(NamedTuple):
    """What the coding of the pixels states of their bits.

    Attributes
    ----------
    precision : int
        Number of bits of a sample; BitsAllocated where the coding does not say: uncompressed pixels and RLE.
    signed : bool or None
        None where the coding knows no sign: all but JPEG 2000 and HTJ2K.
    """

    precision: int
    signed: bool | None = None


def coding_of(frame: bytes, transfer_syntax: str, bits: int) -> Coding:
    """Read precision and sign of a frame that `require_fit` let through; `bits` as there."""
    if transfer_syntax == uid.RLELossless:
        return Coding(bits)
    signed = jpeg2000.MainHeader.of(frame).signed if transfer_syntax in _READERS else None
    return Coding(size_of(frame, transfer_syntax).bits, signed)


def require_fit(
    frame: bytes, transfer_syntax: str, shape: tuple[int, ...], bits: int, most_ratio: float
) -> None:
    """Refuse a frame that contradicts the DICOM header, or that is too small for the pixels it would decode to.

    Parameters
    ----------
    frame : bytes
        One frame without encapsulation.
    shape : tuple of int
        By the header: (rows, columns) or (rows, columns, 3).
    bits : int
        BitsAllocated.
    most_ratio : float
        See `cxrbatch.limits.Limits.ratio`.

    Raises
    ------
    Refusal
        ``corrupt`` or ``too_large``.
    """
    by_header = FrameSize(shape[0], shape[1], prod(shape[2:]), bits)
    if transfer_syntax == uid.RLELossless:
        _require_segments(frame, by_header)
    else:
        _require_same(size_of(frame, transfer_syntax), by_header, uid.UID(transfer_syntax).name)
    require_ratio(prod(shape) * bits // 8, len(frame), most_ratio)


def require_ratio(n_bytes: int, n_compressed: int, most_ratio: float) -> None:
    """Refuse a frame of which each byte would decode to more than `most_ratio` bytes of pixels.

    Raises
    ------
    Refusal
        ``too_large``.
    """
    if n_bytes > most_ratio * n_compressed:
        raise Refusal(
            Reason.TOO_LARGE,
            f"{n_bytes} bytes of pixels out of {n_compressed} compressed, limit {most_ratio:g} times as many",
        )


def _require_same(found: FrameSize, by_header: FrameSize, name: str) -> None:
    same = (found.rows, found.columns, found.samples) == (
        by_header.rows,
        by_header.columns,
        by_header.samples,
    )
    if not same or found.bits > by_header.bits:
        raise Refusal(Reason.CORRUPT, f"the header announces {by_header}, the {name} data {found}")


def _require_segments(frame: bytes, by_header: FrameSize) -> None:
    """Refuse RLE that does not hold one segment for each byte of a pixel, one after the other (PS3.5 G.5)."""
    if len(frame) < _RLE_HEADER_BYTES:
        raise Refusal(Reason.TRUNCATED, "the RLE data ends inside its header")
    n_segments, *starts = np.frombuffer(frame, "<u4", _RLE_HEADER_BYTES // 4).tolist()
    expected = by_header.samples * by_header.bits // 8
    if n_segments != expected:
        raise Refusal(Reason.CORRUPT, f"the RLE data has {n_segments} segments, {expected} are needed")
    used = starts[:n_segments]
    if used[0] < _RLE_HEADER_BYTES or used != sorted(used):
        raise Refusal(Reason.CORRUPT, "the segments of the RLE data overlap")


def size_of(frame: bytes, transfer_syntax: str) -> FrameSize:
    """Read the size that a codestream of the JPEG families states.

    Raises
    ------
    Refusal
        ``corrupt``.
    """
    reader = _READERS.get(transfer_syntax, _jpeg)
    try:
        return reader(frame)
    except (LookupError, jpeg2000.NoMainHeader) as error:
        raise Refusal(Reason.CORRUPT, f"{uid.UID(transfer_syntax).name} data is damaged") from error


def _jpeg(codestream: bytes) -> FrameSize:
    _, place = jpeg_frame_header(codestream)
    header = codestream[place + 3 : place + 9]
    rows, columns = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
    return FrameSize(rows, columns, samples=header[5], bits=header[0])


def jpeg_frame_header(codestream: bytes) -> tuple[int, int]:
    """Find the frame header of the JPEG family as decoders find it: bytes between segments are skipped.

    Returns
    -------
    marker : int
        Second byte of the marker, which names the process (ISO/IEC 10918-1 table B.1).
    place : int
        Offset of that byte.

    Raises
    ------
    LookupError
        There is none, or it is cut off.
    """
    place = 2
    while place := codestream.find(0xFF, place) + 1:
        marker = codestream[place]
        if marker in _SOF and place + 9 <= len(codestream):
            return marker, place
        if marker in (_SOS, _EOI):
            break
        if marker not in (0x00, 0xFF) and marker not in _WITHOUT_LENGTH:
            place += 1 + int.from_bytes(codestream[place + 1 : place + 3], "big")
    raise LookupError


def _jpeg2000(codestream: bytes) -> FrameSize:
    main = jpeg2000.MainHeader.of(codestream)
    jpeg2000.require_main_header(codestream)
    rows, columns = main.size[0] - main.origin[0], main.size[1] - main.origin[1]
    return FrameSize(rows, columns, main.n_components, main.precision)


_READERS: dict[str, Callable[[bytes], FrameSize]] = dict.fromkeys(
    (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), _jpeg2000
)

"""Extract grey values from the bits of a pixel: containers or decoded values in, stored values out.

One rule for uncompressed pixels, RLE and all codestreams. Where nothing stands above BitsStored but the sign, these
bits are the grey value. Else the image itself decides, among all readings that its bits allow, by how little adjacent
pixels differ: an overlay or rubbish (PS3.5 8.1.1) adds steps where the grey values have none, and grey values that
are cut or of the wrong sign wrap around.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.read.byte_order import is_exchanged
from cxrbatch.read.codecs.frame_header import Coding
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.greyscale import Stored
from cxrbatch.reasons import Flag, Reason, Refusal

Mask = NDArray[np.bool_]
_OVERLAY_BITS = tuple(f"{group:04X}0102" for group in range(0x6000, 0x6020, 2))
"""OverlayBitPosition of all overlay groups (PS3.5 7.6)."""
_SAMPLE_PIXELS = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Place of the grey value in a pixel, as the header states it (PS3.3 C.7.6.3).

    Attributes
    ----------
    allocated, stored, high : int
        BitsAllocated, BitsStored, HighBit.
    signed : bool
        PixelRepresentation is 1.
    overlays : int
        Bits above HighBit in which an overlay is declared (PS3.3 C.9.2, OverlayBitPosition, retired but in use).
    """

    allocated: int
    stored: int
    high: int
    signed: bool
    overlays: int = 0

    @property
    def shift(self) -> int:
        """Number of bits below the grey value."""
        return self.high + 1 - self.stored

    @property
    def is_full(self) -> bool:
        """True if every bit belongs to the grey value, so that none shows what is wrong."""
        return self.stored == self.allocated


def stated_bits(dataset: Dataset) -> Bits:
    """Read the place of the grey value from the header.

    Raises
    ------
    Refusal
        ``corrupt``: the numbers contradict each other.
    """
    allocated = el.integer(dataset, "BitsAllocated", 0)
    stored = el.integer(dataset, "BitsStored", allocated)
    high = el.integer(dataset, "HighBit", stored - 1)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise Refusal(
            Reason.CORRUPT,
            f"BitsAllocated {allocated}, BitsStored {stored}, HighBit {high} contradict each other",
        )
    signed = el.integer(dataset, "PixelRepresentation", 0) == 1
    overlays = sum({1 << bit for bit in _overlay_bits(dataset) if high < bit < allocated})
    return Bits(allocated=allocated, stored=stored, high=high, signed=signed, overlays=overlays)


def _overlay_bits(dataset: Dataset) -> Iterator[int]:
    return (el.integer(dataset, tag, 0) for tag in _OVERLAY_BITS if el.tag_of(tag) in dataset)


def grey_values(
    decoded: Stored, bits: Bits, coding: Coding, padding: Callable[[Stored], Mask | None]
) -> tuple[Stored, frozenset[Flag]]:
    """Extract the grey values.

    Parameters
    ----------
    decoded : ndarray of (u)int8, (u)int16 or (u)int32, shape (rows, columns) or (rows, columns, 3)
        Containers as they are in the file, or what a codestream decodes to.
    padding : callable
        Finds padding in containers without overlays: True where a pixel is padding, None where none is. Padding
        keeps its value, and the pixels beside it tell nothing.

    Returns
    -------
    ndarray of integers, same shape
    frozenset of Flag
        ``bits_conflict``: the grey values are wider than BitsStored, and are read in full. ``pixel_sign_conflict``:
        the codestream states another sign than the header; its own is taken unless the grey values wrap around.

    Raises
    ------
    Refusal
        ``corrupt``: the two bytes of each pixel are exchanged.
    """
    bits = _as_coded(bits, coding)
    pattern = _pattern(decoded, bits, coding)
    conflict = _is_conflict(bits, coding)
    if not conflict and (plain := _plain(pattern, bits, coding)) is not None:
        _require_byte_order(pattern, bits, plain)
        return plain, frozenset()
    padded = None if bits.shift else padding(pattern)
    reading = _smoothest(pattern, _readings(bits, coding), padded)
    values = reading.of(pattern)
    _require_byte_order(pattern, bits, values)
    if padded is not None:
        values[padded] = pattern[padded].astype(values.dtype)
    found = {Flag.PIXEL_SIGN_CONFLICT: conflict, Flag.BITS_CONFLICT: reading.width > bits.stored}
    return values, frozenset(flag for flag, holds in found.items() if holds)


def plain_values(part: Stored, bits: Bits, coding: Coding) -> Stored | None:
    """Extract the grey values of a part of an image, where nothing is in doubt.

    Parameters
    ----------
    part : ndarray
        Some rows of what `grey_values` takes.

    Returns
    -------
    ndarray of integers, same shape, or None
        None where the whole image has to be looked at.
    """
    bits = _as_coded(bits, coding)
    if _is_conflict(bits, coding):
        return None
    values = _plain(_pattern(part, bits, coding), bits, coding)
    return None if values is None or (bits.is_full and is_exchanged(values)) else values


def _as_coded(bits: Bits, coding: Coding) -> Bits:
    """Correct HighBit where a codestream has no bits below the grey values."""
    return replace(bits, high=bits.stored - 1) if coding.precision <= bits.high else bits


def _is_conflict(bits: Bits, coding: Coding) -> bool:
    """Check whether the codestream states another sign than the header."""
    return coding.signed is not None and coding.signed != bits.signed


def _require_byte_order(pattern: Stored, bits: Bits, values: Stored) -> None:
    """Refuse exchanged bytes; where bits are free and nothing stands in them, they are not."""
    if (values is not pattern or bits.is_full) and not bits.shift and is_exchanged(pattern, values):
        raise Refusal(
            Reason.CORRUPT, "the two bytes of the pixels are in the other order than the file states"
        )


class _Reading(NamedTuple):
    """A way to read a pattern of bits: its lowest `width` bits, as two's complement if `signed`."""

    width: int
    signed: bool

    def of(self, pattern: NDArray[Any]) -> Stored:
        """Read the pattern, into new memory."""
        container = max(pattern.dtype.itemsize * 8, 8 << (self.width > 8) + (self.width > 16))
        unsigned = pattern.view(_integers(pattern, signed=False)).astype(f"u{container // 8}")
        if not self.signed:
            return unsigned & unsigned.dtype.type(_ones(self.width))
        left = container - self.width
        return (unsigned << left).view(f"i{container // 8}") >> left


def _pattern(decoded: Stored, bits: Bits, coding: Coding) -> Stored:
    """Move the grey value to the lowest bits, without declared overlays; the type has the sign of the header.

    Of a signed codestream under an unsigned header only the bits that it has are kept, as if it had no sign.
    """
    native = decoded.astype(decoded.dtype.newbyteorder("="), copy=False)
    unsigned = native.view(_integers(native, signed=False))
    if coding.signed and not bits.signed:
        unsigned = unsigned & unsigned.dtype.type(_ones(coding.precision))
    if bits.overlays:
        unsigned = unsigned & unsigned.dtype.type(_ones(unsigned.dtype.itemsize * 8) & ~bits.overlays)
    pattern = unsigned.view(_integers(unsigned, signed=bits.signed))
    return pattern >> bits.shift if bits.shift else pattern


def _plain(pattern: Stored, bits: Bits, coding: Coding) -> Stored | None:
    """Return the grey values where nothing stands above them but their sign; else None."""
    unsigned = pattern.view(_integers(pattern, signed=False))
    highest = int(unsigned.max(initial=0))
    if not bits.signed:
        return pattern if highest < 1 << bits.stored else None
    if coding.precision < bits.stored:
        return pattern if coding.signed or highest < 1 << (coding.precision - 1) else None
    half = 1 << (bits.stored - 1)
    if highest < half or (int(pattern.min(initial=0)) >= -half and int(pattern.max(initial=0)) < half):
        return pattern
    return _Reading(bits.stored, signed=True).of(pattern) if highest < 1 << bits.stored else None


def _readings(bits: Bits, coding: Coding) -> Iterator[_Reading]:
    """List what the bits may mean, the likeliest first."""
    top = coding.precision - bits.shift
    signs = (bits.signed,) if coding.signed in (None, bits.signed) else (coding.signed, bits.signed)
    for signed in signs:
        yield from (_Reading(width, signed) for width in range(bits.stored, max(top, bits.stored) + 1))
        if signed and top < bits.stored:
            yield _Reading(top, signed)


def _smoothest(pattern: Stored, readings: Iterator[_Reading], padded: Mask | None) -> _Reading:
    """Choose the first of the readings in which adjacent pixels differ least."""
    step = max(pattern.size // _SAMPLE_PIXELS, 1)
    sample = pattern[::step]
    keep = None if padded is None else ~(padded[::step, 1:] | padded[::step, :-1])
    return min(readings, key=lambda reading: _variation(reading.of(sample), keep))


def _variation(values: Stored, keep: Mask | None) -> int:
    """Sum up by how much pixels differ from their right neighbours."""
    steps = np.abs(np.diff(values.astype(np.int64), axis=1))
    return int(steps.sum() if keep is None else steps[keep].sum())


def _integers(like: Stored, *, signed: bool) -> np.dtype[Any]:
    return np.dtype(f"{'i' if signed else 'u'}{like.dtype.itemsize}")


def _ones(n: int) -> int:
    return (1 << n) - 1

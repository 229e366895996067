"""Check TIFF files before their pixels are decoded, and read what Pillow leaves to others.

Pillow reads more kinds of TIFF than have one meaning as greys, and some that it does not read are not damaged.
"""

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
)

from cxrbatch.reasons import Reason, Refusal

_OTHER_GREYS = Refusal(
    Reason.UNSUPPORTED_FORMAT,
    "a TIFF image whose values are signed, real, or of 32 bits; export it as DICOM, PNG or JPEG",
)
_UNSIGNED = frozenset((1, 4))
"""SampleFormat: unsigned, or undefined (TIFF 6.0, section 19)."""
_WHITE_IS_ZERO = 0
_LOSSY = frozenset(("jpeg", "tiff_jpeg", "webp"))
_HEADER_BYTES, _BIG_HEADER_BYTES = 8, 16
_BIG_TIFF = 43


def require_readable(image: Image.Image, n_bytes: int) -> None:
    """Refuse greys that are no unsigned integers, and files that end before their pixels do.

    Parameters
    ----------
    n_bytes : int
        Size of the file.

    Raises
    ------
    Refusal
        ``unsupported_format`` or ``truncated``.
    """
    tags = _tags(image)
    if image.mode in ("F", "I") or not _UNSIGNED.issuperset(_all(tags.get(SAMPLEFORMAT, 1))):
        raise _OTHER_GREYS
    for offsets, counts in ((STRIPOFFSETS, STRIPBYTECOUNTS), (TILEOFFSETS, TILEBYTECOUNTS)):
        parts = zip(_all(tags.get(offsets, ())), _all(tags.get(counts, ())), strict=False)
        if any(begin + length > n_bytes for begin, length in parts):
            raise Refusal(Reason.TRUNCATED, "the tiff data ends before the image does")


def greys(image: Image.Image) -> NDArray[Any]:
    """Return greys of more than 8 bits, black at 0: Pillow turns greys over where white is 0, but not these."""
    values = np.asarray(image)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    is_white_zero = _tags(image).get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    return np.subtract(highest(image), values, dtype=values.dtype) if is_white_zero else values


def highest(image: Image.Image) -> int:
    """Return the highest value of as many bits as a sample has."""
    return (1 << _all(_tags(image).get(BITSPERSAMPLE, 16))[0]) - 1


def is_lossy(image: Image.Image) -> bool:
    """Check whether the compression is a lossy one."""
    return image.info.get("compression") in _LOSSY


def unidentified(path: Path) -> Refusal:
    """Decide whether a TIFF that Pillow does not read is of another kind, damaged or cut off."""
    with warnings.catch_warnings(action="ignore"), path.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
        if header[2:4] in (bytes((_BIG_TIFF, 0)), bytes((0, _BIG_TIFF))):
            header += stream.read(_BIG_HEADER_BYTES - _HEADER_BYTES)
        try:
            tags = TiffImagePlugin.ImageFileDirectory_v2(header)
            if tags.next is None or tags.next >= path.stat().st_size:
                return Refusal(Reason.TRUNCATED, "the tiff data ends before its header")
            stream.seek(tags.next)
            tags.load(stream)
            is_whole = all(isinstance(tags.get(tag), int) for tag in (IMAGEWIDTH, IMAGELENGTH))
        except MemoryError:
            raise
        except Exception:  # Pillow raises many types of exception on damaged bytes
            is_whole = False
    if not is_whole:
        return Refusal(Reason.CORRUPT, "the tiff data is damaged")
    return Refusal(
        Reason.UNSUPPORTED_FORMAT, "a kind of TIFF that is not read; export it as DICOM, PNG or JPEG"
    )


def _tags(image: Image.Image) -> TiffImagePlugin.ImageFileDirectory_v2:
    return cast("TiffImagePlugin.TiffImageFile", image).tag_v2


def _all(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)

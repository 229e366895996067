"""Read PNG, JPEG, TIFF, WebP and BMP radiographs: file in, header and presentation values out."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from cxrbatch.read import tiff
from cxrbatch.read.block_means import block_means, extent_in_blocks, halvings, strips
from cxrbatch.read.codecs.reduced import draft
from cxrbatch.read.greyscale import Presentation, full_range, presentation_of_colours
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.read.png_pixels import plain_pixels
from cxrbatch.read.webp import read_webp_header
from cxrbatch.read.without_header import image_without_header
from cxrbatch.read.wrapped import may_be_wrapped, require_unwrapped
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef
from cxrbatch.resample import Box, NotReducible

# The gate checks the size from the header (`too_large`), before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

_FORMATS = {
    FileKind.PNG: "PNG",
    FileKind.JPEG: "JPEG",
    FileKind.TIFF: "TIFF",
    FileKind.WEBP: "WEBP",
    FileKind.BMP: "BMP",
}
"""The formats that Pillow may decode: each file only as the one that its content shows."""
_GREY_MODES = {"1": 1, "L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}
_REDUCIBLE_MODES = {"L": 255, "I;16": 65535, "I;16B": 65535, "RGB": 255}
_DEEP_MODES = ("I;16", "I;16B")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition to upright by Orientation (EXIF 2.32, 4.6.4 A); 1 and unknown values are upright."""

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""Any marker but those of entropy-coded data (ISO/IEC 10918-1 B.1.1)."""
_TEM, _EOI = b"\x01", b"\xd9"


@dataclass(frozen=True, slots=True)
class OpenRaster:
    """A file for Pillow whose pixels have not been decoded; see `cxrbatch.read.OpenImage`.

    Attributes
    ----------
    lossy : bool
        Whether the compression may be a lossy one.
    """

    ref: ImageRef
    header: ImageHeader
    lossy: bool

    def decode(self, least_px: int | None = None, *, as_displayed: bool = False) -> CxrImage:  # noqa: ARG002
        """Decode to presentation values: 0 is black, the largest value of the format is 1; so it is displayed, too.

        Parameters, result and errors as in `cxrbatch.read.OpenImage`.
        """
        if self.ref.kind is FileKind.JPEG:
            _require_end(self.ref.path)
        n_halvings = halvings(self.header.rows, self.header.columns, least_px)
        found = self._reduced(n_halvings) or self._full()
        return image_without_header(self.ref, self.header, found, lossy=self.lossy)

    def _reduced(self, n_halvings: int) -> Presentation | None:
        """Decode to means over squares of pixels; None where all pixels are needed, or where this fails.

        Whatever the failure, all pixels are decoded then: that may succeed, or says what is wrong.
        """
        if not n_halvings:
            return None
        try:
            found = _reduced_png(self.ref, n_halvings) or _reduced(self.ref, n_halvings)
            return None if may_be_wrapped(found.pixels) else found
        except (NotReducible, Refusal):
            return None

    def _full(self) -> Presentation:
        with _reading(self.ref) as image:
            image.load()
            turn = _turn(image)
            found = _grey(image if turn is None else image.transpose(turn))
            require_unwrapped(found.pixels)
            return found


def open_raster(ref: ImageRef, patients: PatientRule) -> OpenRaster:
    """Read the header of a file for Pillow; see `cxrbatch.read.open_image`."""
    patient_key, patient_id = patients.patient_of(ref.name)
    found = _webp_facts(ref.path) if ref.kind is FileKind.WEBP else _facts(ref)
    header = ImageHeader(
        patient_key=patient_key,
        patient_id=patient_id,
        n_frames=found.n_frames,
        rows=found.rows,
        columns=found.columns,
    )
    return OpenRaster(ref, header, found.lossy)


class _Facts(NamedTuple):
    rows: int
    columns: int
    n_frames: int
    lossy: bool


def _facts(ref: ImageRef) -> _Facts:
    with _reading(ref) as image:
        if ref.kind is not FileKind.TIFF:
            return _Facts(image.height, image.width, getattr(image, "n_frames", 1), ref.kind is FileKind.JPEG)
        tiff.require_readable(image, ref.path.stat().st_size)
        # To count the pages would read all of them.
        return _Facts(image.height, image.width, 2 if _is_animated(image) else 1, tiff.is_lossy(image))


def _is_animated(image: Image.Image) -> bool:
    """Check whether there is a second page or frame."""
    return bool(getattr(image, "is_animated", False))


def _webp_facts(path: Path) -> _Facts:
    found = read_webp_header(path)
    return _Facts(found.rows, found.columns, 2 if found.animated else 1, found.lossy)


@contextmanager
def _reading(ref: ImageRef) -> Iterator[ImageFile.ImageFile]:
    """Open a file with Pillow."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # they may repeat contents of the file
            ref.path.open("rb") as stream,
            Image.open(stream, formats=[_FORMATS[ref.kind]]) as image,
        ):
            yield image
    except (MemoryError, NotReducible, Refusal):
        raise
    except Exception as error:  # Pillow raises many types of exception on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _refusal(ref, error) from error


def _refusal(ref: ImageRef, error: Exception) -> Refusal:
    """Say what an exception of Pillow means: damaged and truncated data are both an OSError without errno."""
    if ref.kind is FileKind.TIFF and isinstance(error, UnidentifiedImageError):
        return tiff.unidentified(ref.path)
    words = str(error).lower() if isinstance(error, OSError) else ""
    if "truncated" in words:
        return Refusal(Reason.TRUNCATED, f"the {ref.kind} data ends before the image does")
    if words.startswith("unsupported"):
        return Refusal(
            Reason.UNSUPPORTED_FORMAT,
            f"a kind of {ref.kind} that is not read; export it as DICOM, PNG or JPEG",
        )
    return Refusal(Reason.CORRUPT, f"the {ref.kind} data is damaged")


def _require_end(path: Path) -> None:
    """Refuse a JPEG that ends in zeros but not before them: the decoder takes zeros for pixels, and the rest is grey.

    Whatever else stands behind the image is of no concern, and in place of it the decoder misses the end itself.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        if stream.read(1) != b"\0":
            return
        stream.seek(0)
        if not _has_end(stream.read()):
            raise Refusal(Reason.TRUNCATED, "the jpeg data has no end marker")


def _has_end(data: bytes) -> bool:
    """Find EOI from segment to segment: other pictures, in the header or behind the image, have one, too."""
    place = 2
    while found := _MARKER.search(data, place):
        if found[1] == _EOI:
            return True
        place = found.end()
        if found[1] != _TEM:
            place += int.from_bytes(data[place : place + 2], "big")
    return False


def _reduced_png(ref: ImageRef, n_halvings: int) -> Presentation | None:
    """Compute means over squares of pixels of a plain PNG; None where Pillow has to read it."""
    pixels = plain_pixels(ref.path) if ref.kind is FileKind.PNG else None
    return None if pixels is None else _presented(*_averaged(pixels, n_halvings), np.iinfo(pixels.dtype).max)


def _reduced(ref: ImageRef, n_halvings: int) -> Presentation:
    """Compute means over squares of pixels, of grey and colour images that are neither turned nor transparent."""
    with _reading(ref) as image:
        if image.mode not in _REDUCIBLE_MODES or _has_clear_colour(image) or _turn(image) is not None:
            raise NotReducible
        is_drafted = image.format == "JPEG"
        found = _drafted(image, n_halvings) if is_drafted else _averaged(_values(image), n_halvings)
        return _presented(*found, _highest(image))


def _presented(means: NDArray[np.float32], extent: Box, highest: int) -> Presentation:
    if means.ndim == 2:
        return Presentation(pixels=full_range(means, 0, highest), extent=extent)
    return presentation_of_colours(means, highest, extent)


def _has_clear_colour(image: Image.Image) -> bool:
    """Check whether a colour is transparent.

    A transparent grey value (PNG specification, 11.3.2.1) is not looked at: it is one of the grey scale, and occurs
    within the body as well as around it.
    """
    return image.mode not in _GREY_MODES and "transparency" in image.info


def _turn(image: Image.Image) -> Image.Transpose | None:
    return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))


def _drafted(image: ImageFile.ImageFile, n_halvings: int) -> tuple[NDArray[np.float32], Box]:
    extent = draft(image, n_halvings)
    return np.asarray(image, np.float32), extent


def _averaged(pixels: NDArray[Any], n_halvings: int) -> tuple[NDArray[np.float32], Box]:
    block = 1 << n_halvings
    return block_means(strips(pixels, block), block), extent_in_blocks(pixels.shape, block)


def _grey(image: Image.Image) -> Presentation:
    if image.mode in _GREY_MODES:
        return Presentation(pixels=full_range(_values(image), 0, _highest(image)))
    return presentation_of_colours(np.asarray(_on_black(image)), 255)


def _values(image: Image.Image) -> NDArray[Any]:
    return tiff.greys(image) if _is_deep_tiff(image) else np.asarray(image)


def _highest(image: Image.Image) -> int:
    if _is_deep_tiff(image):
        return tiff.highest(image)
    return (_GREY_MODES | _REDUCIBLE_MODES)[image.mode]


def _is_deep_tiff(image: Image.Image) -> bool:
    return image.format == "TIFF" and image.mode in _DEEP_MODES


def _on_black(image: Image.Image) -> Image.Image:
    """Make transparent regions black, like the surroundings of a film, and hide the pixels under them."""
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, rgba).convert("RGB")

"""Read PNG and JPEG radiographs: file in, header and presentation values out."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from cxrbatch.read import png_inflate
from cxrbatch.read.block_means import block_means, extent_in_blocks, halvings, strips
from cxrbatch.read.codecs.reduced import draft
from cxrbatch.read.greyscale import Presentation, full_range, presentation_of_colours
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.read.wrapped import may_be_wrapped, require_unwrapped
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef
from cxrbatch.resample import Box, NotReducible

# The gate checks the size from the header (`too_large`), before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

_FORMATS = {FileKind.PNG: "PNG", FileKind.JPEG: "JPEG"}
_GREY_MODES = {"1": 1, "L": 255, "I;16": 65535, "I": 65535}
_REDUCIBLE_MODES = {"L": 255, "I;16": 65535, "RGB": 255}
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
    """A PNG or JPEG whose pixels have not been decoded; see `cxrbatch.read.OpenImage`."""

    ref: ImageRef
    header: ImageHeader

    def decode(self, least_px: int | None = None) -> CxrImage:
        """Decode to presentation values: 0 is black, the largest value of the format is 1.

        Parameters, result and errors as in `cxrbatch.read.OpenImage`.
        """
        if self.ref.kind is FileKind.JPEG:
            _require_end(self.ref.path)
        n_halvings = halvings(self.header.rows, self.header.columns, least_px)
        found = self._reduced(n_halvings) or self._full()
        flags = {Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN}
        if self.ref.kind is FileKind.JPEG:
            flags.add(Flag.LOSSY)
        return CxrImage(
            ref=self.ref,
            header=self.header,
            pixels=found.pixels,
            extent=found.extent,
            colourfulness=found.colourfulness,
            flags=frozenset(flags),
        )

    def _reduced(self, n_halvings: int) -> Presentation | None:
        """Decode to means over squares of pixels; None where all pixels are needed."""
        if not n_halvings:
            return None
        try:
            with _reading(self.ref, quickly=True) as image:
                found = _reduced_grey(image, n_halvings)
                return None if may_be_wrapped(found.pixels) else found
        except NotReducible:
            return None

    def _full(self) -> Presentation:
        with _reading(self.ref) as image:
            image.load()
            turn = _turn(image)
            found = _grey(image if turn is None else image.transpose(turn))
            require_unwrapped(found.pixels)
            return found


def open_raster(ref: ImageRef, patients: PatientRule) -> OpenRaster:
    """Read the header of a PNG or JPEG; see `cxrbatch.read.open_image`."""
    patient_key, patient_id = patients.patient_of(ref.name)
    with _reading(ref) as image:
        header = ImageHeader(
            patient_key=patient_key,
            patient_id=patient_id,
            n_frames=getattr(image, "n_frames", 1),
            rows=image.height,
            columns=image.width,
        )
    return OpenRaster(ref, header)


@contextmanager
def _reading(ref: ImageRef, *, quickly: bool = False) -> Iterator[Image.Image]:
    """Open a file with Pillow.

    Parameters
    ----------
    quickly : bool
        True if the pixels will be decoded, of an image that may be large.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # they may repeat contents of the file
            ref.path.open("rb") as stream,
            Image.open(
                png_inflate.store_uncompressed(stream) if quickly and ref.kind is FileKind.PNG else stream,
                formats=[_FORMATS[ref.kind]],
            ) as image,
        ):
            yield image
    except (MemoryError, NotReducible, Refusal):
        raise
    except Exception as error:  # Pillow raises many types of exception on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Pillow reports both damaged and truncated data as OSError without errno.
        if isinstance(error, OSError) and "truncated" in str(error).lower():
            raise Refusal(Reason.TRUNCATED, f"the {ref.kind} data ends before the image does") from error
        raise Refusal(Reason.CORRUPT, f"the {ref.kind} data is damaged") from error


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


def _reduced_grey(image: Image.Image, n_halvings: int) -> Presentation:
    """Compute means over squares of pixels, of plain grey and colour images."""
    if image.mode not in _REDUCIBLE_MODES or _has_clear_colour(image) or _turn(image) is not None:
        raise NotReducible
    means, extent = _drafted(image, n_halvings) if image.format == "JPEG" else _averaged(image, n_halvings)
    highest = _REDUCIBLE_MODES[image.mode]
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


def _drafted(image: Image.Image, n_halvings: int) -> tuple[NDArray[np.float32], Box]:
    extent = draft(image, n_halvings)
    return np.asarray(image, np.float32), extent


def _averaged(image: Image.Image, n_halvings: int) -> tuple[NDArray[np.float32], Box]:
    pixels, block = np.asarray(image), 1 << n_halvings
    return block_means(strips(pixels, block), block), extent_in_blocks(pixels.shape, block)


def _grey(image: Image.Image) -> Presentation:
    if image.mode in _GREY_MODES:
        return Presentation(pixels=full_range(np.asarray(image), 0, _GREY_MODES[image.mode]))
    return presentation_of_colours(np.asarray(_on_black(image)), 255)


def _on_black(image: Image.Image) -> Image.Image:
    """Make transparent regions black, like the surroundings of a film, and hide the pixels under them."""
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, rgba).convert("RGB")

"""PNG and JPEG radiographs."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cxrbatch.read.grey import colourfulness, full_range, luminance
from cxrbatch.read.patient import PatientRule
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef

# The limit is ours to judge from the header (gate, `too_large`), before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

_FORMATS = {FileKind.PNG: "PNG", FileKind.JPEG: "JPEG"}
_GREY_MODES = {"1": 1, "L": 255, "I;16": 65535, "I": 65535}


@dataclass(frozen=True, slots=True)
class OpenRaster:
    """A PNG or JPEG whose pixels have not been decoded; see `cxrbatch.read.OpenImage`."""

    ref: ImageRef
    header: ImageHeader

    def decode(self) -> CxrImage:
        """Decode to presentation values: 0 is black, the largest value of the format is 1."""
        with _reading(self.ref) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels, coloured = _grey(upright)
        flags = {Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN}
        if self.ref.kind is FileKind.JPEG:
            flags.add(Flag.LOSSY)
        return CxrImage(
            ref=self.ref, header=self.header, pixels=pixels, colourfulness=coloured, flags=frozenset(flags)
        )


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
def _reading(ref: ImageRef) -> Iterator[Image.Image]:
    try:
        with ref.path.open("rb") as stream, Image.open(stream, formats=[_FORMATS[ref.kind]]) as image:
            yield image
    except (UnidentifiedImageError, SyntaxError, ValueError, struct.error, EOFError) as error:
        raise Refusal(Reason.CORRUPT, f"the {ref.kind} data is damaged") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # Pillow reports damaged and cut-off data alike as OSError without errno.
        if "truncated" in str(error):
            raise Refusal(Reason.TRUNCATED, f"the {ref.kind} data ends before the image does") from error
        raise Refusal(Reason.CORRUPT, f"the {ref.kind} data is damaged") from error


def _grey(image: Image.Image) -> tuple[NDArray[np.float32], float]:
    if image.mode in _GREY_MODES and "transparency" not in image.info:
        return full_range(np.asarray(image), 0, _GREY_MODES[image.mode]), 0.0
    rgb = np.asarray(_on_black(image))
    return luminance(rgb, 255), colourfulness(rgb, 255)


def _on_black(image: Image.Image) -> Image.Image:
    """Give transparent regions the grey of unexposed film surroundings, not that of hidden pixels."""
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, rgba).convert("RGB")

"""Convert the pixels of a DICOM image to presentation values: dataset in, values as a radiologist sees them out."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from cxrbatch.read.codecs.decode import decodes_to_rgb
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom import voi
from cxrbatch.read.dicom.stored_values import (
    is_signed,
    reduced_from_pixels,
    reduced_in_codestream,
    stored_values,
    transfer_syntax,
    valid_mask,
)
from cxrbatch.read.greyscale import Presentation, Stored, Values, data_range, presentation_of_colours
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.resample import Box, NotReducible, ReducedImage

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", _PALETTE)
_SEGMENTED = tuple(f"Segmented{hue}PaletteColorLookupTableData" for hue in ("Red", "Green", "Blue"))


def presentation(dataset: Dataset, frame: bytes | None, halvings: int) -> Presentation:
    """Decode the pixels of a dataset, and apply the transforms of its header.

    Parameters
    ----------
    frame : bytes or None
        As in `cxrbatch.read.dicom.stored_values.stored_values`.
    halvings : int
        How often the sides may be halved; where that is not possible, the image is decoded in full.

    Raises
    ------
    Refusal
        ``unsupported_transfer_syntax``, ``truncated`` or ``corrupt``.
    """
    photometric = _photometric(dataset)
    if photometric not in (*_MONOCHROME, *_COLOUR):
        raise Refusal(Reason.CORRUPT, "PhotometricInterpretation is missing or unknown")
    samples = el.integer(dataset, "SamplesPerPixel", 1)
    if samples != (1 if photometric in (*_MONOCHROME, _PALETTE) else 3):
        raise Refusal(Reason.CORRUPT, f"{photometric} with {samples} samples per pixel")
    if photometric in _MONOCHROME:
        return _monochrome(dataset, frame, halvings)
    rgb, highest = _rgb(dataset, frame, photometric)
    return presentation_of_colours(rgb, highest)


def reduced_presentation(dataset: Dataset, decode: Callable[[], ReducedImage]) -> Presentation | None:
    """Apply the transforms of the header to means of stored values, as if they were stored values.

    Parameters
    ----------
    decode : callable
        Returns the means, or raises `NotReducible`.

    Returns
    -------
    Presentation or None
        None where all pixels are needed: there are no means, the image is not monochrome, or the transforms need the
        values of single pixels.
    """
    if _photometric(dataset) not in _MONOCHROME:
        return None
    try:
        means = decode()
    except NotReducible:
        return None
    if not voi.commutes_with_averaging(dataset, means.pixels, signed=is_signed(dataset)):
        return None
    return _presented(dataset, means.pixels, None, means.extent)


def _photometric(dataset: Dataset) -> str:
    return el.text(dataset, "PhotometricInterpretation").upper()


def _monochrome(dataset: Dataset, frame: bytes | None, halvings: int) -> Presentation:
    in_codestream = partial(reduced_in_codestream, dataset, frame, halvings)
    if halvings and (found := reduced_presentation(dataset, in_codestream)):
        return found
    stored = stored_values(dataset, frame)
    from_pixels = partial(reduced_from_pixels, dataset, stored, halvings)
    if halvings and (found := reduced_presentation(dataset, from_pixels)):
        return found
    return _presented(dataset, stored, valid_mask(dataset, stored), None)


def _presented(
    dataset: Dataset, stored: Stored | Values, valid: NDArray[np.bool_] | None, extent: Box | None
) -> Presentation:
    """Apply Modality LUT, VOI LUT and, once, the inversion of MONOCHROME1 (PS3.4 N.2)."""
    values = voi.modality_values(dataset, stored, signed=is_signed(dataset))
    values, flags = voi.apply_voi(dataset, values, valid)
    grey = data_range(values, valid)
    if _photometric(dataset) == "MONOCHROME1":
        grey = np.float32(1) - grey
    if valid is not None:
        grey = np.where(valid, grey, np.float32(0))
    return Presentation(pixels=grey, extent=extent, flags=flags | _photometric_flags(dataset))


def _rgb(dataset: Dataset, frame: bytes | None, photometric: str) -> tuple[Stored, int]:
    stored = stored_values(dataset, frame)
    if photometric == _PALETTE:
        return _palette_rgb(dataset, stored)
    bits = el.integer(dataset, "BitsStored", 8)
    syntax = transfer_syntax(dataset)
    if not decodes_to_rgb(syntax, photometric) and bits == 8:
        stored = convert_color_space(stored.astype(np.uint8), "YBR_FULL", "RGB")
    return stored, (1 << bits) - 1


def _palette_rgb(dataset: Dataset, stored: Stored) -> tuple[Stored, int]:
    # Few bytes of a segmented palette can mean billions of entries (PS3.3 C.7.9.2).
    if any(keyword in dataset for keyword in _SEGMENTED):
        raise Refusal(Reason.CORRUPT, "the colour palette is segmented, which is not read here")
    try:
        rgb = np.asarray(apply_color_lut(stored, dataset))
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(Reason.CORRUPT, "the colour palette is unusable") from error
    return rgb[..., :3], int(np.iinfo(rgb.dtype).max)


def _photometric_flags(dataset: Dataset) -> frozenset[Flag]:
    """Flag a conflicting PresentationLUTShape: INVERSE goes with MONOCHROME1, not twice (PS3.3 C.11.6.1.2)."""
    shape = el.text(dataset, "PresentationLUTShape").upper()
    expected = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}[_photometric(dataset)]
    return frozenset((Flag.PHOTOMETRIC_CONFLICT,)) if shape and shape != expected else frozenset()

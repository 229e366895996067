"""Convert the pixels of a DICOM image to presentation values: dataset in, values as a radiologist sees them out."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from cxrbatch.read.codecs.decode import decodes_to_rgb
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom import voi
from cxrbatch.read.dicom.bits import stated_bits
from cxrbatch.read.dicom.shutter import inside_share
from cxrbatch.read.dicom.stored_means import (
    reduced_from_decoded,
    reduced_from_pixels,
    reduced_in_codestream,
)
from cxrbatch.read.dicom.stored_values import (
    decode_all,
    is_signed,
    stored_values,
    transfer_syntax,
    valid_mask,
)
from cxrbatch.read.greyscale import (
    Presentation,
    Stored,
    Values,
    data_range,
    display_range,
    presentation_of_colours,
)
from cxrbatch.read.wrapped import require_unwrapped
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.resample import Box, NotReducible, ReducedImage

_HALF = np.float32(0.5)
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", _PALETTE)
_SEGMENTED = tuple(f"Segmented{hue}PaletteColorLookupTableData" for hue in ("Red", "Green", "Blue"))


def presentation(
    dataset: Dataset, frame: bytes | None, halvings: int, *, as_displayed: bool = False
) -> Presentation:
    """Decode the pixels of a dataset, and apply the transforms of its header.

    Parameters
    ----------
    frame : bytes or None
        As in `cxrbatch.read.dicom.stored_values.decode_all`.
    halvings : int
        How often the sides may be halved; where that is not possible, the image is decoded in full.
    as_displayed : bool
        As in `cxrbatch.read.OpenImage.decode`; without `halvings`.

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
        return _monochrome(dataset, frame, halvings, as_displayed=as_displayed)
    return _colours(dataset, frame, photometric)


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
    return _of_means(dataset, means, signed=is_signed(dataset))


def _photometric(dataset: Dataset) -> str:
    return el.text(dataset, "PhotometricInterpretation").upper()


def _monochrome(dataset: Dataset, frame: bytes | None, halvings: int, *, as_displayed: bool) -> Presentation:
    in_codestream = partial(reduced_in_codestream, dataset, frame, halvings)
    if halvings and (found := reduced_presentation(dataset, in_codestream)):
        return found
    decoded = decode_all(dataset, frame)
    from_decoded = partial(reduced_from_decoded, dataset, decoded, halvings)
    if halvings and (found := reduced_presentation(dataset, from_decoded)):
        return found
    stored, flags = stored_values(dataset, decoded)
    valid = valid_mask(dataset, stored)
    require_unwrapped(stored, _used(valid, inside_share(dataset, stored.shape, None)[0]))
    found = _averaged(dataset, stored, halvings, flags) or _presented(
        dataset, stored, valid, signed=_has_sign(stored), as_displayed=as_displayed
    )
    return replace(found, flags=found.flags | flags)


def _averaged(dataset: Dataset, stored: Stored, halvings: int, flags: frozenset[Flag]) -> Presentation | None:
    if not halvings:
        return None
    bits = None if Flag.BITS_CONFLICT in flags else stated_bits(dataset).stored
    try:
        means = reduced_from_pixels(dataset, stored, halvings, bits)
    except NotReducible:
        return None
    return _of_means(dataset, means, signed=_has_sign(stored))


def _has_sign(stored: Stored) -> bool:
    return stored.dtype.kind == "i"


def _of_means(dataset: Dataset, means: ReducedImage, *, signed: bool) -> Presentation | None:
    found = _presented(dataset, means.pixels, None, signed=signed, extent=means.extent)
    ignored = Flag.VOI_IGNORED in found.flags
    commutes = voi.commutes_with_averaging(dataset, means.pixels, signed=signed, ignored=ignored)
    return found if commutes else None


def _presented(
    dataset: Dataset,
    stored: Stored | Values,
    valid: NDArray[np.bool_] | None,
    *,
    signed: bool,
    extent: Box | None = None,
    as_displayed: bool = False,
) -> Presentation:
    """Apply shutters, Modality LUT, VOI LUT and, once, the inversion of MONOCHROME1 (PS3.4 N.2)."""
    inside, shutter_flags = inside_share(dataset, stored.shape, extent)
    if inside is not None:
        stored = _shuttered(dataset, stored, inside, signed=signed)
    values = voi.modality_values(dataset, stored, signed=signed)
    used = _used(valid, inside)
    values, scale, flags = voi.apply_voi(dataset, values, used)
    grey = display_range(values, used, scale) if as_displayed else data_range(values, valid)
    if _photometric(dataset) == "MONOCHROME1":
        grey = np.float32(1) - grey
    if valid is not None:
        grey = np.where(valid, grey, np.float32(0))
    return Presentation(pixels=grey, extent=extent, flags=flags | shutter_flags | _photometric_flags(dataset))


def _used(valid: NDArray[np.bool_] | None, inside: Values | None) -> NDArray[np.bool_] | None:
    """Find the pixels by which a window is judged: neither padding nor outside the shutter; None: all."""
    if inside is None:
        return valid
    used = inside > _HALF if valid is None else valid & (inside > _HALF)
    return used if used.any() else valid


def _shuttered(dataset: Dataset, stored: Stored | Values, inside: Values, *, signed: bool) -> Stored | Values:
    """Replace what is outside the shutter by black: the darker end of the range of bits that the inside uses."""
    ends = _range_of_bits(stored[inside > _HALF])
    values = voi.modality_values(dataset, ends, signed=signed)
    shown = voi.voi_values(dataset, values)
    if shown[0] == shown[1]:
        shown = values
    is_inverse = _photometric(dataset) == "MONOCHROME1"
    black = ends[int((shown[0] > shown[1]) != is_inverse)]
    if stored.dtype.kind != "f":
        return np.where(inside > _HALF, stored, black.astype(stored.dtype))
    return np.asarray(black + (stored - black) * inside, np.float32)


def _range_of_bits(stored: Stored | Values) -> NDArray[np.float32]:
    low, high = math.floor(stored.min()), math.ceil(stored.max())
    n_bits = max(high.bit_length(), (~low).bit_length() if low < 0 else 0)
    return np.array([-(1 << n_bits) if low < 0 else 0, (1 << n_bits) - 1], np.float32)


def _colours(dataset: Dataset, frame: bytes | None, photometric: str) -> Presentation:
    rgb, highest, flags = _rgb(dataset, frame, photometric)
    inside, shutter_flags = inside_share(dataset, rgb.shape[:2], None)
    if inside is not None:
        rgb = np.where(inside[..., None] > _HALF, rgb, rgb.dtype.type(0))
    found = presentation_of_colours(rgb, highest)
    require_unwrapped(found.pixels)
    return replace(found, flags=flags | shutter_flags)


def _rgb(dataset: Dataset, frame: bytes | None, photometric: str) -> tuple[Stored, int, frozenset[Flag]]:
    stored, flags = stored_values(dataset, decode_all(dataset, frame))
    if photometric == _PALETTE:
        return *_palette_rgb(dataset, stored), flags
    bits = el.integer(dataset, "BitsStored", 8)
    syntax = transfer_syntax(dataset)
    if not decodes_to_rgb(syntax, photometric) and bits == 8:
        stored = convert_color_space(stored.astype(np.uint8), "YBR_FULL", "RGB")
    return stored, (1 << bits) - 1, flags


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

"""DICOM radiographs: dataset → stored values → presentation values."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from cxrbatch.read import codestream, voi
from cxrbatch.read import elements as el
from cxrbatch.read.grey import (
    Stored,
    Values,
    colourfulness,
    data_range,
    decoded_values,
    luminance,
    native_values,
)
from cxrbatch.read.header import read_header
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, ImageHeader, ImageRef

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "PALETTE COLOR")
# pydicom logs what it finds wrong, values included: none of it belongs on stderr.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False


@dataclass(frozen=True, slots=True)
class OpenDicom:
    """A DICOM instance whose pixels have not been decoded; see `cxrbatch.read.OpenImage`."""

    ref: ImageRef
    header: ImageHeader

    def decode(self) -> CxrImage:
        """Decode to presentation values, inverted once if MONOCHROME1."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = _parse(self.ref.path, stop_before_pixels=False)
            if "PixelData" not in dataset:
                raise Refusal(
                    Reason.TRUNCATED, "the header announces an image, but PixelData is missing or cut off"
                )
            pixels, coloured, flags = presentation_values(dataset)
        return CxrImage(
            ref=self.ref,
            header=self.header,
            pixels=pixels,
            colourfulness=coloured,
            flags=flags | _header_flags(dataset, self.header),
        )


def open_dicom(ref: ImageRef) -> OpenDicom:
    """Parse the header of a DICOM file; see `cxrbatch.read.open_image`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _parse(ref.path, stop_before_pixels=True)
        header = read_header(dataset, ref.name)
    if not header.rows:
        _refuse_non_image(dataset)
    return OpenDicom(ref, header)


def _parse(path: Path, *, stop_before_pixels: bool) -> Dataset:
    """Parse a file; one that ends inside an element gives an empty dataset (pydicom only warns)."""
    try:
        return dcmread(path, force=True, stop_before_pixels=stop_before_pixels)
    except (MemoryError, Refusal):
        raise
    except EOFError as error:
        raise Refusal(Reason.TRUNCATED, "the file ends inside a DICOM element") from error
    except Exception as error:  # pydicom raises whatever the damaged bytes led it to
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refusal(Reason.CORRUPT, f"the DICOM data cannot be parsed ({type(error).__name__})") from error


def _refuse_non_image(dataset: Dataset) -> NoReturn:
    """Tell a report, which nobody expects a score for, from an image whose header was cut off."""
    meta = getattr(dataset, "file_meta", Dataset())
    sop_class = el.text(dataset, "SOPClassUID") or el.text(meta, "MediaStorageSOPClassUID")
    if not sop_class or "Image Storage" in uid.UID(sop_class).name:
        raise Refusal(Reason.TRUNCATED, "the file ends before its header says how large the image is")
    raise NotAnImage


class NotAnImage(Refusal):
    """DICOM without pixels (a report, a presentation state, a DICOMDIR): nobody expects a score for it."""

    def __init__(self) -> None:
        super().__init__(Reason.NOT_AN_IMAGE, "DICOM without pixel data")


def presentation_values(dataset: Dataset) -> tuple[Values, float, frozenset[Flag]]:
    """Pixels as a radiologist sees them.

    Returns
    -------
    pixels : ndarray of float32, shape (rows, columns)
        0…1, bone white, padding 0.
    colourfulness : float
    flags : frozenset of Flag

    Raises
    ------
    Refusal
    """
    photometric = el.text(dataset, "PhotometricInterpretation").upper()
    if photometric in _MONOCHROME:
        pixels, flags = _monochrome(dataset, photometric)
        return pixels, 0.0, flags
    if photometric in _COLOUR:
        rgb, highest = _rgb(dataset, photometric)
        return luminance(rgb, highest), colourfulness(rgb, highest), frozenset()
    raise Refusal(Reason.CORRUPT, "PhotometricInterpretation is missing or unknown")


def _monochrome(dataset: Dataset, photometric: str) -> tuple[Values, frozenset[Flag]]:
    stored = stored_values(dataset)
    if stored.ndim != 2:
        raise Refusal(Reason.CORRUPT, f"{photometric} with {stored.shape[2]} samples per pixel")
    valid = valid_mask(dataset, stored)
    values, voi_flags = voi.apply_voi(dataset, voi.modality_values(dataset, stored), valid)
    grey = data_range(values, valid)
    if photometric == "MONOCHROME1":
        grey = np.float32(1) - grey
    if valid is not None:
        grey = np.where(valid, grey, np.float32(0))
    return grey, voi_flags | _photometric_flags(dataset, photometric)


def transfer_syntax(dataset: Dataset) -> str:
    """TransferSyntaxUID, or what a file without meta information was parsed as (PS3.5 10.1)."""
    stated = el.text(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRBigEndian if little is False else uid.ExplicitVRLittleEndian


def stored_values(dataset: Dataset) -> Stored:
    """Decode the first frame to stored values.

    Returns
    -------
    ndarray of (u)int8, (u)int16 or (u)int32, shape (rows, columns) or (rows, columns, 3)

    Raises
    ------
    Refusal
        ``unsupported_transfer_syntax``, ``truncated`` or ``corrupt``.
    """
    syntax = uid.UID(transfer_syntax(dataset))
    bits_allocated, bits_stored, high_bit = _bits(dataset)
    signed = el.integer(dataset, "PixelRepresentation", 0) == 1
    if codestream.can_decode(syntax):
        decoded = _encapsulated(dataset, syntax, bits_allocated)
        return decoded_values(decoded, bits_stored, signed=signed)
    if not syntax.is_transfer_syntax or syntax.is_encapsulated:
        raise Refusal(Reason.UNSUPPORTED_TRANSFER_SYNTAX, f"transfer syntax {syntax.name}")
    return native_values(_native(dataset, syntax), bits_stored, high_bit, signed=signed)


def _bits(dataset: Dataset) -> tuple[int, int, int]:
    allocated = el.integer(dataset, "BitsAllocated", 0)
    stored = el.integer(dataset, "BitsStored", allocated)
    high = el.integer(dataset, "HighBit", stored - 1)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise Refusal(
            Reason.CORRUPT,
            f"BitsAllocated {allocated}, BitsStored {stored}, HighBit {high} contradict each other",
        )
    return allocated, stored, high


def _encapsulated(dataset: Dataset, syntax: uid.UID, bits_allocated: int) -> Stored:
    rows, columns = el.integer(dataset, "Rows", 0), el.integer(dataset, "Columns", 0)
    samples = el.integer(dataset, "SamplesPerPixel", 1)
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except Exception as error:
        raise Refusal(Reason.TRUNCATED, "the encapsulated pixel data is incomplete") from error
    photometric = el.text(dataset, "PhotometricInterpretation")
    return codestream.decode(frame, syntax, shape, bits_allocated, photometric)


def _native(dataset: Dataset, syntax: uid.UID) -> Stored:
    expected = el.integer(dataset, "Rows", 0) * el.integer(dataset, "Columns", 0)
    expected *= el.integer(dataset, "SamplesPerPixel", 1) * el.integer(dataset, "BitsAllocated", 0) // 8
    if el.text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        expected = expected // 3 * 2
    if len(dataset.PixelData) < expected:
        raise Refusal(Reason.TRUNCATED, f"PixelData holds {len(dataset.PixelData)} of {expected} bytes")
    try:
        pixels, _ = get_decoder(syntax).as_array(dataset, index=0, raw=True, correct_unused_bits=False)
    except Exception as error:
        raise Refusal(Reason.CORRUPT, "PixelData does not fit what the header says of it") from error
    return np.asarray(pixels)


def valid_mask(dataset: Dataset, stored: Stored) -> NDArray[np.bool_] | None:
    """Where a pixel is image and not padding (PS3.3 C.7.5.1.1.2); None where nothing is padding."""
    padding = el.number(dataset, "PixelPaddingValue")
    if padding is None:
        return None
    limit = el.number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((padding, padding if limit is None else limit))
    low, high = _as_stored(low, stored.dtype), _as_stored(high, stored.dtype)
    padded = (stored >= low) & (stored <= high)
    return ~padded if padded.any() and not padded.all() else None


def _as_stored(value: float, dtype: np.dtype[np.integer]) -> int:
    """Undo a wrong VR: the padding value of signed pixels is often written as unsigned, and the reverse."""
    bits = dtype.itemsize * 8
    wrapped = int(value) % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >= 1 << (bits - 1) else wrapped


def _rgb(dataset: Dataset, photometric: str) -> tuple[Stored, int]:
    stored = stored_values(dataset)
    if photometric == "PALETTE COLOR":
        return _palette_rgb(dataset, stored)
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise Refusal(Reason.CORRUPT, f"{photometric} with an array of shape {stored.shape}")
    bits = el.integer(dataset, "BitsStored", 8)
    syntax = transfer_syntax(dataset)
    if not codestream.comes_out_as_rgb(syntax, photometric) and bits == 8:
        stored = convert_color_space(stored.astype(np.uint8), "YBR_FULL", "RGB")
    return stored, (1 << bits) - 1


def _palette_rgb(dataset: Dataset, stored: Stored) -> tuple[Stored, int]:
    try:
        rgb = np.asarray(apply_color_lut(stored, dataset))
    except Exception as error:
        raise Refusal(Reason.CORRUPT, "the colour palette is unusable") from error
    return rgb[..., :3], int(np.iinfo(rgb.dtype).max)


def _photometric_flags(dataset: Dataset, photometric: str) -> frozenset[Flag]:
    """INVERSE accompanies MONOCHROME1 and is no second inversion (PS3.3 C.11.6.1.2)."""
    shape = el.text(dataset, "PresentationLUTShape").upper()
    expected = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}[photometric]
    return frozenset((Flag.PHOTOMETRIC_CONFLICT,)) if shape and shape != expected else frozenset()


def _header_flags(dataset: Dataset, header: ImageHeader) -> frozenset[Flag]:
    lossy = codestream.is_lossy(transfer_syntax(dataset)) or el.text(dataset, "LossyImageCompression") == "01"
    found = {
        Flag.AGE_UNKNOWN: header.age_years is None,
        Flag.VIEW_UNKNOWN: not header.view_position,
        Flag.BODY_PART_UNKNOWN: not header.body_part,
        Flag.NO_PATIENT_ID: header.patient_key[0] != "dicom",
        Flag.LOSSY: lossy,
    }
    return frozenset(flag for flag, holds in found.items() if holds)

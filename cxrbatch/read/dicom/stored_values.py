"""Decode the pixel data of a DICOM file: dataset in, stored values of all pixels out."""

from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import get_decoder

from cxrbatch.limits import Limits
from cxrbatch.read.codecs import decode, frame_header, identify, jpeg2000
from cxrbatch.read.codecs.frame_header import Coding
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.bits import grey_values, stated_bits
from cxrbatch.read.greyscale import Stored
from cxrbatch.reasons import Flag, Reason, Refusal


def transfer_syntax(dataset: Dataset) -> str:
    """Return TransferSyntaxUID; without meta information, the syntax by which the file was parsed (PS3.5 10.1)."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and (stated := el.text(meta, "TransferSyntaxUID")):
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRBigEndian if little is False else uid.ExplicitVRLittleEndian


def correct_syntax(dataset: Dataset, frame: bytes | None) -> None:
    """Set TransferSyntaxUID to how the pixels are stored, where the file states another way and they leave no doubt.

    Parameters
    ----------
    frame : bytes or None
        The compressed frame; None where PixelData is not encapsulated.

    Raises
    ------
    Refusal
        ``corrupt`` or ``unsupported_transfer_syntax``.
    """
    stated = transfer_syntax(dataset)
    if frame is not None:
        _state_syntax(dataset, identify.syntax_of(jpeg2000.strip_jp2(frame), stated) or _known(stated))
    elif decode.can_decode(stated):
        _require_native(dataset)
        implicit, _ = dataset.original_encoding
        _state_syntax(dataset, uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian)


def _known(stated: str) -> str:
    """Return the transfer syntax of pixels that begin like no codestream, if its decoder can say what is wrong."""
    syntax = uid.UID(stated)
    if decode.can_decode(stated):
        return stated
    if syntax.is_transfer_syntax and not syntax.is_encapsulated:
        raise Refusal(
            Reason.CORRUPT,
            "PixelData is encapsulated, though the transfer syntax is a plain one, and begins like no compression",
        )
    raise _unsupported(syntax)


def _unsupported(syntax: uid.UID) -> Refusal:
    name = syntax.name if syntax.is_valid else "that is no UID"
    return Refusal(Reason.UNSUPPORTED_TRANSFER_SYNTAX, f"transfer syntax {name}")


def _state_syntax(dataset: Dataset, syntax: str) -> None:
    if syntax != transfer_syntax(dataset):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)


def _require_native(dataset: Dataset) -> None:
    """Refuse pixels that may be another thing than uncompressed ones, under a transfer syntax of compressed ones.

    Of colours, YBR may have become RGB when the file was decompressed.
    """
    data = el.value_of(dataset, "PixelData")
    expected = prod(shape_of(dataset)) * stated_bits(dataset).allocated // 8
    is_whole = isinstance(data, bytes) and len(data) in (expected, expected + expected % 2)
    if not is_whole or el.text(dataset, "PhotometricInterpretation").upper().startswith("YBR"):
        raise Refusal(
            Reason.CORRUPT, "the transfer syntax is a compressed one, but PixelData is not encapsulated"
        )


def is_signed(dataset: Dataset) -> bool:
    """Check whether stored values are signed (PixelRepresentation)."""
    return el.integer(dataset, "PixelRepresentation", 0) == 1


def plain_frame(dataset: Dataset, frame: bytes, limits: Limits) -> bytes:
    """Check, before decoding, that a compressed frame is as the header states.

    Returns
    -------
    bytes
        The codestream: the frame without padding behind its end, and out of its JP2 file if it is one.

    Raises
    ------
    Refusal
        ``corrupt``, ``truncated`` or ``too_large``.
    """
    syntax = transfer_syntax(dataset)
    bits = stated_bits(dataset).allocated
    # Padding would make room for more pixels under the limit of the ratio.
    frame = decode.cut_at_end(jpeg2000.strip_jp2(frame), syntax)
    frame_header.require_fit(frame, syntax, shape_of(dataset), bits, limits.ratio)
    return frame


@dataclass(frozen=True, slots=True)
class Decoded:
    """All pixels of a frame as the decoder gives them, with the bits that belong to the grey value and others.

    Attributes
    ----------
    pixels : ndarray of (u)int8, (u)int16 or (u)int32, shape (rows, columns) or (rows, columns, 3)
    coding : Coding
    """

    pixels: Stored
    coding: Coding


def decode_all(dataset: Dataset, frame: bytes | None) -> Decoded:
    """Decode all pixels of the first frame.

    Parameters
    ----------
    frame : bytes or None
        The compressed frame (see `plain_frame`); None if the pixels are not compressed.

    Raises
    ------
    Refusal
        ``unsupported_transfer_syntax``, ``truncated`` or ``corrupt``.
    """
    syntax = uid.UID(transfer_syntax(dataset))
    allocated = stated_bits(dataset).allocated
    if frame is not None:
        pixels = _encapsulated(dataset, syntax, allocated, frame)
        return Decoded(pixels, frame_header.coding_of(frame, syntax, allocated))
    if not syntax.is_transfer_syntax or syntax.is_encapsulated:
        raise _unsupported(syntax)
    return Decoded(_native(dataset, syntax), Coding(allocated))


def stored_values(dataset: Dataset, decoded: Decoded) -> tuple[Stored, frozenset[Flag]]:
    """Extract the stored values; result and errors as in `cxrbatch.read.dicom.bits.grey_values`."""
    return grey_values(decoded.pixels, stated_bits(dataset), decoded.coding, partial(_padding, dataset))


def _encapsulated(dataset: Dataset, syntax: uid.UID, bits_allocated: int, frame: bytes) -> Stored:
    photometric = el.text(dataset, "PhotometricInterpretation")
    return decode.decode(frame, syntax, shape_of(dataset), bits_allocated, photometric)


def shape_of(dataset: Dataset) -> tuple[int, ...]:
    """Read the shape of a frame from the header: (rows, columns), or (rows, columns, 3).

    Raises
    ------
    Refusal
        ``corrupt``.
    """
    rows, columns = el.integer(dataset, "Rows", 0), el.integer(dataset, "Columns", 0)
    samples = el.integer(dataset, "SamplesPerPixel", 1)
    if min(rows, columns) < 1 or samples not in (1, 3):
        raise Refusal(
            Reason.CORRUPT, f"{columns} × {rows} pixels with {samples} samples, expected 1 or 3 samples"
        )
    return (rows, columns) if samples == 1 else (rows, columns, samples)


def _native(dataset: Dataset, syntax: uid.UID) -> Stored:
    data = el.value_of(dataset, "PixelData")
    if not isinstance(data, bytes) or dataset["PixelData"].is_undefined_length:
        raise Refusal(Reason.CORRUPT, "PixelData has no length, and is not encapsulated")
    expected = prod(shape_of(dataset)) * stated_bits(dataset).allocated // 8
    if el.text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        expected = expected // 3 * 2
    if len(data) < expected:
        raise Refusal(Reason.TRUNCATED, f"PixelData holds {len(data)} of {expected} bytes")
    _state_defaults(dataset)
    try:
        pixels, _ = get_decoder(syntax).as_array(dataset, index=0, raw=True, correct_unused_bits=False)
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(Reason.CORRUPT, "PixelData does not fit what the header says of it") from error
    return np.asarray(pixels)


def _state_defaults(dataset: Dataset) -> None:
    """State what is read where the header states nothing, or states it in small letters: pydicom refuses that."""
    stated = {
        "SamplesPerPixel": ("US", el.integer(dataset, "SamplesPerPixel", 1)),
        "PixelRepresentation": ("US", el.integer(dataset, "PixelRepresentation", 0)),
        "PhotometricInterpretation": ("CS", el.text(dataset, "PhotometricInterpretation").upper()),
    }
    for keyword, (vr, value) in stated.items():  # whatever is there now, in which VR
        dataset.add_new(el.tag_of(keyword), vr, value)


def _padding(dataset: Dataset, containers: Stored) -> NDArray[np.bool_] | None:
    """Find padding as `_padded`; None where none is declared."""
    return None if el.number(dataset, "PixelPaddingValue") is None else is_padding(dataset, containers)


def valid_mask(dataset: Dataset, stored: Stored) -> NDArray[np.bool_] | None:
    """Find the pixels that are image and not padding (PS3.3 C.7.5.1.1.2).

    Returns
    -------
    ndarray of bool, shape of `stored`, or None
        True where a pixel is image. None where no pixel is padding, or all are.
    """
    if el.number(dataset, "PixelPaddingValue") is None:
        return None
    padded = is_padding(dataset, stored)
    return ~padded if padded.any() and not padded.all() else None


def is_padding(dataset: Dataset, stored: Stored) -> NDArray[np.bool_]:
    """Find the pixels that have the padding value, or lie in the range of padding, of the header."""
    padding = el.number(dataset, "PixelPaddingValue") or 0.0
    limit = el.number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((padding, padding if limit is None else limit))
    low, high = _as_stored(low, stored.dtype), _as_stored(high, stored.dtype)
    return (stored >= low) & (stored <= high)


def _as_stored(value: float, dtype: np.dtype[np.integer]) -> int:
    """Correct a wrong VR: the padding value of signed pixels is often written as unsigned, and the reverse."""
    bits = dtype.itemsize * 8
    wrapped = int(value) % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "i" and wrapped >= 1 << (bits - 1) else wrapped

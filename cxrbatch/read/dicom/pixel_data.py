"""Read the pixel data of a DICOM file: the element, a compressed frame, or uncompressed pixels in strips."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.filereader import data_element_generator

from cxrbatch.read import block_means
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.source import Source, n_bytes_of, open_source
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.resample import NotReducible

_PIXEL_DATA = 0x7FE00010
_FLOATING_POINT = (0x7FE00008, 0x7FE00009)  # FloatPixelData, DoubleFloatPixelData
_UNDEFINED_LENGTH = 0xFFFFFFFF
_DELIMITER_BYTES = 8
_FIRST_BYTES, _LAST_BYTES = 1 << 17, 1 << 10
_SYNTAXES = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Layout of uncompressed pixels in the file."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    implicit_vr: bool

    @property
    def n_bytes(self) -> int:
        """Number of bytes of one frame."""
        return self.rows * self.columns * self.dtype.itemsize


def layout(dataset: Dataset, syntax: uid.UID) -> Layout:
    """Derive the layout of one monochrome frame in the file from its header.

    Raises
    ------
    NotReducible
        The frame is compressed, in colour, or not little-endian.
    """
    bits, samples = el.integer(dataset, "BitsAllocated", 0), el.integer(dataset, "SamplesPerPixel", 1)
    rows, columns = el.integer(dataset, "Rows", 0), el.integer(dataset, "Columns", 0)
    if syntax not in _SYNTAXES or samples != 1 or bits not in (8, 16, 32) or min(rows, columns) < 1:
        raise NotReducible
    return Layout(
        rows=rows,
        columns=columns,
        dtype=np.dtype(f"<u{bits // 8}"),
        implicit_vr=syntax == uid.ImplicitVRLittleEndian,
    )


def strips(source: Source, begin: int, of: Layout, block: int) -> Iterator[NDArray[Any]]:
    """Read the pixels a few rows at a time, always into the same memory.

    Parameters
    ----------
    begin : int
        Offset of the element with the pixels, in bytes.
    block : int
        The number of rows of every strip but the last is a multiple of this.

    Yields
    ------
    ndarray of uint8, uint16 or uint32, shape (any, columns)
        Valid until the next is requested.

    Raises
    ------
    NotReducible
        Some or all of the pixels are missing.
    """
    with open_source(source, buffering=0) as stream:
        stream.seek(_value_begins(stream, begin, of))
        step = block_means.rows_per_strip(of.columns * of.dtype.itemsize, block)
        memory = np.empty((min(step, of.rows), of.columns), of.dtype)
        for row in range(0, of.rows, step):
            strip = memory[: of.rows - row]
            if stream.readinto(strip.data) != strip.nbytes:  # type: ignore[attr-defined]  # no part of BinaryIO
                raise NotReducible
            yield strip


def pixel_data(source: Source, begin: int, of: Dataset) -> RawDataElement:
    """Read the element with the pixels.

    Parameters
    ----------
    begin : int
        Offset of the element in the file, in bytes.
    of : Dataset
        The header, encoded as the pixels are.

    Raises
    ------
    Refusal
        ``truncated``: the element is missing or incomplete; ``unsupported_format``: the pixels are floating-point
        numbers (PS3.3 C.7.6.24 and C.7.6.25), as of parametric maps.
    """
    implicit_vr, is_little_endian = of.original_encoding
    with open_source(source) as stream:
        element = _next_element(stream, begin, bool(implicit_vr), is_little_endian is not False)
        if element is not None and element.tag in _FLOATING_POINT:
            raise Refusal(
                Reason.UNSUPPORTED_FORMAT, "its pixels are floating-point numbers, which no radiograph has"
            )
        if element is None or element.tag != _PIXEL_DATA:
            raise Refusal(
                Reason.TRUNCATED, "the header announces an image, but PixelData is missing or cut off"
            )
        n_bytes = element.length
        if n_bytes == _UNDEFINED_LENGTH:
            n_bytes = stream.tell() - _DELIMITER_BYTES - element.value_tell
        # The stated length may be wrong, and memory for it would be allocated at once.
        left = n_bytes_of(stream) - element.value_tell
        stream.seek(element.value_tell)
        return element._replace(value=stream.read(min(n_bytes, left)))


def _value_begins(stream: BinaryIO, begin: int, of: Layout) -> int:
    element = _next_element(stream, begin, of.implicit_vr, is_little_endian=True)
    if element is None or element.tag != _PIXEL_DATA:
        raise NotReducible
    complete = element.value_tell + of.n_bytes <= n_bytes_of(stream)
    if not complete or not of.n_bytes <= element.length < _UNDEFINED_LENGTH:
        raise NotReducible
    return element.value_tell


def _next_element(
    stream: BinaryIO, begin: int, implicit_vr: bool, is_little_endian: bool
) -> RawDataElement | None:
    """Read tag and length of the element behind the header, not its value, and move the stream behind it.

    None where there is none, or where it is damaged.
    """
    stream.seek(begin)
    elements = data_element_generator(stream, implicit_vr, is_little_endian, defer_size=0)
    try:
        element = next(elements, None)
    except MemoryError:
        raise
    except Exception:  # pydicom raises many types of exception on damaged bytes
        return None
    return element if isinstance(element, RawDataElement) else None


_HEADS = (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff")
"""First bytes of all encapsulated PixelData: undefined length, explicit VR, little-endian (PS3.5 A.4)."""

_ITEM_TAG, _END_TAG = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"

_LENGTH_BYTES = 4
"""Length of the delimiter, which stands behind its tag and which a truncated file lacks."""


def frame_of_source(source: Source, begin: int) -> bytes | None:
    """Read the one compressed frame directly from its source.

    Parameters
    ----------
    begin : int
        Offset of the element behind the header, in bytes.

    Returns
    -------
    bytes or None
        None where that is not one complete frame in the usual form; then parse the file to find the reason.
    """
    with open_source(source) as stream:
        stream.seek(begin)
        if stream.read(len(_HEADS[0])) not in _HEADS:
            return None
        try:
            frame = _joined(stream)
        except MemoryError:
            raise
        except Exception:
            return None
        needed = stream.tell() + _LENGTH_BYTES
        return frame if needed <= n_bytes_of(stream) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStart:
    """The first and the last bytes of a compressed frame.

    Attributes
    ----------
    first, last : bytes
        All of a short frame.
    n_bytes : int
        Length of the frame.
    """

    first: bytes
    last: bytes
    n_bytes: int


def start_of_frame(source: Source, begin: int, share: float) -> FrameStart | None:
    """Read the first bytes of the one compressed frame, and the last ones; what is between is not read.

    Parameters
    ----------
    begin : int
        As of `frame_of_source`.
    share : float
        Share of the frame to read, 0–1, beyond 128 KiB.

    Returns
    -------
    FrameStart or None
        None where that is not one complete fragment in the usual form.
    """
    with open_source(source) as stream:
        stream.seek(begin)
        if stream.read(len(_HEADS[0])) not in _HEADS:
            return None
        stream.seek(_item_length(stream) or 0, os.SEEK_CUR)  # Basic Offset Table
        n_bytes, place = _item_length(stream), stream.tell()
        if not n_bytes or place + n_bytes + _DELIMITER_BYTES > n_bytes_of(stream):
            return None
        stream.seek(place)
        first = stream.read(min(_FIRST_BYTES + int(share * n_bytes), n_bytes))
        stream.seek(place + max(n_bytes - _LAST_BYTES, 0))
        last = stream.read(min(_LAST_BYTES, n_bytes))
        if stream.read(len(_END_TAG)) != _END_TAG:
            return None
        return FrameStart(first=first, last=last, n_bytes=n_bytes)


def _item_length(stream: BinaryIO) -> int | None:
    """Read tag and length of an item; None where there is no item, or it does not state its length."""
    head = stream.read(_DELIMITER_BYTES)
    length = int.from_bytes(head[len(_ITEM_TAG) :], "little")
    is_item = len(head) == _DELIMITER_BYTES and head.startswith(_ITEM_TAG)
    return length if is_item and length != _UNDEFINED_LENGTH else None


def is_encapsulated(dataset: Dataset) -> bool:
    """Check whether PixelData begins as encapsulated pixels do (PS3.5 A.4), whatever the transfer syntax states."""
    data = el.value_of(dataset, "PixelData")
    return isinstance(data, bytes) and data.startswith(_ITEM_TAG)


def frame_of_dataset(dataset: Dataset) -> bytes:
    """Extract the one frame from encapsulated PixelData.

    Raises
    ------
    Refusal
        ``truncated``.
    """
    data = el.value_of(dataset, "PixelData")
    try:
        return _joined(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(Reason.TRUNCATED, "the encapsulated pixel data is incomplete") from error


def _joined(stream: BinaryIO) -> bytes:
    """Concatenate all fragments to the one frame (PS3.5 A.4), and move the stream behind the tag of the delimiter.

    The Basic Offset Table, the first item, is not asked: it is to point to frames, of which there is one, and some
    devices let it point to every fragment or to another place.
    """
    fragments = generate_fragments(stream)
    next(fragments)
    return b"".join(fragments)

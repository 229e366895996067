"""Uncompressed pixel data of a file, read in strips."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator

from cxrbatch.read import blocks
from cxrbatch.read import elements as el
from cxrbatch.reduced import NotReducible

_PIXEL_DATA = 0x7FE00010
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SYNTAXES = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pixels lie in the file."""

    rows: int
    columns: int
    dtype: np.dtype[Any]
    implicit_vr: bool

    @property
    def n_bytes(self) -> int:
        """Of one frame."""
        return self.rows * self.columns * self.dtype.itemsize


def layout(dataset: Dataset, syntax: uid.UID) -> Layout:
    """Tell from a header how one monochrome frame lies in the file.

    Raises
    ------
    NotReducible
        It is compressed, in colour, or not little-endian.
    """
    bits, samples = el.integer(dataset, "BitsAllocated", 0), el.integer(dataset, "SamplesPerPixel", 1)
    if syntax not in _SYNTAXES or samples != 1 or bits not in (8, 16, 32):
        raise NotReducible
    return Layout(
        rows=el.integer(dataset, "Rows", 0),
        columns=el.integer(dataset, "Columns", 0),
        dtype=np.dtype(f"<u{bits // 8}"),
        implicit_vr=syntax == uid.ImplicitVRLittleEndian,
    )


def strips(path: Path, begin: int, of: Layout, block: int) -> Iterator[NDArray[Any]]:
    """Read the pixels a few rows at a time, into the same memory again and again.

    Parameters
    ----------
    begin : int
        Where the element with the pixels begins.
    block : int
        Every strip but the last has a multiple of so many rows.

    Yields
    ------
    ndarray of uint8, uint16 or uint32, shape (any, columns)
        Valid until the next is asked for.

    Raises
    ------
    NotReducible
        They are not there, or not all of them.
    """
    step = blocks.rows_per_strip(of.columns * of.dtype.itemsize, block)
    memory = np.empty((step, of.columns), of.dtype)
    with path.open("rb", buffering=0) as stream:
        stream.seek(_value_begins(stream, begin, of))
        for row in range(0, of.rows, step):
            strip = memory[: of.rows - row]
            if stream.readinto(strip.data) != strip.nbytes:
                raise NotReducible
            yield strip


def _value_begins(stream: FileIO, begin: int, of: Layout) -> int:
    stream.seek(begin)
    elements = data_element_generator(stream, of.implicit_vr, is_little_endian=True, defer_size=0)
    element = next(elements, None)
    if not isinstance(element, RawDataElement) or element.tag != _PIXEL_DATA:
        raise NotReducible
    complete = element.value_tell + of.n_bytes <= os.fstat(stream.fileno()).st_size
    if not complete or not of.n_bytes <= element.length < _UNDEFINED_LENGTH:
        raise NotReducible
    return element.value_tell

"""Means over blocks of pixels: what little of a large radiograph a small network sees.

An image of several thousand pixels is read in strips that fit into the processor's cache; of each, only the means
are kept.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.resample import Box

_LEAST_HALVINGS = 2
_STRIP_BYTES = 1 << 20


def halvings(rows: int, columns: int, least_px: int | None) -> int:
    """How often both sides of an image are halved.

    Parameters
    ----------
    least_px : int or None
        What the shorter side must keep; None: nothing is halved.

    Returns
    -------
    int
        0, or at least 2: half an image is hardly quicker decoded than all of it.
    """
    if not least_px:
        return 0
    n = max((min(rows, columns) // least_px).bit_length() - 1, 0)
    return n if n >= _LEAST_HALVINGS else 0


def rows_per_strip(row_bytes: int, block: int) -> int:
    """Rows to read at a time: whole blocks."""
    return max(_STRIP_BYTES // (row_bytes * block), 1) * block


def strips(pixels: NDArray[Any], block: int) -> Iterator[NDArray[Any]]:
    """Cut a decoded image into strips of whole blocks; the last may be lower."""
    step = rows_per_strip(pixels[:1].nbytes, block)
    return (pixels[row : row + step] for row in range(0, len(pixels), step))


def block_means(of: Iterable[NDArray[Any]], block: int, bits: int | None = None) -> NDArray[np.float32]:
    """Average over squares of pixels.

    Parameters
    ----------
    of : iterable of ndarray of (u)int8, (u)int16 or (u)int32, shape (any, columns, ...)
        The image in strips, of whole blocks but for the last. Each is used before the next is asked for.
    block : int
        Side of a square, a power of 2.
    bits : int, optional
        That a pixel uses at most, its sign included; by default each strip is looked through for it.

    Returns
    -------
    ndarray of float32, shape (rows // block, columns // block, ...)
        What is left over at the lower and right edge, less than a block, is left out.
    """
    sums = np.concatenate([_block_sums(strip, block, bits) for strip in of])
    return np.asarray(sums, np.float32) / np.float32(block * block)


def extent_in_blocks(shape: tuple[int, ...], block: int) -> Box:
    """Where an image of (rows, columns, ...) pixels lies among the means over its blocks."""
    return 0, 0, shape[1] / block, shape[0] / block


def _block_sums(strip: NDArray[Any], block: int, bits: int | None) -> NDArray[Any]:
    rows, columns = (side // block * block for side in strip.shape[:2])
    sums = _sum_rows(strip[:rows, :columns], block, bits or _bits_used(strip))
    # Adding slices is several times as fast as summing over a short last axis.
    while sums.shape[1] > columns // block:
        sums = sums[:, 0::2] + sums[:, 1::2]
    return sums


def _sum_rows(pixels: NDArray[Any], block: int, bits: int) -> NDArray[Any]:
    """Sum each so many rows: as far as the sums fit into the type of the pixels in that, then in a larger one.

    Adding pixels of another type takes NumPy three times as long, and few radiographs use all bits of theirs.
    """
    n = min(block, 1 << (pixels.dtype.itemsize * 8 - bits))
    few = _add(pixels, n, pixels.dtype)
    return _add(few, block // n, _sum_type(pixels.dtype, block))


def _add(pixels: NDArray[Any], n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Sum each `n` rows."""
    if n == 1:
        return pixels.astype(dtype, copy=False)
    return np.add.reduce(pixels.reshape(-1, n, *pixels.shape[1:]), axis=1, dtype=dtype)


def _bits_used(pixels: NDArray[Any]) -> int:
    highest = int(pixels.max(initial=0))
    if pixels.dtype.kind == "i":
        return max(highest, ~int(pixels.min(initial=0))).bit_length() + 1
    return highest.bit_length()


def _sum_type(of: np.dtype[Any], block: int) -> np.dtype[Any]:
    """The smallest type for the sum of a square, since half the bytes are summed in half the time.

    A square of up to 256 pixels adds 8 bits to theirs; none has more than 65,536.
    """
    n_bytes = of.itemsize * 2 if of.itemsize > 1 or block <= 16 else 4
    return np.dtype(f"{of.kind}{n_bytes}")

"""Average a large radiograph over blocks of pixels, as a small network needs no more: strips in, block means out.

An image of several thousand pixels is read in strips that fit into the processor's cache. Of each strip, only the
means are kept.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.resample import Box

_LEAST_HALVINGS = 2
_STRIP_BYTES = 1 << 21


def halvings(rows: int, columns: int, least_px: int | None) -> int:
    """Compute how often both sides of an image are halved.

    Parameters
    ----------
    least_px : int or None
        Least number of pixels of the shorter side after halving; None: nothing is halved.

    Returns
    -------
    int
        0, or at least 2: an image of half the size is hardly faster to decode than the full one.
    """
    if not least_px:
        return 0
    n = max((min(rows, columns) // least_px).bit_length() - 1, 0)
    return n if n >= _LEAST_HALVINGS else 0


def rows_per_strip(row_bytes: int, block: int) -> int:
    """Compute the number of rows to read at a time, a multiple of `block`; a row has `row_bytes` bytes."""
    return max(_STRIP_BYTES // (row_bytes * block), 1) * block


def strips(pixels: NDArray[Any], block: int) -> Iterator[NDArray[Any]]:
    """Cut a decoded image into strips of whole blocks; the last strip may have fewer rows.

    Parameters
    ----------
    pixels : ndarray of any type, shape (rows, columns, ...)
    block : int
        Side of a block.

    Returns
    -------
    iterator of ndarray, shape (any, columns, ...)
        Views of `pixels`.
    """
    step = rows_per_strip(pixels[:1].nbytes, block)
    return (pixels[row : row + step] for row in range(0, len(pixels), step))


def block_means(of: Iterable[NDArray[Any]], block: int, bits: int | None = None) -> NDArray[np.float32]:
    """Average over squares of pixels.

    Parameters
    ----------
    of : iterable of ndarray of (u)int8, (u)int16 or (u)int32, shape (any, columns, ...)
        The image in strips of whole blocks, except the last. Each strip is used before the next is requested.
    block : int
        Side of a square, a power of 2.
    bits : int, optional
        Largest number of bits that a pixel uses, its sign included; by default it is found in each strip.

    Returns
    -------
    ndarray of float32, shape (rows // block, columns // block, ...)
        Rows and columns at the lower and right edge that do not fill a block are left out.
    """
    means = block_sums(of, block, bits)
    means /= np.float32(block * block)
    return means


def block_sums(of: Iterable[NDArray[Any]], block: int, bits: int | None = None) -> NDArray[np.float32]:
    """Sum up squares of pixels; as `block_means`, without the division."""
    return np.concatenate(
        [_block_sums(strip, block, bits) for strip in of], dtype=np.float32, casting="same_kind"
    )


def extent_in_blocks(shape: tuple[int, ...], block: int) -> Box:
    """Compute the extent of an image of shape (rows, columns, ...) in the image of its block means, in blocks."""
    return 0, 0, shape[1] / block, shape[0] / block


def _block_sums(strip: NDArray[Any], block: int, bits: int | None) -> NDArray[Any]:
    rows, columns = (side // block * block for side in strip.shape[:2])
    sums = _sum_rows(strip[:rows, :columns], block, bits or _bits_used(strip))
    larger = _sum_type(strip.dtype, block)
    sums = _sum_pairs(sums, larger) if _has_pairs(sums, larger) else sums.astype(larger, copy=False)
    # Adding slices is several times faster than summing over a short last axis.
    while sums.shape[1] > columns // block:
        sums = sums[:, 0::2] + sums[:, 1::2]
    return sums


def _has_pairs(sums: NDArray[Any], larger: np.dtype[Any]) -> bool:
    """Check whether two neighbours of a row are the halves of one number of the larger type."""
    is_half = 2 * sums.itemsize == larger.itemsize and sums.dtype.isnative and sums.dtype.kind == "u"
    return is_half and sums.ndim == 2 and sums.flags.c_contiguous and sums.shape[1] % 2 == 0


def _sum_pairs(sums: NDArray[Any], larger: np.dtype[Any]) -> NDArray[Any]:
    """Sum each two neighbours of a row into a larger type, in two thirds of the time that this takes by slices."""
    pairs = sums.view(larger)
    n_bits = sums.itemsize * 8
    return (pairs >> n_bits) + (pairs & larger.type((1 << n_bits) - 1))


def _sum_rows(pixels: NDArray[Any], block: int, bits: int) -> NDArray[Any]:
    """Sum each `block` rows: in the type of the pixels as far as the sums fit, then in a larger type.

    Adding pixels of another type takes NumPy three times as long, and few radiographs use all bits of their type.
    """
    n_free = max(pixels.dtype.itemsize * 8 - bits, 0)  # a header may state more bits than there are
    n = min(block, 1 << n_free)
    few = _add(pixels, n, pixels.dtype)
    return few if n == block else _add(few, block // n, _sum_type(pixels.dtype, block))


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
    """Return the smallest type for the sum of a square, since half the bytes are summed in half the time.

    A square of up to 256 pixels adds 8 bits to those of a pixel. No square has more than 65,536 pixels.
    """
    n_bytes = of.itemsize * 2 if of.itemsize > 1 or block <= 16 else 4
    return np.dtype(f"{of.kind}{n_bytes}")

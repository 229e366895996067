"""Resample images that were decoded at a fraction of their size, by area means."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

COARSE_PX = 256
"""Side in pixels of the coarse image in which borders are found."""

_PADDING = 16

Box = tuple[float, float, float, float]
"""left, upper, right, lower in pixels, in the order of Pillow."""

Ranges = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Lowest and highest values, each of shape (rows or columns,)."""


class NotReducible(Exception):
    """The image cannot be decoded at a fraction of its size: all of it must be decoded."""


@dataclass(frozen=True, eq=False)
class ReducedImage:
    """An image of which each pixel is the mean of a square of pixels of the full image.

    Attributes
    ----------
    pixels : ndarray of float32, shape (rows, columns)
    extent : Box
        Where the full image begins and ends, in pixels of this image. These may differ from its own edges: the last
        pixel may cover part of a square only, and JPEG 2000 samples are not at the middle of their squares.
    """

    pixels: NDArray[np.float32]
    extent: Box

    def area_mean(self, height: int, width: int, box: Box | None = None) -> NDArray[np.float32]:
        """Resample so that each new pixel is the mean of the area it covers; parts of pixels count by their share.

        With only a few pixels for each new one, Pillow's BOX is too coarse: it uses only whole pixels.

        Parameters
        ----------
        height, width : int
            Size of the result in pixels.
        box : Box, optional
            Region of `pixels` to use; the extent by default. Pixels beyond the edge repeat those at the edge.

        Returns
        -------
        ndarray of float32, shape (height, width)
        """
        box = box or self.extent
        if (height, width, box) == (COARSE_PX, COARSE_PX, self.extent):
            return self.coarse
        return self._area_mean(height, width, box)

    def _area_mean(self, height: int, width: int, box: Box) -> NDArray[np.float32]:
        left, upper, right, lower = box
        rows = _mean_rows(self.pixels, upper, lower, height)
        columns = _transposed(rows)  # whole rows are gathered faster
        return _mean_rows(columns, left, right, width).T

    @cached_property
    def coarse(self) -> NDArray[np.float32]:
        """The image at 256 × 256, in which its borders are found; computed once."""
        return self._area_mean(COARSE_PX, COARSE_PX, self.extent)

    @cached_property
    def coarse_ranges(self) -> tuple[Ranges, Ranges]:
        """Ranges of the rows and of the columns of the coarse image; computed once."""
        return ranges(self.coarse)


def ranges(grid: NDArray[np.float32]) -> tuple[Ranges, Ranges]:
    """Find the lowest and highest value of each row, and of each column, of an image, shape (rows, columns)."""
    rows, columns = ((grid.min(axis=axis), grid.max(axis=axis)) for axis in (1, 0))
    return rows, columns


def _transposed(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy columns to rows: of rows that are not a power of two apart, more stay in the processor's cache."""
    height, width = pixels.shape
    apart = np.empty((height, width + _PADDING), np.float32)[:, :width]
    apart[:] = pixels
    return np.ascontiguousarray(apart.T)


def _mean_rows(pixels: NDArray[np.float32], begin: float, end: float, n: int) -> NDArray[np.float32]:
    """Compute the mean of the rows in each of `n` equal parts of the range from `begin` to `end`."""
    height = (end - begin) / n
    upper = begin + height * np.arange(n)
    lower = upper + height
    first = np.floor(upper)
    place = first + np.arange(int((np.ceil(lower) - first).max()))[:, None]
    share = np.maximum(np.minimum(lower, place + 1) - np.maximum(upper, place), 0) / height
    inside = np.clip(place, 0, len(pixels) - 1).astype(np.intp)
    return np.einsum("pn,pnw->nw", share.astype(np.float32), pixels[inside])

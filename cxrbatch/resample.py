"""Resample images that were decoded at a fraction of their size, by area means."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

COARSE_PX = 256
"""Side in pixels of the coarse image in which borders are found."""

_PADDING = 16

Box = tuple[float, float, float, float]
"""left, upper, right, lower in pixels, in the order of Pillow."""

Ranges = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Lowest and highest values, each of shape (rows or columns,)."""

_Share = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Edges of a new pixel, counted from where a pixel begins → share of that pixel before each edge."""


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
        """Resample so that each new pixel is the mean of the area it covers.

        Where an edge cuts a pixel, the part on each side is estimated from the pixel and its neighbours, see
        `_smooth_share`. With only a few pixels for each new one, Pillow's BOX is too coarse: it uses only whole ones.

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
        return self._resampled(height, width, box or self.extent, _smooth_share)

    def _resampled(self, height: int, width: int, box: Box, share: _Share) -> NDArray[np.float32]:
        left, upper, right, lower = box
        rows = _mean_rows(self.pixels, upper, lower, height, share)
        columns = _transposed(rows)  # whole rows are gathered faster
        return _mean_rows(columns, left, right, width, share).T

    @cached_property
    def coarse(self) -> NDArray[np.float32]:
        """The image at 256 × 256, in which its borders are found; computed once.

        Each part of a pixel has the value of the pixel: an estimate would overshoot into a black border, and so make
        it look like content.
        """
        return self._resampled(COARSE_PX, COARSE_PX, self.extent, _even_share)

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


def _mean_rows(
    pixels: NDArray[np.float32], begin: float, end: float, n: int, share_before: _Share
) -> NDArray[np.float32]:
    """Compute the mean of the rows in each of `n` equal parts of the range from `begin` to `end`."""
    place, share = _shares(begin, end, n, share_before)
    return np.einsum("pn,pnw->nw", share, pixels[np.clip(place, 0, len(pixels) - 1)])


@lru_cache(maxsize=64)  # of one scanner many images have the same size and border
def _shares(
    begin: float, end: float, n: int, share_before: _Share
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """List the rows of which each part consists, and their shares in its mean, each of shape (any, n)."""
    height = (end - begin) / n
    upper = begin + height * np.arange(n)
    lower = upper + height
    reach = _REACH[share_before]
    first = np.floor(upper) - reach
    place = first + np.arange(int((np.ceil(lower) + reach - first).max()))[:, None]
    share = (share_before(lower - place) - share_before(upper - place)) / height
    return place.astype(np.intp), share.astype(np.float32)


def _even_share(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of a pixel before an edge, as if the pixel had the same value everywhere."""
    return np.clip(edge, 0.0, 1.0)


def _smooth_share(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of a pixel in the sum of all that lies before an edge.

    That sum is interpolated by the cubic through the sums at the four nearest edges of pixels (Lagrange). So means of
    quadratic images are exact, and areas that cover the image have its mean.
    """
    before, cut, after = (np.minimum(np.maximum(edge - place, 0), 1) for place in (-1, 0, 1))
    share = before * (before**2 - 1) + cut * (cut + 1) * (5 - 2 * cut) + after * (after - 1) * (after - 2)
    return share / 6


_REACH: dict[_Share, int] = {_even_share: 0, _smooth_share: 1}
"""Pixels before the first and after the last pixel of an area that have a share in its mean."""

"""Fill a polygon in a grid of places."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fill_polygon(vertices: Floats, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
    """Find the places inside a polygon or on its border, by the even-odd rule.

    Parameters
    ----------
    vertices : ndarray of float64, shape (n, 2)
        Row and column of each; the last one is joined to the first.
    rows : ndarray of float64, shape (height,)
    columns : ndarray of float64, shape (width,)
        Rising.

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    # One way to count includes upper and left borders, the other lower and right ones; both may leave out a vertex.
    inside = _fill(vertices, rows, columns) | _fill(-vertices, -rows[::-1], -columns[::-1])[::-1, ::-1]
    for row, column in vertices:
        inside |= (rows == row)[:, None] & (columns == column)
    return inside


def _fill(vertices: Floats, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
    flips = np.zeros((rows.size, columns.size + 1), np.bool_)
    for which, crossing in _crossings(vertices, rows):
        flips[which, np.searchsorted(columns, crossing)] ^= True
    return np.logical_xor.accumulate(flips, axis=1)[:, :-1]


def _crossings(vertices: Floats, rows: Floats) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Yield for each edge the indices of the rows that it crosses, and the columns where."""
    for begin, end in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        low, high = sorted((begin[0], end[0]))
        which = np.flatnonzero((rows >= low) & (rows < high))
        if which.size:
            share = (rows[which] - begin[0]) / (end[0] - begin[0])
            yield which, begin[1] + share * (end[1] - begin[1])

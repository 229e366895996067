"""Measure the lungs that the segmentation network finds: images in, the shape of each lung mask out.

The ill breathe less deeply and lie in bed, so that the outline of the lungs alone tells some of them from the
healthy. An evaluation states how far that goes, see `cxrbatch.evaluation.shape_floor`.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import Dataset
from cxrbatch.evaluation import SiteScores
from cxrbatch.stats import Bools, Floats
from cxrbatch.training.lung_crop import CELL_PX
from cxrbatch.training.lungs import find_lungs

_EDGE_SHARE = 0.01  # of the lung beyond either end of its height and width: a stray cell does not count
_MARGIN = 1 / 16  # of the side of the image


def lung_shapes(masks: Bools) -> Floats:
    """Measure lung masks.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, rows, columns)
        True where lung is.

    Returns
    -------
    ndarray of float64, shape (n, 5)
        Area, height and width as shares of the image, without the outermost hundredth of the lung on each side; the
        share of the lung in the left half of that width, and in the upper half of that height. 0 where there is no
        lung.
    """
    height, upper = _along(masks.sum(axis=2))
    width, left = _along(masks.sum(axis=1))
    return np.stack([masks.mean(axis=(1, 2)), height, width, left, upper], axis=1)


def _along(lung: NDArray[np.int_]) -> tuple[Floats, Floats]:
    """Measure lung per cell of one axis, shape (n, cells): its length, 0–1, and its share in the first half of it."""
    cells = lung.shape[1]
    share = lung / np.maximum(lung.sum(axis=1, keepdims=True), 1)
    low, high = (_position(share, edge) for edge in (_EDGE_SHARE, 1 - _EDGE_SHARE))
    is_first = np.clip((low + high)[:, None] / 2 - np.arange(cells), 0, 1)
    return (high - low) / cells, (share * is_first).sum(axis=1)


def _position(share: Floats, edge: float) -> Floats:
    """Find the place in cells, shape (n,), before which a share `edge` of the lung lies."""
    before = share.cumsum(axis=1) - share
    is_before = np.divide(edge - before, share, out=(before < edge).astype(np.float64), where=share > 0)
    return np.clip(is_before, 0, 1).sum(axis=1)


def add_lung_shapes(
    sites: Sequence[SiteScores], dataset: Dataset, segmenter: keras.Model | None
) -> list[SiteScores]:
    """Add the shape of each lung mask to the scores of sites; without a segmentation network nothing is added.

    Parameters
    ----------
    dataset : Dataset
        Holds every image of the sites; each is segmented once.
    segmenter : keras.Model or None
        See `cxrbatch.training.lungs.LungCrop`.
    """
    if segmenter is None:
        return list(sites)
    shapes = lung_shapes(find_lungs(segmenter, dataset.images))
    index = {case.path: i for i, case in enumerate(dataset.cases)}
    return [
        dataclasses.replace(site, lung_shape=shapes[[index[case.path] for case in site.cases]])
        for site in sites
    ]


def wide_masks(segmenter: keras.Model, images: NDArray[np.uint8]) -> Bools:
    """Find the lungs, and what lies up to a sixteenth of the image beside them.

    The margin takes the edge of the lung and the sinuses with it, and makes the outline coarse.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of bool, shape (n, height, width)
    """
    cells = _widened(_widened(find_lungs(segmenter, images), 1), 2)
    return cells.repeat(CELL_PX, axis=1).repeat(CELL_PX, axis=2)


def _widened(cells: Bools, axis: int) -> Bools:
    n = round(_MARGIN * cells.shape[axis])
    padding = [(n, n) if each == axis else (0, 0) for each in range(cells.ndim)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(cells, padding), 2 * n + 1, axis)
    return np.asarray(windows.any(axis=-1))

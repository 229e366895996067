"""Crop images so that the lungs have one place and size: a segmentation network in, a network that crops out.

Children and adults, deep and shallow breaths, wide and narrow collimation: after the crop the same pixel lies in the
same part of the lung. The crop is part of the exported network, from standard operations of Keras: resampling is two
matrix products.
"""

import keras
import numpy as np
from keras import layers, ops

CELL_PX = 4
"""Side of a cell of the lung mask, in pixels of the radiograph."""
_SHARPNESS = 4.0
_FLOOR = 2e-4  # share of lung added to every cell: where no lung is found, the crop is almost the whole image
_EDGE_SHARE = 0.01
_FAR_PX = 1e6


def lung_crop(segmenter: keras.Model, margin: float, size_px: int) -> keras.Model:
    """Build a network that crops an image to the box around both lungs, enlarged to the whole frame.

    Parameters
    ----------
    segmenter : keras.Model
        From `fit_segmenter`.
    margin : float
        Added on each side, as a share of the box.
    size_px : int
        Side of the result.

    Returns
    -------
    keras.Model
        Values 0–255, shape (batch, height, width, 1) → ``box``, (batch, size_px, size_px, 2): grey value and lung
        probability, both 0–255; ``rows`` and ``columns``, (batch, 2): start and length of the box in pixels.
    """
    radiograph = segmenter.input
    # Half precision, where the network runs in it, would move the box by more than a cell.
    logits = ops.cast(segmenter.output, "float32")
    area = ops.sigmoid(_SHARPNESS * logits) + _FLOOR
    rows = _extent(ops.sum(area, axis=(2, 3)), margin)
    columns = _extent(ops.sum(area, axis=(1, 3)), margin)
    _, height, width, _ = radiograph.shape
    cells_down, cells_across = segmenter.output.shape[1:3]
    grey = _resample(radiograph, _weights(rows, size_px, height), _weights(columns, size_px, width))
    lung = _resample(
        255 * ops.sigmoid(logits),
        _weights(rows / CELL_PX, size_px, cells_down),
        _weights(columns / CELL_PX, size_px, cells_across),
    )
    box = layers.Concatenate(name="lung_box")([grey, lung])
    return keras.Model(radiograph, {"box": box, "rows": rows, "columns": columns}, name="lung_crop")


def _extent(area: keras.KerasTensor, margin: float) -> keras.KerasTensor:
    """Compute start and length of the stretch that contains the lungs along one axis, in pixels; shape (batch, 2).

    Parameters
    ----------
    area : tensor, shape (batch, cells)
        Lung per cell.
    """
    share = area / ops.sum(area, axis=1, keepdims=True)
    low, beyond = _cells_to_edge(share), _cells_to_edge(ops.flip(share, axis=1))
    low, high = CELL_PX * low, CELL_PX * (share.shape[1] - beyond)
    margins = margin * (high - low)
    return ops.stack([low - margins, high - low + 2 * margins], axis=1)


def _cells_to_edge(share: keras.KerasTensor) -> keras.KerasTensor:
    """Count the cells before the lungs begin: up to `_EDGE_SHARE` of their area; shape (batch,).

    Each end is counted from its own side. From the other side the sum is near 1 there, its rounding is divided by the
    small share of a cell, and the runtimes differ.
    """
    before = ops.cumsum(share, axis=1) - share
    return ops.sum(ops.clip((_EDGE_SHARE - before) / share, 0.0, 1.0), axis=1)


def _weights(stretch: keras.KerasTensor, n_out: int, n_in: int) -> keras.KerasTensor:
    """Compute the matrix that resamples a stretch of an axis: linear, widened to an average where it shrinks.

    Parameters
    ----------
    stretch : tensor, shape (batch, 2)
        Start and length, in input pixels. Beyond the image its edge is repeated.

    Returns
    -------
    tensor, shape (batch, n_out, n_in)
        Rows sum to 1.
    """
    start, length = ops.split(ops.expand_dims(stretch, -1), 2, axis=1)  # (batch, 1, 1)
    step = length / n_out
    centres = start + step * (np.arange(n_out, dtype=np.float32) + 0.5)[None, :, None] - 0.5
    distance = ops.abs(ops.clip(centres, 0.0, n_in - 1.0) - np.arange(n_in, dtype=np.float32)[None, None])
    weights = ops.relu(1.0 - distance / ops.maximum(step, 1.0))
    return weights / ops.sum(weights, axis=2, keepdims=True)


def _resample(
    image: keras.KerasTensor, rows: keras.KerasTensor, columns: keras.KerasTensor
) -> keras.KerasTensor:
    """Resample both axes: two matrix products, which every runtime has; (batch, h, w, 1) → (batch, h', w', 1)."""
    resampled = ops.matmul(ops.matmul(rows, ops.squeeze(image, -1)), ops.transpose(columns, (0, 2, 1)))
    return ops.expand_dims(resampled, -1)


def onto_image(
    places: keras.KerasTensor, rows: keras.KerasTensor, columns: keras.KerasTensor, cells: int, size_px: int
) -> keras.KerasTensor:
    """Move values from places of the lung box to cells of the image; the sum over all stays the same.

    Parameters
    ----------
    places : tensor, shape (batch, n, n, channels)
        Of the box.
    rows, columns : tensor, shape (batch, 2)
        Start and length of the box, in pixels of the image.
    cells : int
        Cells of the image along each side.
    size_px : int
        Side of the image.

    Returns
    -------
    tensor, shape (batch, cells, cells, channels)
        A place is divided by the share of it that lies in each cell; what lies beyond the image counts for its edge.
    """
    down = _overlap(rows, places.shape[1], cells, size_px)
    across = _overlap(columns, places.shape[2], cells, size_px)
    moved = ops.einsum("bij,bikc->bjkc", down, places)
    return ops.einsum("bkl,bjkc->bjlc", across, moved)


def _overlap(stretch: keras.KerasTensor, n: int, cells: int, size_px: int) -> keras.KerasTensor:
    """Compute the share of each of `n` parts of a stretch that lies in each cell; shape (batch, n, cells)."""
    start, length = ops.split(ops.expand_dims(stretch, -1), 2, axis=1)
    step = length / n
    low = start + step * np.arange(n, dtype=np.float32)[None, :, None]
    edges = np.linspace(0, size_px, cells + 1, dtype=np.float32)
    lower, upper = edges[:-1].copy(), edges[1:].copy()
    lower[0], upper[-1] = -_FAR_PX, _FAR_PX
    shared = ops.minimum(low + step, upper[None, None]) - ops.maximum(low, lower[None, None])
    return ops.relu(shared) / step

"""Colour a map: contributions of cells in, a translucent PNG out."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_VIRIDIS = np.array(
    [
        [68, 1, 84],
        [71, 44, 122],
        [59, 81, 139],
        [44, 113, 142],
        [33, 144, 141],
        [39, 173, 129],
        [92, 200, 99],
        [170, 220, 50],
        [253, 231, 37],
    ],
    np.float64,
)
"""Viridis at nine equal steps: perceptually uniform, and safe for colour-blind readers (van der Walt, Smith 2015)."""
_MOST_OPAQUE = 0.65


def to_png(strength: NDArray[np.floating]) -> bytes:
    """Draw a map of strengths in colours; a cell without strength is clear.

    Parameters
    ----------
    strength : ndarray of float, shape (rows, columns)
        0 to 1.

    Returns
    -------
    bytes
        PNG, RGBA, one pixel for each cell.
    """
    place = np.clip(strength, 0, 1) * (len(_VIRIDIS) - 1)
    steps = np.arange(len(_VIRIDIS))
    colour = np.stack([np.interp(place, steps, _VIRIDIS[:, channel]) for channel in range(3)], axis=-1)
    alpha = 255 * _MOST_OPAQUE * np.sqrt(np.clip(strength, 0, 1))
    pixels = np.rint(np.concatenate([colour, alpha[..., None]], axis=-1)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(stream, "PNG", optimize=True)
    return stream.getvalue()

"""Count grey levels, and judge whether a window leaves enough of a chest to see."""

import numpy as np
from numpy.typing import NDArray

from cxrbatch.read.greyscale import Values

_N_LEVELS = 256
_FEW_LEVELS = 8.0
_SHARE_LEFT = 1 / 4
_SAMPLE_PX = 256
_LEAST_PIXELS = 1024


def hides_chest(values: Values, mapped: Values, valid: NDArray[np.bool_] | None) -> bool:
    """Check whether a transform leaves few grey levels in the middle half of an image, where the chest is.

    A window that makes nearly all pixels black or white leaves two (see `n_levels`), whatever the few between them.

    Parameters
    ----------
    values, mapped : ndarray of float32, shape (rows, columns)
        Before and after the transform. Of fewer than 1024 pixels in the middle, nothing can be said.
    valid : ndarray of bool, same shape, or None
        False where a pixel is padding or outside the shutter.
    """
    after = _middle(mapped, valid)
    if after.size < _LEAST_PIXELS:
        return False
    left = n_levels(after)
    return left < _FEW_LEVELS and left < _SHARE_LEFT * n_levels(_middle(values, valid))


def _middle(values: Values, valid: NDArray[np.bool_] | None) -> Values:
    rows, columns = (slice(side // 4, side - side // 4, max(side // _SAMPLE_PX, 1)) for side in values.shape)
    middle = values[rows, columns]
    return middle.ravel() if valid is None else middle[valid[rows, columns]]


def n_levels(values: Values) -> float:
    """Compute how many of 256 levels between the extremes are used, as if all of them were used evenly.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)

    Returns
    -------
    float
        1…256: the exponential of the entropy.
    """
    lowest, span = values.min(), np.ptp(values)
    if not span > 0:
        return 1.0
    levels = values - lowest
    levels /= span
    levels *= np.float32(_N_LEVELS - 1)
    shares = np.bincount(levels.astype(np.intp)) / levels.size
    used = shares[shares > 0]
    return float(np.exp(-(used * np.log(used)).sum()))

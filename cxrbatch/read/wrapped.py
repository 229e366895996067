"""Find grey values that have wrapped around: pixels in, a refusal out.

Values that do not fit into their bits, or are read with the wrong sign, begin anew at black where they pass white.
The picture then has contour bands: adjacent pixels at opposite ends of the range, along lines on which nothing else
happens. On a circle of grey values, in which white is next to black, such lines are no steps at all. So steps over
the whole range are compared with what the image varies on the circle: of a radiograph they are next to nothing, of
wrapped values about as many as there are pixels at any other grey.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxrbatch.read.grey_levels import n_levels
from cxrbatch.read.greyscale import Values
from cxrbatch.reasons import Reason, Refusal

_SAMPLE_PIXELS = 1 << 17
_SAMPLE_MEANS = 1 << 15
_LEAST_PIXELS = 1 << 14
_WHOLE_RANGE = 7 / 8
_MOST_STEPS = 0.15
_NOISE = 0.2
_MOST_OF_WRITING = 6.0
_HALF_RANGE = 1 / 2
_SUSPECT_SHARE = 0.003


def require_unwrapped(pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> None:
    """Refuse an image whose grey values have wrapped around.

    Parameters
    ----------
    pixels : ndarray of any number type, shape (rows, columns)
        All pixels of the image, not means of them. Of fewer than 2**14, nothing can be said.
    valid : ndarray of bool, same shape, or None
        False where a pixel is padding or outside the shutter.

    Raises
    ------
    Refusal
        ``corrupt``.
    """
    sample = _sample(pixels, valid, _SAMPLE_PIXELS)
    if not sample.has_larger(_WHOLE_RANGE):  # as of nearly all images
        return
    steps = sample.steps
    circular = np.minimum(steps, 1 - steps)
    most = _MOST_STEPS * float(circular.sum())
    whole = steps > _WHOLE_RANGE
    if int(whole.sum()) <= most or float(circular.mean()) > _NOISE:
        return
    # Borders and writing are black or white, and where values wrap around they pass all greys.
    if int((whole & ~sample.from_an_end).sum()) > most and n_levels(sample.values.ravel()) > _MOST_OF_WRITING:
        raise Refusal(Reason.CORRUPT, "the grey values wrap around: wrong BitsStored or PixelRepresentation")


def may_be_wrapped(means: NDArray[np.float32]) -> bool:
    """Check whether an image of means may show contour bands, so that all pixels have to be looked at.

    Parameters
    ----------
    means : ndarray of float32, shape (rows, columns)
        Means over squares of pixels, in which lines are blurred.
    """
    sample = _sample(means, None, _SAMPLE_MEANS)
    if not sample.has_larger(_HALF_RANGE):
        return False
    steps = sample.steps
    return int((steps > _HALF_RANGE).sum()) > _SUSPECT_SHARE * steps.size


class _Sample(NamedTuple):
    """Some rows of an image; `differences` are those of pixels from their right neighbours."""

    values: Values
    differences: Values
    lowest: float
    highest: float

    @property
    def steps(self) -> Values:
        """Differences as shares of the range."""
        return self.differences / np.float32(self.highest - self.lowest)

    def has_larger(self, share: float) -> bool:
        """Check whether one of the steps is larger."""
        largest = self.differences.max(initial=0)
        return bool(largest > 0 and largest / np.float32(self.highest - self.lowest) > share)

    @property
    def from_an_end(self) -> NDArray[np.bool_]:
        """Whether one of the two pixels of a step has the lowest or highest value of all."""
        at_end = (self.values == self.lowest) | (self.values == self.highest)
        return np.asarray(at_end[:, 1:] | at_end[:, :-1])


def _sample(pixels: NDArray[Any], valid: NDArray[np.bool_] | None, n_pixels: int) -> _Sample:
    step = max(pixels.size // n_pixels, 1)
    values = pixels[::step].astype(np.float32, copy=False)
    differences = values[:, 1:] - values[:, :-1]
    np.abs(differences, out=differences)
    known = values
    if valid is not None:
        is_known = valid[::step]
        differences[~(is_known[:, 1:] & is_known[:, :-1])] = 0
        known = values[is_known]
    lowest, highest = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if pixels.size < _LEAST_PIXELS or not highest > lowest:
        differences[:] = 0
    return _Sample(values, differences, lowest, highest)

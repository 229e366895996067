"""Find pixels whose two bytes are exchanged: values in, yes or no out.

Some devices write the pixels, or the segments of RLE, in another byte order than the transfer syntax states. What is
the high byte then is noise, and the low one is the radiograph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE_PIXELS = 1 << 13
_LEAST_PIXELS = 1 << 12
"""Of fewer, any difference may look like noise."""
_LEAST_NOISE = 0.04
_LEAST_RATIO = 5.0


def is_exchanged(values: NDArray[Any], as_read: NDArray[Any] | None = None) -> bool:
    """Check whether values of two bytes are noise as they are, and smooth with their bytes exchanged.

    Parameters
    ----------
    values : ndarray of uint16 or int16, shape (rows, columns)
        In the byte order of the machine.
    as_read : ndarray of integers, same shape, optional
        What is made of them, if it is another thing.

    Returns
    -------
    bool
        False for values of other sizes, for colours, and for too few pixels to tell.
    """
    if values.dtype.itemsize != 2 or values.ndim != 2 or values.size < _LEAST_PIXELS:
        return False
    step = max(values.size // _SAMPLE_PIXELS, 1)
    noise = variation((values if as_read is None else as_read)[::step])
    return is_noise(noise, variation(values[::step].byteswap()))


def is_noise(high: float, low: float) -> bool:
    """Check whether a high byte varies as noise does, and a low one as a radiograph; see `variation`."""
    return high > max(_LEAST_NOISE, _LEAST_RATIO * low)


def variation(values: NDArray[Any]) -> float:
    """Compute by how much pixels differ from their right neighbours, as a share of the range.

    Parameters
    ----------
    values : ndarray of integers, shape (rows, columns)

    Returns
    -------
    float
        0…1; of radiographs about 0.01, of noise about 1/3.
    """
    wide = values.astype(np.int64)
    span = int(np.ptp(wide)) if wide.size else 0
    return float(np.abs(np.diff(wide, axis=1)).sum()) / (wide.size * span) if span else 0.0

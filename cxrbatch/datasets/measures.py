"""Measure what ought to tell nothing of disease: file and model input in, a few numbers out.

Where such a number tells the labels apart, the classes were collected differently.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialMeasures:
    """Trivial measures of an image.

    Attributes
    ----------
    file_bytes : int
    mean, spread : float
        Mean and standard deviation of the model input, 0–255.
    noise : float
        Fine noise of the model input, 0–255, see `fine_noise`.
    """

    file_bytes: int
    mean: float
    spread: float
    noise: float


def measure(pixels: NDArray[np.uint8], file_bytes: int) -> TrivialMeasures:
    """Measure a model input, shape (height, width), and the size of its file."""
    return TrivialMeasures(
        file_bytes=file_bytes,
        mean=float(pixels.mean()),
        spread=float(pixels.std()),
        noise=fine_noise(pixels),
    )


def fine_noise(pixels: NDArray[np.uint8]) -> float:
    """Estimate the standard deviation of the noise (Immerkær 1996, Comput. Vis. Image Underst. 64, 300–302).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)

    Returns
    -------
    float
        Mean absolute response, scaled for Gaussian noise, to a difference of two Laplacians.
    """
    second = np.diff(pixels.astype(np.float32), 2, axis=0)
    response = np.diff(second, 2, axis=1)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())

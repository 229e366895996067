"""Drawing the pixels of a radiograph of any size and depth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL, LARGE = (64, 48), (1208, 1160)
"""Shapes; the large one is decoded in part."""
LEAST_PX = 36


def drawn(bits: int, size: tuple[int, int]) -> NDArray[Any]:
    """Smooth shapes with noise, over all values of so many bits."""
    across, down = np.meshgrid(np.linspace(0, 1, size[1]), np.linspace(0, 1, size[0]))
    noise = np.random.default_rng(0).normal(0, 0.03, size)
    picture = np.sin(9 * across + 1) * np.cos(7 * down) + across * down + noise
    values = np.rint((picture - picture.min()) / np.ptp(picture) * (2**bits - 1))
    return values.astype("u1" if bits <= 8 else "<u2")

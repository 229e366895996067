"""Grey values that vary as those of a radiograph: slowly, with noise, and over the whole range."""

import numpy as np
from numpy.typing import NDArray

from cxrbatch.records import CxrImage


def phantom(rows: int = 203, columns: int = 150, bits: int = 12) -> NDArray[np.int64]:
    """0…2**bits - 1, both included; the noise is about a hundredth of the range."""
    across, down = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    picture = np.sin(6 * across + 1) * np.cos(5 * down) + across * down
    picture += np.random.default_rng(rows * columns).normal(0, 0.02, picture.shape)
    return np.rint((picture - picture.min()) / np.ptp(picture) * (2**bits - 1)).astype(np.int64)


def scaled(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """0…1."""
    wide = values.astype(np.float64)
    return np.asarray((wide - wide.min()) / np.ptp(wide))


def block_means(values: NDArray[np.generic], block: int) -> NDArray[np.float64]:
    """Means over squares, without what is left at the lower and right edge."""
    rows, columns = (side // block for side in values.shape)
    squares = values[: rows * block, : columns * block].astype(np.float64)
    return np.asarray(squares.reshape(rows, block, columns, block).mean(axis=(1, 3)))


def expected_of(values: NDArray[np.generic], image: CxrImage) -> NDArray[np.float64]:
    """Presentation values without any transform, in full or as means, as the image has it."""
    if image.extent is None:
        return scaled(values)
    return scaled(block_means(values, round(values.shape[1] / image.extent[2])))

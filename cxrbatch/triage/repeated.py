"""Find what occurs more than once among many values, without holding them: values in, marks out."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray


def hashes_of(values: Iterable[Hashable]) -> NDArray[np.int64]:
    """Compute the hash of each value, for this process alone."""
    return np.fromiter(map(hash, values), dtype=np.int64)


def is_repeated(hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the hashes that occur more than once: their values may, all others do not."""
    _, number, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    repeated: NDArray[np.bool_] = counts[number] > 1
    return repeated

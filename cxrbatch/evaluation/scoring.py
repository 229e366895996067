"""A Keras model on arrays, in parts that fit into memory."""

import keras
import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 256


def score(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Outputs of a network for preprocessed images (n, height, width), shape (n, …)."""
    return np.concatenate([model(part, training=False).numpy() for part in in_parts(images)])


def in_parts(images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Images (n, height, width) as networks take them, values 0–255, (≤ 256, height, width, 1) at a time."""
    parts = np.array_split(images[..., None], -(-len(images) // _AT_ONCE))
    return [part.astype(np.float32) for part in parts]

"""A Keras model on arrays, in parts that fit into memory."""

import keras
import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 256


def score(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Outputs of a network for preprocessed images (n, height, width), shape (n, outputs)."""
    parts = np.array_split(images[..., None], -(-len(images) // _AT_ONCE))
    return np.concatenate([model(part, training=False).numpy() for part in parts])

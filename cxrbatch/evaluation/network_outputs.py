"""What a network makes of an image before it decides: the input of its last layer or layers."""

from math import prod
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.records import FINDINGS


def compute_features(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Inputs of every layer that is the first to have no more values than there are findings, side by side.

    Parameters
    ----------
    model : keras.Model
        As loaded from a bundle.
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of float32, shape (n, features), or None
        None where the network does not show them (a model within a model).
    """
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        return None
    decisive = [layer for layer in model.layers if _size(layer.output) <= len(FINDINGS) < _size(layer.input)]
    if not decisive:
        return None
    flat = [
        keras.layers.Flatten(name=f"features_{index}")(layer.input) for index, layer in enumerate(decisive)
    ]
    together = keras.layers.Concatenate(name="features")(flat) if len(flat) > 1 else flat[0]
    return compute_outputs(keras.Model(model.input, together), images)


def _size(tensor: Any) -> int:
    """Values per image; those of many tensors count as none."""
    return prod(tensor.shape[1:]) if hasattr(tensor, "shape") else 0


_AT_ONCE = 256


def compute_outputs(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Outputs of a network for preprocessed images (n, height, width), shape (n, …)."""
    return np.concatenate([model(part, training=False).numpy() for part in split_batches(images)])


def split_batches(images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Images (n, height, width) as networks take them, values 0–255, (≤ 256, height, width, 1) at a time."""
    parts = np.array_split(images[..., None], -(-len(images) // _AT_ONCE))
    return [part.astype(np.float32) for part in parts]

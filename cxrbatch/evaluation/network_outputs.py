"""Compute outputs and features of a network: model and images in, arrays out.

Features are the input of its last layer or layers.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.records import FINDINGS


def compute_features(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Compute the features of images.

    These are the inputs of every layer that is the first to have no more values than findings, side by side.

    Parameters
    ----------
    model : keras.Model
        As loaded from a bundle.
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of float32, shape (n, features), or None
        None where the network does not expose them (a model within a model, or no such layer).
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
    """Count the values per image; a list of tensors counts as 0."""
    return prod(tensor.shape[1:]) if hasattr(tensor, "shape") else 0


_AT_ONCE = 64


def compute_outputs(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the outputs of a network.

    Parameters
    ----------
    model : keras.Model
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed.

    Returns
    -------
    ndarray of float32, shape (n, …)
    """
    return np.concatenate([model(part, training=False).numpy() for part in split_batches(images)])


def split_batches(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Split images into batches as networks take them.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width) or (n, height, width, channels)

    Yields
    ------
    ndarray of float32, shape (≤ 64, height, width, channels)
        Values 0–255.
    """
    images = images if images.ndim == 4 else images[..., None]
    for part in np.array_split(images, -(-len(images) // _AT_ONCE)):
        yield part.astype(np.float32)

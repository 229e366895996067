"""Compute outputs and features of a network: model and images in, arrays out.

Features are the input of its last layer or layers.
"""

from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import features_only

_AT_ONCE = 64


def compute_features(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Compute the features of images.

    Parameters
    ----------
    model : keras.Model
        As loaded from a bundle.
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of float32, shape (n, features), or None
        None where the network does not expose them, see `cxrbatch.bundle.features_only`.
    """
    network = features_only(model)
    return None if network is None else compute_outputs(network, images)


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
    return np.concatenate([model.predict_on_batch(part) for part in split_batches(images)])


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

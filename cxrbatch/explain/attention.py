"""Grad-CAM of a network without evidence: which places of its last convolution the COVID-19 score hangs on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_CELLS = 4
_SMALL = 1e-7


def last_map(network: Any) -> Any:
    """Find the last layer whose output has places, at least 4 × 4 of them; None if there is none."""
    for layer in reversed(network.layers):
        shape = getattr(getattr(layer, "output", None), "shape", ())
        if len(shape) == 4 and None not in shape[1:3] and min(shape[1:3]) >= _LEAST_CELLS:
            is_input = type(layer).__name__ == "InputLayer"
            return None if is_input else layer
    return None


def attention(batch: NDArray[np.float32], network: Any, layer: Any) -> NDArray[np.float32] | None:
    """Compute Grad-CAM of the COVID-19 score.

    Parameters
    ----------
    batch : ndarray of float32, shape (n, height, width, 1)
        0 to 255.
    layer : keras.Layer
        From `last_map`.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns), or None
        None where no gradient passes.
    """
    import keras  # noqa: PLC0415 - takes seconds
    import tensorflow as tf  # noqa: PLC0415

    from cxrbatch.bundle import scores_only  # noqa: PLC0415 - imports Keras

    both = keras.Model(network.input, [layer.output, scores_only(network).output])
    seen = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(seen)  # else nothing is recorded of a network whose weights are frozen
        features, found = both(seen, training=False)
        covid = tf.math.log(found[:, 0] + _SMALL)
    slopes = tape.gradient(covid, features)
    if slopes is None:
        return None
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    return np.asarray(tf.reduce_sum(features * weights, axis=-1), np.float32)

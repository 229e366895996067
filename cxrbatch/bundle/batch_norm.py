"""Normalise batches by the operation of Keras 2: network that Keras 2 saved in, network that scores as there out.

Keras 2 and 3 compute the same formula. Keras 2 does so in one operation of TensorFlow, which becomes one with the
convolution before it; Keras 3 in several, which are rounded otherwise. Deep networks amplify the difference: scores
of MobileNetV2 were off by up to 1.6e-5, logits by more.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

OF_KERAS_2 = "of_keras_2"
"""Name of a model that Keras 2 saved, within the network of a bundle."""
_IMAGES = 4
"""Dimensions of images: batch, height, width, channels."""


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """The layer of Keras 3 in use, by the operation of Keras 2 where Keras 2 used it; in float32 as Keras does."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise each channel of images, shape (batch, height, width, channels)."""
        channels_last = len(inputs.shape) == _IMAGES and self.axis in (-1, _IMAGES - 1)
        if training or self.renorm or not channels_last:
            return super().call(inputs, training=training, mask=mask)
        mean, variance = (tf.convert_to_tensor(one) for one in (self.moving_mean, self.moving_variance))
        fused = tf.raw_ops.FusedBatchNormV3(
            x=keras.ops.cast(inputs, mean.dtype),
            scale=self.gamma if self.scale else tf.ones(mean.shape),
            offset=self.beta if self.center else tf.zeros(mean.shape),
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=False,
        )
        return keras.ops.cast(fused.y, self.compute_dtype)


def normalise_as_saved(network: keras.Model) -> keras.Model:
    """Give the models that Keras 2 saved its operation, in place: a copy would need the weights twice."""
    for model in _models(network):
        if model.name == OF_KERAS_2:
            for layer in (layer for inner in _models(model) for layer in inner.layers):
                if type(layer) is keras.layers.BatchNormalization:
                    layer.__class__ = FusedBatchNormalization
    return network


def _models(model: keras.Model) -> Iterator[keras.Model]:
    """Yield a model and the models within it."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models(layer)

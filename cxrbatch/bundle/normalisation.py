"""Normalise by the operation of Keras 2: network that Keras 2 saved in, network that scores as there out.

Keras 2 and 3 compute the same formulas. Keras 2 does so in one operation of TensorFlow, which becomes one with a
convolution before it; Keras 3 in several, which are rounded otherwise. Deep networks amplify the difference: scores
of MobileNetV2 were off by up to 3.4e-5. The conditions are those under which Keras 2 uses the operation.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

OF_KERAS_2 = "of_keras_2"
"""Name of a model that Keras 2 saved, within the network of a bundle."""
_IMAGES = 4
"""Dimensions of images: batch, height, width, channels."""
_LEAST_EPSILON = 1.001e-5
"""Of layer normalisation by the operation."""


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


class FusedLayerNormalization(keras.layers.LayerNormalization):  # type: ignore[misc]
    """The layer of Keras 3, by the operation of Keras 2 where Keras 2 used it; in float32 as Keras does."""

    def call(self, inputs: Any) -> Any:
        """Normalise over the last dimensions: to the operation, the values before them are channels of one image."""
        n_dimensions, n_last = len(inputs.shape), len(self.axis)
        is_last = [axis % n_dimensions for axis in self.axis] == [*range(n_dimensions)][-n_last:]
        if self.rms_scaling or self.epsilon < _LEAST_EPSILON or not is_last:
            return super().call(inputs)
        values = keras.ops.cast(inputs, "float32")
        shape = tf.shape(values)
        n_channels = tf.reduce_prod(shape[:-n_last])
        fused = tf.raw_ops.FusedBatchNormV3(
            x=tf.reshape(values, (1, n_channels, -1, 1)),
            scale=tf.ones((n_channels,)),
            offset=tf.zeros((n_channels,)),
            mean=(),
            variance=(),
            epsilon=self.epsilon,
            data_format="NCHW",
            is_training=True,  # by the mean and variance of the values themselves
        )
        scaled = tf.reshape(fused.y, shape) * (self.gamma if self.scale else 1)
        return keras.ops.cast(scaled + (self.beta if self.center else 0), self.compute_dtype)


_FUSED = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.LayerNormalization: FusedLayerNormalization,
}


def normalise_as_saved(network: keras.Model) -> keras.Model:
    """Give the models that Keras 2 saved its operation, in place: a copy would need the weights twice."""
    for model in _models(network):
        if model.name == OF_KERAS_2:
            for layer in (layer for inner in _models(model) for layer in inner.layers):
                if fused := _FUSED.get(type(layer)):
                    layer.__class__ = fused
    return network


def _models(model: keras.Model) -> Iterator[keras.Model]:
    """Yield a model and the models within it."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models(layer)

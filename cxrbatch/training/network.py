"""Build the network: a small residual CNN with one logit per question. Image in, two logits out.

There are two questions: *abnormal* (against normal) and *COVID-19* (against pneumonia of another cause, given
abnormal). So each is trained only where both of its answers occur within one hospital.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.lung_network import build_lung_logits
from cxrbatch.training.recipe import NetworkSpec

QUESTIONS = ("abnormal", "covid_given_abnormal")
"""Order of the logits."""

CERTAIN = 40.0
"""A logit whose sigmoid is exactly 1 in float32."""


def build_logits(preprocess: PreprocessSpec, spec: NetworkSpec) -> keras.Model:
    """Build the untrained residual network.

    Returns
    -------
    keras.Model
        Values 0–255, shape (batch, height, width, 1) → logits (batch, 2), see `QUESTIONS`.
    """
    inputs = layers.Input((preprocess.height, preprocess.width, 1), name="radiograph")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.AveragePooling2D(spec.reduce)(x)
    if spec.equalise_bins:
        x = _equalise(x, spec.equalise_bins)
    x = layers.ReLU()(conv(x, spec.widths[0], size=5))
    for width in spec.widths[1:]:
        x = _residual(x, width, strides=2)
        for _ in range(spec.extra_blocks):
            x = _residual(x, width, strides=1)
    x = layers.GlobalAveragePooling2D()(x) if spec.head == "mean" else layers.Flatten()(x)
    x = layers.Dropout(spec.dropout)(x)
    # Starts at zero, so that a question for which no domain has a pair keeps a logit of exactly 0.
    logits = layers.Dense(len(QUESTIONS), kernel_initializer="zeros")(x)
    return keras.Model(inputs, logits, name="cxrbatch")


def _equalise(x: keras.KerasTensor, bins: int) -> keras.KerasTensor:
    """Equalise the histogram of each image by itself, with standard layers: any grey-value curve gives the same.

    The equalised value is the sum over grey-value bins of (share of pixels in the bin) × (how far the pixel's value
    lies into or beyond the bin, 0–1). The mean of the second factor over the pixels is
    about the share of pixels above the middle of the bin. The first factor follows from these shares.
    """
    into_bin = layers.Conv2D(bins, 1, trainable=False)
    share = layers.Dense(bins, trainable=False)
    total = layers.Conv2D(1, 1, use_bias=False, trainable=False)
    depth = layers.ReLU(max_value=1.0)(into_bin(x))
    shares = share(layers.GlobalAveragePooling2D(keepdims=True)(depth))
    equalised = total(layers.Multiply()([depth, shares]))
    into_bin.set_weights([np.full((1, 1, 1, bins), bins, np.float32), -np.arange(bins, dtype=np.float32)])
    share.set_weights(_shares_from_means(bins))
    total.set_weights([np.ones((1, 1, bins, 1), np.float32)])
    return equalised


def _shares_from_means(bins: int) -> list[NDArray[np.float32]]:
    """Make kernel and bias: shares of pixels above the middle of each bin → shares of pixels within each bin.

    The share above the lower edge of a bin is the mean of the shares above its middle and above the middle of the bin
    before it. It is one for the first bin and zero beyond the last.
    """
    kernel = (np.eye(bins, k=1) - np.eye(bins, k=-1)) / 2
    kernel[0, 0], kernel[-1, -1] = -0.5, 0.5
    return [kernel.astype(np.float32), np.eye(1, bins, dtype=np.float32)[0]]


def _residual(x: keras.KerasTensor, width: int, strides: int) -> keras.KerasTensor:
    """Apply a basic block of He et al. 2016 (arXiv:1512.03385)."""
    shortcut = x if strides == 1 else conv(layers.AveragePooling2D(strides)(x), width, size=1)
    x = layers.ReLU()(conv(x, width, strides=strides))
    return layers.ReLU()(layers.Add()([shortcut, conv(x, width)]))


def conv(x: keras.KerasTensor, width: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    """Apply a convolution and batch normalisation; the caller adds the activation."""
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.95)(x)


def build_classic(preprocess: PreprocessSpec, _spec: NetworkSpec) -> keras.Model:
    """Build the untrained classic network.

    Its two classes are COVID-19 and normal: the second logit is always `CERTAIN`, everything abnormal is COVID-19.

    Returns
    -------
    keras.Model
        Values 0–255, shape (batch, height, width, 1) → logits (batch, 2), see `QUESTIONS`.
    """
    radiograph = layers.Input((preprocess.height, preprocess.width, 1), name="radiograph")  # 1. initialise
    x = layers.Rescaling(1 / 255)(radiograph)
    x = layers.Conv2D(32, 3, activation="relu")(x)  # 2. convolution
    x = layers.MaxPooling2D(2)(x)  # 3. pooling
    x = layers.Conv2D(32, 3, activation="relu")(x)  # 4. both again
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)  # 5. flatten
    x = layers.Dense(128, activation="relu")(x)  # 6. dense; the last one's sigmoid is in loss and export
    x = layers.Dense(1, name="covid_against_normal")(x)
    return keras.Model(radiograph, _with_second_logit(x), name="classic")


def _with_second_logit(logit: keras.KerasTensor) -> keras.KerasTensor:
    """Turn the logit of COVID-19 against normal into one logit for each of `QUESTIONS`."""
    copy = layers.Dense(len(QUESTIONS), trainable=False)
    both = copy(logit)
    copy.set_weights([np.array([[1.0, 0.0]], np.float32), np.array([0.0, CERTAIN], np.float32)])
    return both


Builder = Callable[[PreprocessSpec, NetworkSpec], keras.Model]
"""Specs → network: what it gets, values 0–255, shape (batch, height, width, channels) → logits (batch, 2)."""

BUILDERS: Mapping[str, Builder] = {
    "lung": build_lung_logits,
    "residual": build_logits,
    "classic": build_classic,
}
"""Builders by ``network.architecture``, see `cxrbatch.training.recipe.ARCHITECTURES`."""


def build(preprocess: PreprocessSpec, spec: NetworkSpec) -> keras.Model:
    """Build the untrained network of a recipe; its first weights depend on the global seed of Keras."""
    return BUILDERS[spec.architecture](preprocess, spec)

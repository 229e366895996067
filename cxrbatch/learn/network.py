"""The network: a small residual CNN with one logit per question, and its export to scores.

Two questions, so that each is taught only where its answer is within one hospital: *abnormal* (against normal)
and *COVID-19* (against pneumonia of another cause, given abnormal).
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from cxrbatch.learn.calibration import Calibration
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.recipe import NetworkSpec

QUESTIONS = ("abnormal", "covid_given_abnormal")
"""Order of the logits."""

_CERTAIN = 40.0  # sigmoid(40) is exactly 1 in float32


def build_logits(preprocess: PreprocessSpec, spec: NetworkSpec) -> keras.Model:
    """Untrained network: values 0–255, shape (batch, height, width, 1) → logits (batch, 2), see `QUESTIONS`."""
    inputs = layers.Input((preprocess.height, preprocess.width, 1), name="radiograph")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.AveragePooling2D(spec.reduce)(x)
    if spec.equalise_bins:
        x = _equalise(x, spec.equalise_bins)
    x = layers.ReLU()(_conv(x, spec.widths[0], size=5))
    for width in spec.widths[1:]:
        x = _residual(x, width, strides=2)
        for _ in range(spec.extra_blocks):
            x = _residual(x, width, strides=1)
    x = layers.GlobalAveragePooling2D()(x) if spec.head == "mean" else layers.Flatten()(x)
    x = layers.Dropout(spec.dropout)(x)
    # From zero, so that a question which no domain teaches keeps a logit of exactly 0.
    logits = layers.Dense(len(QUESTIONS), kernel_initializer="zeros")(x)
    return keras.Model(inputs, logits, name="cxrbatch")


def _equalise(x: keras.KerasTensor, bins: int) -> keras.KerasTensor:
    """Histogram equalisation of each image by itself, from standard layers: any grey-value curve gives the same.

    The equalised value is the sum over grey-value bins of (share of pixels in the bin) × (how far the pixel's value
    lies into or beyond the bin, 0–1). The mean of the second factor over the pixels is
    about the share of pixels above the middle of the bin, from which the first one follows.
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
    """Kernel and bias that turn the shares of pixels above the middle of each bin into the shares within each bin.

    Above the lower edge of a bin lies the mean of what lies above its middle and above the middle of the one before:
    all pixels for the first bin, none beyond the last.
    """
    kernel = (np.eye(bins, k=1) - np.eye(bins, k=-1)) / 2
    kernel[0, 0], kernel[-1, -1] = -0.5, 0.5
    return [kernel.astype(np.float32), np.eye(1, bins, dtype=np.float32)[0]]


def _residual(x: keras.KerasTensor, width: int, strides: int) -> keras.KerasTensor:
    """Basic block of He et al. 2016 (arXiv:1512.03385)."""
    shortcut = x if strides == 1 else _conv(layers.AveragePooling2D(strides)(x), width, size=1)
    x = layers.ReLU()(_conv(x, width, strides=strides))
    return layers.ReLU()(layers.Add()([shortcut, _conv(x, width)]))


def _conv(x: keras.KerasTensor, width: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.95)(x)


def export_scores(networks: Sequence[keras.Model], calibration: Calibration) -> keras.Model:
    """Average the logits of networks and turn them into scores, with standard layers only.

    With p and q the logistic functions of the calibrated logits: covid = p·q, pneumonia = p·(1 − q), normal = 1 − p.

    Returns
    -------
    keras.Model
        Values 0–255 → scores (batch, 3) in the order of `cxrbatch.records.FINDINGS`.
    """
    radiograph = networks[0].input
    logits = [_on(radiograph, network) for network in networks]
    logit = layers.Average(name="mean_logits")(logits) if len(logits) > 1 else logits[0]
    a, b = calibration.abnormal, calibration.covid_given_abnormal
    is_abnormal = layers.Dense(3, "sigmoid", name="abnormal_abnormal_normal")
    is_covid = layers.Dense(3, "sigmoid", name="covid_other_any")
    scores = layers.Multiply(name="scores")([is_abnormal(logit), is_covid(logit)])
    is_abnormal.set_weights(
        _arrays([[a.slope, a.slope, -a.slope], [0, 0, 0]], [a.intercept, a.intercept, -a.intercept])
    )
    is_covid.set_weights(_arrays([[0, 0, 0], [b.slope, -b.slope, 0]], [b.intercept, -b.intercept, _CERTAIN]))
    return keras.Model(radiograph, scores, name="cxrbatch")


def _on(radiograph: keras.KerasTensor, network: keras.Model) -> keras.KerasTensor:
    """The output of a network, its very layers called on another input."""
    return keras.models.clone_model(
        network, input_tensors=radiograph, clone_function=lambda layer: layer
    ).output


def _arrays(kernel: list[list[float]], bias: list[float]) -> list[NDArray[np.float32]]:
    return [np.array(kernel, np.float32), np.array(bias, np.float32)]

"""Build the network that reads the lung: features of a pretrained backbone, averaged inside the lungs, two answers.

Input: the box around the lungs and the lung probability. Output: logits of the two questions. In the bundle a second
output states the *evidence*: what each place of the image adds to each logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.efficientnet import feature_maps
from cxrbatch.training.recipe import NetworkSpec

_STRIDE = 16
"""Pixels of the network's input for each place of the lung probability that the averages use."""
_FLOOR = 1e-3
"""Lung probability added everywhere: where no lung is found, the whole box counts."""
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class LungNetwork:
    """Tensors of the network.

    Attributes
    ----------
    maps : tuple of KerasTensor
        Feature maps of the backbone; `mirrored`: of all images, then of all mirror images.
    weights : KerasTensor, shape (batch, places, places, 1)
        Lung probability of each place; `mirrored`: as `maps`.
    logits : KerasTensor, shape (batch, 2)
    mirrored : bool
        Whether the features are means of those of an image and of its mirror image.
    """

    maps: tuple[keras.KerasTensor, ...]
    weights: keras.KerasTensor
    logits: keras.KerasTensor
    mirrored: bool = False


def build_lung_logits(_preprocess: PreprocessSpec, spec: NetworkSpec) -> keras.Model:
    """Build the network for training; its heads start at zero.

    Returns
    -------
    keras.Model
        Box around the lungs, (batch, size_px, size_px, 2): grey value and lung probability, both 0–255 → logits
        (batch, 2), see `cxrbatch.training.network.QUESTIONS`.
    """
    seen = layers.Input((spec.size_px, spec.size_px, 2), name="lung_box")
    return keras.Model(seen, lung_network(seen, spec).logits, name="lung_network")


def lung_network(
    seen: keras.KerasTensor, spec: NetworkSpec, prefix: str = "", *, mirrored: bool = False
) -> LungNetwork:
    """Create the layers of the network on a tensor; see `build_lung_logits`.

    Parameters
    ----------
    mirrored : bool
        Average the features of each image and of its mirror image; then both get the same logits.
    """
    if mirrored:
        seen = append_mirror_images(seen)
    grey, lung = ops.split(seen, 2, axis=-1)
    weights = layers.AveragePooling2D(_STRIDE, name=f"{prefix}lung_weights")(
        layers.Rescaling(1 / 255, offset=_FLOOR)(lung)
    )
    maps = feature_maps(grey, spec.taps, spec.first_trainable, prefix)
    averages = [
        layers.BatchNormalization(
            center=False, scale=False, epsilon=_EPSILON, trainable=False, name=f"{prefix}standardise{tap}"
        )(_lung_mean(features, weights, mirrored=mirrored))
        for tap, features in zip(spec.taps, maps, strict=True)
    ]
    features = layers.Concatenate(name=f"{prefix}lung_features")(averages)
    features = layers.Dropout(spec.dropout, name=f"{prefix}dropout")(features)
    logits = layers.Dense(2, kernel_initializer="zeros", name=f"{prefix}logits")(features)
    return LungNetwork(maps, weights, logits, mirrored)


def _lung_mean(
    features: keras.KerasTensor, weights: keras.KerasTensor, *, mirrored: bool
) -> keras.KerasTensor:
    """Average a feature map over its places, each with the lung probability as weight; then with its mirror image."""
    weights = _coarser(weights, features.shape[1])
    mean = ops.sum(features * weights, axis=(1, 2)) / ops.sum(weights, axis=(1, 2))
    return ops.mean(_pairs(mean), axis=0) if mirrored else mean


def _pairs(both: keras.KerasTensor) -> keras.KerasTensor:
    """Split a tensor of all images, then all mirror images: (2 × batch, …) → (2, batch, …)."""
    return ops.reshape(both, (2, -1, *both.shape[1:]))


def _coarser(weights: keras.KerasTensor, places: int) -> keras.KerasTensor:
    factor = weights.shape[1] // places
    return layers.AveragePooling2D(factor)(weights) if factor > 1 else weights


def heads(network: keras.Model, taps: Sequence[int]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Return the linear functions of the unstandardised lung averages that the logits are.

    Returns
    -------
    kernels : list of ndarray of float32, shape (channels, 2)
        One per tap.
    bias : ndarray of float32, shape (2,)
    """
    kernel, bias = network.get_layer("logits").get_weights()
    kernels, start = [], 0
    for tap in taps:
        mean, variance = network.get_layer(f"standardise{tap}").get_weights()
        part = kernel[start : start + len(mean)] / np.sqrt(variance + _EPSILON)[:, None]
        bias = bias - mean @ part
        kernels.append(part.astype(np.float32))
        start += len(mean)
    return kernels, bias.astype(np.float32)


def evidence(
    tensors: LungNetwork, kernels: Sequence[NDArray[np.float32]], bias: NDArray[np.float32], prefix: str
) -> keras.KerasTensor:
    """Compute what each place adds to the logits: the sum over the places is the logit.

    Averaging and the heads are linear, so the logit is a sum over places of the lung probability times a linear
    function of the features there (class activation maps: Zhou et al. 2016, arXiv:1512.04150).

    Parameters
    ----------
    kernels, bias
        From `heads`.
    prefix : str
        Of the names of the new layers.

    Returns
    -------
    KerasTensor, shape (batch, places, places, 2)
    """
    places = tensors.weights.shape[1]
    parts = []
    for index, (features, kernel) in enumerate(zip(tensors.maps, kernels, strict=True)):
        layer = layers.Conv2D(2, 1, use_bias=index == 0, trainable=False, name=f"{prefix}evidence{index}")
        part = layer(features)
        layer.set_weights([kernel[None, None], *([bias] if index == 0 else [])])
        factor = places // features.shape[1]
        parts.append(
            layers.UpSampling2D(factor, name=f"{prefix}evidence_up{index}")(part) if factor > 1 else part
        )
    weights = tensors.weights / ops.sum(tensors.weights, axis=(1, 2), keepdims=True)
    found = layers.Add(name=f"{prefix}evidence")(parts) * weights
    return mean_of_both(found) if tensors.mirrored else found


def append_mirror_images(images: keras.KerasTensor) -> keras.KerasTensor:
    """Add the mirror images after the images: (batch, height, width, channels) → (2 × batch, …)."""
    return ops.concatenate([images, ops.flip(images, axis=2)], axis=0)


def mean_of_both(found: keras.KerasTensor) -> keras.KerasTensor:
    """Average the values of the places of each image and, turned back, of its mirror image.

    Parameters
    ----------
    found : KerasTensor, shape (2 × batch, places, places, channels)
        Of what `append_mirror_images` returns.

    Returns
    -------
    KerasTensor, shape (batch, places, places, channels)
    """
    image, mirror_image = ops.unstack(_pairs(found), 2)
    return (image + ops.flip(mirror_image, axis=2)) / 2


def copy_weights(source: keras.Model, target: keras.Model, prefix: str) -> None:
    """Copy the weights of every layer of `source` to the layer of `target` whose name has a prefix before it."""
    for layer in source.layers:
        if layer.weights:
            target.get_layer(prefix + layer.name).set_weights(layer.get_weights())

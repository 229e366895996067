"""Import a Keras model that was made elsewhere as a bundle (``cxrbatch bundle import``): model file in, bundle out.

The bundle's network is the foreign network between layers of Keras. It is loaded and called like any other:
grey → channels → range of pixel values → *foreign network* → scores of the three findings.
"""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, Bundle, check_replaceable, write_bundle
from cxrbatch.bundle.foreign import load_foreign
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS

_SUM_TOLERANCE = 1e-3


class Pixels(StrEnum):
    """Range of the pixel values that the foreign network was trained on."""

    BYTE = "0-255"
    UNIT = "0-1"
    SIGNED = "-1-1"


class OutputActivation(StrEnum):
    """Function that turns the values of the last layer into scores."""

    AUTO = "auto"
    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


_SCALE = {Pixels.UNIT: (1 / 255, 0.0), Pixels.SIGNED: (1 / 127.5, -1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSpec:
    """Properties of a foreign model that its file does not state.

    Attributes
    ----------
    labels : tuple of str
        Findings in the order of the outputs, ``covid`` and at least one other. For a single output: class 0, then
        class 1; the output is the score of class 1.
    size : tuple of int or None
        Height and width in pixels; None: as the model states.
    resize : str
        How images were resized to that size, see `cxrbatch.preprocess.PreprocessSpec`.
    activation : OutputActivation
        Not applied again if the last layer already has it.
    """

    labels: tuple[str, ...]
    pixels: Pixels = Pixels.BYTE
    size: tuple[int, int] | None = None
    resize: str = "linear"
    activation: OutputActivation = OutputActivation.AUTO

    def __post_init__(self) -> None:
        known = ", ".join(FINDINGS)
        if unknown := sorted(set(self.labels) - set(FINDINGS)):
            raise UsageProblem(f"--labels: {', '.join(unknown)}: choose from {known}")
        if len(set(self.labels)) != len(self.labels):
            raise UsageProblem("--labels: a finding is named twice")
        if "covid" not in self.labels or len(self.labels) < 2:
            raise UsageProblem(
                f"--labels: name covid and what it is told from, of {known}, such as covid,normal"
            )


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``224x224``, height first.

    Raises
    ------
    UsageProblem
        The text is not two whole numbers.
    """
    match = re.fullmatch(r"(\d+)[x×](\d+)", text.strip())
    if not match:
        raise UsageProblem(f"--size {text}: give height and width in pixels, such as 224x224")
    return int(match[1]), int(match[2])


def import_bundle(path: Path, out: Path, spec: ImportSpec, name: str = "") -> Bundle:
    """Make a bundle of a foreign model.

    Images are resized to the network's input, and neither normalised nor trimmed: common pipelines read an image,
    resize it and predict. There are no operating points and no calibration, since nothing was measured. The pixel
    check is that of the shipped bundle.

    Parameters
    ----------
    path : Path
        Legacy HDF5 (``.h5``) or Keras archive (``.keras``).
    out : Path
        Folder of the bundle; an existing one is replaced.
    name : str
        By default the name of the file without suffix.

    Raises
    ------
    BundleError
        The model cannot be loaded, might run code, or does not fit the specification.
    """
    check_replaceable(out)
    with tempfile.TemporaryDirectory() as scratch:
        network = wrap(load_foreign(path, Path(scratch)), spec, str(path))
        _check_scores(network, str(path))
        saved = Path(scratch) / "model.keras"
        network.save(saved)
        return write_bundle(
            out,
            name=name or path.stem,
            model=saved,
            gate=DEFAULT_BUNDLE / "gate.npz",
            preprocess=_preprocess(network, spec.resize, str(path)),
            aggregation="mean",
            operating_points=None,
            training=_training(path, spec, network),
            evaluation={},
        )


def _preprocess(network: keras.Model, resize: str, where: str) -> PreprocessSpec:
    _, height, width, _ = network.input_shape
    try:
        return PreprocessSpec(height=height, width=width, trim_tolerance=0.0, normalise="none", resize=resize)
    except ValueError as error:
        raise BundleError(f"{where}: {error}") from error


def wrap(foreign: keras.Model, spec: ImportSpec, where: str) -> keras.Model:
    """Put a foreign network between layers that give it the inputs and outputs of a bundle's network.

    Returns
    -------
    keras.Model
        Values 0–255, shape (batch, height, width, 1) → scores (batch, 3) in the order of `FINDINGS`, summing to 1.

    Raises
    ------
    BundleError
        The network does not take exactly one image, or its number of outputs does not fit the labels.
    """
    height, width, channels = _input_shape(foreign, spec.size, where)
    n_outputs = _n_outputs(foreign, spec.labels, where)
    scored = _apply_activation(foreign, spec.activation, n_outputs, where)
    radiograph = layers.Input((height, width, 1), name="radiograph")
    x = layers.Concatenate()([radiograph] * channels) if channels > 1 else radiograph
    if spec.pixels in _SCALE:
        x = layers.Rescaling(*_SCALE[spec.pixels])(x)
    to_findings = layers.Dense(len(FINDINGS), trainable=False, name="scores")
    scores = to_findings(scored(x))
    to_findings.set_weights(_to_findings(spec.labels, n_outputs))
    return keras.Model(radiograph, scores, name="imported")


def _input_shape(foreign: keras.Model, size: tuple[int, int] | None, where: str) -> tuple[int, int, int]:
    if len(foreign.inputs) != 1 or len(foreign.inputs[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in foreign.inputs]
        raise BundleError(f"{where}: takes {shapes}, expected one picture (batch, height, width, channels)")
    _, *stated, channels = foreign.inputs[0].shape
    if channels not in (1, 3):
        raise BundleError(f"{where}: takes {channels} channels, expected 1 or 3 in the last dimension")
    height, width = (own or asked for own, asked in zip(stated, size or (None, None), strict=True))
    if height is None or width is None:
        raise BundleError(f"{where}: takes pictures of any size; say with --size on which it was taught")
    if size and size != (height, width):
        raise BundleError(f"{where}: takes {height}×{width} pixels, and --size says {size[0]}×{size[1]}")
    return height, width, channels


def _n_outputs(foreign: keras.Model, labels: tuple[str, ...], where: str) -> int:
    if len(foreign.outputs) != 1 or len(foreign.outputs[0].shape) != 2:
        shapes = [tuple(tensor.shape) for tensor in foreign.outputs]
        raise BundleError(f"{where}: gives {shapes}, expected one score per label (batch, labels)")
    n_outputs = foreign.outputs[0].shape[-1]
    if n_outputs == len(labels) or (n_outputs == 1 and len(labels) == 2):
        return int(n_outputs)
    raise BundleError(
        f"{where}: has {n_outputs} outputs for {len(labels)} labels ({', '.join(labels)}); name one label per "
        "output, or two for a single output"
    )


def _apply_activation(
    foreign: keras.Model, requested: OutputActivation, n_outputs: int, where: str
) -> keras.Model | keras.Sequential:
    """Make the outputs of a network scores that sum to 1 (a single output: lies within 0–1)."""
    last = _last_layer(foreign)
    own = "softmax" if isinstance(last, layers.Softmax) else _activation_name(last)
    if requested is OutputActivation.NONE:
        return foreign
    if requested is OutputActivation.SOFTMAX and n_outputs == 1:
        raise BundleError(f"{where}: a softmax of a single output is always 1; use --activation sigmoid")
    wanted = _wanted(own, n_outputs, where) if requested is OutputActivation.AUTO else str(requested)
    if wanted == "sigmoid" and n_outputs > 1:
        return _shares_of_sigmoids(foreign, last if own == "sigmoid" else None)
    return foreign if wanted == own else keras.Sequential([foreign, layers.Activation(wanted)])


def _wanted(own: str, n_outputs: int, where: str) -> str:
    if own == "linear":
        return "sigmoid" if n_outputs == 1 else "softmax"
    if own == "sigmoid" or (own == "softmax" and n_outputs > 1):
        return own
    raise BundleError(
        f"{where}: the outputs end in {own!r}, from which no scores can be guessed; say with "
        "--activation how they are made"
    )


def _shares_of_sigmoids(foreign: keras.Model, last: Any) -> keras.Sequential:
    """Divide one sigmoid per label by their sum, as a softmax of their logarithms."""
    if last is not None:
        last.activation = keras.activations.linear
    return keras.Sequential([foreign, layers.Activation("log_sigmoid"), layers.Softmax()])


def _last_layer(model: Any) -> Any:
    """Return the layer that makes the output; of a nested model, its last layer."""
    last = model.outputs[0]._keras_history.operation
    return _last_layer(last) if isinstance(last, keras.Model) else last


def _activation_name(layer: Any) -> str:
    return getattr(getattr(layer, "activation", keras.activations.linear), "__name__", "unknown")


def _to_findings(labels: tuple[str, ...], n_outputs: int) -> list[NDArray[np.float32]]:
    """Make the kernel and bias that map outputs to findings; a finding without a label scores 0."""
    kernel, bias = np.zeros((n_outputs, len(FINDINGS)), np.float32), np.zeros(len(FINDINGS), np.float32)
    places = [FINDINGS.index(label) for label in labels]
    if n_outputs == 1:
        kernel[0, places] = (-1, 1)
        bias[places[0]] = 1
    else:
        kernel[range(n_outputs), places] = 1
    return [kernel, bias]


def _check_scores(network: keras.Model, where: str) -> None:
    """Check the scores for black, white and noise images: bad scores are found now, not after a night's run."""
    shape = network.input_shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, shape)
    images = np.stack([np.zeros(shape), np.full(shape, 255), noise]).astype(np.float32)
    scores = np.asarray(network(images, training=False))
    sums_to_one = np.abs(scores.sum(axis=1) - 1).max() <= _SUM_TOLERANCE
    if not (np.isfinite(scores).all() and scores.min() >= 0 and sums_to_one):
        raise BundleError(
            f"{where}: gives {np.round(scores.max(axis=0), 3).tolist()} on test pictures, which are no scores that "
            "sum to 1; say with --activation how the outputs are made"
        )


def _training(path: Path, spec: ImportSpec, network: keras.Model) -> dict[str, Any]:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "origin": f"imported from {path.name} (SHA-256 {sha256}) as a network that scores {', '.join(spec.labels)} "
        f"from pixels of {spec.pixels}; what it was taught with is not known",
        "parameters": network.count_params(),
        "versions": {"keras": keras.__version__, "numpy": np.__version__},
    }

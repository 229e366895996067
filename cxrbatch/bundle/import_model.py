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

from cxrbatch.bundle.archive import save_reproducibly
from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, Bundle, check_replaceable, write_bundle
from cxrbatch.bundle.convert_network import convert_if_possible
from cxrbatch.bundle.foreign import load_foreign
from cxrbatch.bundle.outputs import OutputActivation, check_labels, to_findings, with_scores
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS

_SUM_TOLERANCE = 1e-3


class Pixels(StrEnum):
    """Range of the pixel values that the foreign network was trained on."""

    BYTE = "0-255"
    UNIT = "0-1"
    SIGNED = "-1-1"


_SCALE = {Pixels.UNIT: (1 / 255, 0.0), Pixels.SIGNED: (1 / 127.5, -1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSpec:
    """Properties of a foreign model that its file does not state.

    Attributes
    ----------
    labels : tuple of str
        What the outputs stand for, in their order: ``covid`` and at least one other finding. Outputs of one finding
        are summed; `IGNORE` drops an output, and the others are divided by their sum. For a single output: class 0,
        then class 1; the output is the score of class 1.
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
        check_labels(self.labels)


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


def import_bundle(path: Path, out: Path, spec: ImportSpec, name: str = "", *, replace: bool = True) -> Bundle:
    """Make a bundle of a foreign model. The same arguments give the same bundle, to the last bit.

    Images are resized to the network's input, and neither normalised nor trimmed: common pipelines read an image,
    resize it and predict. There are no operating points and no calibration, since nothing was measured. The pixel
    check is that of the shipped bundle.

    Parameters
    ----------
    path : Path
        Legacy HDF5 (``.h5``) or Keras archive (``.keras``).
    out : Path
        Folder of the bundle.
    name : str
        By default the name of the file without suffix.
    replace : bool
        Replace a bundle that is there already.

    Raises
    ------
    BundleError
        The model cannot be loaded, might run code, or does not fit the specification.
    UsageProblem
        There is something at `out` that must not be replaced.
    """
    check_replaceable(out, replace=replace)
    with tempfile.TemporaryDirectory() as scratch:
        network = wrap(load_foreign(path, Path(scratch)), spec, str(path))
        _check_scores(network, str(path))
        saved = save_reproducibly(network, Path(scratch) / "model.keras")
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
            converted=convert_if_possible(saved),
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
    scored = with_scores(foreign, spec.labels, spec.activation, where)
    radiograph = layers.Input((height, width, 1), name="radiograph")
    x = layers.Concatenate(name="channels")([radiograph] * channels) if channels > 1 else radiograph
    if spec.pixels in _SCALE:
        x = layers.Rescaling(*_SCALE[spec.pixels], name="range")(x)
    findings = layers.Dense(len(FINDINGS), trainable=False, name="scores")
    scores = findings(scored(x))
    findings.set_weights(to_findings(spec.labels, foreign.outputs[0].shape[-1]))
    return keras.Model(radiograph, scores, name="imported")


def _input_shape(foreign: keras.Model, size: tuple[int, int] | None, where: str) -> tuple[int, int, int]:
    if len(foreign.inputs) != 1 or len(foreign.inputs[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in foreign.inputs]
        raise BundleError(f"{where}: takes {shapes}, expected one image (batch, height, width, channels)")
    _, *stated, channels = foreign.inputs[0].shape
    if channels not in (1, 3):
        raise BundleError(f"{where}: takes {channels} channels, expected 1 or 3 in the last dimension")
    height, width = (own or asked for own, asked in zip(stated, size or (None, None), strict=True))
    if height is None or width is None:
        raise BundleError(f"{where}: takes images of any size; say with --size on which it was trained")
    if size and size != (height, width):
        raise BundleError(f"{where}: takes {height}×{width} pixels, and --size says {size[0]}×{size[1]}")
    return height, width, channels


def _check_scores(network: keras.Model, where: str) -> None:
    """Check the scores for black, white and noise images: bad scores are found now, not after a night's run."""
    shape = network.input_shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, shape)
    images = np.stack([np.zeros(shape), np.full(shape, 255), noise]).astype(np.float32)
    scores = np.asarray(network(images, training=False))
    sums_to_one = np.abs(scores.sum(axis=1) - 1).max() <= _SUM_TOLERANCE
    if not (np.isfinite(scores).all() and scores.min() >= 0 and sums_to_one):
        raise BundleError(
            f"{where}: gives {np.round(scores.max(axis=0), 3).tolist()} on test images, which are no scores that "
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

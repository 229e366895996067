"""Convert the network of a bundle for LiteRT and compare it with the original: model in, `ConvertedNetwork` out.

Standard operations and float32 weights only: float16 weights moved scores of the shipped network by up to 0.03.
"""

import importlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.litert import interpreter_class, is_installed, open_network
from cxrbatch._lib.quiet import quiet_stderr
from cxrbatch.bundle.bundle import Bundle, check_replaceable, write_bundle
from cxrbatch.bundle.converted import Agreement, ConvertedNetwork
from cxrbatch.bundle.network import explainable, load_network, scores_only
from cxrbatch.errors import BundleError
from cxrbatch.records import FINDINGS

_LOG = logging.getLogger(__name__)

MOST_DIFFERENCE = 1e-5
"""Largest difference of a score of the test images. Single radiographs may exceed it: ``docs/speed.md``."""
_N_IMAGES = 24


def convert_bundle(bundle: Bundle, out: Path, *, replace: bool = True) -> Bundle:
    """Write a bundle once more, with its network for LiteRT beside the original; everything else stays the same.

    Parameters
    ----------
    bundle : Bundle
        Of either format.
    out : Path
        Folder of the new bundle; its hash is another one. May be that of `bundle`.
    replace : bool
        Replace a bundle that is there already.

    Raises
    ------
    BundleError
        The network cannot be converted; nothing is written.
    UsageProblem
        There is something at `out` that must not be replaced.
    OutputError
        The bundle cannot be written.
    """
    check_replaceable(out, replace=replace)
    return write_bundle(
        out,
        name=bundle.name,
        model=bundle.model_path,
        gate=bundle.gate_path,
        preprocess=bundle.preprocess,
        aggregation=bundle.aggregation,
        operating_points=bundle.operating_points,
        training=bundle.training,
        evaluation=bundle.evaluation,
        calibration=bundle.calibration,
        licence=bundle.licence,
        converted=convert_network(bundle.model_path),
    )


def convert_if_possible(path: Path) -> ConvertedNetwork | None:
    """Convert a network, or say in the log why not: its bundle then stays on TensorFlow. See `convert_network`."""
    try:
        return convert_network(path)
    except BundleError as error:
        _LOG.warning("%s; it runs on TensorFlow only", error)
        return None


def convert_network(path: Path) -> ConvertedNetwork:
    """Convert a network for LiteRT, and compare the scores of test images in both.

    Parameters
    ----------
    path : Path
        ``model.keras``: values 0–255 → scores, see `cxrbatch.bundle.load_network`.

    Raises
    ------
    BundleError
        The network cannot be loaded, needs an operation that LiteRT does not have, or scores differ by more than
        `MOST_DIFFERENCE`.
    """
    network = load_network(path)
    with_evidence = explainable(network)
    model = with_evidence or scores_only(network)
    outputs = tuple(with_evidence.output) if with_evidence else ("scores",)
    tf = importlib.import_module("tensorflow")
    content = _converted(tf, model, outputs, path)
    difference = _largest_difference(tf, scores_only(network), content, path)
    if not difference <= MOST_DIFFERENCE:
        raise BundleError(
            f"{path}: scores of LiteRT differ by {difference:.1e} from those of TensorFlow, "
            f"more than {MOST_DIFFERENCE:g}"
        )
    agreement = Agreement(
        largest_difference=float(f"{difference:.2g}"),
        n_images=_N_IMAGES,
        tensorflow=tf.__version__,
        outputs=outputs,
    )
    return ConvertedNetwork(content=content, agreement=agreement)


def _converted(tf: Any, model: Any, outputs: Sequence[str], path: Path) -> bytes:
    """Convert for one image at a time: neighbours cannot matter, and batches are hardly faster."""

    def in_order(image: Any) -> Any:
        found = model(image, training=False)
        return [found[name] for name in outputs] if isinstance(found, dict) else [found]

    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)]
    function = tf.function(in_order, signature, autograph=False)
    try:
        with quiet_stderr(also_failing=True):
            # Not with `model` as the object to track: of a Keras 3 model the converter then loses the weights.
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
            return bytes(converter.convert())
    except Exception as error:  # the converter raises many types of exception
        raise BundleError(
            f"{path}: the network cannot be converted for LiteRT ({type(error).__name__})"
        ) from error


def _largest_difference(tf: Any, model: Any, content: bytes, path: Path) -> float:
    images = test_images(*model.input_shape[1:3]).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    try:
        with (
            quiet_stderr(also_failing=True),
            warnings.catch_warnings(action="ignore"),  # TensorFlow calls its own interpreter deprecated
        ):
            interpreter = interpreter_class() if is_installed() else tf.lite.Interpreter
            run = open_network(interpreter, content)
            found = np.concatenate([run(image[None])[0] for image in images])
    except (RuntimeError, ValueError) as error:
        raise BundleError(
            f"{path}: LiteRT cannot run the converted network ({type(error).__name__})"
        ) from error
    if found.shape != (len(images), len(FINDINGS)):
        raise BundleError(f"{path}: LiteRT gives {found.shape} for {len(images)} images")
    return float(np.abs(found - expected).max())


def test_images(height: int, width: int) -> NDArray[np.uint8]:
    """Draw images to compare runtimes with: two dark lungs in a bright chest, of varied place, size, grey and noise.

    Returns
    -------
    ndarray of uint8, shape (n, height, width, 1)
        The same on every machine. The first three are black, white and noise.
    """
    rng = np.random.default_rng(0)
    drawn = [_chest(rng, height, width) for _ in range(_N_IMAGES - 3)]
    noise = rng.random((height, width))
    images = np.stack([np.zeros((height, width)), np.ones((height, width)), noise, *drawn])
    return np.rint(images * 255).astype(np.uint8)[..., np.newaxis]


def _chest(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    top, apart, tall, broad, grey, noise = rng.uniform(
        (-0.2, 0.3, 0.4, 0.2, 0.1, 0), (0.2, 0.5, 0.8, 0.4, 0.5, 0.1)
    )
    lungs = [((x - side * apart) / broad) ** 2 + ((y - top) / tall) ** 2 for side in (-1, 1)]
    inside = 1 / (1 + np.exp(8 * (np.minimum(*lungs) - 1)))
    return np.clip(0.9 - (0.9 - grey) * inside + noise * rng.standard_normal((height, width)), 0, 1)

"""Ways of running the bundle's network on a processor: what each costs, and how far its scores move.

``python benchmarks/engines.py [--images FOLDER] [--at-most 500] [--only tf.function ...]`` runs each in a process of
its own and prints one Markdown table. Without images it scores noise, whose scores say little about real ones.

The engines are Keras' ``predict``, a ``tf.function`` (what cxrbatch uses), the same with its weights frozen into the
graph, and LiteRT with float32 weights, as it comes with TensorFlow and as the package ai-edge-litert, which does
without. LiteRT has no affine transform, so the crop is two matrix products there; see `matrix_crop`.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.discover import classify, walk
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import ImageRef, ModelInput

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Run = Callable[[Pixels], Scores]
"""uint8 (batch, height, width) → float32 (batch, 3)."""

_PASSES = 3
_N_ALONE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Where the bundle, its LiteRT files and the images lie."""

    bundle: Path
    folder: Path

    @property
    def images(self) -> Path:
        """An array of uint8, shape (n, height, width)."""
        return self.folder / "images.npy"

    def tflite(self, batch_size: int) -> Path:
        """Make the network for LiteRT, for one size of batches."""
        return self.folder / f"{batch_size}.tflite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way of running the network.

    Attributes
    ----------
    make : callable
        Called in a fresh process; what it returns takes exactly `batch_size` images.
    threads : int
        Within one operation, and as many operations at a time; 0 for what the library chooses.
    environment : tuple of (str, str)
        Set before anything is imported.
    package : str
        Import name of what it needs.
    """

    name: str
    make: Callable[["Engine", Work], Run]
    batch_size: int = 16
    threads: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    package: str = "tensorflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an engine costs, and its scores.

    Attributes
    ----------
    start_s, start_cpu_s : float
        From nothing imported to the first batch scored.
    """

    cpu_ms: float
    images_per_s: float
    start_s: float
    start_cpu_s: float
    peak_mib: float
    scores: Scores
    keeps_bits: bool


# --- engines


def with_predict(engine: Engine, work: Work) -> Run:
    """Keras' own way, called once per batch."""
    model = _load(_tensorflow(engine), work)
    return lambda pixels: np.asarray(model.predict(pixels[..., None], engine.batch_size, verbose=0))


def with_function(engine: Engine, work: Work) -> Run:
    """Make a ``tf.function`` of one fixed shape, as in cxrbatch.infer.predictor."""
    tf = _tensorflow(engine)
    return _run(tf, _function(tf, _load(tf, work), engine.batch_size))


def with_frozen(engine: Engine, work: Work) -> Run:
    """Do the same with weights as constants of the graph, so that its optimiser can fold them."""
    tf = _tensorflow(engine)
    frozen = _frozen(_function(tf, _load(tf, work), engine.batch_size))
    return _run(tf, lambda batch: frozen(batch)[0])


def with_tf_lite(engine: Engine, work: Work) -> Run:
    """LiteRT as it comes with TensorFlow."""
    return _interpreted(_tensorflow(engine).lite.Interpreter, engine, work)


def with_litert(engine: Engine, work: Work) -> Run:
    """LiteRT by itself."""
    return _interpreted(importlib.import_module("ai_edge_litert.interpreter").Interpreter, engine, work)


def _tensorflow(engine: Engine) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(engine.threads)
    tf.config.threading.set_inter_op_parallelism_threads(engine.threads)
    return tf


def _load(tf: Any, work: Work) -> Any:  # noqa: ARG001 - it must be configured before
    from cxrbatch.bundle import load_network, scores_only  # noqa: PLC0415

    return scores_only(load_network(load_bundle(work.bundle).model_path))


def _function(tf: Any, model: Any, batch_size: int) -> Any:
    signature = [tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.uint8)]
    return tf.function(
        lambda batch: model(tf.cast(batch, tf.float32), training=False), signature, autograph=False
    )


def _frozen(function: Any) -> Any:
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function.get_concrete_function())


def _run(tf: Any, function: Callable[[Any], Any]) -> Run:
    return lambda pixels: np.asarray(function(tf.constant(pixels[..., None])).numpy())


def _interpreted(interpreter: Any, engine: Engine, work: Work) -> Run:
    network = interpreter(str(work.tflite(engine.batch_size)), num_threads=engine.threads)
    network.allocate_tensors()
    given, found = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def run(pixels: Pixels) -> Scores:
        network.set_tensor(given, pixels[..., None])
        network.invoke()
        return np.asarray(network.get_tensor(found))

    return run


_FROZEN_WEIGHTS = (("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1"),)
_NO_ONEDNN = (("TF_ENABLE_ONEDNN_OPTS", "0"),)
TODAY = Engine(name="tf.function", make=with_function)
ENGINES = (
    TODAY,
    *(Engine(name="tf.function", make=with_function, batch_size=size) for size in (8, 32, 64)),
    *(Engine(name="tf.function", make=with_function, batch_size=size, threads=1) for size in (16, 32, 64)),
    Engine(name="tf.function, no oneDNN", make=with_function, environment=_NO_ONEDNN),
    Engine(name="frozen graph", make=with_frozen),
    Engine(name="frozen graph", make=with_frozen, threads=1),
    Engine(name="frozen graph, no oneDNN", make=with_frozen, environment=_NO_ONEDNN),
    Engine(name="frozen graph, weights packed once", make=with_frozen, environment=_FROZEN_WEIGHTS),
    Engine(name="model.predict", make=with_predict),
    *(
        Engine(name=name, make=make, batch_size=size, threads=threads, package=package)
        for name, make, package in (
            ("LiteRT in TensorFlow", with_tf_lite, "tensorflow"),
            ("LiteRT alone", with_litert, "ai_edge_litert"),
        )
        for size in (1, 16)
        for threads in (1, 2)
    ),
)


# --- the network for LiteRT


def write_tflite(work: Work, batch_size: int) -> None:
    """Convert the bundle's network, float32."""
    tf = _tensorflow(TODAY)
    model = with_matrix_crop(tf.keras, _load(tf, work))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_frozen(_function(tf, model, batch_size))])
    work.tflite(batch_size).write_bytes(converter.convert())


def with_matrix_crop(keras: Any, model: Any) -> Any:
    """Copy a model, its affine transforms as matrix products."""

    class MatrixCrop(keras.Operation):  # type: ignore[misc]
        def call(self, images: Any, transform: Any) -> Any:
            return matrix_crop(keras.ops, images, transform)

        def compute_output_spec(self, images: Any, transform: Any) -> Any:  # noqa: ARG002
            return keras.KerasTensor(images.shape, images.dtype)

    def convert(layer: Any) -> Any:
        is_crop = type(layer).__name__ == "AffineTransform"
        return MatrixCrop() if is_crop else type(layer).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=convert, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def matrix_crop(ops: Any, images: Any, transform: Any) -> Any:
    """``ops.image.affine_transform(..., "bilinear", "nearest")`` of a shift and a scale along each axis.

    Parameters
    ----------
    ops : module
        ``keras.ops``.
    images : tensor of float32, shape (batch, height, width, 1)
    transform : tensor of float32, shape (batch, 8)
        As there; terms of rotation and perspective are taken for 0.
    """
    _, height, width, _ = images.shape
    rows = _shares(ops, transform[:, 4], transform[:, 5], height)
    columns = _shares(ops, transform[:, 0], transform[:, 2], width)
    return ops.matmul(ops.matmul(rows, images[..., 0]), ops.transpose(columns, (0, 2, 1)))[..., None]


def _shares(ops: Any, scale: Any, start: Any, size: int) -> Any:
    """Share of each pixel in each of the new ones: shape (batch, new, old)."""
    pixel = ops.arange(size, dtype="float32")
    read_at = ops.clip(scale[:, None] * pixel + start[:, None], 0, size - 1)
    return ops.relu(1 - ops.abs(read_at[:, :, None] - pixel))


# --- measuring


def in_batches(run: Run, batch_size: int, pixels: Pixels) -> Scores:
    """Score any number of images, the last batch padded with zeros."""
    scores = []
    for start in range(0, len(pixels), batch_size):
        part = pixels[start : start + batch_size]
        batch = np.zeros((batch_size, *pixels.shape[1:]), np.uint8)
        batch[: len(part)] = part
        scores.append(run(batch)[: len(part)])
    return np.concatenate(scores)


def keeps_bits(score: Run, pixels: Pixels, scores: Scores) -> bool:
    """Whether images have the same scores, to the last bit, in another order, and alone in a batch of zeros."""
    order = np.random.default_rng(0).permutation(len(pixels))
    alone = [score(pixels[number : number + 1]) for number in order[:_N_ALONE]]
    return np.array_equal(score(pixels[order]), scores[order]) and np.array_equal(
        np.concatenate(alone), scores[order[:_N_ALONE]]
    )


def measure(engine: Engine, work: Work) -> Measured:
    """Run in a process that has imported nothing yet."""
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", **dict(engine.environment)})
    pixels = np.load(work.images)
    began = _now()
    run = engine.make(engine, work)
    in_batches(run, engine.batch_size, pixels[: engine.batch_size])
    start_s, start_cpu_s = _now() - began

    def score(some: Pixels) -> Scores:
        return in_batches(run, engine.batch_size, some)

    wall_s, cpu_s = np.min([_seconds(score, pixels) for _ in range(_PASSES)], axis=0)
    scores = score(pixels)
    return Measured(
        cpu_ms=float(cpu_s) / len(pixels) * 1000,
        images_per_s=len(pixels) / float(wall_s),
        start_s=float(start_s),
        start_cpu_s=float(start_cpu_s),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        scores=scores,
        keeps_bits=keeps_bits(score, pixels, scores),
    )


def _now() -> NDArray[np.float64]:
    """Seconds of wall time and of processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def _seconds(score: Run, pixels: Pixels) -> NDArray[np.float64]:
    began = _now()
    score(pixels)
    return _now() - began


def _in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        return executor.submit(function, *arguments).result()


# --- images


def radiographs(folder: Path, bundle: Bundle, at_most: int) -> Pixels:
    """Make the network's input of radiographs evenly spread over a folder; what cannot be read is left out.

    Raises
    ------
    ValueError
        There is none.
    """
    items = [classify(found.path, found.name, found.version) for found in walk(folder)]
    refs = sorted((item for item in items if isinstance(item, ImageRef)), key=lambda ref: ref.name)
    spread = refs[:: max(len(refs) // at_most, 1)]
    pixels = list(islice(_prepared(spread, PrepareOptions(spec=bundle.preprocess)), at_most))
    if not pixels:
        raise ValueError(f"{folder}: not one image")
    return np.stack(pixels)


def _prepared(refs: Sequence[ImageRef], options: PrepareOptions) -> Iterator[Pixels]:
    for ref in refs:
        prepared = prepare(ref, options)
        if isinstance(prepared, ModelInput):
            yield prepared.pixels


def noise(bundle: Bundle, n_images: int) -> Pixels:
    """Every grey value equally often."""
    shape = (n_images, bundle.preprocess.height, bundle.preprocess.width)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# --- table


def line(engine: Engine, found: Measured, reference: Scores) -> str:
    """One row of the table."""
    apart = float(np.abs(found.scores - reference).max())
    cells = (
        engine.name,
        str(engine.threads or "auto"),
        str(engine.batch_size),
        f"{found.cpu_ms:.2f}",
        f"{found.images_per_s:.0f}",
        f"{found.start_s:.2f} ({found.start_cpu_s:.2f})",
        f"{found.peak_mib:.0f}",
        f"{apart:.1e}" if apart else "0",
        "yes" if found.keeps_bits else "no",
    )
    return f"| {' | '.join(cells)} |"


_HEAD = """\
| engine | threads | batch | CPU ms/image | images/s | start s (CPU s) | peak MiB | score apart | bits kept |
|---|--:|--:|--:|--:|--:|--:|--:|---|"""


def machine(n_images: int) -> str:
    """State what the figures were measured on."""
    versions = (f"{name} {_version(name)}" for name in ("tensorflow", "keras", "ai-edge-litert", "numpy"))
    return (
        f"{n_images} images; {os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(versions)
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def compare(engines: Sequence[Engine], work: Work) -> None:
    """Measure, and print a line for each as it is done; the first engine's scores are the reference."""
    for size in sorted({engine.batch_size for engine in engines if "LiteRT" in engine.name}):
        _in_own_process(write_tflite, work, size)
    print(_HEAD)
    reference: Scores | None = None
    for engine in engines:
        found = _in_own_process(measure, engine, work)
        reference = found.scores if reference is None else reference
        print(line(engine, found, reference), flush=True)


def wanted(names: Sequence[str]) -> list[Engine]:
    """Today's engine first; those that are not installed are left out, and said so."""
    chosen = [engine for engine in ENGINES if engine == TODAY or not names or engine.name in names]
    missing = sorted(
        {engine.package for engine in chosen if importlib.util.find_spec(engine.package) is None}
    )
    for package in missing:
        print(f"{package} is not installed: left out\n")
    return [engine for engine in chosen if engine.package not in missing]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--at-most", type=int, default=500)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(bundle=options.bundle, folder=Path(folder))
        pixels = (
            radiographs(options.images, bundle, options.at_most)
            if options.images
            else noise(bundle, options.at_most)
        )
        np.save(work.images, pixels)
        print(machine(len(pixels)), end="\n\n")
        compare(wanted(options.only), work)


if __name__ == "__main__":
    main()

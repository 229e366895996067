"""Score images in batches with the bundle's network: `ModelInput` in, `ImageScore` out."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.prefetch import prefetch
from cxrbatch.bundle import Bundle
from cxrbatch.errors import BundleError
from cxrbatch.infer.runtime import Precision, Runtime
from cxrbatch.records import FINDINGS, Failure, ImageScore, ModelInput, Outcome

_LEAST_ROWS = 2
"""Least batch size: a single row uses another kernel, which changes scores by 3e-7, enough to swap two patients."""

_MOST_FAILURES = 256
"""Most failures in a window: with more of them, outcomes do not wait for a full batch of images."""

_WINDOWS_AHEAD = 2
"""Windows that wait for the network: while one is scored, the next one is made."""

Key = TypeVar("Key")
Arrays = dict[str, NDArray[Any]]
Window = tuple[int, int, Sequence[int], NDArray[np.uint8]]
"""Inputs in a row: number of the first, number after the last; numbers and pixels of the images among them."""
Predictor = Callable[[Arrays], Arrays]
"""``{"pixels": uint8 (n, height, width)}`` → ``{"scores": float32 (n, 3)}``, row for row."""


class KerasPredictor:
    """The bundle's network on this machine.

    The batch shape is fixed, and the last batch is padded with zeros. So the score of an image does not depend, to
    the last bit, on the other images of its batch.

    Parameters
    ----------
    bundle : Bundle
    runtime : Runtime
    batch_size : int, optional
        By default that of the runtime. At least 2 at first; halved for good when a batch does not fit into memory.

    Attributes
    ----------
    network : keras.Model
        The network with all of its outputs, in float32.

    Raises
    ------
    BundleError
        The network cannot be loaded, or has another shape than the bundle states.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, batch_size: int | None = None) -> None:
        self._tf = runtime.tensorflow
        self._shape = (bundle.preprocess.height, bundle.preprocess.width, 1)
        self.network, self._model = _load(bundle, runtime)
        self.batch_size = max(batch_size or runtime.batch_size, _LEAST_ROWS)
        self._function = self._compile()
        self({"pixels": np.zeros((1, *self._shape[:2]), np.uint8)})  # compiles while the first files are read

    def __call__(self, inputs: Arrays) -> Arrays:
        """Score a batch of any length; see `Predictor`.

        Raises
        ------
        MemoryError
            Not even one image fits into the memory of the device.
        """
        pixels = inputs["pixels"][..., np.newaxis]
        scores: list[NDArray[np.float32]] = []
        done = 0
        while done < len(pixels):
            chunk = pixels[done : done + self.batch_size]
            try:
                scores.append(self._score(chunk))
            except self._tf.errors.ResourceExhaustedError:
                self._halve()
                continue
            done += len(chunk)
        return {"scores": np.concatenate(scores) if scores else np.empty((0, len(FINDINGS)), np.float32)}

    def _score(self, chunk: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = np.zeros((self.batch_size, *self._shape), np.uint8)
        batch[: len(chunk)] = chunk
        scores = self._function(self._tf.constant(batch)).numpy()
        return np.asarray(scores[: len(chunk)], np.float32)

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise MemoryError("not even one image fits into the memory of the device")
        self.batch_size //= 2
        self._function = self._compile()

    def _compile(self) -> Callable[[Any], Any]:
        tf, model = self._tf, self._model
        signature = [tf.TensorSpec((self.batch_size, *self._shape), tf.uint8)]
        # No AutoGraph: it is not needed here, and it writes files that a killed process leaves behind.
        return tf.function(
            lambda batch: model(tf.cast(batch, tf.float32), training=False), signature, autograph=False
        )


def score_images(
    inputs: Iterable[tuple[Key, ModelInput | Failure]],
    predictor: Predictor,
    batch_size: int,
    runtime: Runtime | None,
    stop: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Key, Outcome]]:
    """Batch images and score them.

    Parameters
    ----------
    inputs : iterable of (key, ModelInput or Failure)
        Consumed in another thread, ahead of the network; it may be endless. The key of an image stays with its
        pixels. A failure is passed on unchanged.
    predictor : callable
        See `Predictor`.
    batch_size : int
        Images per batch.
    runtime : Runtime or None
        TensorFlow, whose tf.data makes the batches; without it they are made of NumPy arrays alone.
    stop : callable, optional
        Makes `inputs` end; called when no more scores are needed.

    Yields
    ------
    key, ImageScore or Failure
        In the order of `inputs`.
    """
    waiting: dict[int, tuple[Key, ModelInput | Failure]] = {}
    windows = _windows(inputs, waiting, batch_size)
    if runtime:
        windows = _through_tf_data(windows, runtime.tensorflow)
    # In a thread: a wait inside TensorFlow handles no signal, and Ctrl-C would have to wait for a slow file.
    with prefetch(windows, _WINDOWS_AHEAD, stop) as ahead:
        for first, end, numbers, pixels in ahead:
            scores = predictor({"pixels": pixels})["scores"] if len(numbers) else ()
            row_of = {int(number): row for number, row in zip(numbers, scores, strict=True)}
            for number in range(int(first), int(end)):
                key, item = waiting.pop(number)
                yield key, item if isinstance(item, Failure) else _image_score(item, row_of[number])


def _windows(
    inputs: Iterable[tuple[Key, ModelInput | Failure]],
    waiting: dict[int, tuple[Key, ModelInput | Failure]],
    batch_size: int,
) -> Iterator[Window]:
    # Whole batches cost tf.data a tenth of the time of single images.
    numbered = enumerate(inputs)
    while window := _next_window(numbered, batch_size):
        waiting.update(window)
        images = {n: item.pixels for n, (_, item) in window.items() if isinstance(item, ModelInput)}
        pixels = np.stack([*images.values()]) if images else np.empty((0, 0, 0), np.uint8)
        yield min(window), max(window) + 1, list(images), pixels


def _through_tf_data(windows: Iterator[Window], tf: Any) -> Iterator[Window]:
    number, pixels = tf.TensorSpec((), tf.int64), tf.TensorSpec((None, None, None), tf.uint8)
    signature = (number, number, tf.TensorSpec((None,), tf.int64), pixels)
    dataset = tf.data.Dataset.from_generator(lambda: windows, output_signature=signature)
    return dataset.prefetch(2).as_numpy_iterator()


def _next_window(
    numbered: Iterator[tuple[int, tuple[Key, ModelInput | Failure]]], batch_size: int
) -> dict[int, tuple[Key, ModelInput | Failure]]:
    """Take inputs until they contain a batch of images; fewer images where there are many failures among them."""
    window: dict[int, tuple[Key, ModelInput | Failure]] = {}
    n_images = 0
    while n_images < batch_size and len(window) - n_images < _MOST_FAILURES:
        number, keyed = next(numbered, (-1, None))
        if keyed is None:
            break
        window[number] = keyed
        n_images += isinstance(keyed[1], ModelInput)
    return window


def _image_score(image: ModelInput, row: NDArray[np.float32]) -> ImageScore:
    covid, pneumonia, normal = (float(value) for value in row)
    return ImageScore(
        name=image.name,
        header=image.header,
        scores=(covid, pneumonia, normal),
        pixels_sha256=hashlib.sha256(image.pixels.tobytes()).hexdigest(),
        flags=image.flags,
        thumbnail=image.thumbnail,
    )


def _load(bundle: Bundle, runtime: Runtime) -> tuple[Any, Any]:
    """Load the network; second: the same with its scores only, in the precision of the runtime."""
    from cxrbatch.bundle import load_network, scores_only  # noqa: PLC0415 - they import Keras

    network = load_network(bundle.model_path)
    model = scores_only(network)
    expected = (None, bundle.preprocess.height, bundle.preprocess.width, 1), (None, len(FINDINGS))
    if (tuple(model.input_shape), tuple(model.output_shape)) != expected:
        raise BundleError(
            f"bundle {bundle.path}: network {model.input_shape} → {model.output_shape}, expected {expected}"
        )
    if runtime.precision is Precision.FLOAT32:
        return network, model
    return network, with_precision(runtime.tensorflow.keras, model, runtime.precision)


def with_precision(keras: Any, model: Any, precision: Precision) -> Any:
    """Copy a model, including nested models, in another arithmetic; the last layer stays float32.

    The weights stay float32.
    """
    last = model.layers[-1].name

    def convert(layer: Any) -> Any:
        config = layer.get_config()
        if not isinstance(layer, keras.layers.Layer):  # an operation (the crop): type of its inputs
            return layer.__class__.from_config(config)
        config["dtype"] = "float32" if layer.name == last else str(precision)
        return layer.__class__.from_config(config)

    clone = keras.models.clone_model(model, clone_function=convert, recursive=True)
    clone.set_weights(model.get_weights())
    return clone

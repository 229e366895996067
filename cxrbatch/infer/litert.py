"""Score images with the bundle's network for LiteRT. TensorFlow is not imported, which saves seconds and memory."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib import litert
from cxrbatch._lib.quiet import quiet_stderr
from cxrbatch.bundle import Bundle
from cxrbatch.errors import BundleError
from cxrbatch.infer.predictor import Arrays
from cxrbatch.records import FINDINGS


class LitePredictor:
    """The bundle's network for LiteRT on this processor; see `cxrbatch.infer.predictor.Predictor`.

    It scores each image by itself, so that no other image can move a bit of a score.

    Parameters
    ----------
    bundle : Bundle
        With a network for LiteRT.
    n_at_once : int
        Images that are scored at the same time, each on a processor of its own and with a copy of the network; copies
        are made when they are needed. So no processor waits for another one within an operation. The scores do not
        depend on it.

    Attributes
    ----------
    n_at_once : int
    explains : bool
        True if `outputs` states evidence.

    Raises
    ------
    BundleError
        The network cannot be loaded, or has another shape than the bundle states.
    """

    batch_size = 1

    def __init__(self, bundle: Bundle, n_at_once: int = 1) -> None:
        if bundle.lite_path is None or bundle.agreement is None:
            raise BundleError(f"bundle {bundle.path}: has no network for LiteRT")
        self._names = bundle.agreement.outputs
        self.n_at_once = n_at_once
        self._threads = ThreadPoolExecutor(n_at_once, "network")  # starts them when it needs them
        self._idle: SimpleQueue[litert.Function] = SimpleQueue()
        self.explains = "evidence" in self._names
        try:
            with quiet_stderr(also_failing=True):  # LiteRT writes there what it does with its first network
                self._content = bundle.lite_path.read_bytes()
                first = self._run(np.zeros((bundle.preprocess.height, bundle.preprocess.width), np.float32))
        except (RuntimeError, ValueError, OSError) as error:
            kind = type(error).__name__
            raise BundleError(
                f"bundle {bundle.path}: the network for LiteRT cannot be loaded ({kind})"
            ) from error
        if len(first) != len(self._names) or first[0].shape != (1, len(FINDINGS)):
            shapes = [output.shape for output in first]
            raise BundleError(f"bundle {bundle.path}: LiteRT gives {shapes} for {', '.join(self._names)}")

    def __call__(self, inputs: Arrays) -> Arrays:
        """Score images; see `cxrbatch.infer.predictor.Predictor`."""
        scores = [row[0] for row in self._each(inputs["pixels"])]
        return {"scores": np.concatenate(scores) if scores else np.empty((0, len(FINDINGS)), np.float32)}

    def outputs(self, batch: NDArray[np.float32]) -> Arrays:
        """Compute all outputs of the network.

        Parameters
        ----------
        batch : ndarray of float32, shape (n, height, width, 1)
            0–255; n is at least 1.

        Returns
        -------
        dict of ndarray
            As those of `cxrbatch.bundle.explainable`, row for row.
        """
        rows = self._each(batch[..., 0])
        return {
            name: np.concatenate(column)
            for name, column in zip(self._names, zip(*rows, strict=True), strict=True)
        }

    def _each(self, images: NDArray[Any]) -> Iterable[tuple[NDArray[Any], ...]]:
        """Compute all outputs of each image, (height, width), in their order."""
        return self._threads.map(self._run, images) if len(images) > 1 else map(self._run, images)

    def _run(self, image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        network = self._take()
        try:
            return network(image[np.newaxis, ..., np.newaxis].astype(np.float32, copy=False))
        finally:
            self._idle.put(network)

    def _take(self) -> litert.Function:
        with suppress(Empty):
            return self._idle.get_nowait()
        return litert.open_network(litert.interpreter_class(), self._content)

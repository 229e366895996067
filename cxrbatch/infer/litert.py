"""Score images with the bundle's network for LiteRT. TensorFlow is not imported, which saves seconds and memory."""

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

    It scores one image at a time, so that no other image can move a bit of a score.

    Parameters
    ----------
    bundle : Bundle
        With a network for LiteRT.
    n_threads : int
        Processors that one operation uses. The scores do not depend on it.

    Attributes
    ----------
    explains : bool
        True if `outputs` states evidence.

    Raises
    ------
    BundleError
        The network cannot be loaded, or has another shape than the bundle states.
    """

    batch_size = 1

    def __init__(self, bundle: Bundle, n_threads: int = 1) -> None:
        if bundle.lite_path is None or bundle.agreement is None:
            raise BundleError(f"bundle {bundle.path}: has no network for LiteRT")
        self._names = bundle.agreement.outputs
        self.explains = "evidence" in self._names
        try:
            with quiet_stderr(also_failing=True):  # LiteRT writes there what it does with its first network
                content = bundle.lite_path.read_bytes()
                self._run = litert.open_network(litert.interpreter_class(), content, n_threads)
                first = self._run(
                    np.zeros((1, bundle.preprocess.height, bundle.preprocess.width, 1), np.float32)
                )
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
        scores = [
            self._run(image[np.newaxis, ..., np.newaxis].astype(np.float32))[0] for image in inputs["pixels"]
        ]
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
        rows = [self._run(image[np.newaxis]) for image in batch]
        return {
            name: np.concatenate(column)
            for name, column in zip(self._names, zip(*rows, strict=True), strict=True)
        }

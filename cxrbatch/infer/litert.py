"""Score images with the bundle's network for LiteRT. TensorFlow is not imported, which saves seconds and memory."""

import numpy as np

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

    Raises
    ------
    BundleError
        The network cannot be loaded, or has another shape than the bundle states.
    """

    batch_size = 1

    def __init__(self, bundle: Bundle, n_threads: int = 1) -> None:
        if bundle.lite_path is None:
            raise BundleError(f"bundle {bundle.path}: has no network for LiteRT")
        try:
            with quiet_stderr(
                also_failing=True
            ):  # LiteRT writes there what it does when the first network is opened
                content = bundle.lite_path.read_bytes()
                self._run = litert.open_network(litert.interpreter_class(), content, n_threads)
                scores = self._run(
                    np.zeros((1, bundle.preprocess.height, bundle.preprocess.width, 1), np.uint8)
                )
        except (RuntimeError, ValueError, OSError) as error:
            kind = type(error).__name__
            raise BundleError(
                f"bundle {bundle.path}: the network for LiteRT cannot be loaded ({kind})"
            ) from error
        if scores.shape != (1, len(FINDINGS)) or scores.dtype != np.float32:
            raise BundleError(
                f"bundle {bundle.path}: LiteRT gives {scores.dtype} {scores.shape} for an image"
            )

    def __call__(self, inputs: Arrays) -> Arrays:
        """Score images; see `cxrbatch.infer.predictor.Predictor`."""
        scores = [self._run(image[np.newaxis, ..., np.newaxis]) for image in inputs["pixels"]]
        return {"scores": np.concatenate(scores) if scores else np.empty((0, len(FINDINGS)), np.float32)}

"""The network alone, on batches that are ready: ``python benchmarks/network.py`` prints one JSON object.

Wall and processor seconds per image, device and batch size. A process of its own, so that TensorFlow's threads are
where nothing else is measured.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from cxrbatch import runtime
from cxrbatch.bundle import load_bundle
from cxrbatch.infer import KerasPredictor, Predictor
from cxrbatch.judge import network_threads

_N_IMAGES = 512
_ROUNDS = 7


def per_image(predictor: Predictor, pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Wall and processor seconds per image, each the median of several rounds after one that is not counted.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width)
    """
    spent = [_round(predictor, pixels) for _ in range(_ROUNDS + 1)][1:]
    wall, processor = (median(values) / len(pixels) for values in zip(*spent, strict=True))
    return wall, processor


def _round(predictor: Predictor, pixels: NDArray[np.uint8]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    predictor({"pixels": pixels})
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print what the network of the shipped bundle takes."""
    started = runtime.start(n_threads=network_threads())
    bundle = load_bundle()
    predictor = KerasPredictor(bundle, started)
    shape = (_N_IMAGES, bundle.preprocess.height, bundle.preprocess.width)
    wall, processor = per_image(predictor, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    found = {"wall_s": wall, "processor_s": processor, "bundle": bundle.id}
    print(json.dumps({**found, "device": started.device, "batch_size": predictor.batch_size}))


if __name__ == "__main__":
    main()

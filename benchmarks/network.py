"""The network alone, on batches that are ready: ``python benchmarks/network.py [PROCESSORS]`` prints one JSON object.

Wall and processor seconds per image, device and batch size; and processor seconds while the other processors decode
(virtual ones share a core and its cache, so that everything takes more of them then). A process of its own, so that
TensorFlow's threads are where nothing else is measured.
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.decoders import block_sums
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.engines import default_workers
from cxrbatch.infer import start_network
from cxrbatch.infer.predictor import Predictor

_N_IMAGES = 512
_ROUNDS = 7
_WARM_UP_S = 1.0


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


@contextmanager
def decoding_beside(n_processes: int) -> Iterator[None]:
    """Keep processors at what readers do: averaging a picture in memory."""
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_decode_for_ever, daemon=True) for _ in range(n_processes)]
    for process in busy:
        process.start()
    time.sleep(_WARM_UP_S * bool(busy))
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


def _decode_for_ever() -> None:
    pixels = np.random.default_rng(0).integers(0, 1 << 14, (3000, 2500), np.uint16)
    while True:
        block_sums(pixels)


def main() -> None:
    """Print what the network of the shipped bundle takes."""
    bundle = load_bundle()
    network = start_network(bundle, n_processors=default_workers())  # on the runtime that the command chooses
    predictor = network.predictor
    shape = (_N_IMAGES, bundle.preprocess.height, bundle.preprocess.width)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wall, processor = per_image(predictor, pixels)
    with decoding_beside(int(sys.argv[1]) - 1 if sys.argv[1:] else 0):
        _, processor_busy = per_image(predictor, pixels)
    found = {
        "wall_s": wall,
        "processor_s": processor,
        "processor_busy_s": processor_busy,
        "bundle": bundle.id,
        "runtime": network.runtime,
    }
    print(json.dumps({**found, "device": network.device, "batch_size": predictor.batch_size}))


if __name__ == "__main__":
    main()

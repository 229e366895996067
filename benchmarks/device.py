"""Does the pipeline keep a fast device fed? A device of set speed in place of a GPU, everything else as it is.

``python benchmarks/device.py FOLDER [--ms 0 2 5 10 20 50] [--batch 256] [--workers N]`` screens the images of a
folder with readers as in a run, but the network is a device that takes a set time for each image and no processor:
it sleeps. It prints, for each speed, images/s, what the device alone would do, and the share of the time that it was
busy. Busy nearly all of the time: the pipeline keeps it fed, and the device is the limit. Otherwise reading is, and
images/s stay what they are with a device that takes no time (the first line).

The time until the first batch is ready is not counted.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify, walk
from cxrbatch.engines import EngineOptions, default_workers
from cxrbatch.engines.local import LocalEngine
from cxrbatch.infer import Network, Precision
from cxrbatch.prepare import PrepareOptions
from cxrbatch.records import FINDINGS, ImageRef

_HEAD = "| device, ms for an image | device alone, images/s | images/s | device busy |\n|---:|---:|---:|---:|"


class Device:
    """A predictor that takes `ms` for each image, and notes when it worked.

    Attributes
    ----------
    busy_s : float
        Seconds that it worked, without the first batch.
    began : float or None
        End of the first batch, by `time.monotonic`.
    n_scored : int
        Images after the first batch.
    """

    explains = False

    def __init__(self, ms: float, batch_size: int) -> None:
        self.batch_size = batch_size
        self.busy_s = 0.0
        self.n_scored = 0
        self.began: float | None = None
        self._ms = ms

    def __call__(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Give zeros after a while."""
        n, started = len(inputs["pixels"]), time.monotonic()
        time.sleep(n * self._ms / 1000)
        if self.began is None:
            self.began = time.monotonic()
        else:
            self.busy_s += time.monotonic() - started
            self.n_scored += n
        return {"scores": np.zeros((n, len(FINDINGS)), np.float32)}


def references(folder: Path) -> Iterator[ImageRef]:
    """Give the images of a folder."""
    for file in walk(folder):
        ref = file.failure or classify(file.path, file.name, file.version)
        if isinstance(ref, ImageRef):
            yield ref


def run(refs: list[ImageRef], device: Device, n_workers: int) -> float:
    """Score images by a device, and return the seconds after its first batch."""
    bundle = load_bundle()
    prepare = PrepareOptions(spec=bundle.preprocess)
    network = Network(
        runtime="set speed", device="set speed", precision=Precision.FLOAT32, predictor=device, bundle=bundle  # type: ignore[arg-type]  # any predictor
    )  # fmt: skip
    with LocalEngine(bundle, prepare, EngineOptions(n_workers=n_workers)) as engine:
        engine.__dict__["_network"] = network  # as if it had been started
        for _ in engine.run(refs):
            pass
    return time.monotonic() - (device.began or time.monotonic())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ms", type=float, nargs="+", default=[0, 2, 5, 10, 20, 50])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=default_workers())
    options = parser.parse_args()
    refs = list(references(options.folder))
    print(f"{len(refs)} images, {options.workers} readers, batches of {options.batch}\n\n{_HEAD}")
    for ms in options.ms:
        device = Device(ms, options.batch)
        seconds = run(refs, device, options.workers)
        alone = f"{1000 / ms:.0f}" if ms else "–"
        rate = device.n_scored / seconds
        print(f"| {ms:g} | {alone} | {rate:.1f} | {device.busy_s / seconds:.0%} |", flush=True)


if __name__ == "__main__":
    main()

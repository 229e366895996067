"""The naive program that `speed.py` compares with: ``python benchmarks/naive.py FILE...`` prints one JSON object.

One process, one image at a time, as the batch script of torchxrayvision does it: pydicom's ``pixel_array`` (or
Pillow), full size, float32, resize, ``model.predict``. Of the program it uses nothing but the network's file. pydicom
has no decoder of its own for JPEG lossless and JPEG-LS: there the fastest one known does it, which flatters it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.decoders import full
from cxrbatch.bundle.bundle import load_bundle

MARK = "*"
"""Stands where pydicom had no decoder."""


def pixels_of(path: Path) -> tuple[NDArray[Any], str]:
    """Decode at full size; also returns `MARK` or nothing."""
    if path.suffix != ".dcm":
        with Image.open(path) as image:
            return np.asarray(image), ""
    try:
        return dcmread(path).pixel_array, ""
    except RuntimeError:  # all plugins are missing dependencies
        return full(path), MARK


def small(stored: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Scale to 0–255 and resize, everything at full size first.

    Returns
    -------
    ndarray of float32, shape (1, height, width, 1)
    """
    grey = stored.astype(np.float32)
    grey = (grey - grey.min()) / (grey.max() - grey.min()) * 255
    resized = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)[np.newaxis, ..., np.newaxis]


def per_image(paths: Sequence[Path], score: Callable[[Path], str]) -> tuple[float, str]:
    """Wall seconds per image, start not counted, and `MARK` if any file needed it."""
    score(paths[0])
    started = time.perf_counter()
    marks = {score(path) for path in paths}
    return (time.perf_counter() - started) / len(paths), max(marks)


def main() -> None:
    """Print what the naive program takes for these files."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from cxrbatch.bundle import load_network, scores_only  # noqa: PLC0415 - tests of the functions above need none

    bundle = load_bundle()
    model = scores_only(load_network(bundle.model_path))

    def score(path: Path) -> str:
        stored, mark = pixels_of(path)
        model.predict(small(stored, bundle.preprocess.height, bundle.preprocess.width), verbose=0)
        return mark

    seconds, mark = per_image([Path(name) for name in sys.argv[1:]], score)
    print(json.dumps({"seconds": seconds, "mark": mark}))


if __name__ == "__main__":
    main()

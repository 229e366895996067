"""How far decoding only a part of large radiographs moves what the network sees, and its scores.

``python benchmarks/reduced.py FOLDER [--images 60]`` takes real radiographs from below a folder, makes them 3000
pixels high with the noise of a large film (most public ones are small), writes each in every format, and compares
both ways of preparing it. Prints one line for each format: the mean difference of the network's input in grey levels
of 255 (over all images, of the worst twentieth, of the worst image), and the largest difference of any score.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.speed_files import FORMATS, Format, write
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device, start_runtime
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import ImageRef, ModelInput

_HEIGHT_PX = 3000
_NOISE = 0.006
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def large(path: Path, seed: int) -> NDArray[np.float32]:
    """Enlarge a radiograph; 0–1, shape (3000, columns)."""
    with Image.open(path) as image:
        grey = image.convert("L").convert("F")
        size = round(_HEIGHT_PX * grey.width / grey.height), _HEIGHT_PX
        values = np.asarray(grey.resize(size, Image.Resampling.BICUBIC)) / np.float32(255)
    noise = np.random.default_rng(seed).standard_normal(values.shape, np.float32)
    return np.clip(values + np.float32(_NOISE) * noise, 0, 1)


def both(path: Path) -> Pair | None:
    """Prepare a file from a part of its pixels and from all; None if it is refused."""
    ref = classify(path, path.name)
    spec = load_bundle().preprocess
    found = [
        prepare(ref, PrepareOptions(spec=spec, full_size=full)) if isinstance(ref, ImageRef) else ref
        for full in (False, True)
    ]
    reduced, full = (item.pixels if isinstance(item, ModelInput) else None for item in found)
    return None if reduced is None or full is None else (reduced, full)


def pairs(job: tuple[Path, int]) -> dict[str, Pair]:
    """Prepare one radiograph in every format."""
    path, seed = job
    picture = large(path, seed)
    with TemporaryDirectory() as scratch:
        found = {name: both(_written(Path(scratch), name, form, picture)) for name, form in FORMATS.items()}
    return {name: pair for name, pair in found.items() if pair}


def _written(folder: Path, name: str, form: Format, picture: NDArray[np.float32]) -> Path:
    path = (folder / name).with_suffix(form.suffix)
    write(path, form, form.encode(form.stored(picture)), picture.shape)
    return path


def radiographs(folder: Path, n: int) -> list[Path]:
    """Pick images from below a folder, evenly over their paths; lung masks are none."""
    images = [
        path for path in sorted(folder.rglob("*")) if "mask" not in str(path).lower() and _is_image(path)
    ]
    return [images[number * len(images) // n] for number in range(min(n, len(images)))]


def _is_image(path: Path) -> bool:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        return False
    try:
        with Image.open(path) as image:
            return min(image.size) >= 200
    except (OSError, UnidentifiedImageError):
        return False


def lines(found: Sequence[dict[str, Pair]]) -> Iterator[str]:
    """Give the table."""
    predictor = KerasPredictor(load_bundle(), start_runtime(Device.CPU))
    yield "| format | images | mean | worst twentieth | worst | largest difference of a score |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name in FORMATS:
        reduced, full = (
            np.stack(side) for side in zip(*(pairs[name] for pairs in found if name in pairs), strict=True)
        )
        apart = np.abs(reduced.astype(int) - full).mean(axis=(1, 2))
        scores = [predictor({"pixels": side})["scores"] for side in (reduced, full)]
        figures = apart.mean(), np.quantile(apart, 0.95), apart.max()
        cells = [f"{value:.2f}" for value in figures]
        yield f"| {name} | {len(apart)} | {' | '.join(cells)} | {np.abs(scores[0] - scores[1]).max():.4f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    jobs = [(path, seed) for seed, path in enumerate(radiographs(options.folder, options.images))]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as executor:
        found = list(executor.map(pairs, jobs))
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()

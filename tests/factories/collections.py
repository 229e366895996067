"""Made-up cases and radiographs for the tests of `cxrbatch.training`."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.datasets.loading import Dataset
from cxrbatch.training.ensemble import Ensemble


def case(patient: str, label: str, source: str, publisher: str = "") -> LabelledImage:
    return LabelledImage(
        path=Path(f"{patient}.png"), label=label, patient=patient, source=source, publisher=publisher
    )


def drawn(label: str, brightness: float, rng: np.random.Generator, size: int = 32) -> NDArray[np.uint8]:
    """Two dark lungs; ill ones hold a bright spot, and COVID-19 one in each lung."""
    pixels = np.full((size, size), brightness) + rng.normal(0, 6, (size, size))
    lungs = (
        (slice(size // 5, -size // 5), slice(size // 8, size * 3 // 8)),
        (slice(size // 5, -size // 5), slice(size * 5 // 8, -size // 8)),
    )
    ill = {"normal": 0, "pneumonia": 1, "covid": 2}[label]
    for index, lung in enumerate(lungs):
        pixels[lung] -= 60
        if index < ill:
            top, left = rng.integers(size // 4, size // 2), lung[1].start + 1
            pixels[top : top + size // 5, left : left + size // 5] += 60
    return np.clip(pixels, 0, 255).astype(np.uint8)


def collection(n: int, seed: int = 0, size: int = 32) -> Dataset:
    """`n` patients of each label in two hospitals of different brightness, and of one label in a third."""
    rng = np.random.default_rng(seed)
    cases, images = [], []
    for source, publisher, brightness, labels in (
        ("north", "", 120.0, ("normal", "pneumonia")),
        ("south", "east", 170.0, ("normal", "pneumonia", "covid")),
        ("south", "west", 150.0, ("normal", "pneumonia", "covid")),
        ("healthy", "", 200.0, ("normal",)),
    ):
        for label in labels:
            for index in range(n):
                for copy in range(1 + index % 2):
                    cases.append(case(f"{source}/{publisher}{label}{index}", label, source, publisher))
                    images.append(drawn(label, brightness + copy, rng, size))
    return Dataset(tuple(cases), np.stack(images))


def write_table(dataset: Dataset, folder: Path) -> None:
    """Write a collection as the layout ``table``: pictures, and ``labels.csv`` beside them."""
    folder.mkdir(parents=True)
    lines = ["file,label,patient,source"]
    for index, (one, pixels) in enumerate(zip(dataset.cases, dataset.images, strict=True)):
        Image.fromarray(pixels).resize((256, 256)).save(folder / f"{index:03}.png")
        lines.append(f"{index:03}.png,{one.label},{one.patient},{one.source}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def ensemble(*networks: keras.Model) -> Ensemble:
    """Networks that all get the whole image."""
    return Ensemble(crop=None, members=networks)

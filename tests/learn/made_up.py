"""Made-up cases and radiographs for the tests of `cxrbatch.learn`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.learn.data import Dataset
from cxrbatch.learn.sources import Case


def case(patient: str, label: str, source: str, publisher: str = "") -> Case:
    return Case(path=Path(f"{patient}.png"), label=label, patient=patient, source=source, publisher=publisher)


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

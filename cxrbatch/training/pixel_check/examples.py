"""Make the training set of the pixel check: real radiographs as they are and varied, and images of anything else.

Input: the folder of the collections. Output: features and kind of each image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from cxrbatch.datasets import published_table
from cxrbatch.gate import extract_features
from cxrbatch.prepare import decode_image
from cxrbatch.preprocess import area_resize
from cxrbatch.training.pixel_check.altered import MADE_OF_RADIOGRAPHS
from cxrbatch.training.pixel_check.canvas import SIZE_PX, Pixels
from cxrbatch.training.pixel_check.synthetic import DRAWN

FRONTAL, LATERAL, CT = "frontal", "lateral", "ct"
"""Kinds of real images."""

_VIEWS = {"PA": FRONTAL, "AP": FRONTAL, "AP Supine": FRONTAL, "L": LATERAL, "Axial": CT}
_N_DRAWN = 4000
_N_MADE = 3000
_N_VARIANTS_OTHER = 20
_N_VARIANTS_MOST = 12
_N_VARIED_PER_FOLDER = 6000


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A real image.

    Attributes
    ----------
    folder : str
        Its collection. To measure, whole collections are left out.
    patient : str
        Unique within `folder`; the name of the file where the patient is not known.
    kind : str
        `FRONTAL`, `LATERAL` or `CT`.
    """

    path: Path
    folder: str
    patient: str
    kind: str = FRONTAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Training set of the pixel check, one row per image.

    Attributes
    ----------
    rows : ndarray of float32, shape (n, N_FEATURES)
        From `cxrbatch.gate.extract_features`.
    kinds : ndarray of str, shape (n,)
        Kind of each image: that of a `Film`, or a key of `DRAWN` or of `MADE_OF_RADIOGRAPHS`.
    origins : ndarray of int, shape (n,)
        Index of the `Film` it is made of; -1 where drawn.
    varied : ndarray of bool, shape (n,)
        True where the image was changed at random.
    """

    rows: NDArray[np.float32]
    kinds: NDArray[np.str_]
    origins: NDArray[np.intp]
    varied: NDArray[np.bool_]


def find_films(data: Path) -> list[Film]:
    """List the images under `data` in a fixed order; a radiograph known to be in two collections is listed once."""
    return [*_plain_folders(data), *_radiography_database(data), *_covid_chestxray(data)]


def _plain_folders(data: Path) -> Iterator[Film]:
    for folder in ("chest_xray", "nih-chestxray8-subset", "seed-test-set"):
        for path in sorted((data / folder).rglob("*.*g")):
            yield Film(path=path, folder=folder, patient=path.stem.split("_")[0])


def _radiography_database(data: Path) -> Iterator[Film]:
    folder = data / "covid-radiography-database"
    for row in published_table(folder / "sources.csv"):
        path = folder / row["file"]
        if not row["likely_source"].startswith("also in"):
            yield Film(path=path, folder=f"{folder.name}/{path.parent.name}", patient=path.stem)


def _covid_chestxray(data: Path) -> Iterator[Film]:
    folder = data / "covid-chestxray-dataset"
    seen: set[Path] = set()
    for row in published_table(folder / "metadata.csv"):
        path = folder / "images" / row["filename"]
        if row["view"] in _VIEWS and path not in seen and path.is_file():
            seen.add(path)
            yield Film(path=path, folder=folder.name, patient=row["patientid"], kind=_VIEWS[row["view"]])


_Example = tuple[Pixels, str, int, bool]


def make_examples(films: Sequence[Film], seed: int = 1) -> Examples:
    """Make examples: every real image as it is and varied, images made of the frontal ones, and drawn images."""
    rng = np.random.default_rng(seed)
    sizes = _folder_sizes(films)
    small: list[Pixels] = []
    examples = [*_of_films(films, sizes, small, rng), *_made(films, sizes, small, rng), *_drawn(rng)]
    rows, kinds, origins, varied = zip(*examples, strict=True)
    return Examples(
        rows=np.stack(rows),
        kinds=np.array(kinds),
        origins=np.array(origins),
        varied=np.array(varied, np.bool_),
    )


def _folder_sizes(films: Iterable[Film]) -> Mapping[str, int]:
    folders, counts = np.unique([film.folder for film in films], return_counts=True)
    return dict(zip(folders.tolist(), counts.tolist(), strict=True))


def _of_films(
    films: Sequence[Film], sizes: Mapping[str, int], small: list[Pixels], rng: np.random.Generator
) -> Iterator[_Example]:
    """Make examples of the real images, and append a small copy of each to `small`.

    Images of small collections, and the few lateral views and slices, are varied more often.
    """
    for index, film in enumerate(tqdm(films, desc="radiographs", disable=None)):
        pixels = decode_image(film.path).pixels
        small.append(area_resize(pixels, SIZE_PX, SIZE_PX))
        yield extract_features(pixels), film.kind, index, False
        n_variants = int(np.clip(_N_VARIED_PER_FOLDER / sizes[film.folder], 1, _N_VARIANTS_MOST))
        for _ in range(n_variants if film.kind == FRONTAL else _N_VARIANTS_OTHER):
            yield extract_features(vary(small[-1], rng)), film.kind, index, True


def _made(
    films: Sequence[Film], sizes: Mapping[str, int], small: Sequence[Pixels], rng: np.random.Generator
) -> Iterator[_Example]:
    frontal = [index for index, film in enumerate(films) if film.kind == FRONTAL]
    odds = np.array([sizes[films[index].folder] ** -0.5 for index in frontal])
    for kind, make in tqdm(MADE_OF_RADIOGRAPHS.items(), desc="made of radiographs", disable=None):
        for index in rng.choice(frontal, _N_MADE, p=odds / odds.sum()):
            yield extract_features(make(vary(small[index], rng), rng)), kind, int(index), True


def _drawn(rng: np.random.Generator) -> Iterator[_Example]:
    for kind, draw in tqdm(DRAWN.items(), desc="drawn", disable=None):
        for _ in range(_N_DRAWN):
            yield extract_features(draw(rng)), kind, -1, True


def vary(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Frame, expose, mirror, mark and pad the same radiograph differently.

    Parameters
    ----------
    film : ndarray of float32, shape (SIZE_PX, SIZE_PX)

    Returns
    -------
    ndarray of float32, shape (SIZE_PX, SIZE_PX)
        0–1.
    """
    pixels = _stretch(_reframe(film, rng)) ** np.exp(rng.uniform(-0.6, 0.6))
    if rng.random() < 0.15:
        pixels = _stretch(pixels, *np.quantile(pixels, [rng.uniform(0, 0.08), 1 - rng.uniform(0, 0.08)]))
    if rng.random() < 0.2:
        _pad(pixels, rng)
    for _ in range(int(rng.integers(0, 4))):
        _mark(pixels, rng)
    noise = rng.uniform(0, 0.08) if rng.random() < 0.3 else 0.0
    return (pixels + noise * rng.normal(size=pixels.shape)).clip(0, 1).astype(np.float32)


def _reframe(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn by up to 8°, stretch each axis by up to a quarter, shift by up to 7 %, mirror half of the images."""
    angle = np.deg2rad(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn * np.exp(rng.uniform(-0.25, 0.25, 2)) * (rng.choice([-1, 1]), 1)
    shift = SIZE_PX * (0.5 + rng.uniform(-0.07, 0.07, 2)) - matrix.sum(axis=1) * SIZE_PX / 2
    outside = 0 if rng.random() < 0.85 else 1
    image = Image.fromarray(np.ascontiguousarray(film)).transform(
        (SIZE_PX, SIZE_PX),
        Image.Transform.AFFINE,
        (*matrix[0], shift[0], *matrix[1], shift[1]),
        Image.Resampling.BILINEAR,
        fillcolor=outside,
    )
    return np.asarray(image)


def _pad(pixels: Pixels, rng: np.random.Generator) -> None:
    top, bottom, left, right = rng.integers(0, SIZE_PX // 6, 4)
    border = np.ones(pixels.shape, np.bool_)
    border[top : SIZE_PX - bottom, left : SIZE_PX - right] = False
    pixels[border] = rng.random() > 0.8


def _mark(pixels: Pixels, rng: np.random.Generator) -> None:
    """Put a bar where letters and lines of text are: near an edge."""
    y, x = rng.integers(0, SIZE_PX - 6, 2)
    if min(y, SIZE_PX - y) < SIZE_PX // 5 or min(x, SIZE_PX - x) < SIZE_PX // 8:
        height, width = rng.integers(2, (SIZE_PX // 14, SIZE_PX // 8))
        pixels[y : y + height, x : x + width] = rng.random() > 0.2


def _stretch(pixels: Pixels, black: float | None = None, white: float | None = None) -> Pixels:
    low = float(pixels.min()) if black is None else black
    high = float(pixels.max()) if white is None else white
    return ((pixels - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)

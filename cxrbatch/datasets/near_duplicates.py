"""Find near-duplicates: images in, pairs that show the same radiograph out, within and across sources.

A perceptual hash proposes pairs. Chests look alike, so most of these are no copies. Each pair is verified by its fine
structure (ribs, vessels, lines) at a higher resolution, tile by tile, because another crop or aspect ratio moves
each tile of a copy by a few pixels in its own direction. Hash and structure are computed from preprocessed images,
which do not differ in size, grey-value scale or border.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets.labelled import UNSTATED, LabelledImage
from cxrbatch.preprocess import area_resize

MOST_BITS = 70
"""Pairs whose hashes differ in more of the 255 bits are not compared further."""
LEAST_AGREEMENT = 0.85
"""Mean correlation of the tiles from which two images show the same radiograph."""

_HASHED_PX, _FREQUENCIES = 32, 16
_FINE_PX, _SMOOTH_PX, _NOISE = 64, 4, 2.0
_TILES, _MARGIN_PX, _SHIFT_PX = 3, 9, 3
_ROWS, _PAIRS = 1024, 512  # at a time

Features = NDArray[np.float32]
Indices = NDArray[np.int64]
Pair = tuple[int, int]


def duplicate_pairs(images: NDArray[np.uint8]) -> list[Pair]:
    """Find the pairs of images (i < j) that show the same radiograph.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed.
    """
    first, second = proposed_pairs(perceptual_hashes(images))
    fine = np.stack([_fine_structure(image) for image in images])
    starts = range(0, len(first), _PAIRS)
    agreements = [agreement(fine[first[at : at + _PAIRS]], fine[second[at : at + _PAIRS]]) for at in starts]
    same = np.concatenate([np.zeros(0, np.float32), *agreements]) > LEAST_AGREEMENT
    return [(int(i), int(j)) for i, j in zip(first[same], second[same], strict=True)]


def perceptual_hashes(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Compute DCT hashes (Zauner 2010): True where a low frequency, without the mean, is above their median.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of bool, shape (n, 255)
        16 × 16 frequencies of a 32 × 32 thumbnail.
    """
    angles = np.outer(np.arange(_FREQUENCIES), np.arange(_HASHED_PX) + 0.5) * np.pi / _HASHED_PX
    cosines = np.cos(angles)
    spectra = np.stack([(cosines @ _shrink(image, _HASHED_PX) @ cosines.T).ravel()[1:] for image in images])
    return spectra > np.median(spectra, axis=1, keepdims=True)


def proposed_pairs(hashes: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Find the pairs whose hashes differ in at most `MOST_BITS` bits.

    Parameters
    ----------
    hashes : ndarray of bool, shape (n, 255)

    Returns
    -------
    first, second : ndarray of int64, shape (pairs,)
        Indices, first < second.
    """
    found = list(_near(hashes))
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])


def _near(hashes: NDArray[np.bool_]) -> Iterator[tuple[Indices, Indices]]:
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    least = hashes.shape[1] - 2 * MOST_BITS
    for start in range(0, len(signs), _ROWS):
        first, second = np.nonzero(signs[start : start + _ROWS] @ signs[start:].T >= least)
        later = second > first
        yield first[later] + start, second[later] + start


def agreement(one: Features, other: Features) -> Features:
    """Compute how well two images agree: mean over the tiles of their best correlation within a few pixels.

    Parameters
    ----------
    one, other : ndarray of float32, shape (pairs, 64, 64)
        Fine structure.

    Returns
    -------
    ndarray of float32, shape (pairs,)
        −1…1; 0 for tiles without structure.
    """
    tiles = _unit(_tiles(one, 0, 0))
    best = np.full(tiles.shape[:2], -1, np.float32)
    shifts = range(-_SHIFT_PX, _SHIFT_PX + 1)
    for dy, dx in product(shifts, shifts):
        moved = _unit(_tiles(other, dy, dx))
        np.maximum(best, np.einsum("ntp,ntp->nt", tiles, moved), out=best)
    return best.mean(axis=1)


def _tiles(images: Features, dy: int, dx: int) -> Features:
    """Cut the middle of each image into tiles, moved by some pixels: (pairs, 9, pixels of a tile)."""
    side = (_FINE_PX - 2 * _MARGIN_PX) // _TILES
    top, left = _MARGIN_PX + dy, _MARGIN_PX + dx
    middle = images[:, top : top + _TILES * side, left : left + _TILES * side]
    parts = middle.reshape(-1, _TILES, side, _TILES, side).swapaxes(2, 3)
    return parts.reshape(-1, _TILES * _TILES, side * side)


def _unit(vectors: Features) -> Features:
    """Scale to mean 0 and length 1, so that a product of two is their correlation; constant vectors become 0."""
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    return centred / np.maximum(norm, 1e-3)


def _shrink(image: NDArray[np.uint8], size: int) -> Features:
    return area_resize(image.astype(np.float32), size, size)


def _fine_structure(image: NDArray[np.uint8]) -> Features:
    """Compute high frequencies of equal strength everywhere, so that neither a label nor a black frame dominates."""
    small = _shrink(image, _FINE_PX)
    fine = small - _smooth(small)
    return fine / np.sqrt(_smooth(fine * fine) + _NOISE**2)


def _smooth(small: Features) -> Features:
    coarse = area_resize(small, _FINE_PX // _SMOOTH_PX, _FINE_PX // _SMOOTH_PX)
    return area_resize(coarse, _FINE_PX, _FINE_PX)


def keep_one_each(
    cases: Sequence[LabelledImage], pairs: Sequence[Pair], test_only: Collection[Path] = ()
) -> tuple[list[int], dict[int, str], list[str]]:
    """Remove duplicates and merge their patients.

    Of two copies the earlier one is kept. A radiograph that occurs under two labels is removed altogether, because
    it is not known which label is right; unless one of the two is only for tests: then the other one is kept. An
    abnormal one of no stated kind agrees with one of a stated kind.

    Parameters
    ----------
    cases : sequence of LabelledImage
    pairs : sequence of Pair
        From `duplicate_pairs`.
    test_only : collection of Path
        Paths of the cases that must not be in the training set.

    Returns
    -------
    kept : list of int
        Indices of `cases`.
    removed : dict of int to str
        Index and reason.
    patients : list of str
        Patient of each kept image. Patients who share a radiograph are one patient.
    """
    same_patient = _Groups()
    copies: set[int] = set()
    contradicted: set[int] = set()
    for i, j in pairs:
        same_patient.join(cases[i].patient, cases[j].patient)
        if _agree(cases[i].label, cases[j].label):
            copies.add(j)
        else:
            tests = [index for index in (i, j) if cases[index].path in test_only]
            contradicted.update(tests if len(tests) == 1 else (i, j))
    removed = dict.fromkeys(copies, "duplicate") | dict.fromkeys(
        contradicted, "duplicate under another label"
    )
    kept = [index for index in range(len(cases)) if index not in removed]
    return kept, removed, [same_patient.representative(cases[index].patient) for index in kept]


def _agree(one: str, other: str) -> bool:
    return one == other or (UNSTATED in (one, other) and "normal" not in (one, other))


class _Groups:
    """Disjoint sets of names (union–find); the name of a set is its first in alphabetical order."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def representative(self, name: str) -> str:
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.representative(one), self.representative(other)))
        self._parent[second] = first

"""Find the same radiograph under several names, within and across sources.

Perceptual hashes alone do not do it: other chests look alike, and a halved copy does not. So candidates are pairs
whose small thumbnails correlate, and they are verified by the fine structure (ribs, vessels, lines) at a higher
resolution. Both are taken from preprocessed images, which differ in neither size, grey-value scale nor border.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrbatch.learn.sources import Case
from cxrbatch.preprocess import area_resize

CANDIDATE_CORRELATION = 0.93
DUPLICATE_CORRELATION = 0.85
_COARSE_PX = 16
_FINE_PX = 96
_SMOOTH_PX = 4
_BLOCK = 1024

Pair = tuple[int, int]


def duplicate_pairs(images: NDArray[np.uint8]) -> list[Pair]:
    """Pairs of images (i < j) that show the same radiograph.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed.
    """
    coarse = np.stack([_standardise(_shrink(image, _COARSE_PX)) for image in images])
    fine = np.stack([_standardise(_high_pass(_shrink(image, _FINE_PX))) for image in images])
    return [
        (int(i), int(j))
        for first, second in _candidates(coarse)
        for i, j in zip(*_verified(fine, first, second), strict=True)
    ]


def _candidates(coarse: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for start in range(0, len(coarse), _BLOCK):
        correlation = coarse[start : start + _BLOCK] @ coarse.T
        first, second = np.nonzero(correlation > CANDIDATE_CORRELATION)
        first += start
        later = second > first
        yield first[later], second[later]


def _verified(
    fine: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(first), _BLOCK)]
    correlation = [np.einsum("ij,ij->i", fine[first[block]], fine[second[block]]) for block in blocks]
    same = np.concatenate([np.zeros(0), *correlation]) > DUPLICATE_CORRELATION
    return first[same], second[same]


def _shrink(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    return area_resize(image.astype(np.float32), size, size)


def _high_pass(image: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = image.shape
    smooth = area_resize(image, height // _SMOOTH_PX, width // _SMOOTH_PX)
    return image - area_resize(smooth, height, width)


def _standardise(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """As a vector of mean 0 and length 1, so that a product of two is their correlation."""
    vector = image.ravel() - image.mean()
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 0 else vector


def keep_one_each(
    cases: Sequence[Case], pairs: Sequence[Pair]
) -> tuple[list[int], dict[int, str], list[str]]:
    """Remove duplicates and name the people behind them.

    Of two copies the earlier one is kept; a radiograph that occurs under two labels is removed altogether, because
    nobody knows which is right.

    Parameters
    ----------
    cases : sequence of Case
    pairs : sequence of Pair
        From `duplicate_pairs`.

    Returns
    -------
    kept : list of int
        Indices of `cases`.
    removed : dict of int to str
        Index and reason.
    patients : list of str
        For each kept one its patient, where patients who share a radiograph are one and the same.
    """
    removed = {j: "duplicate" for _, j in pairs}
    same_patient = _Groups()
    for i, j in pairs:
        same_patient.join(cases[i].patient, cases[j].patient)
        if cases[i].label != cases[j].label:
            removed |= dict.fromkeys((i, j), "duplicate under another label")
    kept = [index for index in range(len(cases)) if index not in removed]
    return kept, removed, [same_patient.representative(cases[index].patient) for index in kept]


class _Groups:
    """Disjoint sets of names (union–find); a set is called by its first name in alphabetical order."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def representative(self, name: str) -> str:
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.representative(one), self.representative(other)))
        self._parent[second] = first

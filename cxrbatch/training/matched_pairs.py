"""Draw matched pairs: train the network so that no source contributes through its prevalence.

Input: labelled images. Output: batches of image indices and the pairs among them.

A pair is two images of one domain (source, view, scanner format) with different answers to a question. The loss uses
only the difference of their two logits: conditional logistic regression with the domain as the matched factor
(Breslow and Day 1980, *Statistical Methods in Cancer Research I*, chapter 7). A free offset per domain cancels out of
it exactly, so the network learns nothing from a domain whose images all have one label.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import UNSTATED, LabelledImage

POSITIVE = ({"covid", "pneumonia", UNSTATED}, {"covid"})
NEGATIVE = ({"normal"}, {"pneumonia"})
"""Labels that answer each of `cxrbatch.training.network.QUESTIONS` with yes and with no; others do not take part."""

Patients = list[list[int]]
"""Per patient the indices of the images."""
Stratum = tuple[Patients, Patients]
"""Patients who answer a question with yes and with no, and whose images may be compared."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one training step, and the pairs among them.

    Attributes
    ----------
    indices : ndarray of int64, shape (n,)
    weights : ndarray of float32, shape (2, n, n)
        Per question: weight of the pair in which image i answers yes and image j no; 0 where they are no pair.
        The weights of a question sum to 1, or to 0 where it has no pair.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """Pairs that are drawn for each batch.

    Attributes
    ----------
    abnormal, covid : int
        Pairs of each question within a domain.
    person : int
        Pairs of the first question within a patient: the cleanest ones, because person, hospital and mostly the
        machine are the same.
    """

    abnormal: int
    covid: int
    person: int = 0


def batches(cases: Sequence[LabelledImage], counts: PairCounts, seed: int) -> Iterator[Batch]:
    """Draw batches without end.

    A domain is drawn in proportion to the square root of the smaller of its two numbers of patients, then a patient
    per answer, then an image, so that a patient with many images counts once. A kind of pair that does not occur gets
    none.
    """
    rng = np.random.default_rng(seed)
    domains, patients = (_codes([getattr(case, key) for case in cases]) for key in ("domain", "patient"))
    answers = _answers(cases)
    drawn_from = (
        (_strata(answers[0], domains, patients), counts.abnormal),
        (_strata(answers[1], domains, patients), counts.covid),
        (_strata(answers[0], patients, patients), counts.person),
    )
    share = counts.person / (counts.abnormal + counts.person) if drawn_from[2][0] else 0.0
    while True:
        drawn = [_draw(strata, rng) for strata, count in drawn_from if strata for _ in range(count)]
        indices = np.array(drawn, np.int64).reshape(-1)
        a = answers[:, indices]
        differ = (a[:, :, None] == 1) & (a[:, None, :] == 0)
        within_domain, within_person = (_equal(codes[indices]) for codes in (domains, patients))
        weights = np.stack([_mean(differ[question] & within_domain) for question in range(2)])
        weights[0] = (1 - share) * weights[0] + share * _mean(differ[0] & within_person)
        yield Batch(indices, weights)


def _draw(strata: list[Stratum], rng: np.random.Generator) -> list[int]:
    sizes = np.array([min(len(positive), len(negative)) for positive, negative in strata]) ** 0.5
    stratum = strata[rng.choice(len(strata), p=sizes / sizes.sum())]
    chosen = [patients[rng.integers(len(patients))] for patients in stratum]
    return [images[rng.integers(len(images))] for images in chosen]


def _strata(answers: NDArray[np.int8], groups: NDArray[np.intp], patients: NDArray[np.intp]) -> list[Stratum]:
    """List the patients of each group of images that has both answers."""
    found: dict[int, tuple[dict[int, list[int]], dict[int, list[int]]]] = defaultdict(lambda: ({}, {}))
    for index in np.flatnonzero(answers >= 0):
        yes, no = found[groups[index]]
        side = yes if answers[index] else no
        side.setdefault(patients[index], []).append(int(index))
    return [(list(yes.values()), list(no.values())) for _, (yes, no) in sorted(found.items()) if yes and no]


def _codes(names: list[str]) -> NDArray[np.intp]:
    return np.unique(names, return_inverse=True)[1]


def _equal(codes: NDArray[np.intp]) -> NDArray[np.bool_]:
    return codes[:, None] == codes[None, :]


def _mean(is_pair: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weigh pairs equally, so that they sum to 1; zeros where there is none."""
    return (is_pair / max(is_pair.sum(), 1)).astype(np.float32)


def _answers(cases: Sequence[LabelledImage]) -> NDArray[np.int8]:
    """Make the answers of each image: 1 yes, 0 no, −1 does not take part; shape (2, n)."""
    return np.array(
        [
            [1 if case.label in yes else 0 if case.label in no else -1 for case in cases]
            for yes, no in zip(POSITIVE, NEGATIVE, strict=True)
        ],
        np.int8,
    )

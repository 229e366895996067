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


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one training step, and the pairs among them.

    Attributes
    ----------
    indices : ndarray of int64, shape (n,)
    is_pair : ndarray of bool, shape (2, n, n)
        Per question: image i answers yes, image j answers no, both of one domain.
    """

    indices: NDArray[np.int64]
    is_pair: NDArray[np.bool_]


def batches(cases: Sequence[LabelledImage], pairs: tuple[int, int], seed: int) -> Iterator[Batch]:
    """Draw batches without end.

    A domain is drawn in proportion to the smaller of its two numbers of patients, then a patient per answer, then an
    image, so that a patient with many images counts once.

    Parameters
    ----------
    pairs : tuple of int
        Pairs per batch for each question; a question for which no domain has a pair gets none.
    """
    rng = np.random.default_rng(seed)
    strata = [_strata(cases, question) for question in range(2)]
    answers = _answers(cases)
    domains = np.array([case.domain for case in cases])
    while True:
        drawn = [_draw(strata[q], rng) for q in range(2) for _ in range(pairs[q]) if strata[q]]
        indices = np.array(drawn, np.int64).reshape(-1)
        same = domains[indices, None] == domains[None, indices]
        a = answers[:, indices]
        yield Batch(indices, (a[:, :, None] == 1) & (a[:, None, :] == 0) & same)


def _draw(strata: list[tuple[Patients, Patients]], rng: np.random.Generator) -> list[int]:
    sizes = np.array([min(len(positive), len(negative)) for positive, negative in strata], float)
    stratum = strata[rng.choice(len(strata), p=sizes / sizes.sum())]
    chosen = [patients[rng.integers(len(patients))] for patients in stratum]
    return [images[rng.integers(len(images))] for images in chosen]


def _strata(cases: Sequence[LabelledImage], question: int) -> list[tuple[Patients, Patients]]:
    """List the patients of each domain that has both answers, as (yes, no)."""
    domains: dict[str, tuple[dict[str, list[int]], dict[str, list[int]]]] = defaultdict(lambda: ({}, {}))
    for index, case in enumerate(cases):
        for side, labels in enumerate((POSITIVE[question], NEGATIVE[question])):
            if case.label in labels:
                domains[case.domain][side].setdefault(case.patient, []).append(index)
    return [(list(yes.values()), list(no.values())) for _, (yes, no) in sorted(domains.items()) if yes and no]


def _answers(cases: Sequence[LabelledImage]) -> NDArray[np.int8]:
    """Make the answers of each image: 1 yes, 0 no, −1 does not take part; shape (2, n)."""
    return np.array(
        [
            [1 if case.label in yes else 0 if case.label in no else -1 for case in cases]
            for yes, no in zip(POSITIVE, NEGATIVE, strict=True)
        ],
        np.int8,
    )

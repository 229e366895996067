"""Anchor the logits of a trained network: its training set in, changed weights of its last layer out.

Matched pairs fix only differences of logits, so the zero of a trained network is arbitrary; its scale depends on how
well its training set can be told apart. Thresholds and
calibration are measured on the networks of the folds and used on the network of the bundle. Without a common zero
they would mean nothing there.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation import compute_outputs
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE


def anchor_logits(network: keras.Model, images: NDArray[np.uint8], cases: Sequence[LabelledImage]) -> None:
    """Shift and scale the logits of a network: the middle of its training set is at zero, its spread is one.

    Parameters
    ----------
    network : keras.Model
        Its last layer is dense; its weights are changed.
    images : ndarray of uint8, shape (n, height, width)
        Its training set.
    cases : sequence of LabelledImage
        In the order of `images`.
    """
    logits = compute_outputs(network, images)
    kernel, bias = network.layers[-1].get_weights()
    questions = range(len(bias))
    shift = np.array([middle(logits[:, question], cases, question) for question in questions], bias.dtype)
    scale = np.array([spread(logits[:, question], cases, question) for question in questions], bias.dtype)
    network.layers[-1].set_weights([kernel / scale, (bias - shift) / scale])


def middle(logits: NDArray[np.floating], cases: Sequence[LabelledImage], question: int) -> float:
    """Compute the logit halfway between the mean logits of both answers, mean over the domains that have both.

    The weight of a domain is the number of images of its rarer answer. The result is 0 where no domain has both.

    Parameters
    ----------
    logits : ndarray of float, shape (n,)
        Of one question.
    cases : sequence of LabelledImage
    question : int
        Position in `cxrbatch.training.network.QUESTIONS`.
    """
    found = np.array(list(_middles(logits, cases, question)))
    return float(np.average(found[:, 0], weights=found[:, 1])) if found.size else 0.0


def spread(logits: NDArray[np.floating], cases: Sequence[LabelledImage], question: int) -> float:
    """Compute the standard deviation of logits within domain and answer, pooled over both; 1 where there is none.

    Parameters
    ----------
    logits, cases, question
        As in `middle`.
    """
    parts = [logits[here] for both in _sides(cases, question) for here in both]
    within = [part - part.mean() for part in parts if part.size > 1]
    found = float(np.sqrt(np.mean(np.concatenate(within) ** 2))) if within else 0.0
    return found if found > 0 else 1.0


def _middles(
    logits: NDArray[np.floating], cases: Sequence[LabelledImage], question: int
) -> Iterator[tuple[float, int]]:
    for yes, no in _sides(cases, question):
        ill, well = logits[yes], logits[no]
        yield float(ill.mean() + well.mean()) / 2, min(ill.size, well.size)


def _sides(
    cases: Sequence[LabelledImage], question: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield the masks of both answers for each domain that has both."""
    labels, domains = (np.array([getattr(case, key) for case in cases]) for key in ("label", "domain"))
    yes, no = (np.isin(labels, list(answer[question])) for answer in (POSITIVE, NEGATIVE))
    for domain in np.unique(domains):
        here = domains == domain
        if (yes & here).any() and (no & here).any():
            yield yes & here, no & here

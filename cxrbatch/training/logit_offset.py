"""Centre the logits of a trained network: its training set in, a changed bias out.

Matched pairs fix only differences of logits, so the zero of a trained network is arbitrary. Thresholds and
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


def centre_logits(network: keras.Model, images: NDArray[np.uint8], cases: Sequence[LabelledImage]) -> None:
    """Shift the logits of a network so that the middle of its training set is at zero.

    Parameters
    ----------
    network : keras.Model
        Its last layer is dense; its bias is changed.
    images : ndarray of uint8, shape (n, height, width)
        Its training set.
    cases : sequence of LabelledImage
        In the order of `images`.
    """
    logits = compute_outputs(network, images)
    kernel, bias = network.layers[-1].get_weights()
    shift = [middle(logits[:, question], cases, question) for question in range(len(bias))]
    network.layers[-1].set_weights([kernel, bias - np.array(shift, bias.dtype)])


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


def _middles(
    logits: NDArray[np.floating], cases: Sequence[LabelledImage], question: int
) -> Iterator[tuple[float, int]]:
    labels, domains = (np.array([getattr(case, key) for case in cases]) for key in ("label", "domain"))
    yes, no = (np.isin(labels, list(answer[question])) for answer in (POSITIVE, NEGATIVE))
    for domain in np.unique(domains):
        ill, well = logits[yes & (domains == domain)], logits[no & (domains == domain)]
        if ill.size and well.size:
            yield float(ill.mean() + well.mean()) / 2, min(ill.size, well.size)

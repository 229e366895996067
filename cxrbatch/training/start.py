"""Fit the heads on the features of the pretrained backbone: training set in, start of the training out.

A logistic regression on contrasts within a domain: every domain is centred at the midpoint of its two class means, so
that none contributes through its level or its prevalence.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation import split_batches
from cxrbatch.stats import Floats, fit_logistic
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE
from cxrbatch.training.recipe import NetworkSpec

_FEWEST = 3
"""Images of the rarer answer that a domain needs."""
_EPSILON = 1e-6


def start_heads(
    network: keras.Model, images: NDArray[np.uint8], cases: Sequence[LabelledImage], spec: NetworkSpec
) -> None:
    """Standardise the lung averages of a network on its training set, and fit its heads on them.

    Parameters
    ----------
    network : keras.Model
        Of `cxrbatch.training.lung_network.build_lung_logits`, with the weights of the backbone.
    images : ndarray of uint8, shape (n, size_px, size_px, 2)
        Its training set.
    cases : sequence of LabelledImage
        In the order of `images`.
    """
    features = _features(network, images)
    start = 0
    for tap in spec.taps:
        layer = network.get_layer(f"standardise{tap}")
        own = features[:, start : start + layer.input.shape[-1]]
        layer.set_weights([own.mean(axis=0), own.var(axis=0)])
        start += own.shape[1]
    standard = _features(network, images).astype(np.float64)
    kernel = np.stack([fit_within_domains(standard, cases, question, spec.ridge) for question in range(2)], 1)
    network.get_layer("logits").set_weights([kernel.astype(np.float32), np.zeros(2, np.float32)])


def _features(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the lung averages as the heads get them; before `start_heads` they are not standardised."""
    model = keras.Model(network.input, network.get_layer("lung_features").output)
    return np.concatenate([model(part, training=False).numpy() for part in split_batches(images)])


def fit_within_domains(
    features: Floats, cases: Sequence[LabelledImage], question: int, ridge: float
) -> Floats:
    """Fit a logistic regression on contrasts within domains.

    Parameters
    ----------
    features : ndarray of float64, shape (n, k)
        Standardised.
    cases : sequence of LabelledImage
    question : int
        Position in `cxrbatch.training.network.QUESTIONS`.
    ridge : float
        Strength of the ridge, where the mean weight of an image is 1.

    Returns
    -------
    ndarray of float64, shape (k,)
        Zeros where no domain has enough images of both answers.
    """
    parts = list(_centred(features, cases, question))
    if not parts:
        return np.zeros(features.shape[1])
    design, answers, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    scale = design.std(axis=0) + _EPSILON
    return fit_logistic(design / scale, answers, weights / weights.mean(), ridge=ridge) / scale


def _centred(
    features: Floats, cases: Sequence[LabelledImage], question: int
) -> Iterator[tuple[Floats, NDArray[np.bool_], Floats]]:
    """Yield centred features, answers and weights of each domain; both answers of a domain weigh the same."""
    labels, domains = (np.array([getattr(case, key) for case in cases]) for key in ("label", "domain"))
    yes, no = (np.isin(labels, list(answer[question])) for answer in (POSITIVE, NEGATIVE))
    for domain in np.unique(domains):
        here = (domains == domain) & (yes | no)
        is_yes, part = yes[here], features[here]
        counts = np.array([(~is_yes).sum(), is_yes.sum()])
        if counts.min() >= _FEWEST:
            middle = (part[is_yes].mean(axis=0) + part[~is_yes].mean(axis=0)) / 2
            yield part - middle, is_yes, np.sqrt(counts.min()) * 0.5 / counts[is_yes.astype(int)]

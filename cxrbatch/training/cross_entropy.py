"""Train by plain cross-entropy over all images in one pool, as most networks of the field are trained.

Every source contributes through its prevalence. Where the class is the source, the network learns the source. This
method is for comparison.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.records import FINDINGS

_COVID, _NORMAL = FINDINGS.index("covid"), FINDINGS.index("normal")


def epochs(
    cases: Sequence[LabelledImage], batch_size: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Draw every image once in random order, then again, without end.

    Yields
    ------
    indices, labels : ndarray of int64, shape (n,)
        Positions in `cases` and in `cxrbatch.records.FINDINGS`; the last batch of an epoch may be smaller.
    """
    rng = np.random.default_rng(seed)
    labels = np.array([FINDINGS.index(case.label) for case in cases], np.int64)
    while True:
        order = rng.permutation(len(cases))
        for start in range(0, len(cases), batch_size):
            indices = order[start : start + batch_size]
            yield indices, labels[indices]


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Compute the mean of minus the logarithm of the score of each image's own label.

    Parameters
    ----------
    logits : tensor of float32, shape (n, 2)
        a and b; with p and q their logistic functions the scores are p·q, p·(1 − q) and 1 − p, as in
        `cxrbatch.training.export.export_scores`.
    labels : tensor of int64, shape (n,)
        Positions in `cxrbatch.records.FINDINGS`.

    Returns
    -------
    tensor of float32, scalar
    """
    a, b = logits[:, 0], logits[:, 1]
    kind = tf.where(labels == _COVID, tf.nn.softplus(-b), tf.nn.softplus(b))
    return tf.reduce_mean(tf.where(labels == _NORMAL, tf.nn.softplus(a), tf.nn.softplus(-a) + kind))

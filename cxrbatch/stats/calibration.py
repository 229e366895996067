"""Measure the calibration of scores: labels and scores in, figures out.

The patient is the unit, and both classes have the same weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Bools, Floats
from cxrbatch.stats.logistic import fit_logistic
from cxrbatch.stats.ranking import Scores

_LEAST_SCORE = 1e-7  # a logit must be finite

_NEXT_TO_NO_RIDGE = 1e-9


def balanced_weights(y_true: Bools) -> Floats:
    """Compute weights with sum ½ for each class: the prevalence of a collection is not that of a hospital.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Sum 1 where both classes occur.
    """
    n_positive = max(1, int(y_true.sum()))
    n_negative = max(1, int((~y_true).sum()))
    return np.where(y_true, 0.5 / n_positive, 0.5 / n_negative)


def brier(y_true: Bools, y_score: Scores) -> float:
    """Compute the Brier score: mean squared distance of score and truth (Brier 1950), same weight for both classes.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
        0–1.

    Returns
    -------
    float
        0–1, ¼ where every score is ½; NaN where a class is missing.
    """
    return float(balanced_weights(y_true) @ (y_score - y_true) ** 2) if _has_both(y_true) else float("nan")


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of a reliability diagram, by rising score.

    Attributes
    ----------
    score, share : ndarray of float64, shape (bins,)
        Mean score and share of positives, with the same weight for both classes.
    n : ndarray of int64, shape (bins,)
        Number of units.
    weight : ndarray of float64, shape (bins,)
        Share of the weight; sum 1.
    """

    score: Floats
    share: Floats
    n: NDArray[np.int64]
    weight: Floats


def reliability(y_true: Bools, y_score: Scores, bins: int = 10) -> Reliability:
    """Make the bins of a reliability diagram, of equal counts; equal scores share a bin, so there may be fewer bins.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
        Both classes occur.
    y_score : ndarray of float, shape (n,)
        0–1.
    """
    edges = np.sort(y_score)[(np.arange(1, bins) * y_score.size) // bins]
    _, bin_ = np.unique(np.searchsorted(edges, y_score, side="right"), return_inverse=True)
    weights = balanced_weights(y_true)
    weight = np.bincount(bin_, weights).astype(np.float64)
    return Reliability(
        np.bincount(bin_, weights * y_score) / weight,
        np.bincount(bin_, weights * y_true) / weight,
        np.bincount(bin_),
        weight,
    )


def expected_calibration_error(y_true: Bools, y_score: Scores, bins: int = 10) -> float:
    """Compute the mean distance of score and share of positives over bins of equal counts (Naeini et al. 2015).

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
        0–1.

    Returns
    -------
    float
        0–1; NaN where a class is missing.
    """
    if not _has_both(y_true):
        return float("nan")
    found = reliability(y_true, y_score, bins)
    return float(found.weight @ np.abs(found.score - found.share))


def calibration_line(y_true: Bools, y_score: Scores) -> tuple[float, float]:
    """Compute calibration slope and intercept, with the same weight for both classes.

    The slope is that of the truth's log-odds on those of the score (Cox 1958): 1 is ideal, below 1 the scores are too
    extreme. The intercept is that with the slope fixed at 1 (calibration in the large, Van Calster et al. 2019): 0 is
    ideal, below 0 the scores are too high.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
        0–1.

    Returns
    -------
    slope, intercept : float
        The slope is NaN where the score separates the classes completely or is constant. Both are NaN where a class
        is missing.
    """
    if not _has_both(y_true):
        return float("nan"), float("nan")
    weights = balanced_weights(y_true)
    clipped = np.clip(np.asarray(y_score, np.float64), _LEAST_SCORE, 1 - _LEAST_SCORE)
    logit = np.log(clipped / (1 - clipped))
    one = np.ones((logit.size, 1))
    (intercept,) = fit_logistic(one, y_true, weights, ridge=_NEXT_TO_NO_RIDGE, offset=logit)
    if _is_parted(y_true, logit):
        return float("nan"), float(intercept)
    design = np.column_stack([logit, one])
    slope, _ = fit_logistic(design, y_true, weights, ridge=_NEXT_TO_NO_RIDGE)
    return float(slope), float(intercept)


def _is_parted(y_true: Bools, score: Floats) -> bool:
    """Check whether the score separates the classes completely: then no finite slope is the most likely one."""
    positive, negative = score[y_true], score[~y_true]
    return bool(positive.min() >= negative.max() or negative.min() >= positive.max())


def _has_both(y_true: Bools) -> bool:
    return 0 < int(y_true.sum()) < y_true.size

"""Calibration of scores with the patient as the unit, classes weighing the same."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Bools, Floats
from cxrbatch.stats.logistic import fit_logistic
from cxrbatch.stats.ranking import Scores

_LEAST_SCORE = 1e-7  # a logit must be finite

_NEXT_TO_NO_RIDGE = 1e-9


def balanced_weights(y_true: Bools) -> Floats:
    """Weights that give either class one half, because the prevalence of a collection is no hospital's; sum 1."""
    n_positive = max(1, int(y_true.sum()))
    n_negative = max(1, int((~y_true).sum()))
    return np.where(y_true, 0.5 / n_positive, 0.5 / n_negative)


def brier(y_true: Bools, y_score: Scores) -> float:
    """Mean squared distance of the score from the truth (Brier 1950), classes weighing the same: ¼ for a score of ½.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
        0–1.
    """
    return float(balanced_weights(y_true) @ (y_score - y_true) ** 2) if _has_both(y_true) else float("nan")


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of a reliability diagram, by rising score.

    Attributes
    ----------
    score, share : ndarray of float64, shape (bins,)
        Mean score and share of positives, classes weighing the same.
    n : ndarray of int64, shape (bins,)
        Units.
    weight : ndarray of float64, shape (bins,)
        Sum 1.
    """

    score: Floats
    share: Floats
    n: NDArray[np.int64]
    weight: Floats


def reliability(y_true: Bools, y_score: Scores, bins: int = 10) -> Reliability:
    """Bins of equal counts; equal scores are never parted, so that there may be fewer bins.

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
    """Mean distance of score and share of positives over bins of equal counts (Naeini et al. 2015)."""
    if not _has_both(y_true):
        return float("nan")
    found = reliability(y_true, y_score, bins)
    return float(found.weight @ np.abs(found.score - found.share))


def calibration_line(y_true: Bools, y_score: Scores) -> tuple[float, float]:
    """Calibration slope and intercept, classes weighing the same.

    Slope of the truth's log-odds on those of the score (Cox 1958): 1 is right, less is too extreme. Intercept with
    the slope held at 1 (calibration in the large, Van Calster et al. 2019): 0 is right, below 0 is too high a score.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
        0–1.

    Returns
    -------
    slope, intercept : float
        The slope is NaN where the score parts the classes wholly or is constant, both where a class is missing.
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
    """Whether no positive is among the negatives, so that no finite slope is the likeliest."""
    positive, negative = score[y_true], score[~y_true]
    return bool(positive.min() >= negative.max() or negative.min() >= positive.max())


def _has_both(y_true: Bools) -> bool:
    return 0 < int(y_true.sum()) < y_true.size

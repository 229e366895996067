"""Metrics of a ranking, with the patient as the unit: NumPy only, checked against scikit-learn in the tests.

A *unit* is what a row of the list is: one patient (or one patient under one label, where a patient was imaged both
ill and well). Confidence intervals resample patients, so that two units of one patient come and go together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % confidence interval (percentile bootstrap over patients)."""

    value: float
    low: float
    high: float


def auroc(y_true: NDArray[np.bool_], y_score: NDArray[np.floating]) -> float:
    """Area under the ROC curve: share of (positive, negative) pairs in the right order, ties counting half.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)

    Returns
    -------
    float
        0–1; NaN where one class is missing.
    """
    return float(wins(y_true, y_score).mean()) if 0 < y_true.sum() < y_true.size else float("nan")


def wins(y_true: NDArray[np.bool_], y_score: NDArray[np.floating]) -> Floats:
    """Whether each positive outscores each negative: 1, ½ for a tie, 0; shape (positives, negatives)."""
    difference = y_score[y_true][:, None] - y_score[~y_true][None, :]
    return (np.sign(difference).astype(np.float64) + 1) / 2


def auroc_interval(
    y_true: NDArray[np.bool_],
    y_score: NDArray[np.floating],
    patients: NDArray[np.str_],
    *,
    bootstraps: int,
    seed: int = 0,
) -> Estimate:
    """AUROC with its patient-bootstrap interval.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
        Both classes occur.
    y_score : ndarray of float, shape (n,)
    patients : ndarray of str, shape (n,)
        Units of one patient are resampled together.
    bootstraps : int
        Number of resamples.
    """
    won = wins(y_true, y_score)
    _, patient = np.unique(patients, return_inverse=True)
    n_patients = int(patient.max()) + 1
    counts = np.random.default_rng(seed).multinomial(
        n_patients, np.full(n_patients, 1 / n_patients), bootstraps
    )
    positives, negatives = counts[:, patient[y_true]], counts[:, patient[~y_true]]
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    areas = ((positives @ won) * negatives).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    low, high = np.percentile(areas, [2.5, 97.5])
    return Estimate(value=float(won.mean()), low=float(low), high=float(high))


def threshold_at_sensitivity(positive_scores: NDArray[np.floating], sensitivity: float) -> float:
    """Highest threshold at which at least `sensitivity` of the positives score it or more."""
    ordered = np.sort(positive_scores)[::-1]
    needed = int(np.ceil(sensitivity * ordered.size - 1e-9))
    return float(ordered[max(needed, 1) - 1])


def prevalence_score(y_true: NDArray[np.bool_], groups: NDArray[np.str_]) -> Floats:
    """The score of somebody who sees no image, only the group it comes from: its share of positives."""
    _, group = np.unique(groups, return_inverse=True)
    return (np.bincount(group, y_true) / np.bincount(group))[group]

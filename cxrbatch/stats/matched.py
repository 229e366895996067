"""Compare the scores of matched units only: within a stratum, or within a patient.

What differs between strata, or between patients, cannot make these figures.
"""

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Bools, Floats
from cxrbatch.stats.ranking import CHUNK, Estimate, Scores, estimate, rank, resamples

Names = NDArray[np.str_]


def auroc_within_strata(
    y_true: Bools, y_score: Scores, strata: Names, patients: Names, *, bootstraps: int, seed: int = 0
) -> Estimate:
    """Compute the share of (positive, negative) pairs of one stratum in the right order, ties counting half.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
    strata, patients : ndarray of str, shape (n,)
        Units of one patient are resampled together, over all strata. Those of one class in one stratum share the
        weight of one unit.
    bootstraps : int
        Number of resamples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Estimate
        NaN where no stratum has both classes.
    """
    names, patient = np.unique(patients, return_inverse=True)
    parts = [here for stratum in np.unique(strata) if len(set(y_true[here := strata == stratum])) == 2]
    if not parts:
        return Estimate(value=np.nan, low=np.nan, high=np.nan)

    def over_all(counts: Floats) -> Floats:
        """Compute the figure for weightings of the patients, shape (b, patients)."""
        found = [_pairs(y_true[here], y_score[here], patient[here], counts) for here in parts]
        won, n_pairs = np.sum(found, axis=0)
        return np.divide(won, n_pairs, out=np.full(won.shape, np.nan), where=n_pairs > 0)

    chunks = resamples(len(names), bootstraps, seed, chunk=max(1, CHUNK // y_true.size))
    drawn = [over_all(counts) for counts in chunks]
    whole = over_all(np.ones((1, len(names))))
    return estimate(float(whole[0]), np.concatenate([np.empty(0), *drawn]))


def _pairs(
    y_true: Bools, y_score: Scores, patient: NDArray[np.intp], counts: Floats
) -> tuple[Floats, Floats]:
    """Compute the weight of the pairs in the right order, and of all pairs; shape (b,) each."""
    side = 2 * patient + y_true
    ranking = rank(y_true, y_score, counts[:, patient] / np.bincount(side)[side])
    n_pairs = ranking.positives[:, -1] * ranking.negatives[:, -1]
    return np.where(n_pairs > 0, ranking.auroc(), 0.0) * n_pairs, n_pairs


def right_within_patients(
    y_true: Bools, y_score: Scores, patients: Names, *, bootstraps: int, seed: int = 0
) -> tuple[Estimate, Estimate, int, int]:
    """Compute how often the image with the finding has the higher score, of two images of one patient.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
        Of images.
    y_score : ndarray of float, shape (n,)
    patients : ndarray of str, shape (n,)
    bootstraps : int
        Number of resamples of patients.
    seed : int
        Seed of the resampling.

    Returns
    -------
    patient_mean : Estimate
        Mean over patients of the share of their pairs in which the image with the finding scores higher; ties count
        half.
    share_of_pairs : Estimate
        The same share, over the pairs of all patients.
    n_patients, n_pairs : int
        Patients with images on both sides, and their pairs. Without any the estimates are NaN.
    """
    _, patient = np.unique(patients, return_inverse=True)
    both = np.isin(patient, np.intersect1d(patient[y_true], patient[~y_true]))
    if not both.any():
        nothing = Estimate(value=np.nan, low=np.nan, high=np.nan)
        return nothing, nothing, 0, 0
    won, n_pairs = np.array([_won(y_true[here], y_score[here]) for here in _each(patient, both)]).T
    weights = np.concatenate(
        [np.ones((1, len(won))), *resamples(len(won), bootstraps, seed, bootstraps or 1)]
    )
    means = weights @ (won / n_pairs) / weights.sum(axis=1)
    shares = weights @ won / (weights @ n_pairs)
    found = [estimate(float(values[0]), values[1:]) for values in (means, shares)]
    return found[0], found[1], len(won), int(n_pairs.sum())


def _each(patient: NDArray[np.intp], both: Bools) -> list[Bools]:
    return [patient == one for one in np.unique(patient[both])]


def _won(y_true: Bools, y_score: Scores) -> tuple[float, float]:
    """Count the pairs of one patient in the right order, and all of them."""
    difference = y_score[y_true][:, None] - y_score[~y_true][None]
    return float((difference > 0).sum() + (difference == 0).sum() / 2), float(difference.size)

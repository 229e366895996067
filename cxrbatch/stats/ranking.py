"""Compute metrics of a ranking: labels and scores in, figures out.

Uses NumPy only; the tests compare with scikit-learn.

A *unit* is a row of the list: one patient (or one patient under one label, where a patient was imaged both with and
without the finding). Confidence intervals resample patients: the units of one patient are drawn together. Equal
scores have no order: every figure is the average over all orders of the ties. Where one class is missing there is no
figure: NaN.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Bools, Floats

Scores = NDArray[np.floating]

SHARES_TESTED = (0.1, 0.2, 0.3, 0.5)
"""Shares of a list for which the share of positives found is reported."""

CHUNK = 2_000_000
"""Resampled units in memory at a time."""

_SLACK = 1e-9  # 0.9 × 10 patients are 9, independent of rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % confidence interval (percentile bootstrap over patients)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Number of units of each class at or above each threshold, for `b` weightings of the same units at once.

    Attributes
    ----------
    thresholds : ndarray of float, shape (t,)
        The scores that occur, in falling order.
    positives, negatives : ndarray of float64, shape (b, t)
        Weight of the positives and of the negatives with at least that score.
    """

    thresholds: Scores
    positives: Floats
    negatives: Floats

    def auroc(self) -> Floats:
        """Compute the share of (positive, negative) pairs in the right order, ties counting half; shape (b,)."""
        before = _from_nothing(self.positives)[:, :-1]
        won = _steps(self.negatives) * (before + self.positives) / 2
        return _divide(won.sum(axis=1), self.positives[:, -1] * self.negatives[:, -1])

    def auprc(self) -> Floats:
        """Compute the average precision as in scikit-learn: precision summed over the steps of recall; shape (b,)."""
        precision = self.positives / np.maximum(self.positives + self.negatives, np.finfo(float).tiny)
        area = _divide((_steps(self.positives) * precision).sum(axis=1), self.positives[:, -1])
        return np.where(self.negatives[:, -1] > 0, area, np.nan)

    def sensitivity(self, threshold: float) -> Floats:
        """Compute the share of the positives at or above a threshold; shape (b,)."""
        return _divide(self._at(self.positives, threshold), self.positives[:, -1])

    def specificity(self, threshold: float) -> Floats:
        """Compute the share of the negatives below a threshold; shape (b,)."""
        return 1 - _divide(self._at(self.negatives, threshold), self.negatives[:, -1])

    def specificity_at_sensitivity(self, sensitivity: float) -> Floats:
        """Compute specificity at the highest threshold that finds at least this share of positives; shape (b,)."""
        needed = sensitivity * self.positives[:, -1:] - _SLACK
        first = (self.positives >= needed).argmax(axis=1)
        false = np.take_along_axis(self.negatives, first[:, None], axis=1)[:, 0]
        return np.where(self.positives[:, -1] > 0, 1 - _divide(false, self.negatives[:, -1]), np.nan)

    def _at(self, cumulated: Floats, threshold: float) -> Floats:
        n_above = int((self.thresholds >= threshold).sum())
        return _from_nothing(cumulated)[:, n_above]


Measure = Callable[[Ranking], Floats]
"""Computes a figure for each weighting: shape (b,)."""


def rank(y_true: Bools, y_score: Scores, weights: Floats | None = None) -> Ranking:
    """Sort units by falling score.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
    weights : ndarray of float64, shape (b, n), optional
        By default one row of ones.

    Raises
    ------
    ValueError
        A score is NaN and has no place in an order.
    """
    if np.isnan(y_score).any():
        raise ValueError("a score is not a number")
    order = np.argsort(-y_score, kind="stable")
    ordered = y_score[order]
    last_of_ties = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: ordered.size])
    weight = np.ones((1, y_true.size)) if weights is None else weights
    positives, negatives = (
        np.cumsum(weight[:, order] * of_class[order], axis=1)[:, last_of_ties]
        for of_class in (y_true, ~y_true)
    )
    return Ranking(ordered[last_of_ties], positives, negatives)


def _steps(cumulated: Floats) -> Floats:
    return np.diff(cumulated, axis=1, prepend=0.0)


def _from_nothing(cumulated: Floats) -> Floats:
    return np.pad(cumulated, ((0, 0), (1, 0)))


def _divide(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)


def auroc(y_true: Bools, y_score: Scores) -> float:
    """Compute the area under the ROC curve: share of (positive, negative) pairs in the right order, ties count half.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)

    Returns
    -------
    float
        0–1; NaN where one class is missing.
    """
    return _figure(Ranking.auroc, y_true, y_score)


def auprc(y_true: Bools, y_score: Scores) -> float:
    """Compute the average precision, 0–1; NaN where one class is missing. Parameters as `auroc`."""
    return _figure(Ranking.auprc, y_true, y_score)


def sensitivity(y_true: Bools, y_score: Scores, threshold: float) -> float:
    """Compute the share of the positives that score at least `threshold`; NaN where there is none."""
    return _figure(lambda ranking: ranking.sensitivity(threshold), y_true, y_score)


def specificity(y_true: Bools, y_score: Scores, threshold: float) -> float:
    """Compute the share of the negatives that score less than `threshold`; NaN where there is none."""
    return _figure(lambda ranking: ranking.specificity(threshold), y_true, y_score)


def specificity_at_sensitivity(y_true: Bools, y_score: Scores, share: float) -> float:
    """Compute the best specificity among the thresholds that find at least `share` (0–1) of the positives."""
    return _figure(lambda ranking: ranking.specificity_at_sensitivity(share), y_true, y_score)


def _figure(measure: Measure, y_true: Bools, y_score: Scores) -> float:
    return float(measure(rank(y_true, y_score))[0]) if y_true.size else float("nan")


def estimates(
    measures: Mapping[str, Measure],
    y_true: Bools,
    y_score: Scores,
    patients: NDArray[np.str_],
    *,
    bootstraps: int,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Compute figures of a ranking with their intervals, all from the same resamples of patients.

    Parameters
    ----------
    measures : mapping of str to Measure
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
    patients : ndarray of str, shape (n,)
        Units of one patient are resampled together. Those of the same class share the weight of one unit, so that
        copies change nothing.
    bootstraps : int
        Number of resamples; those without one of the classes have no figure and are left out of the interval.
    seed : int
        Seed of the resampling.

    Returns
    -------
    dict of str to Estimate
        NaN where there is no figure.
    """
    if not y_true.size:
        return {name: Estimate(value=np.nan, low=np.nan, high=np.nan) for name in measures}
    names, patient = np.unique(patients, return_inverse=True)
    side = 2 * patient + y_true
    once = 1.0 / np.bincount(side)[side]
    whole = rank(y_true, y_score, once[None])
    drawn = [
        [measure(resampled) for measure in measures.values()]
        for counts in resamples(len(names), bootstraps, seed, chunk=max(1, CHUNK // y_true.size))
        for resampled in [rank(y_true, y_score, counts[:, patient] * once)]
    ]
    columns = np.concatenate(drawn, axis=1) if drawn else np.empty((len(measures), 0))
    return {
        name: estimate(float(measure(whole)[0]), column)
        for (name, measure), column in zip(measures.items(), columns, strict=True)
    }


def resamples(n: int, bootstraps: int, seed: int, chunk: int) -> Iterator[Floats]:
    """Draw how often each of `n` patients is in a resample; shape (≤ chunk, n)."""
    rng = np.random.default_rng(seed)
    for start in range(0, bootstraps, chunk):
        n_rows = min(chunk, bootstraps - start)
        drawn = rng.integers(n, size=(n_rows, n)) + n * np.arange(n_rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=n_rows * n).reshape(n_rows, n).astype(np.float64)


def estimate(value: float, drawn: Floats) -> Estimate:
    """Add the 95 % interval of resampled values, shape (b,), to a figure; those without a figure are left out."""
    finite = drawn[np.isfinite(drawn)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite.size else (np.nan, np.nan)
    return Estimate(value=value, low=float(low), high=float(high))


def roc_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """Compute the ROC curve from (0, 0) to (1, 1), straight across ties.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of float64, shape (t + 1,)
    """
    ranking = rank(y_true, y_score)
    return _share(ranking.negatives), _share(ranking.positives)


def precision_recall_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """Compute recall and precision at each threshold, in the order of rising recall.

    Returns
    -------
    recall, precision : ndarray of float64, shape (t,)
    """
    ranking = rank(y_true, y_score)
    recall = _share(ranking.positives)[1:]
    return recall, (ranking.positives / (ranking.positives + ranking.negatives))[0]


def gain_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """Compute the gain curve from (0, 0) to (1, 1): share of positives found by testing a share of the list.

    Returns
    -------
    tested, found : ndarray of float64, shape (t + 1,)
    """
    ranking = rank(y_true, y_score)
    return _share(ranking.positives + ranking.negatives), _share(ranking.positives)


def _share(cumulated: Floats) -> Floats:
    return _divide(_from_nothing(cumulated)[0], cumulated[0, -1])


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """Yield of testing the top of the list.

    Attributes
    ----------
    tested : float
        Requested share of the patients, 0–1.
    n_tested : int
        Number of patients in that share, rounded up.
    found : float
        Share of the positives that are among them, 0–1.
    number_needed_to_test : float
        Patients tested for each positive found: one over the positive predictive value; infinite where none is found.
    lift : float
        Positive predictive value over prevalence: 1 for a list in random order.
    """

    tested: float
    n_tested: int
    found: float
    number_needed_to_test: float
    lift: float


def top_of_list(y_true: Bools, y_score: Scores, share: float) -> TopK:
    """Compute the yield of testing the first `share` of the list; equal scores are averaged over all orders.

    Parameters
    ----------
    y_true : ndarray of bool, shape (n,)
        At least one positive.
    y_score : ndarray of float, shape (n,)
    share : float
        0–1.
    """
    n_tested = max(1, int(np.ceil(share * y_true.size - _SLACK)))
    tested, found = gain_points(y_true, y_score)
    share_found = float(np.interp(n_tested / y_true.size, tested, found))
    n_found = share_found * float(y_true.sum())
    return TopK(
        tested=share,
        n_tested=n_tested,
        found=share_found,
        number_needed_to_test=n_tested / n_found if n_found > 0 else float("inf"),
        lift=share_found * y_true.size / n_tested,
    )


def histogram_points(y_score: Scores, bins: int = 20) -> tuple[Floats, Floats]:
    """Compute the share of the units in each of `bins` equal parts of 0–1.

    Returns
    -------
    edges : ndarray of float64, shape (bins + 1,)
    share : ndarray of float64, shape (bins,)
        Sum 1; all 0 where there is no unit.
    """
    counts, edges = np.histogram(y_score, bins, (0.0, 1.0))
    return edges, counts / max(1, y_score.size)


def threshold_at_sensitivity(positive_scores: Scores, sensitivity: float) -> float:
    """Find the highest threshold that at least the share `sensitivity` (0–1) of the positives reach."""
    ordered = np.sort(positive_scores)[::-1]
    needed = int(np.ceil(sensitivity * ordered.size - _SLACK))
    return float(ordered[max(needed, 1) - 1])


def prevalence_score(y_true: Bools, groups: NDArray[np.str_]) -> Floats:
    """Compute a score that uses no image: the share of positives in the group of each unit; shape (n,)."""
    _, group = np.unique(groups, return_inverse=True)
    return (np.bincount(group, y_true) / np.bincount(group))[group]

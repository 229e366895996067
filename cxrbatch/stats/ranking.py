"""Metrics of a ranking, with the patient as the unit: NumPy only, checked against scikit-learn in the tests.

A *unit* is what a row of the list is: one patient (or one patient under one label, where a patient was imaged both
ill and well). Confidence intervals resample patients, so that the units of one patient come and go together. Scores
that are equal are never put in an order: every figure is what it would be on average over all orders of the ties.
Where one class is missing there is no figure: NaN.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Bools, Floats

Scores = NDArray[np.floating]

SHARES_TESTED = (0.1, 0.2, 0.3, 0.5)
"""Shares of a list after which is stated how many of the positive it found."""

_CHUNK = 2_000_000  # resampled units held at a time
_SLACK = 1e-9  # 0.9 × 10 patients are 9, whatever the rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % confidence interval (percentile bootstrap over patients)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """How many of either class are at or above each threshold, for `b` weightings of the same units at once.

    Attributes
    ----------
    thresholds : ndarray of float, shape (t,)
        The scores that occur, falling.
    positives, negatives : ndarray of float64, shape (b, t)
        Weight of the positives and of the negatives that score at least that much.
    """

    thresholds: Scores
    positives: Floats
    negatives: Floats

    def auroc(self) -> Floats:
        """Share of (positive, negative) pairs in the right order, ties counting half; shape (b,)."""
        before = _from_nothing(self.positives)[:, :-1]
        won = _steps(self.negatives) * (before + self.positives) / 2
        return _divide(won.sum(axis=1), self.positives[:, -1] * self.negatives[:, -1])

    def auprc(self) -> Floats:
        """Average precision, as scikit-learn defines it: precision summed over the steps of recall; shape (b,)."""
        precision = self.positives / np.maximum(self.positives + self.negatives, np.finfo(float).tiny)
        area = _divide((_steps(self.positives) * precision).sum(axis=1), self.positives[:, -1])
        return np.where(self.negatives[:, -1] > 0, area, np.nan)

    def sensitivity(self, threshold: float) -> Floats:
        """Share of the positives at or above a threshold; shape (b,)."""
        return _divide(self._at(self.positives, threshold), self.positives[:, -1])

    def specificity(self, threshold: float) -> Floats:
        """Share of the negatives below a threshold; shape (b,)."""
        return 1 - _divide(self._at(self.negatives, threshold), self.negatives[:, -1])

    def specificity_at_sensitivity(self, sensitivity: float) -> Floats:
        """Specificity at the highest threshold that finds at least this share of the positives; shape (b,)."""
        needed = sensitivity * self.positives[:, -1:] - _SLACK
        first = (self.positives >= needed).argmax(axis=1)
        false = np.take_along_axis(self.negatives, first[:, None], axis=1)[:, 0]
        return np.where(self.positives[:, -1] > 0, 1 - _divide(false, self.negatives[:, -1]), np.nan)

    def _at(self, cumulated: Floats, threshold: float) -> Floats:
        n_above = int((self.thresholds >= threshold).sum())
        return _from_nothing(cumulated)[:, n_above]


Measure = Callable[[Ranking], Floats]
"""A figure of each weighting: shape (b,)."""


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
        A score is not a number and has no place in an order.
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
    return _figure(Ranking.auroc, y_true, y_score)


def auprc(y_true: Bools, y_score: Scores) -> float:
    """Average precision; NaN where one class is missing. Parameters as `auroc`."""
    return _figure(Ranking.auprc, y_true, y_score)


def sensitivity(y_true: Bools, y_score: Scores, threshold: float) -> float:
    """Share of the positives that score at least `threshold`; NaN where there is none."""
    return _figure(lambda ranking: ranking.sensitivity(threshold), y_true, y_score)


def specificity(y_true: Bools, y_score: Scores, threshold: float) -> float:
    """Share of the negatives that score less than `threshold`; NaN where there is none."""
    return _figure(lambda ranking: ranking.specificity(threshold), y_true, y_score)


def specificity_at_sensitivity(y_true: Bools, y_score: Scores, share: float) -> float:
    """Best specificity among the thresholds that find at least `share` of the positives."""
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
    """Figures of a ranking with their intervals, all from the same resamples of patients.

    Parameters
    ----------
    measures : mapping of str to Measure
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float, shape (n,)
    patients : ndarray of str, shape (n,)
        Units of one patient are resampled together, and those of one class share the weight of one, so that copies
        change nothing.
    bootstraps : int
        Number of resamples; those without one of the classes give no figure and are left out of the interval.

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
        for counts in _resamples(len(names), bootstraps, seed, chunk=max(1, _CHUNK // y_true.size))
        for resampled in [rank(y_true, y_score, counts[:, patient] * once)]
    ]
    columns = np.concatenate(drawn, axis=1) if drawn else np.empty((len(measures), 0))
    return {
        name: _estimate(float(measure(whole)[0]), column)
        for (name, measure), column in zip(measures.items(), columns, strict=True)
    }


def _resamples(n: int, bootstraps: int, seed: int, chunk: int) -> Iterator[Floats]:
    """How often each of `n` patients is drawn; shape (≤ chunk, n)."""
    rng = np.random.default_rng(seed)
    for start in range(0, bootstraps, chunk):
        n_rows = min(chunk, bootstraps - start)
        drawn = rng.integers(n, size=(n_rows, n)) + n * np.arange(n_rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=n_rows * n).reshape(n_rows, n).astype(np.float64)


def _estimate(value: float, drawn: Floats) -> Estimate:
    finite = drawn[np.isfinite(drawn)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite.size else (np.nan, np.nan)
    return Estimate(value=value, low=float(low), high=float(high))


def roc_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """ROC curve from (0, 0) to (1, 1), straight across ties.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of float64, shape (t + 1,)
    """
    ranking = rank(y_true, y_score)
    return _share(ranking.negatives), _share(ranking.positives)


def precision_recall_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """Recall and precision at each threshold, recall rising.

    Returns
    -------
    recall, precision : ndarray of float64, shape (t,)
    """
    ranking = rank(y_true, y_score)
    recall = _share(ranking.positives)[1:]
    return recall, (ranking.positives / (ranking.positives + ranking.negatives))[0]


def gain_points(y_true: Bools, y_score: Scores) -> tuple[Floats, Floats]:
    """Gain curve from (0, 0) to (1, 1): who tests this share of the list from the top finds that share of positives.

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
    """What testing the top of the list yields.

    Attributes
    ----------
    tested : float
        Share of the patients that was asked for, 0–1.
    n_tested : int
        That many patients, rounded up.
    found : float
        Share of the positives among them.
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
    """Test the first `share` of the list; patients with equal scores are taken in random order (on average).

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
    """Share of the units in each of `bins` equal parts of 0–1.

    Returns
    -------
    edges : ndarray of float64, shape (bins + 1,)
    share : ndarray of float64, shape (bins,)
        Sum 1; all 0 where there is no unit.
    """
    counts, edges = np.histogram(y_score, bins, (0.0, 1.0))
    return edges, counts / max(1, y_score.size)


def threshold_at_sensitivity(positive_scores: Scores, sensitivity: float) -> float:
    """Highest threshold at which at least `sensitivity` of the positives score it or more."""
    ordered = np.sort(positive_scores)[::-1]
    needed = int(np.ceil(sensitivity * ordered.size - _SLACK))
    return float(ordered[max(needed, 1) - 1])


def prevalence_score(y_true: Bools, groups: NDArray[np.str_]) -> Floats:
    """The score of somebody who sees no image, only the group it comes from: its share of positives."""
    _, group = np.unique(groups, return_inverse=True)
    return (np.bincount(group, y_true) / np.bincount(group))[group]

"""Compute the ROC curve of the COVID-19 score within a hospital: patient scores in, curve and its band out.

A list ranks the patients of one hospital, so that only pairs within one domain count. The curve is the mean of the
curves of the domains. From it, `cxrbatch.triage.capacity` computes how many patients with COVID-19 are expected among
the first of a list.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from cxrbatch.evaluation.contrasts import COVID
from cxrbatch.evaluation.patients import PatientScores
from cxrbatch.stats import Floats, rank

GRID: Floats = np.linspace(0, 1, 51)
"""False positive rates at which the curve is stated."""

_DECIMALS = 6


def list_curve(scored: PatientScores, bootstraps: int) -> dict[str, Any] | None:
    """Compute the mean ROC curve of COVID-19 against all else within domains, with its 95 % band at each point.

    A domain weighs n·m / (n + m + 1), with n patients with COVID-19 and m without: one over the variance of its AUROC
    under a useless score, but for a factor (van Elteren 1960, Bulletin de l'Institut International de Statistique
    37:351). The band is that of a Bayesian bootstrap over the patients of each domain (Rubin 1981, Annals of
    Statistics 9:130; of ROC curves: Gu, Ghosal and Roy 2008, Statistics in Medicine 27:5407). It shows
    how few they were, and not how much hospitals differ. Simulated 200 times with the sizes of the shipped bundle's
    8 domains and normal scores 0, 0.3 and 1 standard deviations apart, it contained the true curve in 86 to 100 %, at
    false positive rates of 0.02 to 0.8.

    Parameters
    ----------
    scored : PatientScores
        Of domains that took no part in training. Domains with patients on one side only are left out.
    bootstraps : int
        Resamples.

    Returns
    -------
    dict or None
        ``fpr``, ``tpr``, ``low``, ``high``: lists of 51 numbers of 0–1; ``measured_on``, the patients in words;
        ``n_positive``, ``n_negative`` and ``domains``, their numbers. None where no domain has both sides.
    """
    parts = list(_with_both(scored))
    if not parts:
        return None
    rng = np.random.default_rng(0)
    drawn = _mean_curves(parts, [rng.exponential(size=(bootstraps, 1 + _n_patients(part))) for part in parts])
    (tpr,) = _mean_curves(parts, [np.ones((1, 1 + _n_patients(part))) for part in parts])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    rows = {"fpr": GRID, "tpr": tpr, "low": low, "high": high}
    return {
        **_describe_patients(parts),
        **{name: np.round(row, _DECIMALS).tolist() for name, row in rows.items()},
    }


def _with_both(scored: PatientScores) -> Iterator[PatientScores]:
    for site in np.unique(scored.sites):
        part = scored.where(scored.sites == site)
        if len(set(part.labelled("covid").tolist())) == 2:
            yield part


def _n_patients(part: PatientScores) -> int:
    return np.unique(part.patients).size


def _mean_curves(parts: list[PatientScores], weights: list[Floats]) -> Floats:
    """Average the curves of domains by weight, shape (b, 51); `weights` as for `_curves`, of each domain."""
    sizes = [_counts(part).values() for part in parts]
    return np.average(
        [_curves(part, each) for part, each in zip(parts, weights, strict=True)],
        axis=0,
        weights=[n * m / (n + m + 1) for n, m in sizes],
    )


def _curves(part: PatientScores, weights: Floats) -> Floats:
    """Compute the curves of a domain, shape (b, 51).

    Parameters
    ----------
    weights : ndarray of float64, shape (b, 1 + patients)
        Of the gap after the last negative, then of each patient. The rows of a patient on one side share the weight.
    """
    y_true, y_score = part.labelled("covid"), part.scores[:, COVID]
    _, patient = np.unique(part.patients, return_inverse=True)
    side = 2 * patient + y_true
    once = 1.0 / np.bincount(side)[side]
    (n_tied,) = np.diff(rank(y_true, y_score, once[None]).negatives, prepend=0.0)
    ranking = rank(y_true, y_score, weights[:, 1 + patient] * once)
    rows = zip(ranking.positives, ranking.negatives, weights[:, 0], strict=True)
    return np.stack([smoothed_roc(positives, negatives, n_tied, gap) for positives, negatives, gap in rows])


def smoothed_roc(positives: Floats, negatives: Floats, n_tied: Floats, gap: float = 1.0) -> Floats:
    """Compute the ROC curve at `GRID`, straight between the negatives; the k-th of m is at k / (m + 1).

    That is where the k-th of m negatives lies on average. The steps of the plain empirical curve are at k / m and
    begin above 0, so that with few negatives even a useless score would seem to find many at the top of a list. Here
    a useless score gives the diagonal on average. A useful score is worth a little more than its curve: the area is
    (m · AUROC + ½) / (m + 1).

    Parameters
    ----------
    positives, negatives : ndarray of float64, shape (t,)
        Weight of either class at or above each threshold, thresholds falling.
    n_tied : ndarray of float64, shape (t,)
        Number of negatives at each threshold. They and the positives there count as in random order.
    gap : float
        Weight of the gap below the last negative.

    Returns
    -------
    ndarray of float64, shape (51,)
        True positive rates, from 0 to 1.
    """
    here = n_tied > 0
    positive, negative, tied = (
        row[here]
        for row in (np.diff(positives, prepend=0.0), np.diff(negatives, prepend=0.0), np.maximum(n_tied, 1))
    )
    one = negative / tied
    middle = np.stack([negatives[here] - (negative - one) / 2, positives[here] - positive / 2])
    to_the_ends = np.stack([negative - one, positive * (tied - 1) / (tied + 1)]) / 2
    place, above = np.stack([middle - to_the_ends, middle + to_the_ends], axis=-1).reshape(2, -1)
    return np.interp(GRID, [0.0, *place / (negatives[-1] + gap), 1.0], [0.0, *above / positives[-1], 1.0])


def _describe_patients(parts: list[PatientScores]) -> dict[str, Any]:
    domains = {str(part.sites[0]): _counts(part) for part in parts}
    n_positive, n_negative = (sum(n[key] for n in domains.values()) for key in ("n_positive", "n_negative"))
    labels = Counter(label for part in parts for label in part.labels[~part.labelled("covid")].tolist())
    others = ", ".join(f"{n} {label}" for label, n in sorted(labels.items()))
    return {
        "measured_on": (
            f"{n_positive} patients with COVID-19 and {n_negative} without ({others}), of {', '.join(domains)}"
        ),
        "n_positive": n_positive,
        "n_negative": n_negative,
        "domains": domains,
    }


def _counts(part: PatientScores) -> dict[str, int]:
    ill = part.labelled("covid")
    return {
        "n_positive": np.unique(part.patients[ill]).size,
        "n_negative": np.unique(part.patients[~ill]).size,
    }

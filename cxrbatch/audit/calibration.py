"""Measure AUROC, calibration line and reliability of the scores at this hospital: episodes in, estimates out.

Only patients with a result count, and only scores of one bundle. The share of PCR-positive patients is this
hospital's own. The line therefore gives probabilities for the patients it was fitted on: log-odds of a positive
result = slope · logit(score) + intercept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.audit.episodes import Episode
from cxrbatch.audit.estimate import (
    BOOTSTRAPS,
    FEWEST,
    Z_95,
    AuditEstimate,
    counted,
    estimated,
    no_figure,
    share,
)
from cxrbatch.stats import Bools, Estimate, Floats, Ranking, estimates, fit_logistic, logit, sigmoid

SECTION = "calibration"
BINS = 5
_RIDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Scored:
    """Waits that one bundle ranked and that have a result.

    Attributes
    ----------
    y_true : ndarray of bool, shape (n,)
        True where PCR-positive.
    y_score : ndarray of float64, shape (n,)
        COVID-19 scores, 0–1.
    patients : ndarray of str, shape (n,)
        Numbers of the patients, as text. Waits of one patient have the same number.
    """

    y_true: Bools
    y_score: Floats
    patients: NDArray[np.str_]

    @property
    def n(self) -> int:
        """Number of waits."""
        return self.y_true.size

    @property
    def n_positive(self) -> int:
        """Number of PCR-positive waits."""
        return int(self.y_true.sum())

    @property
    def n_fewer(self) -> int:
        """Number of waits with the rarer result."""
        return min(self.n_positive, self.n - self.n_positive)


def scored_by(episodes: Sequence[Episode], bundle_sha256: str) -> Scored:
    """Select the waits that a bundle ranked and that have a result."""
    chosen = [
        episode
        for episode in episodes
        if episode.is_ranked and episode.is_positive is not None and episode.bundle_sha256 == bundle_sha256
    ]
    number = {
        key: str(index) for index, key in enumerate(sorted({episode.patient_key for episode in chosen}))
    }
    return Scored(
        np.array([episode.is_positive for episode in chosen], np.bool_),
        np.array([episode.score for episode in chosen], np.float64),
        np.array([number[episode.patient_key] for episode in chosen], np.str_),
    )


def calibration(scored: Scored) -> Iterator[AuditEstimate]:
    """Compute AUROC, slope and intercept with 95 % intervals, and mean score and share PCR-positive by quintile.

    Yields
    ------
    AuditEstimate
        ``n_positive``, ``n_negative``, ``auroc``, ``slope``, ``intercept``, and for each quintile i
        ``quintile_<i>_score`` and ``quintile_<i>_positive``. AUROC, slope and intercept have no value with fewer
        than `FEWEST` waits of either result. With fewer than 25 waits there are no quintiles.
    """
    enough = scored.n_fewer >= FEWEST
    yield counted(SECTION, "n_positive", scored.n_positive)
    yield counted(SECTION, "n_negative", scored.n - scored.n_positive)
    yield estimated(SECTION, "auroc", _auroc(scored) if enough else no_figure(), scored.n)
    slope, intercept = _line(scored) if enough else (no_figure(), no_figure())
    yield estimated(SECTION, "slope", slope, scored.n)
    yield estimated(SECTION, "intercept", intercept, scored.n)
    for number, chosen in enumerate(_quintiles(scored), start=1):
        yield AuditEstimate(
            section=SECTION,
            name=f"quintile_{number}_score",
            n=int(chosen.sum()),
            value=float(scored.y_score[chosen].mean()),
        )
        yield share(SECTION, f"quintile_{number}_positive", scored.y_true[chosen].tolist())


def _auroc(scored: Scored) -> Estimate:
    measures = {"auroc": Ranking.auroc}
    found = estimates(measures, scored.y_true, scored.y_score, scored.patients, bootstraps=BOOTSTRAPS)
    return found["auroc"]


def _line(scored: Scored) -> tuple[Estimate, Estimate]:
    """Fit slope and intercept by maximum likelihood.

    The variance is that of patients, not of waits (Liang and Zeger 1986, Biometrika 73:13).
    """
    positive, negative = scored.y_score[scored.y_true], scored.y_score[~scored.y_true]
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        # Perfectly separated or constant scores: the likelihood has no finite maximum.
        return no_figure(), no_figure()
    design = np.column_stack([logit(scored.y_score), np.ones(scored.n)])
    beta = fit_logistic(design, scored.y_true, np.ones(scored.n), ridge=_RIDGE)
    error = np.sqrt(np.diag(_covariance(design, beta, scored)))
    slope, intercept = (
        Estimate(value=b, low=b - Z_95 * e, high=b + Z_95 * e) for b, e in zip(beta, error, strict=True)
    )
    return slope, intercept


def _covariance(design: Floats, beta: Floats, scored: Scored) -> Floats:
    p = sigmoid(design @ beta)
    bread = np.linalg.inv((design.T * (p * (1 - p))) @ design)
    _, patient = np.unique(scored.patients, return_inverse=True)
    pull = np.zeros((int(patient.max()) + 1, 2))
    np.add.at(pull, patient, design * (scored.y_true - p)[:, None])
    return np.asarray(bread @ (pull.T @ pull) @ bread)


def _quintiles(scored: Scored) -> Iterator[Bools]:
    """Split the waits into parts of equal size by rising score.

    Equal scores stay together, so there may be fewer parts. Yields a mask of shape (n,) for each part.
    """
    if scored.n < BINS * FEWEST:
        return
    edges = np.sort(scored.y_score)[(np.arange(1, BINS) * scored.n) // BINS]
    part = np.searchsorted(edges, scored.y_score, side="right")
    for number in np.unique(part):
        yield part == number

"""Recommend operating points from this hospital's own results: scored waits in, estimates out.

There is no recommendation until there are enough results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cxrbatch.audit.calibration import Scored
from cxrbatch.audit.estimate import BOOTSTRAPS, AuditEstimate, counted, estimated, no_figure
from cxrbatch.stats import Estimate, Floats, Measure, Ranking, estimates

SECTION = "threshold"
ENOUGH_POSITIVE = 50
ENOUGH_NEGATIVE = 50
"""With 45 of 50 above the threshold, the 95 % interval of a sensitivity of 90 % is 79 % to 96 % (Wilson)."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A sensitivity to reach: the share of the PCR-positive waits that must score at least the threshold."""

    sensitivity: float

    def threshold(self, ranking: Ranking) -> Floats:
        """Find the highest threshold that reaches the sensitivity; shape (b,), NaN where nobody is positive."""
        needed = self.sensitivity * ranking.positives[:, -1:] - _SLACK
        first = (ranking.positives >= needed).argmax(axis=1)
        return np.where(ranking.positives[:, -1] > 0, ranking.thresholds[first], np.nan)

    def specificity(self, ranking: Ranking) -> Floats:
        """Compute the specificity at that threshold; shape (b,)."""
        return ranking.specificity_at_sensitivity(self.sensitivity)


def bands(sensitivity: float) -> dict[str, float]:
    """Return the sensitivity at which each band begins: ``urgent`` as given, ``high`` with half as many missed."""
    return {"urgent": sensitivity, "high": 1 - (1 - sensitivity) / 2}


def missing(scored: Scored) -> tuple[int, int]:
    """Count the PCR-positive and the PCR-negative waits that are missing for a recommendation."""
    n_negative = scored.n - scored.n_positive
    return max(0, ENOUGH_POSITIVE - scored.n_positive), max(0, ENOUGH_NEGATIVE - n_negative)


def threshold(scored: Scored, sensitivity: float) -> Iterator[AuditEstimate]:
    """Compute the least scores of the bands ``urgent`` and ``high``, and their specificity.

    ``…_specificity`` is the share of the PCR-negative waits below the threshold. ``missing_positive`` and
    ``missing_negative`` are the numbers of results that are missing for a recommendation. If any are missing, the
    other figures have no value.

    Parameters
    ----------
    scored : Scored
    sensitivity : float
        Sensitivity of the band ``urgent``, above 0 and below 1.
    """
    positive, negative = missing(scored)
    yield counted(SECTION, "missing_positive", positive)
    yield counted(SECTION, "missing_negative", negative)
    found = {} if positive or negative else _measured(scored, sensitivity)
    for band in bands(sensitivity):
        for name in (band, f"{band}_specificity"):
            yield estimated(SECTION, name, found.get(name, no_figure()), scored.n)


def _measured(scored: Scored, sensitivity: float) -> dict[str, Estimate]:
    measures: dict[str, Measure] = {}
    for band, share in bands(sensitivity).items():
        wanted = _Wanted(share)
        measures |= {band: wanted.threshold, f"{band}_specificity": wanted.specificity}
    return estimates(measures, scored.y_true, scored.y_score, scored.patients, bootstraps=BOOTSTRAPS)

"""Compute probabilities from COVID-19 scores: Bayes' rule in odds, for a prevalence that the user states."""

import math
from dataclasses import dataclass

from cxrbatch.stats import LEAST


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """Calibration of a COVID-19 score: log likelihood ratio = slope · logit(score) + intercept.

    The likelihood ratio is that of COVID-19 against everything else. It does not depend on the prevalence: a score
    whose log likelihood ratio is 0 does not change the prior odds.

    Attributes
    ----------
    slope : float
        At least 0; below 0 the probabilities would contradict the order of the list.
    intercept : float
    measured_on : str
        Patients on whom the two were fitted, in words.
    """

    slope: float
    intercept: float
    measured_on: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and self.slope >= 0 and math.isfinite(self.intercept)):
            raise ValueError("calibration: slope must be at least 0, slope and intercept finite")

    @property
    def temperature(self) -> float:
        """1 / slope, as temperature scaling states it (Guo et al. 2017, arXiv:1706.04599); inf for slope 0."""
        return 1 / self.slope if self.slope else math.inf

    def log_likelihood_ratio(self, score: float) -> float:
        """Compute the log likelihood ratio of COVID-19 against everything else, in nats.

        The score, 0–1, is clipped to 1e-6 away from 0 and 1.
        """
        return self.slope * _log_odds(min(max(score, LEAST), 1 - LEAST)) + self.intercept

    def probability(self, score: float, prevalence: float) -> float:
        """Compute the probability of COVID-19: posterior odds = prior odds × likelihood ratio.

        Parameters
        ----------
        score : float
            COVID-19 score, 0–1.
        prevalence : float
            Share of the screened patients who have COVID-19, above 0 and below 1.

        Returns
        -------
        float
            0–1.
        """
        log_odds = _log_odds(prevalence) + self.log_likelihood_ratio(score)
        return 0.5 * (1 + math.tanh(0.5 * log_odds))  # the logistic function in a form that never overflows


def _log_odds(p: float) -> float:
    return math.log(p) - math.log1p(-p)

"""From a score to a probability, for a prevalence that somebody states: Bayes' rule in odds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientTriage

LEAST = 1e-6
"""Scores are printed with six decimals: 0 and 1 mean within this of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """What a COVID-19 score is worth as evidence: log likelihood ratio = slope · logit(score) + intercept.

    The likelihood ratio is that of COVID-19 against everything else, and knows no prevalence: a score whose log
    likelihood ratio is 0 leaves the prior odds as they were.

    Attributes
    ----------
    slope : float
        0 or above; below 0 the probabilities would contradict the order of the list.
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
        """Of COVID-19 against everything else, in nats; the score is kept 1e-6 away from 0 and 1."""
        return self.slope * _logit(min(max(score, LEAST), 1 - LEAST)) + self.intercept

    def probability(self, score: float, prevalence: float) -> float:
        """Posterior odds = prior odds × likelihood ratio.

        Parameters
        ----------
        score : float
            COVID-19 score, 0–1.
        prevalence : float
            Share of the patients screened who have COVID-19, above 0 and below 1.
        """
        log_odds = _logit(prevalence) + self.log_likelihood_ratio(score)
        return 0.5 * (1 + math.tanh(0.5 * log_odds))  # the logistic function, which overflows nowhere


def parse_prevalence(text: str) -> float:
    """Read ``0.05``, ``5%`` or ``5 %``.

    Raises
    ------
    UsageProblem
        Not a share above 0 and below 1.
    """
    number = text.strip()
    unit = 100 if number.endswith("%") else 1
    try:
        share = float(number.removesuffix("%")) / unit
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise UsageProblem(
            f"--prevalence {text}: give the share of tonight's patients expected to have COVID-19, such as 0.05 or 5%"
        )
    return share


def percent(share: float) -> str:
    """A share as people read it: ``5 %``, ``0.25 %``."""
    return f"{100 * share:.6g} %"


def with_probabilities(
    patients: Iterable[PatientTriage], calibration: ScoreCalibration, prevalence: float
) -> tuple[PatientTriage, ...]:
    """Give every ranked patient a probability; order and scores stay."""
    return tuple(
        patient
        if patient.score is None
        else replace(patient, probability=calibration.probability(patient.score, prevalence))
        for patient in patients
    )


def prevalence_note(calibration: ScoreCalibration, prevalence: float) -> str:
    """What a reader of the probabilities must know."""
    measured = calibration.measured_on or "data that the bundle does not name"
    return (
        f"The probabilities hold for a prevalence of {percent(prevalence)}, which was stated with --prevalence and "
        "not measured: prior odds times the likelihood ratio of the score (Bayes' rule). The likelihood ratio was "
        f"measured on {measured}; at another hospital it can be far off. The order of the list does not depend on it."
    )


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)

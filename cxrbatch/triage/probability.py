"""Convert scores to probabilities for a stated prevalence, by Bayes' rule in odds."""

import math
from collections.abc import Iterable
from dataclasses import replace

from cxrbatch._lib.packed import Packed
from cxrbatch.bundle import ScoreCalibration
from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientTriage


def parse_prevalence(text: str) -> float:
    """Read a prevalence such as ``0.05``, ``5%`` or ``5 %``; return the share, above 0 and below 1.

    Raises
    ------
    UsageProblem
        The text is not a share above 0 and below 1.
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


def state_percent(share: float) -> str:
    """Write a share as a percentage: ``5 %``, ``0.25 %``."""
    return f"{100 * share:.6g} %"


def without_places(measured_on: str) -> str:
    """Remove the names of hospitals and data sets from the description of those a bundle was measured on."""
    return measured_on.partition(", of ")[0]


def with_probabilities(
    patients: Iterable[PatientTriage], calibration: ScoreCalibration, prevalence: float
) -> Packed[PatientTriage]:
    """Set the probability of every patient with a score; order and scores stay.

    Parameters
    ----------
    prevalence : float
        Share of the patients with COVID-19, above 0 and below 1.
    """
    return Packed(
        patient
        if patient.score is None
        else replace(patient, probability=calibration.probability(patient.score, prevalence))
        for patient in patients
    )


def prevalence_note(calibration: ScoreCalibration, prevalence: float) -> str:
    """Write what users of the probabilities must know."""
    measured = without_places(calibration.measured_on) or "data that the bundle does not name"
    return (
        f"The probabilities hold for a prevalence of {state_percent(prevalence)}, which was stated with "
        "--prevalence and not measured: prior odds times the likelihood ratio of the score (Bayes' rule). The "
        "likelihood ratio was "
        f"measured on {measured}; at another hospital it can be far off. The order of the list does not depend on it."
    )

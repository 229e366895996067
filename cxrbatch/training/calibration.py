"""From logits to scores: one slope and one intercept per question, measured on domains that did not teach.

The slope is common to the domains and each has an intercept of its own, so that here too no domain teaches by its
prevalence; the network gets the intercept that puts the middle of the domains at one half. A question whose answers
do not carry over to new domains gets a slope of zero or nearly so, and with it no say in the score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import ScoreCalibration
from cxrbatch.stats import Floats, fit_logistic, logit, sigmoid

_RIDGE = 1e-3  # keeps a perfectly separated domain finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Calibrated logit = slope · logit + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One `Line` for each of `cxrbatch.training.network.QUESTIONS`."""

    abnormal: Line
    covid_given_abnormal: Line

    def scores(self, logits: NDArray[np.floating]) -> Floats:
        """Scores in the order of `cxrbatch.records.FINDINGS`, as the exported network computes them.

        Parameters
        ----------
        logits : ndarray of float, shape (..., 2)

        Returns
        -------
        ndarray of float64, shape (..., 3)
        """
        lines = (self.abnormal, self.covid_given_abnormal)
        a, b = (sigmoid(line.slope * logits[..., i] + line.intercept) for i, line in enumerate(lines))
        return np.stack([a * b, a * (1 - b), 1 - a], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Left-out images on which a line is fitted.

    Attributes
    ----------
    logits : ndarray of float, shape (n,)
    y_true : ndarray of bool, shape (n,)
    domains : ndarray of str, shape (n,)
        Every one with both answers.
    patients : ndarray of str, shape (n,)
        A patient weighs the same whatever the number of images.
    """

    logits: NDArray[np.floating]
    y_true: NDArray[np.bool_]
    domains: NDArray[np.str_]
    patients: NDArray[np.str_]


def fit_line(answers: Answers, least_slope: float = 0.0) -> Line:
    """Logistic regression with one slope and one intercept per domain, classes weighing the same in each domain.

    Parameters
    ----------
    answers : Answers
    least_slope : float
        A question that misleads on new domains is not asked backwards. Above 0 where the list would have no order
        without this question.

    Returns
    -------
    Line
        The slope is shrunk by the share of its square that is sampling variance: what chance alone could have
        made is not used.
    """
    (fitted, *_), variance = regress(answers)
    slope = max(least_slope, fitted - variance / fitted) if fitted > 0 else least_slope
    return Line(slope=float(slope), intercept=-float(slope) * _middle(answers))


def regress(answers: Answers) -> tuple[Floats, float]:
    """Logistic regression with one slope and one intercept per domain, classes weighing the same in each domain.

    Returns
    -------
    coefficients : ndarray of float64, shape (1 + domains,)
        The slope, then the intercepts.
    variance : float
        Of the slope.
    """
    names, domain = np.unique(answers.domains, return_inverse=True)
    design = np.column_stack([answers.logits, np.eye(len(names))[domain]])
    weight = _weights(answers, domain)
    beta = fit_logistic(design, answers.y_true, weight, ridge=_RIDGE)
    p = sigmoid(design @ beta)
    hessian = (design.T * (weight * p * (1 - p))) @ design + _RIDGE * np.eye(len(beta))
    return beta, float(np.linalg.inv(hessian)[0, 0])


def _weights(answers: Answers, domain: NDArray[np.intp]) -> Floats:
    """One for a patient's images together, then half of a domain's patients for either answer."""
    _, patient = np.unique(answers.patients, return_inverse=True)
    weight = 1.0 / np.bincount(patient)[patient]
    cell = 2 * domain + answers.y_true
    of_domain, of_cell = np.bincount(domain, weight), np.bincount(cell, weight)
    return np.asarray(weight * of_domain[domain] / (2 * of_cell[cell]))


def _middle(answers: Answers) -> float:
    """The logit halfway between the answers, which is to score one half: mean over the domains."""
    _, domain = np.unique(answers.domains, return_inverse=True)
    weight = _weights(answers, domain)
    of_domain = np.bincount(domain, weight * answers.logits) / np.bincount(domain, weight)
    return float(of_domain.mean())


def fit_score_calibration(
    scores: NDArray[np.floating],
    y_true: NDArray[np.bool_],
    domains: NDArray[np.str_],
    patients: NDArray[np.str_],
) -> ScoreCalibration:
    """Logistic regression with one slope, and one intercept per domain, of which the bundle gets the mean.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        COVID-19 scores, 0–1, of networks that never saw the domain.
    y_true : ndarray of bool, shape (n,)
        COVID-19 against everything else.
    domains : ndarray of str, shape (n,)
        Hospital or publisher; those with one answer only say nothing and are left out.
    patients : ndarray of str, shape (n,)
        A patient weighs the same whatever the number of images.

    Returns
    -------
    ScoreCalibration
        With a slope of 0 and an intercept of 0, no evidence at all, where the score misleads.

    Raises
    ------
    ValueError
        No domain has both answers.
    """
    both = np.isin(domains, [name for name in np.unique(domains) if len(set(y_true[domains == name])) == 2])
    if not both.any():
        raise ValueError("a calibration needs a domain with COVID-19 and without")
    answers = Answers(
        logits=logit(scores[both]), y_true=y_true[both], domains=domains[both], patients=patients[both]
    )
    (slope, *intercepts), _ = regress(answers)
    slope, intercept = float(slope), float(np.mean(intercepts))
    if slope <= 0:
        slope = intercept = 0.0
    return ScoreCalibration(slope=slope, intercept=intercept, measured_on=_measured_on(answers))


def _measured_on(answers: Answers) -> str:
    with_covid = len(np.unique(answers.patients[answers.y_true]))
    without = len(np.unique(answers.patients[~answers.y_true]))
    return f"{with_covid} patients with COVID-19 and {without} without, of {', '.join(np.unique(answers.domains))}"

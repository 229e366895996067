"""Calibrate the logits: fit one slope and one intercept per question, on domains outside the training set.

Input: logits and answers of left-out images. Output: a `Line` per question, with which logits become scores.

The slope is common to all domains. Each domain has an intercept of its own, so that here too no domain contributes
through its prevalence. The network gets the intercept that puts the middle of the domains at one half. A question
whose answers do not carry over to new domains gets a slope of or near zero, and so no influence on the score.
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
        """Compute scores in the order of `cxrbatch.records.FINDINGS`, as the exported network does.

        Parameters
        ----------
        logits : ndarray of float, shape (..., 2)

        Returns
        -------
        ndarray of float64, shape (..., 3)
            0–1.
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
        Each domain has both answers.
    patients : ndarray of str, shape (n,)
        A patient weighs the same whatever the number of images.
    """

    logits: NDArray[np.floating]
    y_true: NDArray[np.bool_]
    domains: NDArray[np.str_]
    patients: NDArray[np.str_]


def fit_line(answers: Answers, least_slope: float = 0.0) -> Line:
    """Fit one line by logistic regression with an intercept per domain; in each domain both classes weigh the same.

    Parameters
    ----------
    answers : Answers
    least_slope : float
        Smallest slope that is returned: a question that misleads on new domains is not used in reverse. Above 0 where
        the list would have no order without this question.

    Returns
    -------
    Line
        The slope is shrunk by the share of its square that is sampling variance, so that an effect of chance is not
        used.
    """
    (fitted, *_), variance = regress(answers)
    slope = max(least_slope, fitted - variance / fitted) if fitted > 0 else least_slope
    return Line(slope=float(slope), intercept=-float(slope) * _middle(answers))


def regress(answers: Answers) -> tuple[Floats, float]:
    """Fit a logistic regression with one slope and an intercept per domain; in each both classes weigh the same.

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
    """Compute the weight of each image: one per patient, then half of a domain's patients for each answer."""
    _, patient = np.unique(answers.patients, return_inverse=True)
    weight = 1.0 / np.bincount(patient)[patient]
    cell = 2 * domain + answers.y_true
    of_domain, of_cell = np.bincount(domain, weight), np.bincount(cell, weight)
    return np.asarray(weight * of_domain[domain] / (2 * of_cell[cell]))


def _middle(answers: Answers) -> float:
    """Compute the logit halfway between the answers, mean over the domains; it gets the score one half.

    The weight of a domain is its number of images with the rarer answer, so that many small domains of one hospital
    do not count more than one large one.
    """
    _, domain = np.unique(answers.domains, return_inverse=True)
    weight = _weights(answers, domain)
    of_domain = np.bincount(domain, weight * answers.logits) / np.bincount(domain, weight)
    rarer = np.minimum(*(np.bincount(domain, answers.y_true == answer) for answer in (True, False)))
    return float(np.average(of_domain, weights=rarer))


def fit_score_calibration(
    scores: NDArray[np.floating],
    y_true: NDArray[np.bool_],
    domains: NDArray[np.str_],
    patients: NDArray[np.str_],
) -> ScoreCalibration:
    """Fit a logistic regression with one slope and an intercept per domain; the bundle gets the mean intercept.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        COVID-19 scores, 0–1, of networks trained without the domain.
    y_true : ndarray of bool, shape (n,)
        COVID-19 against everything else.
    domains : ndarray of str, shape (n,)
        Hospital or publisher. Those with one answer only carry no information and are left out.
    patients : ndarray of str, shape (n,)
        A patient weighs the same whatever the number of images.

    Returns
    -------
    ScoreCalibration
        Slope 0 and intercept 0, which is no evidence, where the score misleads (the fitted slope is not above 0).

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

"""What a COVID-19 score is worth as evidence: its log likelihood ratio, fitted on domains that did not teach.

With both answers weighing the same within every domain the prior odds are one, so that a logistic regression on
logit(score) yields the log likelihood ratio itself (log of the Bayes factor), whatever the prevalences were.
"""

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle.calibration import LEAST, ScoreCalibration
from cxrbatch.training.calibration import Answers, regress


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
        logits=_logit(scores[both]), y_true=y_true[both], domains=domains[both], patients=patients[both]
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


def _logit(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    p = np.clip(np.asarray(scores, np.float64), LEAST, 1 - LEAST)
    return np.log(p) - np.log1p(-p)

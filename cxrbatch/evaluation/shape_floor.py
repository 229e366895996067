"""Compute what the shape of the lungs alone tells: scores and lung shapes of one site in, AUROCs out.

The ill breathe less deeply and lie in bed, so that area, height and width of the lungs tell some of them apart
without a look into the lungs. A score counts only as far as it is better, and as far as it ranks patients whose lungs
have much the same shape.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.confounds import N_DIVISIONS, N_FOLDS, deal_folds
from cxrbatch.evaluation.contrasts import FEWEST, Contrast, ContrastSample
from cxrbatch.evaluation.patients import Names, group_images, to_patient_scores
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.stats import Bools, Floats, auroc_within_strata, balanced_weights, fit_logistic

_RIDGE = 1.0  # in patients
_CONSTANT = 1e-9
_FIFTHS = np.arange(1, 5) / 5
_DIGITS = 9  # equal shapes are ties


def shape_floor(
    site: SiteScores, contrast: Contrast, rule: str, bootstraps: int, *, by_domain: bool
) -> dict[str, Any]:
    """Compute the AUROC of lung shape alone, and that of the score among patients of similar shape.

    Ridge logistic regression on the measures of the mask, fitted on other patients; a patient with several images has
    their mean.

    Parameters
    ----------
    by_domain : bool
        Compare only patients of one domain, as `cxrbatch.evaluation.matched.within_domain` does.

    Returns
    -------
    dict
        ``shape_alone``: float, 0–1, or None where nothing finds the lungs. ``within_shape_fifths``: None, or a dict
        with ``auroc`` over the pairs within a fifth of the patients by the output of that regression, and
        ``n_positive`` and ``n_negative`` of the fifths with both sides.
    """
    if site.lung_shape is None:
        return {"shape_alone": None, "within_shape_fifths": None}
    scored = to_patient_scores(site.cases, site.scores, rule, by_domain=by_domain)
    rows = group_images(site.cases, by_domain=by_domain)
    shapes = np.array([site.lung_shape[images].mean(axis=0) for images in rows])
    here = scored.labelled(*contrast.positive, contrast.negative)
    sample = contrast.sample(scored)
    domains = sample.domains if by_domain else np.full(sample.domains.shape, "")
    predictions = _predictions(shapes[here], sample.y_true, sample.patients, domains)
    areas = [
        _auroc_within(sample, predicted, _strata(domains, fold), 0)["value"]
        for fold, predicted in predictions
    ]
    mean = np.mean([predicted for _, predicted in predictions], axis=0)
    return {
        "shape_alone": float(np.mean(areas)),
        "within_shape_fifths": _within_fifths(sample, mean, domains, bootstraps),
    }


def shape_score(shapes: Floats, y_true: Bools, patients: Names) -> Floats:
    """Predict the finding of each image from the shape of its lungs alone, by regressions on other patients.

    Parameters
    ----------
    shapes : ndarray of float64, shape (n, k)
    y_true : ndarray of bool, shape (n,)
    patients : ndarray of str, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Any real number; the mean over several divisions of the patients into folds.
    """
    everywhere = np.full(patients.shape, "")
    predictions = _predictions(shapes, y_true, patients, everywhere)
    return np.round(np.stack([predicted for _, predicted in predictions]).mean(axis=0), _DIGITS)


def _predictions(
    shapes: Floats, y_true: Bools, patients: Names, domains: Names
) -> list[tuple[NDArray[np.intp], Floats]]:
    """Divide the patients into folds in several ways; each way with its predictions."""
    divisions = (deal_folds(patients, y_true, seed) for seed in range(N_DIVISIONS))
    return [(fold, _predicted(shapes, y_true, domains, fold)) for fold in divisions]


def _predicted(shapes: Floats, y_true: Bools, domains: Names, fold: NDArray[np.intp]) -> Floats:
    """Predict each row from the shape, by a regression on the other folds with an intercept for each domain."""
    spread = shapes.std(axis=0)
    known = (shapes - shapes.mean(axis=0)) / np.where(spread > _CONSTANT, spread, np.inf)
    intercepts = (domains[:, None] == np.unique(domains)[None]).astype(np.float64)
    design = np.column_stack([known, intercepts])
    predicted = np.zeros(len(shapes))
    for held_out in range(N_FOLDS):
        rest = fold != held_out
        weight = balanced_weights(y_true[rest]) * rest.sum()
        beta = fit_logistic(design[rest], y_true[rest], weight, ridge=_RIDGE)
        predicted[~rest] = known[~rest] @ beta[: known.shape[1]]
    return np.round(predicted, _DIGITS)


def _within_fifths(
    sample: ContrastSample, predicted: Floats, domains: Names, bootstraps: int
) -> dict[str, Any] | None:
    fifth = np.searchsorted(np.quantile(predicted, _FIFTHS), predicted, side="right")
    strata = _strata(domains, fifth)
    shared = np.intersect1d(strata[sample.y_true], strata[~sample.y_true])
    here = np.isin(strata, shared)
    n_positive, n_negative = int((sample.y_true & here).sum()), int((~sample.y_true & here).sum())
    if min(n_positive, n_negative) < FEWEST:
        return None
    area = _auroc_within(sample, sample.y_score, strata, bootstraps)
    return {"auroc": area, "n_positive": n_positive, "n_negative": n_negative}


def _auroc_within(
    sample: ContrastSample, y_score: Floats, strata: Names, bootstraps: int
) -> dict[str, float]:
    area = auroc_within_strata(sample.y_true, y_score, strata, sample.patients, bootstraps=bootstraps)
    return dataclasses.asdict(area)


def _strata(domains: Names, part: NDArray[np.intp]) -> Names:
    """Name the domain and the part of each patient."""
    return np.array([f"{domain} {each}" for domain, each in zip(domains, part, strict=True)], np.str_)

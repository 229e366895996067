"""Compute figures of matched comparisons: images of one site in, AUROC within a domain and within a patient out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from cxrbatch.evaluation.contrasts import FEWEST, Contrast
from cxrbatch.evaluation.patients import Names, to_patient_scores
from cxrbatch.evaluation.shape_floor import shape_score
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.stats import Bools, Floats, auroc_within_strata, right_within_patients

_FEWEST_PERSONS = 30
"""With fewer, views and machines of a handful of persons decide."""


def within_domain(site: SiteScores, contrast: Contrast, rule: str, bootstraps: int) -> dict[str, Any] | None:
    """Compute the AUROC of a contrast over the pairs of patients of one domain.

    Returns
    -------
    dict or None
        ``auroc``; ``n_domains``, ``n_positive`` and ``n_negative`` of the domains with both sides. None where the
        patients are of one domain, or none has enough of both sides together.
    """
    sample = contrast.sample(to_patient_scores(site.cases, site.scores, rule, by_domain=True))
    shared = np.intersect1d(sample.domains[sample.y_true], sample.domains[~sample.y_true])
    here = np.isin(sample.domains, shared)
    n_positive, n_negative = int((sample.y_true & here).sum()), int((~sample.y_true & here).sum())
    if np.unique(sample.domains).size < 2 or min(n_positive, n_negative) < FEWEST:
        return None
    area = auroc_within_strata(
        sample.y_true, sample.y_score, sample.domains, sample.patients, bootstraps=bootstraps
    )
    counts = {"n_domains": len(shared), "n_positive": n_positive, "n_negative": n_negative}
    return {"auroc": dataclasses.asdict(area), **counts}


def within_patient(site: SiteScores, contrast: Contrast, bootstraps: int) -> dict[str, Any] | None:
    """Compute how often, of two images of one patient, the one with the finding has the higher score.

    Person and hospital are the same, and mostly the machine: hardly anything but the lungs can tell, and how deeply
    the person breathed.

    Returns
    -------
    dict or None
        ``patient_mean`` and ``share_of_pairs`` with their intervals, ``n_patients``, ``n_pairs``. ``shape_alone``:
        the estimate that the shape of the lungs alone reaches as mean over patients (`shape_score`), or None where
        nothing finds the lungs. None where fewer than 30 patients have images on both sides.
    """
    labels = np.array([case.label for case in site.cases], np.str_)
    here = np.isin(labels, (*contrast.positive, contrast.negative))
    y_true = np.isin(labels[here], contrast.positive)
    patients = np.array([case.patient for case in site.cases], np.str_)[here]
    y_score = contrast.rank(site.scores[here])
    mean, share, n_patients, n_pairs = right_within_patients(y_true, y_score, patients, bootstraps=bootstraps)
    if n_patients < _FEWEST_PERSONS:
        return None
    return {
        "patient_mean": dataclasses.asdict(mean),
        "share_of_pairs": dataclasses.asdict(share),
        "n_patients": n_patients,
        "n_pairs": n_pairs,
        "shape_alone": None
        if site.lung_shape is None
        else _shape_alone(site.lung_shape[here], y_true, patients, bootstraps),
    }


def _shape_alone(shapes: Floats, y_true: Bools, patients: Names, bootstraps: int) -> dict[str, float]:
    alone = shape_score(shapes, y_true, patients)
    mean, *_ = right_within_patients(y_true, alone, patients, bootstraps=bootstraps)
    return dataclasses.asdict(mean)


def site_auroc(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the AUROC of a row with its interval: within a domain, where the site has several."""
    matched = row.get("within_domain")
    found: Mapping[str, Any] = matched["auroc"] if matched else row["auroc"]
    return found


def area_of(row: Mapping[str, Any]) -> float:
    """Return the AUROC of a row, in [0, 1]; see `site_auroc`."""
    return float(site_auroc(row)["value"])

"""Compute what trivial measures tell within a domain: labelled images in, AUROCs out.

File size, grey values, noise and shape ought to tell nothing of disease. Where they do, the two sides were collected
differently (another year, another machine, another archive), and a network trained there learns that.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation.contrasts import CONTRASTS, Contrast
from cxrbatch.evaluation.patients import PatientScores
from cxrbatch.stats import auroc_within_strata

FEWEST = 20
"""Least number of patients on either side of a domain: the larger of an AUROC and one minus it rises by chance."""

ALL_DOMAINS = "within each domain"

MEASURES: Mapping[str, Callable[[LabelledImage], float]] = {
    "file size": lambda case: case.measures.file_bytes if case.measures else np.nan,
    "mean grey": lambda case: case.measures.mean if case.measures else np.nan,
    "spread of grey": lambda case: case.measures.spread if case.measures else np.nan,
    "fine noise": lambda case: case.measures.noise if case.measures else np.nan,
    "aspect": lambda case: case.columns / case.rows if case.rows else np.nan,
    "rows × columns": lambda case: case.rows * case.columns or np.nan,
}


def trivial_measures(scored: PatientScores) -> Iterator[dict[str, Any]]:
    """Compute the AUROC of each measure, either way, over all domains of a site and within each.

    Parameters
    ----------
    scored : PatientScores
        A row for each domain of a patient; the first image counts.

    Yields
    ------
    dict
        ``question``, ``domain``, ``n_positive``, ``n_negative``, and ``auroc`` by measure: 0.5–1. Only pairs of one
        domain are compared. Measures that are unknown or the same for all are left out.
    """
    asked: set[str] = set()
    for contrast in CONTRASTS:
        if contrast.text not in asked:
            asked.add(contrast.text)
            yield from _of_contrast(contrast, contrast.part(scored))


def _of_contrast(contrast: Contrast, part: PatientScores) -> Iterator[dict[str, Any]]:
    domains = [name for name in np.unique(part.domains).tolist() if _is_large(contrast, part, name)]
    whole = {ALL_DOMAINS: np.isin(part.domains, domains)} if len(domains) > 1 else {}
    for name, mask in {**whole, **{name: part.domains == name for name in domains}}.items():
        here = part.where(mask)
        y_true = contrast.y_true(here)
        if contrast.is_own(here) and (found := _aurocs(contrast, here)):
            yield {
                "question": contrast.text,
                "domain": name,
                "n_positive": int(y_true.sum()),
                "n_negative": int((~y_true).sum()),
                "auroc": found,
            }


def _is_large(contrast: Contrast, part: PatientScores, domain: str) -> bool:
    y_true = contrast.y_true(part)[part.domains == domain]
    return bool(min(y_true.sum(), (~y_true).sum()) >= FEWEST)


def _aurocs(contrast: Contrast, part: PatientScores) -> dict[str, float]:
    found = {}
    for name, of_case in MEASURES.items():
        values = np.array([of_case(case) for case in part.cases], np.float64)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            area = auroc_within_strata(
                contrast.y_true(part), values, part.domains, part.patients, bootstraps=0
            ).value
            found[name] = max(area, 1 - area)
    return found

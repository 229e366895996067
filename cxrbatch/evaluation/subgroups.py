"""Compute figures within a view, a sex or an age band: patient scores in, a row for each stratum out.

A score may be good over all patients and useless for some.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation.contrasts import FEWEST, Contrast
from cxrbatch.evaluation.patients import Names, PatientScores
from cxrbatch.stats import Ranking, estimates

_AGE_BANDS = ((18, "under 18"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (np.inf, "80+"))


def view(case: LabelledImage) -> str:
    """Return the view: ``PA``, ``AP`` or ``unknown``."""
    return case.view or "unknown"


def sex(case: LabelledImage) -> str:
    """Return the sex: ``F``, ``M`` or ``unknown``."""
    return case.sex or "unknown"


def age_band(case: LabelledImage) -> str:
    """Return the age band in years: ``under 18``, ``18-39``, ``40-59``, ``60-79``, ``80+`` or ``unknown``."""
    age = case.age_years
    return "unknown" if age is None else next(band for end, band in _AGE_BANDS if age < end)


STRATA: Mapping[str, Callable[[LabelledImage], str]] = {"view": view, "sex": sex, "age": age_band}


def strata(scored: PatientScores, contrast: Contrast, bootstraps: int) -> Iterator[dict[str, Any]]:
    """Compute the AUROC of a contrast within each stratum that has enough patients on both sides.

    Parameters
    ----------
    scored : PatientScores
        Of one site. A patient belongs to the stratum of the first image.

    Yields
    ------
    dict
        ``stratum``, ``n_positive``, ``n_negative``, ``auroc``. Nothing for a property that is the same for all.
    """
    part = contrast.part(scored)
    for name, of_case in STRATA.items():
        values: Names = np.array([of_case(case) for case in part.cases], np.str_)
        kinds = np.unique(values).tolist()
        for kind in kinds if len(kinds) > 1 else ():
            row = _stratum(part.where(values == kind), contrast, bootstraps)
            if min(row["n_positive"], row["n_negative"]) >= FEWEST:
                yield {"stratum": f"unknown {name}" if kind == "unknown" else f"{name} {kind}", **row}


def _stratum(scored: PatientScores, contrast: Contrast, bootstraps: int) -> dict[str, Any]:
    sample = contrast.sample(scored)
    found = estimates(
        {"auroc": Ranking.auroc}, sample.y_true, sample.y_score, sample.patients, bootstraps=bootstraps
    )
    return {
        "n_positive": int(sample.y_true.sum()),
        "n_negative": int((~sample.y_true).sum()),
        "auroc": dataclasses.asdict(found["auroc"]),
    }

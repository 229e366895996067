"""Compute what can be reached without any pixel: patient scores in, AUROCs out.

This is the confound floor: a figure counts only as far as it is above it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation.contrasts import COVID, FEWEST, Contrast
from cxrbatch.evaluation.patients import Names, PatientScores
from cxrbatch.evaluation.subgroups import age_band, sex, view
from cxrbatch.stats import (
    Bools,
    Floats,
    Ranking,
    auroc,
    balanced_weights,
    estimates,
    fit_logistic,
    prevalence_score,
)

_RIDGE = 1.0  # in patients
N_FOLDS = 5
N_DIVISIONS = 4
"""Ways to divide the patients into folds; a figure is the mean over them."""
_PARTS = 5  # of rows and columns, by equal counts


def pooled(scored: PatientScores, bootstraps: int) -> dict[str, Any] | None:
    """Compute AUROC and AUPRC of COVID-19 against all else across sites, ranked by the COVID-19 score.

    Returns
    -------
    dict or None
        ``n_positive``, ``n_negative``, ``auroc``, ``auprc``. None where one of the two sides is missing.
    """
    y_true = scored.labelled("covid")
    if not 0 < y_true.sum() < y_true.size:
        return None
    measures = {"auroc": Ranking.auroc, "auprc": Ranking.auprc}
    found = estimates(measures, y_true, scored.scores[:, COVID], scored.patients, bootstraps=bootstraps)
    return {
        "n_positive": int(y_true.sum()),
        "n_negative": int((~y_true).sum()),
        **{name: dataclasses.asdict(estimate) for name, estimate in found.items()},
    }


def source_alone(scored: PatientScores) -> float | None:
    """Compute the AUROC of COVID-19 against all else from the source of each image alone.

    Returns
    -------
    float or None
        0–1. None where one of the two sides is missing.
    """
    y_true = scored.labelled("covid")
    area = auroc(y_true, prevalence_score(y_true, scored.sources)) if y_true.any() else float("nan")
    return None if np.isnan(area) else area


def domain_alone(scored: PatientScores) -> dict[str, float]:
    """Compute the AUROC of COVID-19 against all else within each source, from the publisher alone.

    Cross-validated over patients. Only sources with several publishers and enough patients with and without COVID-19.

    Returns
    -------
    dict of str to float
        AUROC by source.
    """
    found = {}
    for source in np.unique(scored.sources).tolist():
        part = scored.where(scored.sources == source)
        y_true = part.labelled("covid")
        enough = min(y_true.sum(), (~y_true).sum()) >= FEWEST
        if enough and np.unique(part.sites).size > 1:
            found[source] = _predicted_auroc([part.sites], y_true, part.patients)
    return found


def place_alone(scored: PatientScores, contrast: Contrast) -> float | None:
    """Compute the AUROC of a contrast from site and domain of each image alone, cross-validated over patients.

    Returns
    -------
    float or None
        0–1. None where all images come from one site and domain.
    """
    part = contrast.part(scored)
    known = [column for column in (part.sites, part.domains) if np.unique(column).size > 1]
    if not known:
        return None
    return _predicted_auroc(known, contrast.y_true(part), part.patients)


def matrix(scored: PatientScores) -> Iterator[dict[str, Any]]:
    """Compute the AUROC of patients with the finding of each source against healthy patients of each source.

    It shows which sources the COVID-19 score separates. The finding is COVID-19 where the source has it, else
    any pneumonia.

    Yields
    ------
    dict
        ``positives``, ``negatives``, ``question``, ``n_positive``, ``n_negative``, ``auroc``: one for each pair of
        sources with enough patients.
    """
    healthy = {source: _scores(scored, source, "normal") for source in np.unique(scored.sources).tolist()}
    for ill_of in healthy:
        label = "covid" if _scores(scored, ill_of, "covid").size else "pneumonia"
        ill = _scores(scored, ill_of, label)
        for healthy_of, well in healthy.items():
            if min(ill.size, well.size) >= FEWEST:
                yield {
                    "positives": ill_of,
                    "negatives": healthy_of,
                    "question": f"{'COVID-19' if label == 'covid' else 'pneumonia'} against normal",
                    "n_positive": ill.size,
                    "n_negative": well.size,
                    "auroc": auroc(np.arange(ill.size + well.size) < ill.size, np.concatenate([ill, well])),
                }


def _scores(scored: PatientScores, source: str, label: str) -> Floats:
    return scored.scores[(scored.sources == source) & scored.labelled(label), COVID]


def metadata_alone(scored: PatientScores, contrast: Contrast) -> dict[str, Any] | None:
    """Compute the AUROC of what is known of an image without its pixels, cross-validated over patients.

    Ridge logistic regression on view, sex, age band, year, and height and width of the file, each one-hot with
    *unknown* as a value of its own.

    Returns
    -------
    dict or None
        ``auroc`` and ``fields``, those that differ between the patients; None where none does.
    """
    part = contrast.part(scored)
    columns = {name: read(part.cases.tolist()) for name, read in FIELDS.items()}
    known = {name: values for name, values in columns.items() if np.unique(values).size > 1}
    if not known:
        return None
    y_true = contrast.y_true(part)
    return {"auroc": _predicted_auroc(list(known.values()), y_true, part.patients), "fields": list(known)}


def _predicted_auroc(categories: Sequence[Names], y_true: Bools, patients: Names) -> float:
    """Compute the AUROC of a ridge logistic regression on categories: cross-validated, mean of some divisions."""
    design = np.column_stack([_one_hot(values) for values in categories])
    divisions = [deal_folds(patients, y_true, seed) for seed in range(N_DIVISIONS)]
    return float(np.mean([_cross_validated(design, y_true, fold) for fold in divisions]))


def _cross_validated(design: Floats, y_true: Bools, fold: NDArray[np.intp]) -> float:
    """Compute the AUROC of regressions on other patients, over the pairs within one fold.

    Not over pairs of two folds: a category that is frequent in one fold is rare in the data on which the regression
    of that fold was fitted. A useless field would then get an AUROC below one half.
    """
    areas, n_pairs = [], []
    for held_out in range(N_FOLDS):
        here = fold == held_out
        rest = ~here
        weight = balanced_weights(y_true[rest]) * rest.sum()
        beta = fit_logistic(design[rest], y_true[rest], weight, ridge=_RIDGE)
        areas.append(auroc(y_true[here], np.round(design[here] @ beta, 9)))  # equal categories are ties
        n_pairs.append(y_true[here].sum() * (~y_true[here]).sum())
    answered = np.array(n_pairs) > 0
    return float(np.average(np.array(areas)[answered], weights=np.array(n_pairs)[answered]))


def deal_folds(patients: Names, y_true: Bools, seed: int) -> NDArray[np.intp]:
    """Deal patients into folds, those with a positive first, so that each fold gets its share of either.

    Parameters
    ----------
    patients : ndarray of str, shape (n,)
    y_true : ndarray of bool, shape (n,)
    seed : int

    Returns
    -------
    ndarray of int, shape (n,)
        0 to `N_FOLDS` − 1, the same for all rows of a patient.
    """
    _, patient = np.unique(patients, return_inverse=True)
    is_positive = np.bincount(patient, y_true) > 0
    shuffled = np.random.default_rng(seed).permutation(is_positive.size)
    order = shuffled[np.argsort(~is_positive[shuffled], kind="stable")]
    place = np.empty(order.size, np.intp)
    place[order] = np.arange(order.size)
    return place[patient] % N_FOLDS


def _one_hot(values: Names) -> Floats:
    return (values[:, None] == np.unique(values)[None]).astype(np.float64)


def _each(of_case: Callable[[LabelledImage], str]) -> Callable[[Sequence[LabelledImage]], Names]:
    return lambda cases: np.array([of_case(case) for case in cases], np.str_)


def _year(case: LabelledImage) -> str:
    return str(case.year or "unknown")


def _size(name: str) -> Callable[[Sequence[LabelledImage]], Names]:
    """Make a function that sorts height or width of the file into parts of equal counts; 0 is unknown."""

    def read(cases: Sequence[LabelledImage]) -> Names:
        sizes = np.array([getattr(case, name) for case in cases])
        known = sizes[sizes > 0]
        if not known.size:
            return np.full(sizes.shape, "unknown")
        edges = np.unique(np.quantile(known, np.arange(1, _PARTS) / _PARTS))
        return np.where(sizes > 0, np.searchsorted(edges, sizes).astype(np.str_), "unknown")

    return read


FIELDS: Mapping[str, Callable[[Sequence[LabelledImage]], Names]] = {
    "view": _each(view),
    "sex": _each(sex),
    "age": _each(age_band),
    "year": _each(_year),
    "rows": _size("rows"),
    "columns": _size("columns"),
}
"""Functions that return what is known of each case without its pixels, as a category."""

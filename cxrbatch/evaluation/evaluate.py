"""Evaluate scores: scores of sites in, a dict of figures that can be written as JSON out; the unit is the patient.

The headline is the worst figure within one site that took no part in training, because a list ranks the patients of
one hospital. The confound floor, which is reached without the lungs, stands beside it.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cxrbatch.bundle import OperatingPoints
from cxrbatch.evaluation import confounds
from cxrbatch.evaluation.bands import shares
from cxrbatch.evaluation.contrasts import CONTRASTS, ContrastSample
from cxrbatch.evaluation.drift_reference import score_reference
from cxrbatch.evaluation.matched import area_of, site_auroc, within_domain, within_patient
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.perturbations import rank_shift
from cxrbatch.evaluation.roc_curve import list_curve
from cxrbatch.evaluation.shape_floor import shape_floor
from cxrbatch.evaluation.site_scores import UNSEEN, Exposure, SiteScores, one_row_per_patient
from cxrbatch.evaluation.subgroups import strata
from cxrbatch.evaluation.summary import caveats, summarise
from cxrbatch.evaluation.trivial_measures import trivial_measures
from cxrbatch.stats import (
    SHARES_TESTED,
    Measure,
    Ranking,
    auroc,
    brier,
    calibration_line,
    estimates,
    expected_calibration_error,
    top_of_list,
)

_FEWEST_OF_A_PUBLISHER = 10
_SCORED_BY = {
    Exposure.NOT_TRAINED_ON: "the network of the bundle",
    Exposure.LEFT_OUT: "networks of the same recipe that were trained without them",
}


def evaluate_sites(
    sites: Sequence[SiteScores],
    rule: str,
    points: OperatingPoints | None,
    bootstraps: int,
    *,
    source_probe: Mapping[str, Any] | None = None,
    weight_randomisation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute all figures of an evaluation.

    Parameters
    ----------
    sites : sequence of SiteScores
    rule : str
        How images make a patient: a key of `cxrbatch.triage.RULES`.
    points : OperatingPoints or None
        None for a bundle without them: then no shares above them, no sensitivity and specificity at them.
    bootstraps : int
        Resamples of each 95 % interval.
    source_probe, weight_randomisation : mapping, optional
        Measured elsewhere; copied unchanged, so that the summary (``verdict``) can report them.

    Returns
    -------
    dict
        Plain text, numbers, lists and dicts; a figure that does not exist is None.
    """
    all_sites = [*sites, *publishers(sites)]
    everybody = one_row_per_patient(sites, rule)
    unseen = one_row_per_patient([site for site in sites if site.exposure in UNSEEN], rule)
    across = unseen if confounds.source_alone(unseen) is not None else everybody
    within = [row for site in all_sites for row in within_site(site, rule, points, bootstraps)]
    once = _once(all_sites)
    evaluation = {
        "headline": headline(within),
        "within_site": within,
        "strata": [row for site in once for row in _strata(site, rule, bootstraps)],
        "matrix": list(confounds.matrix(everybody)),
        "pooled": confounds.pooled(across, bootstraps),
        "confound_floor": {
            "source_alone": confounds.source_alone(across),
            "domain_alone": confounds.domain_alone(everybody),
            "metadata_alone": [row for site in once for row in _metadata(site, rule)],
            "trivial_measures": [row for site in _once(sites) for row in _trivial(site, rule)],
        },
        "shares": list(shares(sites, rule, points)) if points else [],
        "list_curve": list_curve(unseen, bootstraps),
        "reference": reference(sites, rule),
        "source_probe": source_probe,
        "weight_randomisation": weight_randomisation,
    }
    plain = jsonable(evaluation)
    return {"verdict": summarise(plain), "caveats": caveats(plain), **plain}


def _once(sites: Sequence[SiteScores]) -> list[SiteScores]:
    """Select each site once, that of which nothing was seen before that of which patients were held out."""
    once: dict[str, SiteScores] = {}
    for site in sorted(sites, key=lambda site: site.exposure not in UNSEEN):
        once.setdefault(site.site, site)
    return list(once.values())


def publishers(sites: Sequence[SiteScores]) -> Iterator[SiteScores]:
    """Make a site of each larger publisher of a source that was collected from many places, unless it is one already.

    Only larger ones: the headline is the worst site, and the worst of many small sites would be chance.
    """
    named = {site.site for site in sites}
    for site in sites:
        if {case.source for case in site.cases} == {site.site}:
            for publisher in sorted({case.site for case in site.cases} - named):
                if _is_large(site, publisher):
                    yield _part(site, publisher)


def _is_large(site: SiteScores, publisher: str) -> bool:
    """Check whether there are enough patients under at least two labels."""
    patients = {(case.label, case.patient) for case in site.cases if case.site == publisher}
    n_patients = Counter(label for label, _ in patients)
    return sum(n >= _FEWEST_OF_A_PUBLISHER for n in n_patients.values()) >= 2


def _part(site: SiteScores, publisher: str) -> SiteScores:
    chosen = [index for index, case in enumerate(site.cases) if case.site == publisher]
    return dataclasses.replace(
        site,
        site=publisher,
        cases=tuple(site.cases[index] for index in chosen),
        scores=site.scores[chosen],
        networks=site.networks[:, chosen],
        perturbed={name: scores[chosen] for name, scores in site.perturbed.items()},
        features=None if site.features is None else site.features[chosen],
        lung_shape=None if site.lung_shape is None else site.lung_shape[chosen],
    )


def within_site(
    site: SiteScores, rule: str, points: OperatingPoints | None, bootstraps: int
) -> Iterator[dict[str, Any]]:
    """Compute the figures of every contrast that a site can answer by itself, a dict for each."""
    scored = to_patient_scores(site.cases, site.scores, rule)
    contrasts = [contrast for contrast in CONTRASTS if contrast.is_answered(scored)]
    if not contrasts:
        return
    networks = [to_patient_scores(site.cases, scores, rule) for scores in site.networks]
    perturbed = {name: to_patient_scores(site.cases, scores, rule) for name, scores in site.perturbed.items()}
    for contrast in contrasts:
        sample = contrast.sample(scored)
        matched = within_domain(site, contrast, rule, bootstraps)
        yield {
            "site": site.site,
            "exposure": str(site.exposure),
            "question": contrast.text,
            "ranked_by": contrast.ranked_by,
            **_figures(sample, points if contrast.ranked_by == "covid" else None, bootstraps),
            "within_domain": matched,
            **shape_floor(site, contrast, rule, bootstraps, by_domain=matched is not None),
            "within_patient": within_patient(site, contrast, bootstraps),
            "source_alone": confounds.place_alone(scored, contrast),
            "auroc_of_each_network": [
                auroc(sample.y_true, contrast.sample(each).y_score) for each in networks
            ],
            "audits": {
                name: _perturbed(sample, contrast.sample(changed)) for name, changed in perturbed.items()
            },
        }


def _figures(sample: ContrastSample, points: OperatingPoints | None, bootstraps: int) -> dict[str, Any]:
    y_true, y_score = sample.y_true, sample.y_score
    thresholds = {"urgent": points.urgent, "high": points.high} if points else {}
    found = _estimates(sample, thresholds, bootstraps)
    slope, intercept = calibration_line(y_true, y_score)
    return {
        "n_positive": int(y_true.sum()),
        "n_negative": int((~y_true).sum()),
        "auroc": found["auroc"],
        "auprc": found["auprc"],
        "prevalence": float(y_true.mean()),
        "specificity_at_sensitivity": {"0.90": found["0.90"], "0.95": found["0.95"]},
        "operating_points": {
            name: {key: found[f"{name} {key}"] for key in ("sensitivity", "specificity")}
            for name in thresholds
        }
        or None,
        "calibration": {
            "slope": slope,
            "intercept": intercept,
            "brier": brier(y_true, y_score),
            "ece": expected_calibration_error(y_true, y_score),
        },
        "list": [dataclasses.asdict(top_of_list(y_true, y_score, share)) for share in SHARES_TESTED],
    }


def _estimates(sample: ContrastSample, thresholds: Mapping[str, float], bootstraps: int) -> dict[str, Any]:
    measures: dict[str, Measure] = {
        "auroc": Ranking.auroc,
        "auprc": Ranking.auprc,
        "0.90": lambda ranking: ranking.specificity_at_sensitivity(0.90),
        "0.95": lambda ranking: ranking.specificity_at_sensitivity(0.95),
    }
    for name, threshold in thresholds.items():
        measures[f"{name} sensitivity"] = _sensitivity_from(threshold)
        measures[f"{name} specificity"] = _specificity_from(threshold)
    found = estimates(measures, sample.y_true, sample.y_score, sample.patients, bootstraps=bootstraps)
    return {name: dataclasses.asdict(estimate) for name, estimate in found.items()}


def _sensitivity_from(threshold: float) -> Measure:
    return lambda ranking: ranking.sensitivity(threshold)


def _specificity_from(threshold: float) -> Measure:
    return lambda ranking: ranking.specificity(threshold)


def _perturbed(before: ContrastSample, after: ContrastSample) -> dict[str, float]:
    """Compare the patients whose images were perturbed."""
    scored = ~np.isnan(after.y_score)
    return {
        "auroc": auroc(after.y_true[scored], after.y_score[scored]),
        "median_rank_shift": rank_shift(before.y_score[scored], after.y_score[scored]),
    }


def headline(within: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Find the row with the lowest AUROC within a site of which nothing was seen; without such a site, of all.

    The AUROC is the one within a domain, where the site has several.
    """
    unseen = [row for row in within if row["exposure"] in UNSEEN]
    if not within:
        return None
    worst = min(unseen or within, key=area_of)
    kept = ("site", "exposure", "question", "ranked_by", "n_positive", "n_negative")
    return {**{key: worst[key] for key in kept}, "auroc": site_auroc(worst)}


def _strata(site: SiteScores, rule: str, bootstraps: int) -> Iterator[dict[str, Any]]:
    scored = to_patient_scores(site.cases, site.scores, rule)
    for contrast in CONTRASTS:
        if contrast.is_answered(scored):
            for row in strata(scored, contrast, bootstraps):
                yield {"site": site.site, "question": contrast.text, "ranked_by": contrast.ranked_by, **row}


def _metadata(site: SiteScores, rule: str) -> Iterator[dict[str, Any]]:
    scored = to_patient_scores(site.cases, site.scores, rule)
    answered: set[str] = set()
    for contrast in CONTRASTS:
        if contrast.is_answered(scored) and contrast.text not in answered:
            answered.add(contrast.text)
            row = confounds.metadata_alone(scored, contrast)
            if row:
                yield {"site": site.site, "question": contrast.text, **row}


def _trivial(site: SiteScores, rule: str) -> Iterator[dict[str, Any]]:
    scored = to_patient_scores(site.cases, site.scores, rule, by_domain=True)
    for row in trivial_measures(scored):
        yield {"site": site.site, **row}


def reference(sites: Sequence[SiteScores], rule: str) -> dict[str, Any] | None:
    """Compute the distribution of the COVID-19 score over patients of sources that took no part in training.

    Sources that are not in the training set of the bundle come first, because they were scored by the same network
    that scores the patients of a hospital. Without such sources, left-out ones are used. None without either.
    """
    for exposure, scored_by in _SCORED_BY.items():
        found = score_reference(
            one_row_per_patient([site for site in sites if site.exposure is exposure], rule), scored_by
        )
        if found:
            return found
    return None


def jsonable(value: Any) -> Any:
    """Convert to plain numbers, None for what is not finite, so that ``json.dumps(allow_nan=False)`` accepts it."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value

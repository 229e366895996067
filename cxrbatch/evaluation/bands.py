"""Choose the thresholds between the bands of a list, and count who lies above them: scores of sites in."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cxrbatch.bundle import OperatingPoints
from cxrbatch.datasets import OF_CHILDREN
from cxrbatch.evaluation.contrasts import COVID
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.site_scores import UNSEEN, Exposure, SiteScores, one_row_per_patient
from cxrbatch.stats import Floats, share_interval, threshold_at_sensitivity

MOST_URGENT = 0.10
"""Share of the patients without pneumonia of a site that may be called urgent."""
HIGH_SENSITIVITY = 0.90
FEWEST_WITHOUT = 50
"""Patients without pneumonia that a site needs for a say in the threshold."""


def operating_points(sites: Sequence[SiteScores], rule: str) -> OperatingPoints | None:
    """Compute the thresholds on sites of which nothing was seen, see `thresholds`."""
    return thresholds([site for site in sites if site.exposure in UNSEEN], rule)


def thresholds(sites: Sequence[SiteScores], rule: str, measured_on: str = "") -> OperatingPoints | None:
    """Compute the thresholds of the bands.

    ``urgent`` is the largest of the 90th percentiles of the COVID-19 score among adults without pneumonia, of the
    sites with at least 50 of them: at each of these at most a tenth lies above it. ``high`` is the score that keeps
    90 % of the patients with COVID-19, or ``urgent`` where that is lower.

    Parameters
    ----------
    sites : sequence of SiteScores
    rule : str
        Key of `cxrbatch.triage.RULES`.
    measured_on : str
        A caller that passes sites which the networks had seen must state this here, in words.

    Returns
    -------
    OperatingPoints or None
        None where no site has 50 patients without pneumonia, or no patient has COVID-19.
    """
    scored = one_row_per_patient(sites, rule)
    covid = scored.scores[scored.labelled("covid"), COVID]
    without = [found for site in sites if (found := _without_pneumonia(site, rule)).size >= FEWEST_WITHOUT]
    if not covid.size or not without:
        return None
    urgent = max(float(np.quantile(found, 1 - MOST_URGENT, method="higher")) for found in without)
    high = min(urgent, threshold_at_sensitivity(covid, HIGH_SENSITIVITY))
    return OperatingPoints(urgent=urgent, high=high, measured_on=measured_on)


def broken_at(sites: Sequence[SiteScores], rule: str, points: OperatingPoints) -> list[dict[str, Any]]:
    """Find the sites of which nothing was seen where ``urgent`` calls too many patients without pneumonia.

    Returns
    -------
    list of dict
        ``site``, ``n``, ``urgent`` with its 95 % interval: those whose lower bound is above a tenth. With such a site
        a bundle gets no bands.
    """
    found = []
    for site in sites:
        scores = _without_pneumonia(site, rule) if site.exposure in UNSEEN else np.empty(0)
        share = share_interval(int((scores >= points.urgent).sum()), scores.size)
        if share.low > MOST_URGENT:
            found.append({"site": site.site, "n": scores.size, "urgent": dataclasses.asdict(share)})
    return found


def _without_pneumonia(site: SiteScores, rule: str) -> Floats:
    """Return the COVID-19 scores of the adults of a site who have no pneumonia; children are not screened."""
    scored = to_patient_scores(site.cases, site.scores, rule)
    return scored.scores[scored.labelled("normal") & ~np.isin(scored.sources, list(OF_CHILDREN)), COVID]


def shares(sites: Sequence[SiteScores], rule: str, points: OperatingPoints) -> Iterator[dict[str, Any]]:
    """Compute the share of patients at or above each operating point, a dict for each source, exposure and label."""
    for exposure in Exposure:
        scored = one_row_per_patient([site for site in sites if site.exposure is exposure], rule)
        for source, label in sorted(set(zip(scored.sources.tolist(), scored.labels.tolist(), strict=True))):
            covid = scored.scores[(scored.sources == source) & (scored.labels == label), COVID]
            yield {
                "source": source,
                "exposure": str(exposure),
                "label": label,
                "n": covid.size,
                "urgent": float((covid >= points.urgent).mean()),
                "urgent_or_high": float((covid >= points.high).mean()),
            }

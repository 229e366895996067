"""Choose the thresholds between the bands of a list, and count who lies above them: scores of sites in."""

from collections.abc import Iterator, Sequence
from typing import Any

from cxrbatch.bundle import OperatingPoints
from cxrbatch.evaluation.contrasts import COVID
from cxrbatch.evaluation.site_scores import Exposure, SiteScores, one_row_per_patient
from cxrbatch.stats import threshold_at_sensitivity

URGENT_SENSITIVITY = 0.90
HIGH_SENSITIVITY = 0.95


def operating_points(sites: Sequence[SiteScores], rule: str) -> OperatingPoints | None:
    """Compute the thresholds at which 90 % and 95 % of the COVID-19 patients of left-out sites are found.

    Returns
    -------
    OperatingPoints or None
        None where no COVID-19 patient was left out: a threshold cannot be measured elsewhere.
    """
    return thresholds([site for site in sites if site.exposure is Exposure.LEFT_OUT], rule)


def thresholds(sites: Sequence[SiteScores], rule: str, measured_on: str = "") -> OperatingPoints | None:
    """Compute the thresholds at which 90 % and 95 % of the COVID-19 patients of any sites are found.

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
        None where no patient has COVID-19.
    """
    scored = one_row_per_patient(sites, rule)
    covid = scored.scores[scored.labelled("covid"), COVID]
    if not covid.size:
        return None
    return OperatingPoints(
        urgent=threshold_at_sensitivity(covid, URGENT_SENSITIVITY),
        high=threshold_at_sensitivity(covid, HIGH_SENSITIVITY),
        measured_on=measured_on,
    )


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

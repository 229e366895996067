"""Plot the curves of an evaluation: rows and scores in, `cxrbatch.pages.Figure` out.

The points are those of `cxrbatch.stats`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cxrbatch.bundle import OperatingPoints
from cxrbatch.datasets import IMAGE_LABELS
from cxrbatch.evaluation.contrasts import CONTRASTS
from cxrbatch.evaluation.evaluate import publishers
from cxrbatch.evaluation.patients import PatientScores, to_patient_scores
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.pages import CHANCE, Dot, Figure, Plot, Points, dot, figure, line, percent
from cxrbatch.stats import (
    Bools,
    Floats,
    gain_points,
    histogram_points,
    precision_recall_points,
    reliability,
    roc_points,
)

_FEWEST_PER_BIN = 20


def curve_figures(
    rows: Sequence[Mapping[str, Any]], sites: Sequence[SiteScores], rule: str
) -> Iterator[Figure]:
    """Plot ROC, precision-recall, gain and reliability of each row of ``within_site`` whose scores are given.

    Parameters
    ----------
    rows : sequence of mapping
        ``within_site`` of an evaluation.
    sites : sequence of SiteScores
        Scores that were evaluated.
    rule : str
        Key of `cxrbatch.triage.RULES`.
    """
    at = {(site.site, site.exposure): site for site in (*publishers(sites), *sites)}
    contrasts = {(contrast.text, contrast.ranked_by): contrast for contrast in CONTRASTS}
    for row in rows:
        site = at.get((row["site"], row["exposure"]))
        if site:
            sample = contrasts[row["question"], row["ranked_by"]].sample(
                to_patient_scores(site.cases, site.scores, rule)
            )
            yield Figure(caption=_caption(row), plots=tuple(_curves(row, sample.y_true, sample.y_score)))


def histogram_figure(sites: Sequence[SiteScores], rule: str, points: OperatingPoints | None) -> Figure:
    """Plot histograms of the COVID-19 score: a plot for each site, a line for each label.

    Parameters
    ----------
    sites : sequence of SiteScores
    rule : str
        Key of `cxrbatch.triage.RULES`.
    points : OperatingPoints or None
        Drawn as vertical lines.
    """
    plots = tuple(
        _histogram(f"{site.site}, {site.exposure}", to_patient_scores(site.cases, site.scores, rule), points)
        for site in sites
    )
    return Figure(caption="COVID-19 score of the patients of each site, by label", plots=plots)


def _caption(row: Mapping[str, Any]) -> str:
    return (
        f"{row['question']} at {row['site']} ({row['exposure']}), ranked by {row['ranked_by']}: "
        f"{row['n_positive']} against {row['n_negative']} patients"
    )


def _curves(row: Mapping[str, Any], y_true: Bools, y_score: Floats) -> Iterator[Plot]:
    yield Plot(
        title=f"ROC, area {figure(row['auroc']['value'])}",
        x="1 − specificity",
        y="sensitivity",
        lines=(line(CHANCE, "reference"), line(zip(*roc_points(y_true, y_score), strict=True))),
        dots=tuple(_bands(row["operating_points"])),
    )
    yield Plot(
        title=f"Precision–recall, area {figure(row['auprc']['value'])}",
        x="sensitivity (recall)",
        y="share with the finding (precision)",
        lines=(
            line([(0, row["prevalence"]), (1, row["prevalence"])], "reference"),
            line(_steps(*precision_recall_points(y_true, y_score))),
        ),
    )
    yield Plot(
        title="Gain over any order",
        x="share of the list tested",
        y="share of the ill found",
        lines=(line(CHANCE, "reference"), line(zip(*gain_points(y_true, y_score), strict=True))),
    )
    if row["calibration"]:
        yield _reliability(y_true, y_score)


def _bands(operating_points: Mapping[str, Any] | None) -> Iterator[Dot]:
    for band, found in (operating_points or {}).items():
        yield dot(1 - found["specificity"]["value"], found["sensitivity"]["value"], band)


def _steps(recall: Floats, precision: Floats) -> Points:
    """Make steps: precision stays from one recall to the next, as in the area; a straight line would be too good."""
    x = np.concatenate([[0.0], np.repeat(recall, 2)[:-1]])
    return zip(x, np.repeat(precision, 2), strict=True)


def _reliability(y_true: Bools, y_score: Floats) -> Plot:
    bins = reliability(y_true, y_score, bins=max(2, min(10, y_true.size // _FEWEST_PER_BIN)))
    points = list(zip(bins.score, bins.share, strict=True))
    return Plot(
        title="Reliability, both sides weighing the same",
        x="mean score",
        y="share of the ill",
        lines=(line(CHANCE, "reference"), line(points)),
        dots=tuple(dot(x, y) for x, y in points),
    )


def _histogram(title: str, scored: PatientScores, points: OperatingPoints | None) -> Plot:
    shares = {
        label: histogram_points(scored.scores[scored.labelled(label), 0])
        for label in IMAGE_LABELS
        if scored.labelled(label).any()
    }
    tallest = max((share.max() for _, share in shares.values()), default=1.0)
    return Plot(
        title=title,
        x="COVID-19 score",
        y="share of the patients of a label",
        lines=tuple(
            line(_outline(edges, share / tallest), label, f"{label} ({scored.labelled(label).sum()})")
            for label, (edges, share) in shares.items()
        ),
        thresholds=(dot(points.urgent, 0, "urgent"), dot(points.high, 0, "high")) if points else (),
        top=percent(tallest),
    )


def _outline(edges: Floats, heights: Floats) -> Points:
    return zip(np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(heights, 2), [0.0]]), strict=True)

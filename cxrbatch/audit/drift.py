"""Measure drift of images and scores by the week in which images came in: image summaries in, estimates out.

Second copies and files that were still being written do not count: their content is counted elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrbatch.audit.estimate import AuditEstimate, compared, counted, share, week_of
from cxrbatch.bundle import Bundle
from cxrbatch.reasons import Reason
from cxrbatch.state import ImageSummary
from cxrbatch.stats import Floats

SECTION = "drift"
ENOUGH_IMAGES = 100
"""Number of scored images that a week needs for a stability index."""
OWN_WEEKS = 4
"""Number of first weeks with enough images that form the hospital's own reference."""
STABLE, SHIFTED = 0.1, 0.25
"""Limits of the index, a rule of thumb: below the first no change, above the second a large change (Siddiqi 2006,
Credit Risk Scorecards)."""
_PARTS = 10
_HALF = 0.5  # images added to each part, so that an empty part does not make the index infinite
_COUNTED_ELSEWHERE = (Reason.DUPLICATE, Reason.STILL_CHANGING)


@dataclass(frozen=True, slots=True)
class Reference:
    """A distribution of COVID-19 scores.

    Attributes
    ----------
    edges : ndarray of float64, shape (9,)
        Edges of the parts, rising. A score equal to an edge belongs to the part above it.
    shares : ndarray of float64, shape (10,)
        Share of the scores in each part; the sum is 1.
    n : int
        Number of scores that it is made from.
    measured_on : str
        Description of the images, in words.
    """

    edges: Floats
    shares: Floats
    n: int
    measured_on: str

    def psi(self, scores: Floats) -> float:
        """Compute the population stability index: Σ (p − q) ln (p / q) over ten parts.

        p are the shares of the scores, q those of the reference. Half an image is added to each part of both.

        Parameters
        ----------
        scores : ndarray of float64, shape (n,)
            COVID-19 scores, 0–1.
        """
        found = np.bincount(np.searchsorted(self.edges, scores, side="right"), minlength=_PARTS)
        p = (found + _HALF) / (scores.size + _PARTS * _HALF)
        q = (self.shares * self.n + _HALF) / (self.n + _PARTS * _HALF)
        return float(((p - q) * np.log(p / q)).sum())

    def by_chance(self, n: int) -> float:
        """Compute the mean of the index of `n` images without any change: (parts − 1) (1/n + 1/n_reference)."""
        return (_PARTS - 1) * (1 / n + 1 / self.n)


def bundle_reference(bundle: Bundle) -> Reference | None:
    """Return the reference that the bundle was shipped with; None if it has none."""
    content: Mapping[str, Any] | None = bundle.evaluation.get("reference")
    if not content:
        return None
    edges, shares = (np.array(content[key], np.float64) for key in ("edges", "shares"))
    return Reference(edges, shares, int(content["n"]), str(content["measured_on"]))


def own_reference(weeks: Mapping[str, Floats]) -> tuple[Reference | None, set[str]]:
    """Make the hospital's own reference: the deciles of its first weeks with enough images.

    Parameters
    ----------
    weeks : mapping of str to ndarray of float64
        COVID-19 scores by week, in rising order of the weeks.

    Returns
    -------
    Reference or None
        None until there are `OWN_WEEKS` weeks with `ENOUGH_IMAGES` images.
    set of str
        The weeks that it is made from.
    """
    chosen = [week for week, scores in weeks.items() if scores.size >= ENOUGH_IMAGES][:OWN_WEEKS]
    if len(chosen) < OWN_WEEKS:
        return None, set()
    scores = np.concatenate([weeks[week] for week in chosen])
    edges = np.quantile(scores, np.arange(1, _PARTS) / _PARTS)
    found = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=_PARTS)
    words = f"{scores.size} images of this hospital, {chosen[0]} to {chosen[-1]}"
    return Reference(edges, found / scores.size, scores.size, words), set(chosen)


def weekly_scores(images: Iterable[ImageSummary], bundle_sha256: str) -> dict[str, Floats]:
    """Collect the COVID-19 scores of a bundle by week, in rising order of the weeks."""
    weeks: dict[str, list[float]] = {}
    for image in images:
        if image.score_covid is not None and image.bundle_sha256 == bundle_sha256:
            weeks.setdefault(week_of(image.first_night), []).append(image.score_covid)
    return {week: np.array(weeks[week]) for week in sorted(weeks)}


def counted_images(images: Iterable[ImageSummary]) -> list[ImageSummary]:
    """Select the images that count: without second copies and unfinished files."""
    return [image for image in images if not image.duplicate_of and image.reason not in _COUNTED_ELSEWHERE]


def drift(images: Sequence[ImageSummary], bundle: Bundle) -> Iterator[AuditEstimate]:
    """Compute for each week: new images, share urgent, share not scored, counts by reason, and stability indices.

    ``psi_to_bundle`` compares with the reference of the bundle, ``psi_to_first_weeks`` with the hospital's own.
    ``…_by_chance`` is the mean of the index without any change. ``not_scored_last_week_minus_before`` is the increase
    of the share not scored.

    Parameters
    ----------
    images : sequence of ImageSummary
        From `counted_images`.
    bundle : Bundle
        Only its scores count for the share urgent and the indices.
    """
    by_week: dict[str, list[ImageSummary]] = {}
    for image in images:
        by_week.setdefault(week_of(image.first_night), []).append(image)
    weeks = sorted(by_week)
    scores = weekly_scores(images, bundle.sha256)
    for week in weeks:
        yield from _counts(by_week[week], week)
        if bundle.operating_points:
            urgent = bundle.operating_points.urgent
            yield share(SECTION, "urgent", (scores.get(week, np.array([])) >= urgent).tolist(), week)
    yield from _indices("psi_to_bundle", bundle_reference(bundle), scores, set())
    yield from _indices("psi_to_first_weeks", *_own(scores))
    if len(weeks) > 1:
        before = [image for week in weeks[:-1] for image in by_week[week]]
        yield compared(
            SECTION,
            "not_scored_last_week_minus_before",
            share(SECTION, "", map(_is_not_scored, by_week[weeks[-1]])),
            share(SECTION, "", map(_is_not_scored, before)),
        )


def _own(scores: Mapping[str, Floats]) -> tuple[Reference | None, Mapping[str, Floats], set[str]]:
    reference, chosen = own_reference(scores)
    return reference, scores, chosen


def _counts(images: Sequence[ImageSummary], week: str) -> Iterator[AuditEstimate]:
    yield counted(SECTION, "n_images", len(images), week)
    yield share(SECTION, "not_scored", map(_is_not_scored, images), week)
    reasons = Counter(image.reason for image in images if image.reason)
    for reason in sorted(reasons):
        yield counted(SECTION, f"not_scored_{reason}", reasons[reason], week)


def _indices(
    name: str, reference: Reference | None, weeks: Mapping[str, Floats], without: set[str]
) -> Iterator[AuditEstimate]:
    if reference is None:
        return
    for week, scores in weeks.items():
        if week in without:
            continue
        psi, chance = (
            (reference.psi(scores), reference.by_chance(scores.size))
            if scores.size >= ENOUGH_IMAGES
            else (None, None)
        )
        yield AuditEstimate(section=SECTION, name=name, n=scores.size, week=week, value=psi)
        yield AuditEstimate(section=SECTION, name=f"{name}_by_chance", n=scores.size, week=week, value=chance)


def _is_not_scored(image: ImageSummary) -> bool:
    return image.score_covid is None

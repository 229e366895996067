"""Score sites with the network of a bundle: sources outside the training set, and held-out patients."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import OperatingPoints
from cxrbatch.datasets import Dataset
from cxrbatch.evaluation import PERTURBATION_BY_NAME, Exposure, SiteScores, thresholds
from cxrbatch.stats import Floats
from cxrbatch.training.splits import Splits

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""Images (n, height, width) → scores (n, 3)."""
OWN_SPLIT = "own split"


def unseen_sites(splits: Splits, score: Scorer) -> list[SiteScores]:
    """Score every source with patients outside the training set, and the own split, if there is one."""
    trained_on = splits.trained_on_sources
    sites = [
        score_site(
            source, Exposure.HELD_OUT if source in trained_on else Exposure.NOT_TRAINED_ON, part, score
        )
        for source, part in by_source(splits.unseen)
    ]
    if splits.held_out.cases:
        sites.append(score_site(OWN_SPLIT, Exposure.HELD_OUT, splits.held_out, score))
    return sites


def by_source(dataset: Dataset) -> list[tuple[str, Dataset]]:
    """Return the images of each source, sorted by source."""
    indices: dict[str, list[int]] = {}
    for index, case in enumerate(dataset.cases):
        indices.setdefault(case.source, []).append(index)
    return [(source, dataset.at(of_source)) for source, of_source in sorted(indices.items())]


def score_site(site: str, exposure: Exposure, dataset: Dataset, score: Scorer) -> SiteScores:
    """Score the images of one site, and the perturbed images where the site has more than one label."""
    scores = _scores(score, dataset.images)
    is_asked = len({case.label for case in dataset.cases}) > 1
    perturbed = PERTURBATION_BY_NAME.items() if is_asked else ()
    return SiteScores(
        site=site,
        exposure=exposure,
        cases=dataset.cases,
        scores=scores,
        networks=scores[np.newaxis],
        perturbed={name: _scores(score, change(dataset.images)) for name, change in perturbed},
    )


def _scores(score: Scorer, images: NDArray[np.uint8]) -> Floats:
    return np.asarray(score(images), np.float64)


def own_split_points(sites: Sequence[SiteScores], rule: str) -> OperatingPoints | None:
    """Choose operating points as is often done: on held-out patients of the sources in the training set.

    Returns
    -------
    OperatingPoints or None
        They state where they were measured. None without an own split.
    """
    return thresholds(
        [site for site in sites if site.site == OWN_SPLIT],
        rule,
        measured_on="held-out patients of the sources that taught; elsewhere they may mean little",
    )

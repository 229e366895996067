"""Score sites with the network of a bundle: sources outside the training set, and held-out patients."""

from collections import Counter
from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import OperatingPoints
from cxrbatch.datasets import Dataset, LabelledImage
from cxrbatch.evaluation import Exposure, SiteScores, perturb, thresholds
from cxrbatch.stats import Floats
from cxrbatch.training.lung_shape import wide_masks
from cxrbatch.training.splits import Splits, is_within

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""Images (n, height, width) → scores (n, 3)."""
OWN_SPLIT = "own split"
_MOST_PERTURBED = 1000
"""Images of a source that are scored again after each perturbation: more would take long and change little."""


def unseen_sites(splits: Splits, score: Scorer, segmenter: keras.Model | None = None) -> list[SiteScores]:
    """Score every source with patients outside the training set, and the own split, if there is one."""
    trained_on = splits.trained_on_sources
    sites = [
        score_site(
            source,
            Exposure.HELD_OUT if source in trained_on else Exposure.NOT_TRAINED_ON,
            part,
            score,
            segmenter,
        )
        for source, part in by_source(splits.unseen)
    ]
    if splits.held_out.cases:
        sites.append(score_site(OWN_SPLIT, Exposure.HELD_OUT, splits.held_out, score, segmenter))
    return sites


def by_source(dataset: Dataset) -> list[tuple[str, Dataset]]:
    """Return the images of each source, sorted by source."""
    indices: dict[str, list[int]] = {}
    for index, case in enumerate(dataset.cases):
        indices.setdefault(case.source, []).append(index)
    return [(source, dataset.at(of_source)) for source, of_source in sorted(indices.items())]


def score_site(
    site: str, exposure: Exposure, dataset: Dataset, score: Scorer, segmenter: keras.Model | None = None
) -> SiteScores:
    """Score the images of one site, and the perturbed images where the site has more than one label."""
    scores = np.asarray(score(dataset.images), np.float64)
    return SiteScores(
        site=site,
        exposure=exposure,
        cases=dataset.cases,
        scores=scores,
        networks=scores[np.newaxis],
        perturbed=score_perturbed(dataset, score, segmenter),
    )


def score_perturbed(
    dataset: Dataset, score: Scorer, segmenter: keras.Model | None = None
) -> dict[str, Floats]:
    """Score the perturbed images of some patients of each source that has more than one label.

    Parameters
    ----------
    segmenter : keras.Model, optional
        Finds the lungs that are blacked out, or left; by default they are where they mostly are.

    Returns
    -------
    dict of str to ndarray of float64, shape (n, outputs)
        By the name of the perturbation, in the order of the data set; NaN where nothing was scored. Empty where no
        source has more than one label.
    """
    chosen = _perturbed_indices(dataset.cases)
    if not chosen:
        return {}
    images = dataset.images[chosen]
    masks = None if segmenter is None else wide_masks(segmenter, images)
    return {
        name: _spread(np.asarray(score(changed), np.float64), chosen, len(dataset.cases))
        for name, changed in perturb(images, masks)
    }


def _perturbed_indices(cases: Sequence[LabelledImage]) -> list[int]:
    """Choose patients at random, by their names, so that each source has about `_MOST_PERTURBED` images."""
    n_images = Counter(case.source for case in cases)
    labels = {source: {case.label for case in cases if case.source == source} for source in n_images}
    is_asked = {source for source, found in labels.items() if len(found) > 1}
    if not is_asked and len(set().union(*labels.values())) > 1:
        is_asked = set(labels)  # only together do they have more than one label
    # Under another name than that by which patients are held out: else some parts of them hold none, others all.
    return [
        index
        for index, case in enumerate(cases)
        if case.source in is_asked
        and is_within(f"perturbed: {case.patient}", _MOST_PERTURBED / n_images[case.source])
    ]


def _spread(values: Floats, indices: list[int], n: int) -> Floats:
    spread = np.full((n, values.shape[1]), np.nan)
    spread[indices] = values
    return spread


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

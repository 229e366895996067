"""Scores of the images of one site: the input of an evaluation.

They come from networks that never saw these patients, as far as is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation.patients import PatientScores, join, to_patient_scores
from cxrbatch.stats import Floats


class Exposure(StrEnum):
    """Part of the site that the networks which made the scores had seen in training."""

    LEFT_OUT = "left out"
    """Nothing: the recipe's networks were trained again without it."""
    NOT_TRAINED_ON = "never taught"
    """Nothing: no image of the site is in the training set of the bundle."""
    HELD_OUT = "held out"
    """Other patients of the same site: a score can be good by recognising the site."""
    UNKNOWN = "unknown"
    """Not known: the bundle was made elsewhere, or a folder may hold copies of its training set."""


UNSEEN = (Exposure.LEFT_OUT, Exposure.NOT_TRAINED_ON)
"""Of these sites the networks had seen nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteScores:
    """Scores of the images of one site.

    Attributes
    ----------
    site : str
        A source (``nih``) or a publisher of one (``ieee8023/radiopaedia.org``); ``own split`` for the held-out
        patients of all sources in the training set.
    exposure : Exposure
    cases : tuple of LabelledImage, n of them
    scores : ndarray of float64, shape (n, 3)
        In the order of `cxrbatch.records.FINDINGS`, per image.
    networks : ndarray of float64, shape (networks, n, 3)
        Scores of each network (seed) by itself.
    perturbed : mapping of str to ndarray of float64, shape (n, 3)
        Scores of the changed images, by the name of the change (`cxrbatch.evaluation.perturb`); NaN for
        patients whose images were not changed.
    features : ndarray of float32, shape (n, features) or None
        Input of the last layer, for the probe that predicts the source.
    lung_shape : ndarray of float64, shape (n, k) or None
        Measures of the lung mask of each image, such as area and height; None where nothing finds the lungs.
    """

    site: str
    exposure: Exposure
    cases: tuple[LabelledImage, ...]
    scores: Floats
    networks: Floats
    perturbed: Mapping[str, Floats] = field(default_factory=dict)
    features: NDArray[np.float32] | None = None
    lung_shape: Floats | None = None


def one_row_per_patient(sites: Sequence[SiteScores], rule: str) -> PatientScores:
    """Select each patient once: from a site of which the networks had seen nothing, else from any site.

    Of several such sites the smallest counts: a publisher that was left out by itself comes before its source.
    """
    parts: list[PatientScores] = [to_patient_scores((), np.empty((0, 3)), rule)]
    for site in sorted(sites, key=lambda site: (site.exposure not in UNSEEN, len(site.cases))):
        scored = to_patient_scores(site.cases, site.scores, rule)
        seen = np.concatenate([part.patients for part in parts])
        parts.append(scored.where(~np.isin(scored.patients, seen)))
    return join(parts)

"""Made-up scores of sites for the tests of the evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.site_scores import Exposure, SiteScores

Floats = NDArray[np.float64]
EXTREME: Mapping[str, float] = {"covid": 0.8, "pneumonia": 0.5, "normal": 0.1}


def three(covid: Sequence[float] | Floats) -> Floats:
    """COVID-19 scores with the rest given to normal; shape (n, 3)."""
    score = np.asarray(covid, np.float64)
    return np.stack([score, np.zeros(score.shape), 1 - score], axis=-1)


def site(
    name: str,
    cases: Sequence[LabelledImage],
    scores: Floats,
    exposure: Exposure = Exposure.LEFT_OUT,
    perturbed: Mapping[str, Floats] | None = None,
) -> SiteScores:
    return SiteScores(
        site=name,
        exposure=exposure,
        cases=tuple(cases),
        scores=scores,
        networks=scores[None],
        perturbed=perturbed or {},
    )


def by_label(
    name: str,
    cases: Sequence[LabelledImage],
    exposure: Exposure = Exposure.LEFT_OUT,
    covid: Mapping[str, float] = EXTREME,
    perturbed: Mapping[str, Mapping[str, float]] | None = None,
) -> SiteScores:
    """A site whose COVID-19 scores depend on the label alone: by default perfect."""
    changed = {key: three([of[each.label] for each in cases]) for key, of in (perturbed or {}).items()}
    return site(name, cases, three([covid[each.label] for each in cases]), exposure, changed)

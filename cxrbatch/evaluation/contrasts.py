"""Contrasts that a site can answer by itself, and the score that ranks its patients for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.patients import Names, PatientScores
from cxrbatch.stats import Bools, Floats

FEWEST = 5
"""Least number of patients on either side. With fewer no figure is given."""

COVID, PNEUMONIA, NORMAL = 0, 1, 2
"""Columns of the scores (`cxrbatch.records.FINDINGS`)."""

COVID_SHARE = "covid / (covid + pneumonia)"


def _covid_share(scores: Floats) -> Floats:
    """Compute the share of COVID-19 in the two scores of COVID-19 and pneumonia.

    A patient with neither score gets the mean share of the others, so that a constant share stays constant. The share
    is rounded, because the order of a constant share would be that of rounding errors.
    """
    covid, either = scores[:, COVID], scores[:, COVID] + scores[:, PNEUMONIA]
    has_any = either > 0
    share = np.full(covid.shape, 0.5)
    if has_any.any():
        share[has_any] = covid[has_any] / either[has_any]
        share[~has_any] = share[has_any].mean()
    return np.round(share, 6)


RANKED_BY: Mapping[str, Callable[[Floats], Floats]] = {
    "covid": lambda scores: scores[:, COVID],
    "1 − normal": lambda scores: 1 - scores[:, NORMAL],
    COVID_SHARE: _covid_share,
}
"""Functions from scores, shape (n, 3), to the score that ranks, shape (n,), within 0–1."""


@dataclass(frozen=True, slots=True)
class ContrastSample:
    """Patients of a contrast.

    Attributes
    ----------
    y_true : ndarray of bool, shape (n,)
    y_score : ndarray of float64, shape (n,)
        0–1.
    patients : ndarray of str, shape (n,)
    """

    y_true: Bools
    y_score: NDArray[np.float64]
    patients: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A contrast that a site can answer by itself.

    Attributes
    ----------
    text : str
        Description for people.
    positive, negative : str
        Labels.
    ranked_by : str
        What ranks the patients: a key of `RANKED_BY`.
    """

    text: str
    positive: str
    negative: str
    ranked_by: str = "covid"

    def sample(self, scored: PatientScores) -> ContrastSample:
        """Select the patients with one of the two labels, with truth and score."""
        part = scored.where(scored.labelled(self.positive, self.negative))
        return ContrastSample(
            part.labelled(self.positive), RANKED_BY[self.ranked_by](part.scores), part.patients
        )

    def is_answered(self, scored: PatientScores) -> bool:
        """Check whether there are enough patients, and whether their share of COVID-19 differs.

        A network that was never trained on COVID-19 against other pneumonia gives a constant share. This is no
        answer; an AUROC of one half would be wrong.
        """
        sample = self.sample(scored)
        n_positive = int(sample.y_true.sum())
        enough = min(n_positive, sample.y_true.size - n_positive) >= FEWEST
        return enough and (self.ranked_by != COVID_SHARE or bool(np.ptp(sample.y_score) > 0))


CONTRASTS = (
    Contrast(text="COVID-19 against normal", positive="covid", negative="normal"),
    Contrast(text="COVID-19 against other pneumonia", positive="covid", negative="pneumonia"),
    Contrast(
        text="COVID-19 against other pneumonia", positive="covid", negative="pneumonia", ranked_by=COVID_SHARE
    ),
    Contrast(
        text="pneumonia against normal", positive="pneumonia", negative="normal", ranked_by="1 − normal"
    ),
)

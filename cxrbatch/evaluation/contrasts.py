"""The contrasts that a site can answer by itself, and what ranks its patients for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.patients import Names, PatientScores
from cxrbatch.stats import Bools, Floats

FEWEST = 5
"""Patients on either side, or no figure is given."""

COVID, PNEUMONIA, NORMAL = 0, 1, 2
"""Columns of the scores (`cxrbatch.records.FINDINGS`)."""

COVID_SHARE = "covid / (covid + pneumonia)"


def _covid_share(scores: Floats) -> Floats:
    """The mean of the others for who has neither score, so that where this share is constant it stays so.

    Rounded, because then the order would be that of rounding errors.
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
"""Scores of shape (n, 3) → (n,), within 0–1."""


@dataclass(frozen=True, slots=True)
class ContrastSample:
    """The patients who answer a question.

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
        For a person to read.
    positive, negative : str
        Labels.
    ranked_by : str
        What ranks the patients: a key of `RANKED_BY`.
    """

    text: str
    positive: str
    negative: str
    ranked_by: str = "covid"

    def ask(self, scored: PatientScores) -> ContrastSample:
        """Truth and score of the patients with one of the two labels."""
        part = scored.where(scored.labelled(self.positive, self.negative))
        return ContrastSample(
            part.labelled(self.positive), RANKED_BY[self.ranked_by](part.scores), part.patients
        )

    def is_answered(self, scored: PatientScores) -> bool:
        """Whether there are patients enough, and a share of COVID-19 that is not the same for all.

        A network that was never taught COVID-19 against other pneumonia gives a constant share: no answer, not one
        half.
        """
        sample = self.ask(scored)
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

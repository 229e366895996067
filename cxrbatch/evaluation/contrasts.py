"""Contrasts that a site can answer by itself, and the score that ranks its patients for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import UNSTATED
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
    share[np.isnan(either)] = np.nan  # not scored
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
    patients, domains : ndarray of str, shape (n,)
    """

    y_true: Bools
    y_score: NDArray[np.float64]
    patients: Names
    domains: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A contrast that a site can answer by itself.

    Attributes
    ----------
    text : str
        Description for people.
    positive : tuple of str
        Labels.
    negative : str
        Label.
    ranked_by : str
        What ranks the patients: a key of `RANKED_BY`.
    """

    text: str
    positive: tuple[str, ...]
    negative: str
    ranked_by: str = "covid"

    def sample(self, scored: PatientScores) -> ContrastSample:
        """Select the patients of either side, with truth and score."""
        part = self.part(scored)
        return ContrastSample(self.y_true(part), self.rank(part.scores), part.patients, part.domains)

    def rank(self, scores: Floats) -> Floats:
        """Compute the score that ranks, shape (n,), of scores, shape (n, 3)."""
        return RANKED_BY[self.ranked_by](scores)

    def part(self, scored: PatientScores) -> PatientScores:
        """Select the patients of either side."""
        return scored.where(scored.labelled(*self.positive, self.negative))

    def y_true(self, scored: PatientScores) -> Bools:
        """Make the mask of the patients of the positive side, shape (n,)."""
        return scored.labelled(*self.positive)

    def is_own(self, scored: PatientScores) -> bool:
        """Check whether it is more than another contrast: several positive labels are there, if it has several."""
        found = set(scored.labels[self.y_true(scored)].tolist())
        return len(found) >= min(2, len(self.positive))

    def is_answered(self, scored: PatientScores) -> bool:
        """Check whether there are enough patients, and whether what ranks them differs.

        A network that was never trained on COVID-19 against other pneumonia gives a constant share. This is no
        answer; an AUROC of one half would be wrong.
        """
        sample = self.sample(scored)
        n_positive = int(sample.y_true.sum())
        enough = min(n_positive, sample.y_true.size - n_positive) >= FEWEST
        return (
            enough
            and self.is_own(scored)
            and (self.ranked_by != COVID_SHARE or bool(np.ptp(sample.y_score) > 0))
        )


CONTRASTS = (
    Contrast(text="COVID-19 against normal", positive=("covid",), negative="normal"),
    Contrast(text="COVID-19 against other pneumonia", positive=("covid",), negative="pneumonia"),
    Contrast(
        text="COVID-19 against other pneumonia",
        positive=("covid",),
        negative="pneumonia",
        ranked_by=COVID_SHARE,
    ),
    Contrast(
        text="pneumonia against normal", positive=("pneumonia",), negative="normal", ranked_by="1 − normal"
    ),
    Contrast(
        text="any pneumonia against normal",
        positive=("covid", "pneumonia", UNSTATED),
        negative="normal",
        ranked_by="1 − normal",
    ),
)

"""Leave-one-source-out: networks that never saw a site, and what they make of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.learn.audits import AUDITS
from cxrbatch.learn.calibration import Answers, Calibration, Line, fit_line
from cxrbatch.learn.data import Dataset, hold_out
from cxrbatch.learn.fit import fit, score
from cxrbatch.learn.pairs import NEGATIVE, POSITIVE
from cxrbatch.learn.sources import Case
from cxrbatch.recipe import TrainRecipe

_LEAST_SLOPE = (0.1, 0.0)


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Logits of the images that a fold left out.

    Attributes
    ----------
    left_out : tuple of str
        Domains.
    cases : tuple of Case
    logits : ndarray of float32, shape (networks, n, 2)
        Of each network by itself; what is shipped is their mean.
    audits : mapping of str to ndarray of float32, shape (n, 2)
        Mean logits of the changed images, by the name of the change.
    """

    left_out: tuple[str, ...]
    cases: tuple[Case, ...]
    logits: NDArray[np.float32]
    audits: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def mean_logits(self) -> NDArray[np.float32]:
        """Of the ensemble, shape (n, 2)."""
        return self.logits.mean(axis=0)


def score_folds(dataset: Dataset, recipe: TrainRecipe) -> list[FoldScores]:
    """Train without each fold, one network per seed, and score what was left out."""
    return [
        _score_fold(dataset, left_out, recipe) for left_out in tqdm(recipe.folds, desc="folds", disable=None)
    ]


def _score_fold(dataset: Dataset, left_out: Sequence[str], recipe: TrainRecipe) -> FoldScores:
    training, rest = hold_out(dataset, left_out)
    networks = [fit(training.images, training.cases, recipe, seed) for seed in recipe.fit.seeds]
    logits = np.stack([score(network, rest.images) for network in networks])
    audits = {
        name: np.mean([score(network, change(rest.images)) for network in networks], axis=0)
        for name, change in AUDITS.items()
    }
    return FoldScores(tuple(left_out), rest.cases, logits, audits)


def calibrate(folds: Sequence[FoldScores]) -> Calibration:
    """Fit both lines on left-out images; a question without a left-out answer keeps its logit."""
    return Calibration(abnormal=_line(folds, 0), covid_given_abnormal=_line(folds, 1))


def _line(folds: Sequence[FoldScores], question: int) -> Line:
    parts = [part for fold in folds for part in _answered(fold, question)]
    if not parts:
        return Line()
    logits, y_true, domains, patients = (np.concatenate(column) for column in zip(*parts, strict=True))
    answers = Answers(logits=logits, y_true=y_true, domains=domains, patients=patients)
    return fit_line(answers, least_slope=_LEAST_SLOPE[question])


def _answered(fold: FoldScores, question: int) -> Iterator[tuple[NDArray[Any], ...]]:
    """Logits, answers, domains and patients of the left-out domains in which both answers occur."""
    labels = np.array([case.label for case in fold.cases])
    domains = np.array([case.domain for case in fold.cases])
    patients = np.array([case.patient for case in fold.cases])
    logits = fold.mean_logits[:, question]
    yes, no = np.isin(labels, list(POSITIVE[question])), np.isin(labels, list(NEGATIVE[question]))
    for domain in np.unique(domains):
        here = (domains == domain) & (yes | no)
        if np.unique(yes[here]).size == 2 and np.ptp(logits[here]) > 0:
            name = np.full(here.sum(), f"{domain} left out with {fold.left_out}")
            yield logits[here], yes[here], name, patients[here]

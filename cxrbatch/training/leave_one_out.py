"""Leave one source out: train networks without a site, then score that site.

Input: the data set and the training set. Output: logits of the left-out images, their calibration, scores per site.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.datasets import Dataset, LabelledImage, hold_out, without_patients
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation import PERTURBATION_BY_NAME, Exposure, SiteScores
from cxrbatch.training.calibration import Answers, Calibration, Line, fit_line
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.ensemble import Crops, Ensemble, shown
from cxrbatch.training.fit import check_training_set, fit
from cxrbatch.training.logit_offset import centre_logits
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE
from cxrbatch.training.recipe import TrainRecipe

_LEAST_SLOPE = (0.1, 0.0)


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Logits of the images that a fold left out.

    Attributes
    ----------
    left_out : tuple of str
        Sites.
    cases : tuple of LabelledImage
    logits : ndarray of float32, shape (networks, n, 2)
        Of each network by itself; the bundle uses their mean.
    perturbed : mapping of str to ndarray of float32, shape (n, 2)
        Mean logits of the perturbed images, by the name of the perturbation.
    """

    left_out: tuple[str, ...]
    cases: tuple[LabelledImage, ...]
    logits: NDArray[np.float32]
    perturbed: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def mean_logits(self) -> NDArray[np.float32]:
        """Mean logits of the ensemble, shape (n, 2)."""
        return self.logits.mean(axis=0)


def score_folds(
    dataset: Dataset,
    training_set: Dataset,
    recipe: TrainRecipe,
    crops: Crops,
    options: TrainOptions | None = None,
) -> list[FoldScores]:
    """Train without each fold, one network per input region and seed, and score the left-out images.

    Parameters
    ----------
    dataset : Dataset
        All images; those that a fold leaves out are scored.
    training_set : Dataset
        Images that the networks may be trained on.
    crops : mapping of str to keras.Model
        By input region, see `cxrbatch.training.lungs.prepare_input_regions`.

    Raises
    ------
    RecipeError
        A fold leaves out no image, or too little is left to train on.
    """
    return [
        _score_fold(dataset, training_set, left_out, recipe, crops, options or TrainOptions())
        for left_out in tqdm(recipe.folds, desc="folds", disable=None)
    ]


def _score_fold(
    dataset: Dataset,
    training_set: Dataset,
    left_out: Sequence[str],
    recipe: TrainRecipe,
    crops: Crops,
    options: TrainOptions,
) -> FoldScores:
    _, rest = hold_out(dataset, left_out)
    if not rest.cases:
        raise RecipeError(f"folds: no image of {' or '.join(left_out)} to leave out")
    ensemble = fit_all(without_patients(training_set, rest), recipe, crops, options.named(_name(left_out)))
    perturbed = {
        name: ensemble.logits(change(rest.images)).mean(axis=0)
        for name, change in PERTURBATION_BY_NAME.items()
    }
    return FoldScores(tuple(left_out), rest.cases, ensemble.logits(rest.images), perturbed)


def _name(left_out: Sequence[str]) -> str:
    return f"without {', '.join(left_out)}"


def fit_all(training_set: Dataset, recipe: TrainRecipe, crops: Crops, options: TrainOptions) -> Ensemble:
    """Train networks for every input region, one per seed.

    Raises
    ------
    RecipeError
        The training set has nothing to learn from.
    """
    check_training_set(training_set.cases, recipe)
    regions = dict.fromkeys(recipe.network.looks)
    images = {region: shown(crops, region, training_set.images) for region in regions}
    names = {region: options.named(region) if len(regions) > 1 else options for region in regions}
    members = [
        {region: _fit(images[region], training_set.cases, recipe, seed, names[region]) for region in regions}
        for seed in recipe.fit.seeds
    ]
    return Ensemble(crops=crops, input_regions=recipe.network.looks, members=tuple(members))


def _fit(
    images: NDArray[np.uint8],
    cases: Sequence[LabelledImage],
    recipe: TrainRecipe,
    seed: int,
    options: TrainOptions,
) -> keras.Model:
    network = fit(images, cases, recipe, seed, options)
    if recipe.fit.method == "pairs":
        centre_logits(network, images, cases)
    return network


def left_out_sites(folds: Sequence[FoldScores], calibration: Calibration) -> list[SiteScores]:
    """Compute the scores of every site that a fold left out."""
    return [_left_out_site(fold, site, calibration) for fold in folds for site in fold.left_out]


def _left_out_site(fold: FoldScores, site: str, calibration: Calibration) -> SiteScores:
    here = [index for index, case in enumerate(fold.cases) if site in (case.source, case.site)]
    return SiteScores(
        site=site,
        exposure=Exposure.LEFT_OUT,
        cases=tuple(fold.cases[index] for index in here),
        scores=calibration.scores(fold.mean_logits[here]),
        networks=calibration.scores(fold.logits[:, here]),
        perturbed={name: calibration.scores(logits[here]) for name, logits in fold.perturbed.items()},
    )


def calibrate(folds: Sequence[FoldScores]) -> Calibration:
    """Fit the lines of both questions on left-out images; a question without left-out answers keeps its logit."""
    return Calibration(abnormal=_line(folds, 0), covid_given_abnormal=_line(folds, 1))


def _line(folds: Sequence[FoldScores], question: int) -> Line:
    parts = [part for fold in folds for part in _answered(fold, question)]
    if not parts:
        return Line()
    logits, y_true, domains, patients = (np.concatenate(column) for column in zip(*parts, strict=True))
    answers = Answers(logits=logits, y_true=y_true, domains=domains, patients=patients)
    return fit_line(answers, least_slope=_LEAST_SLOPE[question])


def _answered(fold: FoldScores, question: int) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield logits, answers, domains and patients of each left-out domain in which both answers occur."""
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

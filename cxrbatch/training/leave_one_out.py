"""Leave one source out: train networks without a site, then score that site.

Input: the data set and the training set. Output: logits of the left-out images, their calibration, scores per site.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.datasets import Dataset, LabelledImage, hold_out, without_patients
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation import Exposure, SiteScores
from cxrbatch.stats import Floats
from cxrbatch.training.calibration import Answers, Calibration, Line, fit_line
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.ensemble import Ensemble
from cxrbatch.training.fit import check_training_set, fit
from cxrbatch.training.logit_offset import anchor_logits
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE
from cxrbatch.training.origin import Origin
from cxrbatch.training.recipe import FoldSpec, TrainRecipe
from cxrbatch.training.score_sites import score_perturbed
from cxrbatch.training.splits import part_of

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
    perturbed : mapping of str to ndarray of float64, shape (n, 2)
        Mean logits of the perturbed images, by the name of the perturbation; NaN where an image was not perturbed.
    """

    left_out: tuple[str, ...]
    cases: tuple[LabelledImage, ...]
    logits: NDArray[np.float32]
    perturbed: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def mean_logits(self) -> NDArray[np.float32]:
        """Mean logits of the ensemble, shape (n, 2)."""
        return self.logits.mean(axis=0)


def score_folds(
    dataset: Dataset,
    training_set: Dataset,
    recipe: TrainRecipe,
    origin: Origin,
    options: TrainOptions | None = None,
) -> list[FoldScores]:
    """Train without each fold, one network per seed, and score the left-out images.

    Parameters
    ----------
    dataset : Dataset
        All images; those that a fold leaves out are scored.
    training_set : Dataset
        Images that the networks may be trained on.
    origin : Origin
        What all networks start from.

    Raises
    ------
    RecipeError
        A fold leaves out no image, or too little is left to train on.
    """
    return [
        _score_fold(dataset, training_set, fold, recipe, origin, options or TrainOptions())
        for fold in tqdm(recipe.folds, desc="folds", disable=None)
    ]


def _score_fold(
    dataset: Dataset,
    training_set: Dataset,
    fold: FoldSpec,
    recipe: TrainRecipe,
    origin: Origin,
    options: TrainOptions,
) -> FoldScores:
    name = f"without {', '.join(fold.leave_out)}"
    _, rest = hold_out(dataset, fold.leave_out)
    if not rest.cases:
        raise RecipeError(f"folds: no image of {' or '.join(fold.leave_out)} to leave out")
    taken = {case.path for case in training_set.cases}
    allowed = dataset.select(lambda case: case.path in taken or case.source in fold.trains)
    ensemble = fit_all(without_patients(allowed, rest), recipe, origin, options.named(name))
    return _scored(fold.leave_out, rest, ensemble, origin)


def score_patient_folds(
    training_set: Dataset, recipe: TrainRecipe, origin: Origin, options: TrainOptions | None = None
) -> list[FoldScores]:
    """Train without each part of the patients of the training set, and score those patients."""
    options, n_parts = options or TrainOptions(), recipe.patient_folds
    found = []
    for part in tqdm(range(n_parts), desc="patient folds", disable=None):
        rest = training_set.select(partial(_is_in_part, part=part, n_parts=n_parts))
        ensemble = fit_all(
            without_patients(training_set, rest),
            recipe,
            origin,
            options.named(f"patients {part + 1} of {n_parts}"),
        )
        found.append(_scored((), rest, ensemble, origin))
    return found


def _is_in_part(case: LabelledImage, part: int, n_parts: int) -> bool:
    return part_of(case.patient, n_parts) == part


def _scored(left_out: Sequence[str], rest: Dataset, ensemble: Ensemble, origin: Origin) -> FoldScores:
    perturbed = score_perturbed(rest, lambda images: ensemble.logits(images).mean(axis=0), origin.segmenter)
    return FoldScores(tuple(left_out), rest.cases, ensemble.logits(rest.images), perturbed)


def fit_all(training_set: Dataset, recipe: TrainRecipe, origin: Origin, options: TrainOptions) -> Ensemble:
    """Train one network per seed.

    Raises
    ------
    RecipeError
        The training set has nothing to learn from.
    """
    check_training_set(training_set.cases, recipe)
    images = origin.inputs(training_set)
    members = [_fit(images, training_set.cases, recipe, seed, origin, options) for seed in recipe.fit.seeds]
    return Ensemble(crop=origin.crop, members=tuple(members), mirrored=recipe.mirrored)


def _fit(
    images: NDArray[np.uint8],
    cases: Sequence[LabelledImage],
    recipe: TrainRecipe,
    seed: int,
    origin: Origin,
    options: TrainOptions,
) -> keras.Model:
    network = fit(images, cases, recipe, seed, options, origin.backbone)
    if recipe.fit.method == "pairs":
        anchor_logits(network, images, cases)
    return network


def left_out_sites(folds: Sequence[FoldScores], calibration: Calibration) -> list[SiteScores]:
    """Compute the scores of every site that a fold left out."""
    return [_left_out_site(fold, site, calibration) for fold in folds for site in fold.left_out]


def _left_out_site(fold: FoldScores, site: str, calibration: Calibration) -> SiteScores:
    return _site(fold, site, Exposure.LEFT_OUT, calibration)


def held_out_sites(folds: Sequence[FoldScores], calibration: Calibration) -> list[SiteScores]:
    """Compute the scores of every source in the training set, from the folds that held out its patients."""
    if not folds:
        return []
    together = FoldScores(
        (),
        tuple(case for fold in folds for case in fold.cases),
        np.concatenate([fold.logits for fold in folds], axis=1),
        {name: np.concatenate([fold.perturbed[name] for fold in folds]) for name in folds[0].perturbed},
    )
    sources = sorted({case.source for case in together.cases})
    return [_site(together, source, Exposure.HELD_OUT, calibration) for source in sources]


def _site(fold: FoldScores, site: str, exposure: Exposure, calibration: Calibration) -> SiteScores:
    here = [index for index, case in enumerate(fold.cases) if site in (case.source, case.site)]
    return SiteScores(
        site=site,
        exposure=exposure,
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

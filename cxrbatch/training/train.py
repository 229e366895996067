"""Train a bundle: ``cxrbatch train``.

Input: a recipe and the images of its sources. Output: a bundle, whose evaluation was measured on sources outside the
training set.
"""

import dataclasses
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cxrbatch._lib.toml import load_recipe
from cxrbatch.bundle import (
    DEFAULT_BUNDLE,
    Bundle,
    OperatingPoints,
    ScoreCalibration,
    check_replaceable,
    convert_if_possible,
    scores_only,
    write_bundle,
)
from cxrbatch.datasets import Dataset, count, count_excluded
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation import (
    SiteScores,
    broken_at,
    compute_outputs,
    evaluate_sites,
    one_row_per_patient,
    operating_points,
)
from cxrbatch.training.calibration import fit_score_calibration
from cxrbatch.training.checkpoint import TrainOptions, dataset_digest, work_folder
from cxrbatch.training.choose_aggregation import choose_rule, compare_rules
from cxrbatch.training.export import export_scores
from cxrbatch.training.fit import METHODS
from cxrbatch.training.inspect_network import internals
from cxrbatch.training.leave_one_out import (
    calibrate,
    fit_all,
    held_out_sites,
    left_out_sites,
    score_folds,
    score_patient_folds,
)
from cxrbatch.training.licence import licence_of_weights
from cxrbatch.training.lung_shape import add_lung_shapes
from cxrbatch.training.lungs import LungCrop
from cxrbatch.training.origin import Origin, load_images, prepare_origin
from cxrbatch.training.recipe import TrainRecipe
from cxrbatch.training.score_sites import own_split_points, unseen_sites
from cxrbatch.training.splits import Splits, split_dataset


def train_bundle(
    recipe: Path,
    out: Path,
    data: Path | None = None,
    *,
    fresh: bool = False,
    log_dir: Path | None = None,
    no_folds: bool = False,
) -> Bundle:
    """Train as a recipe describes: networks per fold to measure with, then the network of the bundle.

    Parameters
    ----------
    recipe : Path
        TOML, see `cxrbatch.training.recipe.TrainRecipe`.
    out : Path
        Folder of the bundle; an existing one is replaced. Finished networks are kept beside it in ``<out>.work``,
        where a run after a kill, or of a recipe that shares networks with this one, finds them.
    data : Path, optional
        Folder that contains the sources; by default the folder of the recipe.
    fresh : bool
        Train every network again.
    log_dir : Path, optional
        Folder for TensorBoard.
    no_folds : bool
        Train the network of the bundle alone and measure nothing: the bundle has no evaluation, no bands and no
        calibration.

    Raises
    ------
    RecipeError
        The recipe is wrong, or a source is not there.
    UsageProblem
        `out` exists and is not a bundle.
    """
    spec = load_recipe(recipe, TrainRecipe)
    gate = _gate(spec, recipe.parent)
    check_replaceable(out)  # before the training, which can take an hour
    images = load_images(spec, data or recipe.parent)
    options = TrainOptions(work=work_folder(out), fresh=fresh, log_dir=log_dir)
    origin = prepare_origin(spec, recipe.parent, data or recipe.parent, images, options)
    train = train_only if no_folds else train_on
    return train(images[0], spec, out, gate, origin=origin, options=options)


def train_on(
    dataset: Dataset,
    recipe: TrainRecipe,
    out: Path,
    gate: Path,
    *,
    origin: Origin | None = None,
    options: TrainOptions | None = None,
) -> Bundle:
    """Train and measure on images already loaded; see `train_bundle`."""
    origin, options = origin or Origin(), options or TrainOptions()
    splits = split_dataset(dataset, recipe)
    folds = score_folds(dataset, splits.training_set, recipe, origin, options)
    patient_folds = score_patient_folds(splits.training_set, recipe, origin, options)
    calibration = calibrate(folds)
    comparison = compare_rules(folds, [calibration.scores(fold.mean_logits) for fold in folds])
    rule = choose_rule(comparison)
    ensemble = fit_all(splits.training_set, recipe, origin, options.named("bundle"))
    model = export_scores(ensemble, calibration, recipe.network)
    scorer = scores_only(model)
    left_out = left_out_sites(folds, calibration)
    scored = [
        *left_out,
        *held_out_sites(patient_folds, calibration),
        *unseen_sites(splits, lambda images: compute_outputs(scorer, images), origin.segmenter),
    ]
    sites = add_lung_shapes(scored, dataset, origin.segmenter)
    measured = operating_points(sites, rule) or own_split_points(sites, rule)
    broken = broken_at(sites, rule, measured) if measured else []
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "model.keras"
        model.save(saved)
        return write_bundle(
            out,
            name=recipe.name,
            model=saved,
            gate=gate,
            preprocess=recipe.preprocess,
            aggregation=rule,
            operating_points=None if broken else measured,
            calibration=_score_calibration(left_out, rule),
            training={**_training(dataset, splits, recipe, origin, model), "measured": True},
            evaluation={
                **evaluate_sites(sites, rule, measured, recipe.bootstraps, **internals(saved, dataset)),
                "rejected_points": _rejected(measured, broken),
                "calibration": dataclasses.asdict(calibration),
                "aggregation": comparison,
            },
            licence=licence_of_weights(recipe, count(splits.training_set)),
            converted=convert_if_possible(saved),
        )


def train_only(
    dataset: Dataset,
    recipe: TrainRecipe,
    out: Path,
    gate: Path,
    *,
    origin: Origin | None = None,
    options: TrainOptions | None = None,
) -> Bundle:
    """Train the network of the bundle on images already loaded, and measure nothing; see `train_bundle`.

    The weights are those of `train_on`. The logits of the network are not calibrated.
    """
    origin, options = origin or Origin(), options or TrainOptions()
    splits = split_dataset(dataset, recipe)
    ensemble = fit_all(splits.training_set, recipe, origin, options.named("bundle"))
    model = export_scores(ensemble, calibrate(()), recipe.network)
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "model.keras"
        model.save(saved)
        return write_bundle(
            out,
            name=recipe.name,
            model=saved,
            gate=gate,
            preprocess=recipe.preprocess,
            aggregation=choose_rule(()),
            operating_points=None,
            training={**_training(dataset, splits, recipe, origin, model), "measured": False},
            evaluation={},
            licence=licence_of_weights(recipe, count(splits.training_set)),
            converted=convert_if_possible(saved),
        )


def _rejected(points: OperatingPoints | None, broken: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Describe thresholds that did not hold at some sites; None where they did, or none were measured."""
    return {**dataclasses.asdict(points), "broken_at": list(broken)} if points and broken else None


def _score_calibration(left_out: Sequence[SiteScores], rule: str) -> ScoreCalibration | None:
    """Fit the score calibration; None where no left-out domain has patients both with COVID-19 and without."""
    scored = one_row_per_patient(left_out, rule)
    try:
        return fit_score_calibration(
            scored.scores[:, 0], scored.labelled("covid"), scored.sites, scored.patients
        )
    except ValueError:
        return None


def _gate(recipe: TrainRecipe, folder: Path) -> Path:
    gate = folder / recipe.gate if recipe.gate else DEFAULT_BUNDLE / "gate.npz"
    if not gate.is_file():
        raise RecipeError(
            f"gate {gate}: no such file; python -m cxrbatch.training.pixel_check.train makes one"
        )
    return gate


def _training(
    dataset: Dataset, splits: Splits, recipe: TrainRecipe, origin: Origin, network: keras.Model
) -> dict[str, Any]:
    training_set = splits.training_set
    return {
        "recipe": dataclasses.asdict(recipe),
        "images": count(dataset),
        "taught": count(training_set),
        "taught_sha256": dataset_digest(training_set.images, training_set.cases),
        "stopping": _stopping(recipe, len(training_set.cases)),
        "excluded": count_excluded(dataset.excluded),
        "parameters": network.count_params(),
        "lungs": _lungs(origin.lungs),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _lungs(lungs: LungCrop | None) -> dict[str, Any] | None:
    if lungs is None:
        return None
    return {"dice": lungs.dice, "n_masks": lungs.n_masks, "n_held_out": lungs.n_held_out}


def _stopping(recipe: TrainRecipe, n_images: int) -> str:
    n_steps = METHODS[recipe.fit.method].n_steps(recipe.fit, n_images)
    return f"after {n_steps} steps, fixed by the recipe; no validation on the sources that teach"

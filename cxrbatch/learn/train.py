"""``cxrbatch train``: from a recipe to a bundle whose evaluation was measured on sources that did not teach."""

import dataclasses
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle, write_bundle
from cxrbatch.errors import RecipeError
from cxrbatch.learn import evaluate
from cxrbatch.learn.aggregation import choose_rule, compare_rules
from cxrbatch.learn.data import Dataset, count, count_excluded, load_dataset
from cxrbatch.learn.fit import fit, score
from cxrbatch.learn.folds import calibrate, score_folds
from cxrbatch.learn.network import export_scores
from cxrbatch.learn.sources import Case
from cxrbatch.learn.units import to_units
from cxrbatch.recipe import TrainRecipe, load_recipe


def train(recipe: Path, out: Path, data: Path | None = None) -> Bundle:
    """Train what a recipe describes: a network per fold to measure with, then the one that is shipped.

    Parameters
    ----------
    recipe : Path
        TOML, see `cxrbatch.recipe.TrainRecipe`.
    out : Path
        Folder of the bundle; an existing one is replaced.
    data : Path, optional
        Folder that holds the sources; by default the recipe's own.

    Raises
    ------
    RecipeError
        The recipe is wrong, or a source is not there.
    """
    spec = load_recipe(recipe, TrainRecipe)
    gate = _gate(spec, recipe.parent)
    dataset = load_dataset(spec.sources, data or recipe.parent, spec.preprocess)
    return train_on(dataset, spec, out, gate)


def train_on(dataset: Dataset, recipe: TrainRecipe, out: Path, gate: Path) -> Bundle:
    """Train on images already loaded; see `train`."""
    folds = score_folds(dataset, recipe)
    calibration = calibrate(folds)
    comparison = compare_rules(folds, [calibration.scores(fold.mean_logits) for fold in folds])
    rule = choose_rule(comparison)
    left_out = evaluate.left_out_once(folds, calibration, rule)
    points = evaluate.operating_points(left_out)
    networks = [fit(dataset.images, dataset.cases, recipe, seed) for seed in recipe.fit.seeds]
    model = export_scores(networks, calibration)
    untaught = dataset.at(one_label_sources(dataset.cases))
    untaught_units = to_units(untaught.cases, score(model, untaught.images), rule)
    untaught_shares = list(evaluate.shares(untaught_units, points))
    evaluation = {
        "caveats": list(evaluate.caveats(untaught_shares)),
        "within_site": list(evaluate.within_sites(folds, calibration, rule, recipe.bootstraps)),
        "pooled": evaluate.pooled(left_out, recipe.bootstraps),
        "calibration": dataclasses.asdict(calibration),
        "left_out_shares": list(evaluate.shares(left_out, points)),
        "untaught_shares": untaught_shares,
        "aggregation": comparison,
    }
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
            operating_points=points,
            training=_training(dataset, recipe, model),
            evaluation=evaluation,
        )


def one_label_sources(cases: Sequence[Case]) -> list[int]:
    """Indices of the images whose source has one label only: matched pairs never teach from them."""
    labels: dict[str, set[str]] = {}
    for case in cases:
        labels.setdefault(case.source, set()).add(case.label)
    return [index for index, case in enumerate(cases) if len(labels[case.source]) == 1]


def _gate(recipe: TrainRecipe, folder: Path) -> Path:
    gate = folder / recipe.gate if recipe.gate else DEFAULT_BUNDLE / "gate.npz"
    if not gate.is_file():
        raise RecipeError(f"gate {gate}: no such file; python -m cxrbatch.learn.chest_check makes one")
    return gate


def _training(dataset: Dataset, recipe: TrainRecipe, network: keras.Model) -> dict[str, Any]:
    return {
        "recipe": dataclasses.asdict(recipe),
        "images": count(dataset),
        "excluded": count_excluded(dataset.excluded),
        "parameters": network.count_params(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }

"""Evaluate a bundle on the sources of a recipe, its own or another one: ``cxrbatch evaluate``.

Input: a bundle, a recipe and the images of its sources. Output: a folder with the figures, the page and the card.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.toml import load_recipe, read_recipe
from cxrbatch.bundle import Bundle, OperatingPoints, load_bundle
from cxrbatch.datasets import Dataset, SourceSpec, count, count_excluded, load_dataset
from cxrbatch.errors import RecipeError, UsageProblem
from cxrbatch.evaluation import Exposure, SiteScores, confound_floor, evaluate_sites, write_evaluation
from cxrbatch.infer import KerasPredictor, Precision, start_runtime
from cxrbatch.pages import interval
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.checkpoint import TrainOptions, dataset_digest, work_folder
from cxrbatch.training.inspect_network import internals
from cxrbatch.training.leave_one_out import (
    calibrate,
    held_out_sites,
    left_out_sites,
    score_folds,
    score_patient_folds,
)
from cxrbatch.training.lung_shape import add_lung_shapes
from cxrbatch.training.origin import Origin, load_images, prepare_origin
from cxrbatch.training.recipe import TrainRecipe
from cxrbatch.training.score_sites import Scorer, by_source, score_site, unseen_sites
from cxrbatch.training.splits import Splits, split_dataset

_OF_TRAINING = ("calibration", "aggregation", "rejected_points")
"""Parts of the evaluation that describe how the bundle was made; they are not measured again."""


def measure_bundle(bundle: Path, recipe: Path, out: Path, data: Path | None = None) -> dict[str, Any]:
    """Measure a bundle and write the figures, the page and the card.

    Parameters
    ----------
    bundle, recipe : Path
    out : Path
        Folder to write.
    data : Path, optional
        Folder that holds the sources; by default the recipe's own.

    Returns
    -------
    dict
        The evaluation, see `cxrbatch.evaluation.evaluate_sites`.

    Raises
    ------
    BundleError
        The bundle is broken.
    RecipeError
        The recipe is wrong, or a source is not there.
    UsageProblem
        Every source of the recipe is in the training set of the bundle.
    """
    home = recipe.parent
    return _measure(bundle, load_recipe(recipe, TrainRecipe), home, data or home, out)


def measure_on_folder(bundle: Path, folder: Path, out: Path) -> dict[str, Any]:
    """Measure a bundle on one folder of labelled radiographs, as `measure_bundle` does on the sources of a recipe.

    Parameters
    ----------
    bundle : Path
    folder : Path
        A tree ``label/image`` or ``label/patient/image``, see `cxrbatch.datasets.tables.load_folder`.
    out : Path
        Folder to write.

    Raises
    ------
    BundleError, RecipeError, UsageProblem
        As `measure_bundle`; or there is no such folder.
    """
    if not folder.is_dir():
        raise UsageProblem(f"--folder {folder}: no such folder")
    place = folder.absolute()
    source = SourceSpec(layout="folder", folder=place.name or ".")
    return _measure(bundle, TrainRecipe(name=place.name, sources=(source,)), place, place.parent, out)


def _measure(bundle: Path, spec: TrainRecipe, home: Path, data: Path, out: Path) -> dict[str, Any]:
    loaded = load_bundle(bundle)
    predictor = KerasPredictor(loaded, start_runtime(precision=Precision.FLOAT32))
    folder = work_folder(bundle) if work_folder(bundle).is_dir() else work_folder(out)
    options = TrainOptions(work=folder)
    if is_own_recipe(loaded, spec):
        images = load_images(spec, data)
        dataset, origin = images[0], prepare_origin(spec, home, data, images, options)
    else:
        dataset, origin = load_dataset(spec.sources, data, loaded.preprocess), None
    options.report_progress(
        f"{len(dataset.cases):,} images read; they are scored now, some of them changed too"
    )
    sites = find_sites(loaded, spec, dataset, _scorer(predictor), options, origin)
    options.report_progress("images scored; figures and their intervals are computed now")
    evaluation = {
        **{key: loaded.evaluation[key] for key in _OF_TRAINING if key in loaded.evaluation},
        **evaluate_sites(
            sites,
            loaded.aggregation,
            loaded.operating_points or _rejected(loaded),
            spec.bootstraps,
            **internals(loaded.model_path, dataset),
        ),
        **_measured_on(loaded, dataset),
    }
    write_evaluation(out, loaded, evaluation, sites)
    return evaluation


def _rejected(bundle: Bundle) -> OperatingPoints | None:
    """Return the thresholds that did not hold, and so are no bands of the bundle: the figures state why."""
    found = bundle.evaluation.get("rejected_points")
    return found and OperatingPoints(urgent=found["urgent"], high=found["high"])


def _measured_on(bundle: Bundle, dataset: Dataset) -> dict[str, Any]:
    """Count the images, where the counts differ from those that the bundle states for its training."""
    counts = {"images": count(dataset), "excluded": count_excluded(dataset.excluded)}
    is_stated = all(bundle.training.get(key) == value for key, value in counts.items())
    return {} if is_stated else counts


def _scorer(predictor: KerasPredictor) -> Scorer:
    def score(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        return predictor({"pixels": images})["scores"]

    return score


def find_sites(
    bundle: Bundle,
    recipe: TrainRecipe,
    dataset: Dataset,
    score: Scorer,
    options: TrainOptions,
    origin: Origin | None = None,
) -> list[SiteScores]:
    """Compute the scores of every image of a data set on which a bundle can be measured fairly.

    Parameters
    ----------
    score : callable
        Scores images with the bundle's network.
    options : TrainOptions
        For the networks of the folds, where the recipe is the bundle's own.
    origin : Origin, optional
        What those networks start from.

    Raises
    ------
    UsageProblem
        There is no such image.
    """
    if not dataset.cases:
        excluded = dict(count_excluded(dataset.excluded))
        raise UsageProblem(f"not one image is left to measure the bundle on; excluded: {excluded}")
    if is_own_recipe(bundle, recipe):
        return _own_sites(bundle, recipe, dataset, score, options, origin or Origin())
    sites = list(
        _foreign_sites(trained_on_sources(bundle), _unnamed(recipe), dataset, score, options.report_progress)
    )
    if not sites:
        raise UsageProblem(
            f"every source of the recipe took part in the training of bundle {bundle.id}, so that nothing can be "
            "measured; name other sources, or give the recipe by which the bundle was trained"
        )
    return sites


def is_own_recipe(bundle: Bundle, recipe: TrainRecipe) -> bool:
    """Check whether a bundle was trained by a recipe; name, gate, folds and bootstraps do not change its network."""
    try:
        made_by = read_recipe(bundle.training.get("recipe"), TrainRecipe)
    except RecipeError:
        return False
    return _of_the_network(made_by) == _of_the_network(recipe)


def _of_the_network(recipe: TrainRecipe) -> TrainRecipe:
    return dataclasses.replace(recipe, name="", gate="", folds=(), patient_folds=0, bootstraps=1)


def trained_on_sources(bundle: Bundle) -> frozenset[str] | None:
    """Return the sources in the training set of a bundle; None where they are not known."""
    trained_on = bundle.training.get("taught", bundle.training.get("images"))
    return None if trained_on is None else frozenset(trained_on)


def _own_sites(
    bundle: Bundle,
    recipe: TrainRecipe,
    dataset: Dataset,
    score: Scorer,
    options: TrainOptions,
    origin: Origin,
) -> list[SiteScores]:
    """Score left-out sites with networks trained without them, and the other sites with the bundle's network."""
    splits = split_dataset(dataset, recipe)
    folds = score_folds(dataset, splits.training_set, recipe, origin, options)
    calibration = _calibration(bundle)
    sites = [*left_out_sites(folds, calibration), *unseen_sites(splits, score, origin.segmenter)]
    if _was_trained_on(bundle, splits):
        patient_folds = score_patient_folds(splits.training_set, recipe, origin, options)
        sites += held_out_sites(patient_folds, calibration)
    else:
        options.report_progress(
            "the images are not those that taught the bundle: who was held out is not known"
        )
        sites = [site for site in sites if site.exposure is not Exposure.HELD_OUT]
    return add_lung_shapes(sites, dataset, origin.segmenter)


def _was_trained_on(bundle: Bundle, splits: Splits) -> bool:
    digest = dataset_digest(splits.training_set.images, splits.training_set.cases)
    return bool(bundle.training.get("taught_sha256") == digest)


def _calibration(bundle: Bundle) -> Calibration:
    lines = bundle.evaluation.get("calibration")
    if lines is None:  # nothing was measured when it was trained
        return calibrate(())
    return Calibration(**{question: Line(**line) for question, line in lines.items()})


def _unnamed(recipe: TrainRecipe) -> frozenset[str]:
    """Name the sources whose names say nothing: a folder may hold copies of radiographs of the training set."""
    folders = (PurePath(source.folder) for source in recipe.sources if source.layout == "folder")
    return frozenset(folder.name for folder in folders)


def _foreign_sites(
    trained_on: frozenset[str] | None,
    unnamed: frozenset[str],
    dataset: Dataset,
    score: Scorer,
    report_progress: Callable[[str], object],
) -> Iterator[SiteScores]:
    patients = {case.patient for case in dataset.cases if case.source in (trained_on or ())}
    for source, part in by_source(dataset):
        unseen = part.select(lambda case: case.patient not in patients)
        if unseen.cases:
            is_known = trained_on is not None and source not in unnamed
            exposure = Exposure.NOT_TRAINED_ON if is_known else Exposure.UNKNOWN
            yield score_site(source, exposure, unseen, score)
        else:
            report_progress(f"{source} is left out: it took part in the training of the bundle")


def summary_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Make the lines that the command prints: headline, confound floor, and the summary in words."""
    headline = evaluation["headline"]
    if headline is None:
        yield "Headline: none; no site has five patients on either side of a question."
    else:
        yield (
            f"Headline, the worst within one site: AUROC {interval(headline['auroc'])}, {headline['question']} "
            f"at {headline['site']} ({headline['exposure']}), {headline['n_positive']} against "
            f"{headline['n_negative']} patients."
        )
    yield "Confound floor, AUROC without any image:"
    for who, area in confound_floor(evaluation):
        yield f"  {area}  {who}"
    yield from evaluation["verdict"]

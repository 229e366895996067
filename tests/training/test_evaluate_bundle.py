import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.bundle.bundle import Bundle
from cxrbatch.datasets.loading import Dataset
from cxrbatch.datasets.spec import SourceSpec
from cxrbatch.errors import UsageProblem
from cxrbatch.evaluation.evaluate import evaluate_sites
from cxrbatch.evaluation.network_outputs import compute_outputs
from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.training.checkpoint import TrainOptions, dataset_digest
from cxrbatch.training.evaluate_bundle import find_sites, is_own_recipe, summary_lines
from cxrbatch.training.recipe import FitSpec, FoldSpec, TrainRecipe
from cxrbatch.training.score_sites import OWN_SPLIT
from cxrbatch.training.splits import split_dataset
from cxrbatch.training.train import train_on
from tests.factories.collections import collection
from tests.training.test_train import TINY

CONSTANT = np.array([0.25, 0.25, 0.5])
POOLED = TrainRecipe(name="pooled", sources=(), test_share=0.3, fit=FitSpec(method="classes"))


def constant(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.tile(CONSTANT, (len(images), 1))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return collection(6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="module")
def trained(data: Dataset, folder: Path) -> Bundle:
    np.savez(folder / "gate.npz", anything=np.zeros(1))
    options = TrainOptions(work=folder / "tiny.work")
    return train_on(data, TINY, folder / "tiny", folder / "gate.npz", options=options)


def claiming(bundle: Bundle, training: Mapping[str, Any]) -> Bundle:
    """A bundle that says something else of its training."""
    return dataclasses.replace(bundle, training=training)


def found(bundle: Bundle, recipe: TrainRecipe, data: Dataset) -> tuple[list[tuple[str, str]], list[str]]:
    """Sites with their exposures, and what was said."""
    said: list[str] = []
    sites = find_sites(bundle, recipe, data, constant, TrainOptions(on_progress=said.append))
    return [(site.site, str(site.exposure)) for site in sites], said


def test_its_own_recipe_gives_the_figures_of_the_training_again_without_training(
    trained: Bundle, data: Dataset, folder: Path
) -> None:
    import keras

    network = keras.models.load_model(trained.model_path, compile=False)
    said: list[str] = []
    options = TrainOptions(work=folder / "tiny.work", on_progress=said.append)
    sites = find_sites(trained, TINY, data, lambda images: compute_outputs(network, images), options)
    again = evaluate_sites(sites, trained.aggregation, trained.operating_points, TINY.bootstraps)
    probed = {"source_probe", "weight_randomisation"}
    assert {key: again[key] for key in again if key not in probed} == {
        key: trained.evaluation[key] for key in again if key not in probed
    }
    assert len(said) == len(TINY.folds) * len(TINY.fit.seeds)
    assert all("taken from" in line for line in said)


def test_a_recipe_is_the_bundles_own_whatever_measures_it(trained: Bundle) -> None:
    other_folds = dataclasses.replace(
        TINY, folds=(FoldSpec(leave_out=("south",)),), name="x", bootstraps=7, gate="g"
    )
    assert is_own_recipe(trained, other_folds)
    assert not is_own_recipe(trained, dataclasses.replace(TINY, test_share=0.1))
    assert not is_own_recipe(trained, dataclasses.replace(TINY, fit=FitSpec()))
    assert not is_own_recipe(claiming(trained, {}), TINY)
    assert not is_own_recipe(claiming(trained, {"recipe": {"from": "the future"}}), TINY)


def test_another_recipe_measures_only_what_never_taught(trained: Bundle, data: Dataset) -> None:
    sites, said = found(trained, POOLED, data)
    assert sites == [("healthy", "never taught")]
    assert said == [
        f"{source} is left out: it took part in the training of the bundle" for source in ("north", "south")
    ]


def test_of_a_folder_nobody_knows_whether_it_holds_copies_of_the_training_set(
    trained: Bundle, data: Dataset
) -> None:
    own = dataclasses.replace(POOLED, sources=(SourceSpec(layout="folder", folder="films/healthy"),))
    assert found(trained, own, data.select(lambda case: case.source == "healthy"))[0] == [
        ("healthy", "unknown")
    ]


def test_a_patient_who_is_also_in_a_source_that_taught_is_left_out(trained: Bundle, data: Dataset) -> None:
    trained_on = next(case.patient for case in data.cases if case.source == "north")
    cases = [
        dataclasses.replace(case, patient=trained_on) if case.patient == "healthy/normal0" else case
        for case in data.cases
    ]
    (site,) = find_sites(trained, POOLED, Dataset(tuple(cases), data.images), constant, TrainOptions())
    assert {case.patient for case in site.cases} == {f"healthy/normal{i}" for i in range(1, 6)}


def test_nothing_but_what_taught_is_refused(trained: Bundle, data: Dataset) -> None:
    known = data.select(lambda case: case.source != "healthy")
    with pytest.raises(
        UsageProblem, match="every source of the recipe took part in the training of bundle tiny"
    ):
        find_sites(trained, POOLED, known, constant, TrainOptions())


def test_of_a_bundle_made_elsewhere_nothing_is_known(trained: Bundle, data: Dataset) -> None:
    sites, said = found(claiming(trained, {"origin": "imported"}), POOLED, data)
    assert sites == [("healthy", "unknown"), ("north", "unknown"), ("south", "unknown")]
    assert said == []


def test_who_was_held_out_is_claimed_only_on_the_images_that_taught(trained: Bundle, data: Dataset) -> None:
    recipe = json.loads(json.dumps(dataclasses.asdict(POOLED)))
    training_set = split_dataset(data, POOLED).training_set
    digest = dataset_digest(training_set.images, training_set.cases)
    pooled = claiming(trained, {"recipe": recipe, "taught_sha256": digest})
    sites, said = found(pooled, POOLED, data)
    assert (OWN_SPLIT, "held out") in sites
    assert said == []
    without_healthy = data.select(lambda case: case.source != "healthy")
    sites, said = found(pooled, POOLED, without_healthy)
    assert Exposure.HELD_OUT not in {exposure for _, exposure in sites}
    assert said == ["the images are not those that taught the bundle: who was held out is not known"]


def test_the_summary_begins_with_the_worst_and_the_floor(trained: Bundle) -> None:
    lines = list(summary_lines(trained.evaluation))
    headline = trained.evaluation["headline"]
    worst = min(row["auroc"]["value"] for row in trained.evaluation["within_site"])
    assert lines[0].startswith(f"Headline, the worst within one site: AUROC {worst:.3f} (")
    assert f"at {headline['site']} (left out)" in lines[0]
    floor = trained.evaluation["confound_floor"]["source_alone"]
    assert lines[1:3] == ["Confound floor, AUROC without any image:", f"  {floor:.3f}  the source alone"]
    assert lines[-len(trained.evaluation["verdict"]) :] == trained.evaluation["verdict"]
    nothing = {**trained.evaluation, "headline": None}
    assert next(iter(summary_lines(nothing))).startswith("Headline: none;")

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.bundle.bundle import Bundle, load_bundle
from cxrbatch.datasets.licences import weights_licence
from cxrbatch.datasets.loading import Dataset, hold_out, load_dataset
from cxrbatch.datasets.spec import SourceSpec
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.ensemble import Ensemble
from cxrbatch.training.export import export_scores
from cxrbatch.training.fit import fit
from cxrbatch.training.network import build_logits
from cxrbatch.training.recipe import FitSpec, FoldSpec, NetworkSpec, TrainRecipe
from cxrbatch.training.train import train_on, train_only
from tests.factories.collections import collection, ensemble

TINY = TrainRecipe(
    name="tiny",
    sources=(),
    folds=(FoldSpec(leave_out=("north",)), FoldSpec(leave_out=("south/east",))),
    bootstraps=50,
    preprocess=PreprocessSpec(height=32, width=32),
    network=NetworkSpec(widths=(8, 12), reduce=2, equalise_bins=8, dropout=0.0),
    fit=FitSpec(steps=12, abnormal_pairs=6, covid_pairs=6, learning_rate=3e-3, average=0.8, seeds=(0, 1)),
)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return collection(6)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "gate.npz"
    np.savez(path, anything=np.zeros(1))
    return path


@pytest.fixture(scope="module")
def bundle(data: Dataset, gate: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train_on(data, TINY, tmp_path_factory.mktemp("bundle") / "tiny", gate)


def test_training_writes_a_bundle_that_loads(bundle: Bundle) -> None:
    loaded = load_bundle(bundle.path)
    assert loaded.preprocess == TINY.preprocess
    assert loaded.training["recipe"]["fit"]["steps"] == 12
    assert loaded.training["images"]["healthy"] == {"normal": {"images": 9, "patients": 6}}
    assert set(loaded.training["taught"]) == {"north", "south"}
    assert loaded.training["stopping"].startswith("after 12 steps, fixed by the recipe")
    assert loaded.licence == weights_licence({"north", "south"})
    within = [(row["site"], row["exposure"]) for row in loaded.evaluation["within_site"]]
    assert within == [("north", "left out")] + [("south/east", "left out")] * 5
    assert loaded.operating_points is None  # no site has 50 patients without pneumonia
    assert (loaded.evaluation["shares"], loaded.evaluation["rejected_points"]) == ([], None)


def test_a_score_is_weighed_on_left_out_domains_with_both_answers(bundle: Bundle) -> None:
    assert bundle.calibration is not None
    assert bundle.calibration.measured_on == "6 patients with COVID-19 and 12 without, of south/east"


def test_the_network_itself_is_looked_into(bundle: Bundle) -> None:
    probe = bundle.evaluation["source_probe"]
    assert (probe["sources"], probe["chance"]) == (["healthy", "north", "south"], 1 / 3)
    assert probe["accuracy"] > probe["chance"]
    assert len(bundle.evaluation["weight_randomisation"]["auroc"]) == 3


def test_scores_sum_to_one_and_are_those_of_the_saved_network(bundle: Bundle, data: Dataset) -> None:
    model = keras.models.load_model(bundle.model_path, safe_mode=True, compile=False)
    scores = model(data.images[:8, :, :, None]).numpy()
    assert scores.shape == (8, 3)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(scores, model(data.images[:8, :, :, None].astype(np.float32)).numpy())


def test_a_network_alone_has_the_same_weights_and_says_that_nothing_was_measured(
    data: Dataset, gate: Path, tmp_path: Path, bundle: Bundle
) -> None:
    work = TrainOptions(work=tmp_path / "work")
    alone = load_bundle(train_only(data, TINY, tmp_path / "alone", gate, options=work).path)
    assert (alone.evaluation, alone.operating_points, alone.calibration) == ({}, None, None)
    assert (alone.aggregation, alone.training["measured"], bundle.training["measured"]) == (
        "mean",
        False,
        True,
    )
    assert alone.notes[0].startswith("Nothing was measured of this bundle")
    assert alone.licence == bundle.licence
    card = model_card(alone)
    assert "**This bundle has no evaluation" in card
    assert "Their slopes are 1 and their offsets 0" in card
    assert "fitted on left-out sites" in model_card(bundle)
    assert len(list((tmp_path / "work").glob("*.npz"))) == len(TINY.fit.seeds)  # none of a fold
    networks = [
        Ensemble(crop=None, members=(keras.models.load_model(each.model_path, compile=False),))
        for each in (alone, bundle)
    ]
    lines = {key: Line(**line) for key, line in bundle.evaluation["calibration"].items()}
    logits = abnormal_logit(networks[0], data), abnormal_logit(networks[1], data)
    line = lines["abnormal"]
    assert logits[1] == pytest.approx(line.slope * logits[0] + line.intercept, abs=1e-3)


def abnormal_logit(network: Ensemble, data: Dataset) -> NDArray[np.floating]:
    """What an exported network of scores makes of images."""
    normal = network.logits(data.images[:20])[0, :, 2].astype(np.float64)
    return np.log((1 - normal) / normal)


def test_same_seed_gives_the_same_weights(data: Dataset) -> None:
    first, again, other = (
        fit(data.images[..., None], data.cases, TINY, seed).get_weights() for seed in (3, 3, 4)
    )
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert any((one != two).any() for one, two in zip(first, other, strict=True))


def test_learns_what_is_within_the_sources(data: Dataset, gate: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        TINY,
        folds=(FoldSpec(leave_out=("north",)),),
        fit=dataclasses.replace(TINY.fit, steps=120, seeds=(0,)),
    )
    learnt = train_on(data, recipe, tmp_path / "b", gate)
    (row,) = learnt.evaluation["within_site"]
    assert row["site"] == "north"
    assert row["auroc"]["value"] > 0.9


def test_no_patient_is_on_both_sides_of_a_split(data: Dataset) -> None:
    moved = [
        dataclasses.replace(case, patient="roams") if case.patient.endswith("covid0") else case
        for case in data.cases
    ]
    roaming = Dataset(tuple(moved), data.images)
    for left_out in (["north"], ["south"], ["south/east"], ["north", "south/west"]):
        training, rest = hold_out(roaming, left_out)
        assert not {case.patient for case in training.cases} & {case.patient for case in rest.cases}
        assert not {case.site for case in training.cases} & set(left_out)
        assert {case.source for case in rest.cases} | {case.site for case in rest.cases} >= set(left_out)


def test_equalisation_in_the_network_forgets_the_grey_value_curve() -> None:
    network = build_logits(PreprocessSpec(), NetworkSpec(widths=(8, 8), reduce=4))
    equalised = keras.Model(network.input, _input_of_stem(network))
    x = np.random.default_rng(0).random((1, 40, 40, 1)).repeat(4, 1).repeat(4, 2) * 255
    plain, curved = equalised(x).numpy(), equalised(255 * (x / 255) ** 1.7).numpy()
    ranks = x[0, ::4, ::4, 0].ravel().argsort().argsort() / 1600
    assert np.abs(plain.ravel() - ranks).max() < 0.03
    assert np.abs(plain - curved).max() < 0.06


def _input_of_stem(network: keras.Model) -> keras.KerasTensor:
    stem = next(layer for layer in network.layers if getattr(layer, "kernel_size", None) == (5, 5))
    return stem.input


def test_export_averages_logits_and_applies_the_calibration() -> None:
    spec = PreprocessSpec(height=32, width=32)
    spec_of_network = NetworkSpec(widths=(4, 4))
    networks = [build_logits(spec, spec_of_network) for _ in range(3)]
    random = np.random.default_rng(0)
    for network in networks:
        network.layers[-1].set_weights(
            [random.normal(size=w.shape) for w in network.layers[-1].get_weights()]
        )
    calibration = Calibration(
        abnormal=Line(slope=2.0, intercept=0.3), covid_given_abnormal=Line(slope=0.5, intercept=-0.1)
    )
    pixels = random.integers(0, 256, (4, 32, 32, 1)).astype(np.uint8)
    expected = calibration.scores(np.mean([network(pixels).numpy() for network in networks], axis=0))
    assert export_scores(ensemble(*networks), calibration, spec_of_network)(pixels).numpy() == pytest.approx(
        expected, abs=1e-6
    )


def test_loading_reads_as_screening_does_and_drops_copies(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    film = np.kron(random.integers(0, 256, (20, 20)), np.ones((10, 10))).astype(np.uint8)
    other = np.kron(random.integers(0, 256, (20, 20)), np.ones((10, 10))).astype(np.uint8)
    folder = tmp_path / "nih"
    (folder / "No_Finding").mkdir(parents=True)
    (folder / "Pneumonia").mkdir()
    Image.fromarray(film).save(folder / "No_Finding" / "00000001_000.png")
    Image.fromarray(film // 2 + 50).save(folder / "No_Finding" / "00000002_000.png")
    Image.fromarray(other).save(folder / "Pneumonia" / "00000003_000.png")
    Image.fromarray(film[:60, :60]).save(folder / "Pneumonia" / "00000004_000.png")
    dataset = load_dataset([SourceSpec(layout="nih", folder="nih")], tmp_path, PreprocessSpec())
    assert [case.patient for case in dataset.cases] == ["nih/00000001", "nih/00000003"]
    assert dataset.images.shape == (2, 160, 160)
    assert [(row.name, row.reason) for row in dataset.excluded] == [
        ("00000004_000.png", "not scored: too_small"),
        ("00000002_000.png", "duplicate"),
    ]


def test_a_missing_folder_or_an_unknown_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such folder"):
        load_dataset([SourceSpec(layout="nih", folder="nih")], tmp_path, PreprocessSpec())
    with pytest.raises(RecipeError, match="'hospital' is unknown; known: ieee8023"):
        load_dataset([SourceSpec(layout="hospital", folder="nih")], tmp_path, PreprocessSpec())


def test_a_bundle_is_json_without_not_a_number(bundle: Bundle) -> None:
    json.loads((bundle.path / "bundle.json").read_text(), parse_constant=pytest.fail)

import dataclasses
import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cxrbatch._lib.toml import load_recipe
from cxrbatch.datasets.loading import Dataset
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation.network_outputs import compute_features
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.cross_entropy import cross_entropy, epochs
from cxrbatch.training.export import export_scores
from cxrbatch.training.fit import METHODS, check_training_set, fit
from cxrbatch.training.network import build
from cxrbatch.training.recipe import TrainRecipe
from cxrbatch.training.train import train_bundle
from tests.factories.collections import case, collection, ensemble

PLAIN = Calibration(abnormal=Line(), covid_given_abnormal=Line())
SHIPPED = Path(__file__).parents[2] / "pipelines" / "classic.toml"
RECIPE = load_recipe(SHIPPED, TrainRecipe)
TINY = dataclasses.replace(RECIPE, preprocess=PreprocessSpec(height=32, width=32))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build(TINY.preprocess, TINY.network)


def confounded() -> Dataset:
    """COVID-19 from one hospital, normal from another one, with pictures of noise of another brightness."""
    random = np.random.default_rng(0)
    cases = [case(f"{i % 2}/{i}", ("covid", "normal")[i % 2], ("a", "b")[i % 2]) for i in range(80)]
    images = random.integers(0, 120, (80, 32, 32)) + np.array([0, 100])[np.arange(80) % 2][:, None, None]
    return Dataset(tuple(cases), images.astype(np.uint8))


def exported(network: keras.Model, folder: Path) -> keras.Model:
    """As it is loaded from a bundle."""
    export_scores(ensemble(network), PLAIN, RECIPE.network).save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", safe_mode=True, compile=False)


def test_the_layers_are_those_of_the_tutorials(network: keras.Model) -> None:
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == [
        *("InputLayer", "Rescaling", "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten"),
        *("Dense", "Dense", "Dense"),
    ]
    # 9·32 + 32, 32·9·32 + 32, 6·6·32·128 + 128, 128 + 1, and the fixed 2 + 2
    assert network.count_params() == 320 + 9248 + 147584 + 129 + 4
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 157281


def test_scores_know_no_pneumonia_and_sum_to_one(network: keras.Model, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1)).astype(np.uint8)
    saved = exported(network, tmp_path)
    scores = saved(pixels).numpy()
    logit = keras.Model(network.input, network.get_layer("covid_against_normal").output)(pixels).numpy()[:, 0]
    assert scores[:, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert scores[:, 1].max() < 1e-15
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert np.allclose(saved(pixels.astype(np.float32)).numpy(), scores)


def test_features_are_what_the_last_layer_sees(network: keras.Model, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    dense = keras.Model(network.input, network.layers[-3].output)(images[..., None]).numpy()
    assert compute_features(exported(network, tmp_path), images) == pytest.approx(dense)


def test_cross_entropy_is_that_of_the_scores() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(30, 2)).astype(np.float32), random.integers(0, 3, 30)
    scores = PLAIN.scores(logits)
    expected = -np.log(scores[np.arange(30), labels]).mean()
    assert cross_entropy(tf.constant(logits), tf.constant(labels)).numpy() == pytest.approx(
        expected, rel=1e-5
    )


def test_an_epoch_shows_every_image_once_and_the_next_one_in_another_order() -> None:
    cases = collection(3).cases
    per_epoch = -(-len(cases) // 4)
    drawn = list(itertools.islice(epochs(cases, 4, seed=1), 2 * per_epoch))
    first, second = (
        np.concatenate([indices for indices, _ in part]) for part in (drawn[:per_epoch], drawn[per_epoch:])
    )
    assert sorted(first) == sorted(second) == list(range(len(cases)))
    assert (first != second).any()
    names = ("covid", "pneumonia", "normal")
    assert all(
        names[label] == cases[i].label
        for indices, labels in drawn
        for i, label in zip(indices, labels, strict=True)
    )
    assert METHODS["classes"].n_steps(
        dataclasses.replace(RECIPE.fit, epochs=2, batch_size=4), len(cases)
    ) == len(drawn)


def test_it_learns_the_hospital() -> None:
    data = confounded()
    trained = export_scores(
        ensemble(fit(data.images[..., None], data.cases, TINY, seed=0)), PLAIN, TINY.network
    )
    covid = trained(data.images[..., None]).numpy()[:, 0]
    assert covid[::2].min() > covid[1::2].max()


def test_what_cannot_be_learnt_is_refused() -> None:
    def refused(*labels: str) -> str:
        with pytest.raises(RecipeError) as caught:
            check_training_set([case(f"a/{label}", label, f"of {label}") for label in labels], recipe)
        return str(caught.value)

    recipe = TINY
    assert "leave pneumonia out of teaches" in refused("covid", "pneumonia", "normal")
    assert "images with covid only may teach" in refused("covid")
    assert "images with no label only may teach" in refused()
    recipe = dataclasses.replace(TINY, fit=dataclasses.replace(TINY.fit, method="pairs"))
    assert "no domain has both normal and ill patients" in refused("covid", "normal")


@pytest.mark.real
def test_the_recipe_of_the_tutorials_is_exposed(real_data: Path, tmp_path: Path) -> None:
    evaluation = train_bundle(SHIPPED, tmp_path / "classic", real_data).evaluation
    rows = {(row["site"], row["question"]): row for row in evaluation["within_site"]}
    own = rows["own split", "COVID-19 against normal"]
    assert own["auroc"]["value"] > 0.99
    assert own["audits"]["lungs blacked out"]["auroc"] > 0.75
    assert evaluation["confound_floor"]["source_alone"] > 0.99
    assert evaluation["headline"]["site"] == "nih"
    assert evaluation["headline"]["auroc"]["value"] == pytest.approx(0.5, abs=0.1)
    assert "recognises the source, not the disease" in evaluation["verdict"][0]

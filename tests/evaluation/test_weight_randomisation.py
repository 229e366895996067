import json

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from cxrbatch.evaluation.weight_randomisation import randomise_weights, randomised, rank_correlation
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.stats.ranking import auroc
from cxrbatch.training.network import build_logits
from cxrbatch.training.recipe import NetworkSpec

SPEC = PreprocessSpec(height=32, width=32)


def brightness_of_a_spot() -> keras.Model:
    """Logit that is the brightness of the middle, with more weights than it needs."""
    inputs = layers.Input((32, 32, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(1, name="top")(x))
    kernel = np.zeros((3, 3, 1, 4), np.float32)
    kernel[1, 1, 0, 0] = 1
    model.get_layer("conv").set_weights([kernel, np.zeros(4, np.float32)])
    spot = np.zeros((32, 32, 4), np.float32)
    spot[12:20, 12:20, 0] = 1
    model.get_layer("top").set_weights([spot.reshape(-1, 1), np.zeros(1, np.float32)])
    return model


def spots(n: int = 200) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    random = np.random.default_rng(0)
    images = random.integers(0, 200, (n, 32, 32))
    y_true = np.arange(n) % 2 == 0
    images[y_true, 12:20, 12:20] += 50
    return images.astype(np.uint8), y_true


def first(outputs: NDArray[np.floating]) -> NDArray[np.floating]:
    return outputs[:, 0]


def weights(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    return {weight.path: weight.numpy() for weight in model.weights}


def test_everything_that_was_taught_is_new_and_the_model_is_left_as_it_is() -> None:
    model = brightness_of_a_spot()
    model.get_layer("norm").set_weights([np.full(4, value, np.float32) for value in (2.0, 3.0, 4.0, 5.0)])
    before = weights(model)
    after = weights(randomised(model, seed=0))
    assert all((before[path] == value).all() for path, value in weights(model).items())
    assert {path: value[0] for path, value in after.items() if path.startswith("norm")} == {
        "norm/gamma": 1.0,
        "norm/beta": 0.0,
        "norm/moving_mean": 0.0,
        "norm/moving_variance": 1.0,
    }
    for path in ("conv/kernel", "top/kernel"):
        assert abs(np.corrcoef(before[path].ravel(), after[path].ravel())[0, 1]) < 0.4
        assert (before[path] != after[path]).all()


def test_kernels_are_drawn_as_glorot_and_bengio_do() -> None:
    kernel = weights(randomised(brightness_of_a_spot(), seed=0))["top/kernel"]
    limit = np.sqrt(6 / (32 * 32 * 4 + 1))
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.03)


def test_top_only_keeps_the_rest() -> None:
    model = brightness_of_a_spot()
    before, after = weights(model), weights(randomised(model, seed=0, top_only=True))
    changed = {path for path in before if (before[path] != after[path]).any()}
    assert changed == {"top/kernel"}


def test_fixed_preprocessing_keeps_its_values() -> None:
    """The histogram equalisation of the shipped architecture is made of fixed layers."""
    model = build_logits(SPEC, NetworkSpec(widths=(4, 4), reduce=2, equalise_bins=6))
    before, after = weights(model), weights(randomised(model, seed=0))
    fixed = {weight.path for layer in model.layers if not layer.trainable for weight in layer.weights}
    assert len(fixed) == 5
    assert all((before[path] == after[path]).all() for path in fixed)
    kernels = {path for path in before if path.endswith("kernel")} - fixed
    assert all((before[path] != after[path]).any() for path in kernels)


def test_a_layer_adapted_to_data_keeps_its_values_though_it_is_not_frozen() -> None:
    inputs = layers.Input((8, 8, 1))
    x = layers.Normalization(axis=None, mean=100.0, variance=400.0)(inputs)
    adapted = layers.Normalization(axis=-1, name="adapted")
    adapted.adapt(np.arange(128.0).reshape(2, 8, 8, 1))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(adapted(x))))
    before, after = weights(model), weights(randomised(model, seed=0))
    assert before["adapted/mean"] == after["adapted/mean"] != 0
    assert before["adapted/variance"] == after["adapted/variance"]


def test_networks_within_a_network_are_reached() -> None:
    outer = keras.Sequential([layers.Input((32, 32, 1)), brightness_of_a_spot()])
    after = randomised(outer, seed=0)
    assert (weights(after)["top/kernel"] != weights(outer)["top/kernel"]).all()


def test_same_seed_same_weights() -> None:
    model = brightness_of_a_spot()
    one, again, other = (weights(randomised(model, seed)) for seed in (5, 5, 6))
    assert all((one[path] == again[path]).all() for path in one)
    assert (one["top/kernel"] != other["top/kernel"]).all()


def test_what_was_learnt_collapses() -> None:
    images, y_true = spots()
    found = randomise_weights([brightness_of_a_spot()] * 5, images, y_true, first)
    assert len(found["auroc"]) == len(set(found["auroc"])) == 5
    assert np.mean(found["auroc"]) == pytest.approx(0.5, abs=0.25)
    assert found["rank_correlation"] < 0.4
    assert found["top_layer"]["rank_correlation"] < 0.4
    json.dumps(found)


def test_the_top_layer_of_calibrated_scores_is_no_layer_to_randomise() -> None:
    inner = brightness_of_a_spot()
    scaled = keras.Model(inner.input, layers.Activation("sigmoid")(inner.output))
    found = randomise_weights([scaled], *spots(), first)
    assert set(found) == {"auroc", "rank_correlation"}


def test_what_the_architecture_alone_sees_does_not() -> None:
    """Mean brightness is the only input of the last weight: its order is kept, or turned round."""
    inputs = layers.Input((32, 32, 1))
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(inputs)))
    images, y_true = spots()
    found = randomise_weights([model, model], images, y_true, first)
    assert found["rank_correlation"] == pytest.approx(1.0)
    of_brightness = auroc(y_true, images.mean(axis=(1, 2)))
    assert [max(area, 1 - area) for area in found["auroc"]] == pytest.approx([of_brightness] * 2, abs=1e-3)


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    one, other = random.integers(0, 5, 60).astype(float), random.normal(size=60)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(other, np.exp(other)) == pytest.approx(1.0)
    assert rank_correlation(other, -other) == pytest.approx(-1.0)
    assert rank_correlation(other, np.zeros(60)) == 0.0

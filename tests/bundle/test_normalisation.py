"""What Keras 2 saved is normalised by the operation of Keras 2, and all else as Keras 3 does."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cxrbatch.bundle import import_model
from cxrbatch.bundle.import_model import ImportSpec, import_bundle
from cxrbatch.bundle.network import load_network
from cxrbatch.bundle.normalisation import OF_KERAS_2, normalise_as_saved
from cxrbatch.bundle.outputs import OutputActivation
from cxrbatch.infer.predictor import with_precision
from cxrbatch.infer.runtime import Precision
from tests.factories.keras_2 import Config, Weights, call, functional, layer, save_h5, sequential

OPERATION = "FusedBatchNormV3"
RNG = np.random.default_rng(3)


def operations(network: keras.Model) -> list[str]:
    spec = tf.TensorSpec((2, *network.input_shape[1:]), tf.float32)
    graph = tf.function(lambda x: network(x, training=False), [spec], autograph=False)
    return [operation.type for operation in graph.get_concrete_function().graph.get_operations()]


def normalising(*norms: keras.Layer, shape: tuple[int, ...] = (8, 8, 3)) -> keras.Model:
    model = keras.Sequential([layers.Input(shape), *norms], name="foreign")
    model.set_weights([RNG.uniform(0.5, 2, weights.shape) for weights in model.get_weights()])
    return model


BATCH, LAYER = layers.BatchNormalization, layers.LayerNormalization


@pytest.mark.parametrize(
    ("kind", "config", "shape", "n_fused"),
    [
        (BATCH, {}, (8, 8, 3), 1),
        (BATCH, {"axis": 3, "epsilon": 1e-6}, (8, 8, 3), 1),
        (BATCH, {"scale": False}, (8, 8, 3), 1),
        (BATCH, {"center": False}, (8, 8, 3), 1),
        (BATCH, {"center": False, "scale": False}, (8, 8, 3), 1),
        (BATCH, {"axis": 1}, (3, 8, 8), 0),
        (BATCH, {"renorm": True}, (8, 8, 3), 0),
        (BATCH, {}, (3,), 0),
        (BATCH, {}, (8, 3), 0),
        (LAYER, {"epsilon": 1e-5}, (8, 8, 3), 0),
        (LAYER, {}, (8, 8, 3), 1),
        (LAYER, {}, (5,), 1),
        (LAYER, {"axis": [1, 2, 3], "center": False}, (8, 8, 3), 1),
        (LAYER, {"axis": [-1, 1, 2]}, (8, 8, 3), 0),
        (LAYER, {"axis": [2, 3], "scale": False}, (8, 8, 3), 1),
        (LAYER, {"axis": 1}, (8, 8, 3), 0),
        (LAYER, {"axis": [1, 3]}, (8, 8, 3), 0),
    ],
)
def test_one_operation_computes_what_several_do(
    kind: type[keras.Layer], config: dict[str, Any], shape: tuple[int, ...], n_fused: int
) -> None:
    model = normalising(kind(**config), shape=shape)
    images = RNG.uniform(-3, 3, (5, *shape)).astype(np.float32)
    expected = np.asarray(model(images))
    assert OPERATION not in operations(normalise_as_saved(model))
    model.name = OF_KERAS_2
    assert operations(normalise_as_saved(model)).count(OPERATION) == n_fused
    np.testing.assert_allclose(model(images), expected, atol=2e-6)


def test_models_within_the_model_and_its_neighbours() -> None:
    inner = normalising(layers.BatchNormalization())
    saved = keras.Sequential([layers.Input((8, 8, 3)), inner, layers.BatchNormalization()], name=OF_KERAS_2)
    around = normalising(saved, layers.BatchNormalization())
    assert operations(normalise_as_saved(around)).count(OPERATION) == 2


@pytest.mark.parametrize("precision", [Precision.MIXED_FLOAT16, Precision.MIXED_BFLOAT16])
def test_other_precisions_normalise_in_float32(precision: Precision) -> None:
    model = normalising(BATCH(), LAYER(), layers.Activation("relu"))
    model.name = OF_KERAS_2
    images = RNG.uniform(-3, 3, (5, 8, 8, 3)).astype(np.float32)
    mixed = with_precision(keras, normalise_as_saved(model), precision)
    assert operations(mixed).count(OPERATION) == 2
    np.testing.assert_allclose(mixed(images), model(images), atol=0.05)


NORM = layer("BatchNormalization", "norm", axis=[3], epsilon=0.001, center=True, scale=True)
POOL = layer("GlobalAveragePooling2D", "pool", data_format="channels_last", keepdims=False)
DENSE = layer("Dense", "dense", units=2, activation="softmax", use_bias=True)
WEIGHTS: dict[str, Weights] = {
    "norm": [np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)],
    "dense": [np.ones((3, 2)), np.zeros(2)],
}
IN_A_ROW = sequential(NORM, POOL, DENSE)
BY_CALLS = functional((NORM, [call("input_1")]), (POOL, [call("norm")]), (DENSE, [call("pool")]))


@pytest.mark.parametrize("activation", [OutputActivation.AUTO, OutputActivation.SIGMOID])
@pytest.mark.parametrize(
    ("model", "version", "n_fused"),
    [(IN_A_ROW, "2.3.1", 1), (BY_CALLS, "2.15.0", 1), (IN_A_ROW, "3.15.1", 0)],
)
def test_a_bundle_states_whether_keras_2_saved_its_network(
    model: Config,
    version: str,
    n_fused: int,
    activation: OutputActivation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_model, "convert_if_possible", lambda _: None)  # takes seconds
    path = save_h5(tmp_path / "model.h5", model, WEIGHTS, version)
    spec = ImportSpec(labels=("covid", "normal"), activation=activation)
    network = load_network(import_bundle(path, tmp_path / "bundle", spec).model_path)
    assert operations(network).count(OPERATION) == n_fused

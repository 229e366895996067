"""Models that Keras 2 saved compute what they computed; the expected values are written in NumPy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.bundle.foreign import load_foreign
from cxrbatch.errors import BundleError
from tests.factories.keras_2 import (
    SIDE,
    Config,
    Weights,
    call,
    conv,
    functional,
    layer,
    save_archive,
    save_h5,
    sequential,
)

Array = NDArray[np.float64]
Change = Callable[[Array], Array]

RNG = np.random.default_rng(5)
KERNEL, BIAS = RNG.normal(size=(3, 2)), RNG.normal(size=2)
MIXING, SHIFT = RNG.normal(size=(3, 3)), RNG.normal(size=3)
IMAGES = RNG.uniform(-3, 3, (4, SIDE, SIDE, 3))
POOL = layer("GlobalAveragePooling2D", "pool", data_format="channels_last", keepdims=False)
DENSE = layer("Dense", "dense", units=2, activation="softmax", use_bias=True)
HEAD: dict[str, Weights] = {"dense": [KERNEL, BIAS]}
CONV: dict[str, Weights] = {"conv": [MIXING[None, None], SHIFT]}
SAVERS = {".h5": save_h5, ".keras": save_archive}


def softmax(x: Array) -> Array:
    shares = np.exp(x - x.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def head(x: Array) -> Array:
    return softmax(x.mean(axis=(1, 2)) @ KERNEL + BIAS)


def mixed(x: Array) -> Array:
    return x @ MIXING + SHIFT


def hard_sigmoid(x: Array) -> Array:
    """That of Keras 2."""
    return np.clip(0.2 * x + 0.5, 0, 1)


def scored(path: Path) -> Array:
    model = load_foreign(path, path.parent / "scratch")
    return np.asarray(model(IMAGES.astype(np.float32), training=False))


def check(
    model: Config, weights: dict[str, Weights], expected: Array, folder: Path, suffix: str = ".h5"
) -> None:
    (folder / "scratch").mkdir()
    path = SAVERS[suffix](folder / f"model{suffix}", model, weights | HEAD)
    np.testing.assert_allclose(scored(path), expected, atol=2e-6)


def normalised(x: Array) -> Array:
    """Layer normalisation over the channels, gamma 2 and beta 1."""
    return 2 * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) + 1


UNCHANGED: dict[str, dict[str, Any]] = {
    "RandomFlip": {"mode": "horizontal_and_vertical", "seed": None, "rng_type": "stateful"},
    "RandomRotation": {"factor": 0.2, "fill_mode": "reflect", "rng_type": "stateful"},
    "RandomZoom": {"height_factor": 0.2, "width_factor": None, "rng_type": "stateful"},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1, "rng_type": "stateful"},
    "RandomContrast": {"factor": 0.2, "rng_type": "stateful"},
    "RandomBrightness": {"factor": 0.2, "value_range": [0, 255], "rng_type": "stateful"},
    "RandomHeight": {"factor": 0.2, "interpolation": "bilinear"},
    "RandomWidth": {"factor": 0.2, "interpolation": "bilinear"},
    "Dropout": {"rate": 0.5, "noise_shape": None, "seed": None},
    "SpatialDropout2D": {"rate": 0.5, "data_format": "channels_last"},
    "AlphaDropout": {"rate": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "ActivityRegularization": {"l1": 0.1, "l2": 0.1},
}
SEQUENTIAL: dict[str, tuple[Config, Change]] = {
    "RandomCrop of the whole": (layer("RandomCrop", height=SIDE, width=SIDE, rng_type="stateful"), lambda x: x),
    "Rescaling": (layer("Rescaling", scale=0.5, offset=-1.0), lambda x: 0.5 * x - 1),
    "ThresholdedReLU": (layer("ThresholdedReLU", theta=0.7), lambda x: np.where(x > 0.7, x, 0)),
    "LeakyReLU": (layer("LeakyReLU", alpha=0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "ReLU": (layer("ReLU", max_value=2.0, negative_slope=0.0, threshold=0.0), lambda x: np.clip(x, 0, 2)),
    "Softmax": (layer("Softmax", axis=-1), softmax),
    "hard_sigmoid": (layer("Activation", activation="hard_sigmoid"), hard_sigmoid),
    "leaky_relu": (layer("Activation", activation="leaky_relu"), lambda x: np.where(x > 0, x, 0.2 * x)),
    "a policy": (layer("Rescaling", scale=2.0, offset=0.0, dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}), lambda x: 2 * x),  # noqa: E501
    "a shape": (layer("Rescaling", scale=2.0, offset=0.0, batch_input_shape=[None, SIDE, SIDE, 3]), lambda x: 2 * x),
    "a slash": (layer("Rescaling", "block/1/scale", scale=2.0, offset=0.0), lambda x: 2 * x),
}  # fmt: skip


@pytest.mark.parametrize("case", SEQUENTIAL)
def test_layers_in_a_row(case: str, tmp_path: Path) -> None:
    tested, change = SEQUENTIAL[case]
    model = sequential(conv("conv"), tested, POOL, DENSE)
    suffix = ".keras" if len(case) % 2 else ".h5"
    check(model, CONV, head(change(mixed(IMAGES))), tmp_path, suffix)


@pytest.mark.parametrize("suffix", SAVERS)
def test_layers_that_do_something_in_training_only(suffix: str, tmp_path: Path) -> None:
    layers = [layer(name, **config) for name, config in UNCHANGED.items()]
    check(sequential(conv("conv"), *layers, POOL, DENSE), CONV, head(mixed(IMAGES)), tmp_path, suffix)


@pytest.mark.parametrize("suffix", SAVERS)
def test_layers_with_weights(suffix: str, tmp_path: Path) -> None:
    norm = layer("LayerNormalization", "norm", axis=[3], epsilon=0.001, center=True, scale=True)
    model = sequential(conv("conv", activation="hard_sigmoid"), norm, POOL, DENSE)
    weights = CONV | {"norm": [np.full(3, 2.0), np.ones(3)]}
    check(model, weights, head(normalised(hard_sigmoid(mixed(IMAGES)))), tmp_path, suffix)


def op(function: str, name: str = "op") -> Config:
    return layer("TFOpLambda", name, function=function)


REVERSED = {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]}
FUNCTIONS: dict[str, tuple[Config, list[Any], Change]] = {
    "x / 127.5": (op("math.truediv"), ["input_1", 0, 0, {"y": 127.5, "name": None}], lambda x: x / 127.5),
    "x / vector": (op("math.truediv"), ["input_1", 0, 0, {"y": [1.0, 2, 4]}], lambda x: x / [1, 2, 4]),
    "x - 1": (op("math.subtract"), ["input_1", 0, 0, {"y": 1.0, "name": None}], lambda x: x - 1),
    "1 - x": (op("math.subtract"), ["_CONSTANT_VALUE", -1, 1.0, {"y": ["input_1", 0, 0]}], lambda x: 1 - x),
    "2 x": (op("math.multiply"), ["_CONSTANT_VALUE", -1, 2, {"y": ["input_1", 0, 0]}], lambda x: 2 * x),
    "x + 3": (op("__operators__.add"), ["input_1", 0, 0, {"y": 3}], lambda x: x + 3),
    "-x": (op("math.negative"), ["input_1", 0, 0, {"name": None}], lambda x: -x),
    "x + y": (op("__operators__.add"), ["input_1", 0, 0, {"y": ["conv", 0, 0]}], lambda x: x + mixed(x)),
    "x - y": (op("math.subtract"), ["conv", 0, 0, {"y": ["input_1", 0, 0]}], lambda x: mixed(x) - x),
    "x y": (op("math.multiply"), ["input_1", 0, 0, {"y": ["conv", 0, 0]}], lambda x: x * mixed(x)),
    "bias": (op("nn.bias_add"), ["input_1", 0, 0, {"bias": [-1.0, 0, 2], "data_format": "NHWC"}], lambda x: x + np.array([-1, 0, 2])),  # noqa: E501
    "BGR": (layer("SlicingOpLambda", "op", function="__operators__.getitem"), ["input_1", 0, 0, REVERSED], lambda x: x[..., ::-1]),  # noqa: E501
    "relu": (op("nn.relu"), ["input_1", 0, 0, {"name": None}], lambda x: np.maximum(x, 0)),
    "relu6": (op("nn.relu6"), ["input_1", 0, 0, {}], lambda x: np.clip(x, 0, 6)),
    "sigmoid": (op("math.sigmoid"), ["input_1", 0, 0, {}], lambda x: 1 / (1 + np.exp(-x))),
    "softmax": (op("nn.softmax"), ["input_1", 0, 0, {}], softmax),
    "cast": (op("cast"), ["input_1", 0, 0, {"dtype": "float32"}], lambda x: x),
    "identity": (op("identity"), ["input_1", 0, 0, {}], lambda x: x),
    "resize": (op("image.resize"), ["input_1", 0, 0, {"size": [SIDE, SIDE]}], lambda x: x),
    "mean": (op("math.reduce_mean"), ["input_1", 0, 0, {"axis": [1, 2], "keepdims": True}], lambda x: x.mean((1, 2), keepdims=True)),  # noqa: E501
    "max": (op("math.reduce_max"), ["input_1", 0, 0, {"axis": [1, 2], "keepdims": True}], lambda x: x.max((1, 2), keepdims=True)),  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_of_tensorflow_between_layers(case: str, tmp_path: Path) -> None:
    tested, node, change = FUNCTIONS[case]
    model = functional(
        (conv("conv"), [call("input_1")]), (tested, [node]), (layer("Add", "sum"), [call("op", "conv")]),
        (POOL, [call("sum")]), (DENSE, [call("pool")]),
    )  # fmt: skip
    suffix = ".keras" if len(case) % 2 else ".h5"
    check(model, CONV, head(change(IMAGES) + mixed(IMAGES)), tmp_path, suffix)


@pytest.mark.parametrize(
    ("tested", "node"),
    [
        (op("image.per_image_standardization"), ["input_1", 0, 0, {}]),
        (op("math.truediv"), ["_CONSTANT_VALUE", -1, 1.0, {"y": ["input_1", 0, 0]}]),
        (op("math.truediv"), ["input_1", 0, 0, {"y": ["conv", 0, 0]}]),
        (op("math.truediv"), ["input_1", 0, 0, {"y": 0.0}]),
        (op("math.multiply"), ["input_1", 0, 0, {"y": float("nan")}]),
        (op("math.multiply"), ["input_1", 0, 0, {"y": "2"}]),
        (op("math.multiply"), ["input_1", 0, 0, {"y": [[1.0]]}]),
        (op("math.reduce_mean"), ["input_1", 0, 0, {"axis": 3}]),
        (op("cast"), ["input_1", 0, 0, {"dtype": "uint8"}]),
        (op("nn.softmax"), ["input_1", 0, 0, {"axis": 1}]),
        (op("image.resize"), ["input_1", 0, 0, {"size": [8, 8], "antialias": True}]),
        (op("os.system"), ["input_1", 0, 0, {}]),
        (op("io.read_file"), ["_CONSTANT_VALUE", -1, "/etc/passwd", {}]),
        (op("math.subtract"), []),
        (op("math.subtract"), None),
        (
            layer("SlicingOpLambda", "op", function="__operators__.getitem"),
            ["input_1", 0, 0, {"slice_spec": []}],
        ),
    ],
)
def test_functions_that_are_not_known_are_named(tested: Config, node: Any, tmp_path: Path) -> None:
    model = functional(
        (conv("conv"), [call("input_1")]), (tested, [node]), (POOL, [call("op")]), (DENSE, [call("pool")])
    )
    function = tested["config"]["function"]
    with pytest.raises(
        BundleError, match=f"holds the TensorFlow function '{function}', for which no layer is known"
    ):
        check(model, CONV, head(IMAGES), tmp_path)


NESTED = {
    "Sequential": sequential(conv("a/conv"), name="inner"),
    "Functional": functional((conv("a/conv"), [call("input_1")]), name="inner"),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("first", [0, 1])
def test_calls_of_a_model_within_a_model(kind: str, first: int, tmp_path: Path) -> None:
    """Keras 2 counts the building of such a model as its first call; a Sequential may be built later."""
    if kind == "Functional" and first == 0:
        pytest.skip("a functional model is always built before it is called")
    model = functional(
        (layer("Rescaling", "half", scale=0.5, offset=0.0), [call("input_1")]),
        (NESTED[kind], [call("input_1"), call("half", training=False)]),
        (layer("Subtract", "difference"), [[*call("inner", n=first), *call("inner", n=first + 1)]]),
        (POOL, [call("difference")]),
        (DENSE, [call("pool")]),
    )
    expected = head(mixed(IMAGES) - mixed(0.5 * IMAGES))
    check(model, {"inner": CONV["conv"]}, expected, tmp_path)


@pytest.mark.parametrize("kind", NESTED)
def test_a_model_within_a_model_makes_the_output(kind: str, tmp_path: Path) -> None:
    calls = [(conv("a/conv"), call("input_1")), (POOL, call("a/conv")), (DENSE, call("pool"))]
    inner = functional(*((part, [node]) for part, node in calls), name="inner")
    if kind == "Sequential":
        inner = sequential(*(part for part, _ in calls), name="inner")
    model = functional((inner, [call("input_1")]), end="inner", n_end=1)
    (tmp_path / "scratch").mkdir()
    path = save_h5(tmp_path / "m.h5", model, {"inner": [*CONV["conv"], KERNEL, BIAS]})
    np.testing.assert_allclose(scored(path), head(mixed(IMAGES)), atol=2e-6)


def test_names_with_slashes_do_not_collide(tmp_path: Path) -> None:
    """``a/b`` beside ``a_b``: each gets its own weights."""
    model = functional(
        (conv("a/b"), [call("input_1")]), (conv("a_b"), [call("a/b")]),
        (POOL, [call("a_b")]), (DENSE, [call("pool")]),
    )  # fmt: skip
    weights: dict[str, Weights] = {"a/b": CONV["conv"], "a_b": [2 * MIXING[None, None], -SHIFT]}
    check(model, weights, head(mixed(IMAGES) @ (2 * MIXING) - SHIFT), tmp_path)


BATCH_NORM = layer(
    "BatchNormalization", "norm", axis=[3], momentum=0.99, epsilon=0.001, center=True, scale=True
)


@pytest.mark.parametrize("training", [False, None, True])
def test_normalisation_by_the_batch(training: bool | None, tmp_path: Path) -> None:
    model = functional(
        (BATCH_NORM, [call("input_1", training=training)]), (POOL, [call("norm")]), (DENSE, [call("pool")])
    )
    weights: dict[str, Weights] = {"norm": [np.ones(3), np.zeros(3), np.zeros(3), np.full(3, 0.999)]}
    if training:
        with pytest.raises(
            BundleError, match="calls the layer 'norm' with training=True, so that a score would depend"
        ):
            check(model, weights, head(IMAGES), tmp_path)
    else:
        check(model, weights, head(IMAGES), tmp_path)


def test_augmentation_that_is_always_on_is_left_out(tmp_path: Path) -> None:
    flip = layer("RandomFlip", "flip", mode="horizontal", rng_type="stateful")
    model = functional(
        (flip, [call("input_1", training=True)]), (POOL, [call("flip")]), (DENSE, [call("pool")])
    )
    check(model, {}, head(IMAGES), tmp_path)


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        (
            layer("LSTM", units=2, activation="tanh", recurrent_activation="hard_sigmoid"),
            "'hard_sigmoid' within a layer",
        ),
        (
            layer("TimeDistributed", layer=layer("Dense", units=2, activation="hard_sigmoid")),
            "'hard_sigmoid' within",
        ),
        (
            layer("LocallyConnected2D", filters=2, kernel_size=[1, 1]),
            "'LocallyConnected2D', which is no layer",
        ),
        (layer("LayerScale", init_values=1e-6), "'LayerScale', which is no layer"),
        (layer("KerasLayer", handle="https://tfhub.dev/x"), "'KerasLayer', which is no layer"),
        (layer("TensorFlowOpLayer", node_def="x", constants={}), "'TensorFlowOpLayer', which is no layer"),
        (
            layer("Lambda", function=["4wEAAA==", None, None], function_type="lambda"),
            "'Lambda', which runs code",
        ),
        (layer("StringLookup", vocabulary="/etc/passwd"), "'StringLookup', which may read other files"),
    ],
)
@pytest.mark.parametrize("suffix", SAVERS)
def test_what_keras_3_does_not_have(tested: Config, message: str, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        check(sequential(tested, POOL, DENSE), {}, head(IMAGES), tmp_path, suffix)


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.21.0", "1.2.2", "3.0.0", "3.15.1"])
def test_hard_sigmoid_by_the_version_that_saved_it(version: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    model = sequential(layer("Activation", activation="hard_sigmoid"), POOL, DENSE)
    path = save_h5(tmp_path / "m.h5", model, HEAD, version)
    slope = 1 / 6 if version.startswith("3") else 0.2
    np.testing.assert_allclose(scored(path), head(np.clip(slope * IMAGES + 0.5, 0, 1)), atol=2e-6)


@pytest.mark.parametrize("part", ["saved_model.pb", "keras_metadata.pb"])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_saved_model_gets_advice(part: str, named: str, tmp_path: Path) -> None:
    (tmp_path / part).write_bytes(b"\x08\x01")
    path = tmp_path if named == "folder" else tmp_path / part
    with pytest.raises(
        BundleError, match=r"is a SavedModel of TensorFlow.*model\.save\('model\.h5'\)"
    ) as error:
        load_foreign(path, tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: ")

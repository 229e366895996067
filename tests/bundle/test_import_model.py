"""Models made elsewhere become bundles, or are refused."""

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.bundle.import_model import ImportSpec, Pixels, import_bundle, parse_size
from cxrbatch.bundle.outputs import OutputActivation
from cxrbatch.engines.options import EngineOptions
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.infer import runtime
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device, Precision, Runtime
from cxrbatch.prediction import predict
from cxrbatch.preprocess import PreprocessSpec, preprocess
from cxrbatch.records import ImageScore

COVID_NORMAL = ImportSpec(labels=("covid", "normal"))


@pytest.fixture(scope="module")
def started() -> Runtime:
    return runtime.start_runtime(Device.CPU)


@pytest.fixture(scope="module")
def corona() -> keras.Model:
    """A network as students build it: conv, pool, conv, pool, flatten, dense; pixels 0–255; random weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Input((224, 224, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(4),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=4e-4)),
            layers.Softmax(),
        ]
    )
    kernel, _ = model.layers[-2].get_weights()
    log_odds = np.diff(np.log(model.predict(in_three_channels(pictures(40)), verbose=0)))
    model.layers[-2].set_weights([kernel, np.array([np.median(log_odds), 0])])  # either answer equally often
    return model


def pictures(n: int, side: int = 224) -> NDArray[np.uint8]:
    """Coarse patterns, so that the answers of a random network differ."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (n, 7, 7)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(grid).resize((side, side))) for grid in coarse])


def in_three_channels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.repeat(pixels[..., np.newaxis], 3, axis=-1).astype(np.float32)


def constant(outputs: Sequence[float], activation: str = "linear") -> keras.Model:
    """A network that gives the same values before its activation, whatever it sees."""
    model = keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(outputs), activation=activation),
        ]
    )
    model.layers[-1].set_weights([np.zeros((3, len(outputs))), np.array(outputs)])
    return model


def imported(model: keras.Model, folder: Path, spec: ImportSpec, suffix: str = ".keras") -> Bundle:
    model.save(folder / f"model{suffix}")
    return import_bundle(folder / f"model{suffix}", folder / "bundle", spec)


def scores(bundle: Bundle, started: Runtime, pixels: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
    spec = bundle.preprocess
    shown = np.zeros((1, spec.height, spec.width), np.uint8) if pixels is None else pixels
    return KerasPredictor(bundle, started, 4)({"pixels": shown})["scores"]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_imported_network_answers_as_the_foreign_one(
    corona: keras.Model, suffix: str, tmp_path: Path, started: Runtime
) -> None:
    pixels = pictures(40)
    own = corona.predict(in_three_channels(pixels), verbose=0)
    assert own.argmax(axis=1).sum() == 20
    given = scores(imported(corona, tmp_path, COVID_NORMAL, suffix), started, pixels)
    np.testing.assert_allclose(given[:, [0, 2]], own, atol=2e-6)
    assert np.array_equal(given[:, [0, 2]].argmax(axis=1), own.argmax(axis=1))
    assert not given[:, 1].any()
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 3])
def test_a_picture_reaches_the_network_as_it_is(
    corona: keras.Model, scale: int, tmp_path: Path, started: Runtime
) -> None:
    """At the network's size to the last grey level; larger by a whole number the middle of each block, as OpenCV."""
    (pixels,) = pictures(1)
    tiled = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    bundle = imported(corona, tmp_path, COVID_NORMAL)
    assert bundle.preprocess == PreprocessSpec(
        height=224, width=224, trim_tolerance=0.0, normalise="none", resize="linear"
    )
    as_read = tiled.astype(np.float32) / np.float32(255)
    assert np.array_equal(preprocess(as_read, bundle.preprocess), pixels)


def test_from_a_file_to_scores(corona: keras.Model, tmp_path: Path, sample_night: Path) -> None:
    """The same file by OpenCV's rule and the foreign network, and by ``cxrbatch predict``."""
    path = sample_night / "pictures" / "SAMPLE-023.png"
    (result,) = predict([path], imported(corona, tmp_path, COVID_NORMAL), EngineOptions(device=Device.CPU))
    assert isinstance(result, ImageScore)
    with Image.open(path) as image:
        values = np.asarray(image, np.float32) * (255 / (65535 if image.mode.startswith("I") else 255))
    array = np.rint(_as_opencv_resizes(values, 224))[np.newaxis]
    own = corona.predict(in_three_channels(array), verbose=0)[0]
    assert result.scores == pytest.approx((own[0], 0, own[1]), abs=0.01)


def _as_opencv_resizes(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Bilinear between the four pixels around each new pixel's centre, as ``cv2.INTER_LINEAR`` is documented."""

    def ends(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
        low = np.floor(at).astype(np.intp)
        return low, np.minimum(low + 1, n - 1), at - low

    (top, bottom, v), (left, right, h) = ends(values.shape[0]), ends(values.shape[1])
    rows = values[top] * (1 - v)[:, None] + values[bottom] * v[:, None]
    return (rows[:, left] * (1 - h) + rows[:, right] * h).astype(np.float32)


@pytest.mark.parametrize(("pixels", "seen"), [(Pixels.BYTE, 51.0), (Pixels.UNIT, 0.2), (Pixels.SIGNED, -0.6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_range_and_channels(
    pixels: Pixels, seen: float, channels: int, tmp_path: Path, started: Runtime
) -> None:
    """A network whose log-odds are the mean of its last channel, in units that keep them small."""
    model = keras.Sequential(
        [layers.Input((16, 16, channels)), layers.GlobalAveragePooling2D(), layers.Dense(1)]
    )
    kernel = np.zeros((channels, 1))
    kernel[-1] = 1 / abs(seen)
    model.layers[-1].set_weights([kernel, np.zeros(1)])
    bundle = imported(model, tmp_path, ImportSpec(labels=("normal", "covid"), pixels=pixels))
    (row,) = scores(bundle, started, np.full((1, 16, 16), 51, np.uint8))
    expected = 1 / (1 + np.exp(-np.sign(seen)))
    assert row == pytest.approx([expected, 0, 1 - expected], abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("covid", "pneumonia", "normal"), (0.2, 0.5, 0.3)),
        (("normal", "covid", "pneumonia"), (0.5, 0.3, 0.2)),
        (("pneumonia", "normal", "covid"), (0.3, 0.2, 0.5)),
    ],
)
def test_labels_in_any_order(
    labels: tuple[str, ...], expected: tuple[float, ...], tmp_path: Path, started: Runtime
) -> None:
    model = constant(np.log([0.2, 0.5, 0.3]).tolist(), "softmax")
    (row,) = scores(imported(model, tmp_path, ImportSpec(labels=labels)), started)
    assert row == pytest.approx(expected, abs=1e-6)


LOGIT = float(np.log(0.3 / 0.7))


@pytest.mark.parametrize(
    ("outputs", "last", "labels", "asked", "expected"),
    [
        # one output: the score of class 1
        ([LOGIT], "sigmoid", ("normal", "covid"), "auto", (0.3, 0, 0.7)),
        ([LOGIT], "linear", ("normal", "covid"), "auto", (0.3, 0, 0.7)),
        ([LOGIT], "sigmoid", ("normal", "covid"), "sigmoid", (0.3, 0, 0.7)),
        ([0.3], "linear", ("normal", "covid"), "none", (0.3, 0, 0.7)),
        ([LOGIT], "sigmoid", ("covid", "pneumonia"), "auto", (0.7, 0.3, 0)),
        # logits
        ([0.0, float(np.log(3))], "linear", ("covid", "normal"), "auto", (0.25, 0, 0.75)),
        ([0.0, float(np.log(3))], "linear", ("covid", "normal"), "softmax", (0.25, 0, 0.75)),
        ([0.0, float(np.log(3))], "softmax", ("covid", "normal"), "softmax", (0.25, 0, 0.75)),
        # a sigmoid per label, 0.5 and 0.3: their shares
        ([0.0, LOGIT], "sigmoid", ("covid", "normal"), "auto", (0.625, 0, 0.375)),
        ([0.0, LOGIT], "linear", ("covid", "normal"), "sigmoid", (0.625, 0, 0.375)),
        # taken as they are
        ([0.25, 0.75], "relu", ("covid", "normal"), "none", (0.25, 0, 0.75)),
    ],
)
def test_activations(
    outputs: list[float],
    last: str,
    labels: tuple[str, ...],
    asked: str,
    expected: tuple[float, ...],
    tmp_path: Path,
) -> None:
    started = runtime.start_runtime(Device.CPU)
    spec = ImportSpec(labels=labels, activation=OutputActivation(asked))
    (row,) = scores(imported(constant(outputs, last), tmp_path, spec), started)
    assert row == pytest.approx(expected, abs=1e-6)


def test_the_activation_of_a_model_within_a_model_is_found(tmp_path: Path, started: Runtime) -> None:
    inner = constant([0.0, LOGIT], "sigmoid")
    outer = keras.Sequential([layers.Input((16, 16, 3)), inner])
    (row,) = scores(imported(outer, tmp_path, COVID_NORMAL), started)
    assert row == pytest.approx((0.625, 0, 0.375), abs=1e-6)


@pytest.mark.parametrize(
    ("outputs", "last", "asked", "message"),
    [
        ([1.0, 2.0], "relu", "auto", "'relu'.*--activation"),
        ([1.0], "softmax", "auto", "'softmax'.*--activation"),
        ([1.0], "linear", "softmax", "--activation sigmoid"),
        ([1.0, 2.0], "linear", "none", "no scores that sum to 1"),
        ([-0.5, 1.5], "linear", "none", "no scores that sum to 1"),
        ([float("nan"), 1.0], "softmax", "auto", "no scores that sum to 1"),
    ],
)
def test_outputs_that_are_no_scores(
    outputs: list[float], last: str, asked: str, message: str, tmp_path: Path
) -> None:
    labels = ("normal", "covid")
    with pytest.raises(BundleError, match=message):
        imported(
            constant(outputs, last), tmp_path, ImportSpec(labels=labels, activation=OutputActivation(asked))
        )


def test_what_a_bundle_says_of_an_imported_network(corona: keras.Model, tmp_path: Path) -> None:
    bundle = imported(corona, tmp_path, COVID_NORMAL, ".h5")
    assert bundle == load_bundle(tmp_path / "bundle")
    assert bundle.name == "model"
    assert (bundle.operating_points, bundle.calibration, bundle.evaluation) == (None, None, {})
    assert bundle.aggregation == "mean"
    assert "imported from model.h5" in bundle.training["origin"]
    assert "not known" in bundle.training["origin"]
    assert len(bundle.notes) == 2
    assert "what its scores are worth is unknown" in bundle.notes[0]
    assert bundle.notes[1] == "This bundle has no operating points: the list has an order, no bands."
    assert bundle.gate_path.read_bytes() == (DEFAULT_BUNDLE / "gate.npz").read_bytes()


def test_the_same_model_becomes_the_same_scores_under_any_name(
    corona: keras.Model, tmp_path: Path, started: Runtime
) -> None:
    """The format is told by content."""
    corona.save(tmp_path / "corona.h5")
    shutil.move(tmp_path / "corona.h5", tmp_path / "corona.model")
    bundle = import_bundle(tmp_path / "corona.model", tmp_path / "bundle", COVID_NORMAL, "st-elsewhere")
    assert bundle.id.startswith("st-elsewhere@")


@pytest.mark.parametrize("precision", [Precision.MIXED_FLOAT16, Precision.MIXED_BFLOAT16])
def test_mixed_precision_reaches_into_the_foreign_network(
    corona: keras.Model, precision: Precision, tmp_path: Path, started: Runtime
) -> None:
    bundle = imported(corona, tmp_path, COVID_NORMAL)
    mixed = Runtime(tensorflow=started.tensorflow, device="CPU", precision=precision, batch_size=4)
    pixels = pictures(8)
    difference = np.abs(scores(bundle, mixed, pixels) - scores(bundle, started, pixels))
    assert 0 < difference.max() < 0.05


# Models that must not be trusted


def leaving(marker: Path) -> keras.Layer:
    name = str(marker)
    return layers.Lambda(lambda x: (open(name, "w").close(), x / 255)[1])  # type: ignore[func-returns-value]  # noqa: PTH123


def with_lambda(marker: Path) -> keras.Model:
    return keras.Sequential([layers.Input((16, 16, 3)), leaving(marker), *tail()])


def nested_lambda(marker: Path) -> keras.Model:
    inner = keras.Sequential([layers.Input((16, 16, 3)), leaving(marker)])
    return keras.Sequential([layers.Input((16, 16, 3)), inner, *tail()])


def distributed_lambda(marker: Path) -> keras.Model:
    return keras.Sequential([layers.Input((16, 16, 3)), layers.TimeDistributed(leaving(marker)), *tail()])


def tail() -> list[keras.Layer]:
    return [layers.Flatten(), layers.Dense(2, activation="softmax")]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("build", [with_lambda, nested_lambda, distributed_lambda])
def test_code_in_the_file_is_refused_and_not_run(
    build: Callable[[Path], keras.Model], suffix: str, tmp_path: Path
) -> None:
    marker = tmp_path / "was here"
    build(marker).save(tmp_path / f"model{suffix}")
    marker.unlink()
    with pytest.raises(BundleError, match=r"'(Lambda|__lambda__)', which runs code"):
        import_bundle(tmp_path / f"model{suffix}", tmp_path / "bundle", COVID_NORMAL)
    assert not marker.exists()
    assert not (tmp_path / "bundle").exists()


@keras.saving.register_keras_serializable(package="elsewhere")
class Doubled(layers.Layer):  # type: ignore[misc]  # keras is untyped
    def call(self, x: Any) -> Any:
        return 2 * x


def swish_of_somebody(x: Any) -> Any:
    return x * keras.ops.sigmoid(x)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Doubled(), "elsewhere>Doubled|Doubled"),
        (layers.Dense(4, activation=swish_of_somebody), "swish_of_somebody|'function'"),
    ],
)
def test_objects_that_are_not_of_keras(layer: keras.Layer, message: str, suffix: str, tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((16, 16, 3)), layer, *tail()])
    with pytest.raises(BundleError, match=message):
        imported(model, tmp_path, COVID_NORMAL, suffix)


def edit_config(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the description in a .keras file as somebody with bad intent would."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    edit(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "activation",
    [
        {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
        {
            "class_name": "function",
            "config": "get_file",
            "module": "keras.utils",
            "registered_name": "get_file",
        },
        {"class_name": "function", "config": "eval", "module": "builtins", "registered_name": "eval"},
        {"class_name": "load_model", "config": {}, "module": "keras.models", "registered_name": None},
        {"class_name": "Dense", "config": {}, "module": "subprocess", "registered_name": None},
        {"class_name": ["Dense"], "config": {}},
    ],
)
def test_functions_from_anywhere(activation: dict[str, Any], tmp_path: Path) -> None:
    def smuggle(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["activation"] = activation

    constant([0.0, 1.0]).save(tmp_path / "model.keras")
    edit_config(tmp_path / "model.keras", smuggle)
    with pytest.raises(BundleError, match=r"no (layer of Keras|Keras model)"):
        import_bundle(tmp_path / "model.keras", tmp_path / "bundle", COVID_NORMAL)


def my_loss(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(y_true - y_pred)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_what_only_training_needs_may_be_anything(suffix: str, tmp_path: Path, started: Runtime) -> None:
    class MyInitializer(keras.initializers.Constant):  # type: ignore[misc]
        pass

    class MyRegularizer(keras.regularizers.L2):  # type: ignore[misc]
        pass

    model = keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(2, 3, kernel_initializer=MyInitializer(0.1), kernel_regularizer=MyRegularizer(0.1)),
            layers.Flatten(),
            layers.Dense(2, "softmax", kernel_initializer="zeros"),
        ]
    )
    model.compile("adam", my_loss)
    (row,) = scores(imported(model, tmp_path, COVID_NORMAL, suffix), started)
    assert row == pytest.approx((0.5, 0, 0.5))


def test_arithmetic_of_keras_between_layers_is_let_through(tmp_path: Path, started: Runtime) -> None:
    inputs = layers.Input((16, 16, 3))
    mean = layers.GlobalAveragePooling2D()(inputs / 255.0)
    outputs = layers.Dense(2, "softmax")(mean)
    model = keras.Model(inputs, outputs)
    model.layers[-1].set_weights([np.tile([0.0, np.log(3) / 3], (3, 1)), np.zeros(2)])
    (row,) = scores(imported(model, tmp_path, COVID_NORMAL), started, np.full((1, 16, 16), 255, np.uint8))
    assert row == pytest.approx((0.25, 0, 0.75), abs=1e-6)


# Older files


def legacy_layer(layer: keras.Layer, **more: Any) -> dict[str, Any]:
    """As Keras 2 described a layer."""
    config = {
        key: value
        for key, value in layer.get_config().items()
        if not key.endswith(("initializer", "regularizer", "constraint")) and key != "dtype"
    }
    old = {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "distribution": "uniform", "dtype": "float32"},
    }
    return {
        "class_name": type(layer).__name__,
        "config": config | {"dtype": "float32", "kernel_initializer": old} | more,
    }


@pytest.fixture
def keras_2() -> keras.Model:
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.BatchNormalization(axis=3),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(
                2, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=0.05)
            ),
        ]
    )
    model.layers[2].set_weights([np.full(4, 2.0), np.ones(4), np.full(4, 3.0), np.full(4, 99.0)])
    return model


def keras_2_layers(model: keras.Model) -> list[dict[str, Any]]:
    conv, depthwise, norm, pool, flatten, dense = model.layers
    return [
        legacy_layer(conv, batch_input_shape=[None, 32, 32, 3]),
        legacy_layer(depthwise, groups=1),
        *({"class_name": "BatchNormalization", "config": norm.get_config() | {"axis": [3], "dtype": "float32"}},),
        *({"class_name": type(layer).__name__, "config": layer.get_config() | {"dtype": "float32"}}
          for layer in (pool, flatten)),
        legacy_layer(dense),
    ]  # fmt: skip


def as_list(model: keras.Model) -> dict[str, Any]:
    """Before Keras 2.2.3."""
    return {"class_name": "Sequential", "config": keras_2_layers(model)}


def as_named(model: keras.Model) -> dict[str, Any]:
    """Keras 2.2.3 to 2.3."""
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": keras_2_layers(model)}}


def with_input_layer(model: keras.Model) -> dict[str, Any]:
    """Keras 2.4 and later."""
    config = {
        "batch_input_shape": [None, 32, 32, 3],
        "dtype": "float32",
        "sparse": False,
        "name": "conv2d_input",
    }
    first = {"class_name": "InputLayer", "config": config}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [first, *keras_2_layers(model)]}}


def as_functional(model: keras.Model) -> dict[str, Any]:
    """A functional model of Keras 2, with the tensors at its ends in lists."""
    described = with_input_layer(model)["config"]["layers"]
    names = [layer["config"]["name"] for layer in described]
    before = [[], *([[[name, 0, 0, {}]]] for name in names)]
    nodes = [
        layer | {"name": name, "inbound_nodes": inbound}
        for layer, name, inbound in zip(described, names, before, strict=False)
    ]
    ends = {"input_layers": [[names[0], 0, 0]], "output_layers": [[names[-1], 0, 0]]}
    return {"class_name": "Model", "config": {"name": "model_1", "layers": nodes, **ends}}


@pytest.mark.parametrize("describe", [as_list, as_named, with_input_layer, as_functional])
def test_files_of_keras_2(
    describe: Callable[[keras.Model], dict[str, Any]], keras_2: keras.Model, tmp_path: Path, started: Runtime
) -> None:
    keras_2.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["model_config"] = json.dumps(describe(keras_2)).encode()
        file.attrs["keras_version"] = b"2.3.1"
    bundle = import_bundle(tmp_path / "model.h5", tmp_path / "bundle", COVID_NORMAL)
    pixels = pictures(6, side=32)
    own = np.asarray(keras_2(in_three_channels(pixels)))
    assert np.ptp(own[:, 0]) > 0.1
    np.testing.assert_allclose(scores(bundle, started, pixels)[:, [0, 2]], own, atol=1e-6)


# Models that do not fit


def any_size() -> keras.Model:
    inputs = layers.Input((None, None, 3))
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(inputs)))


def two_inputs() -> keras.Model:
    a, b = layers.Input((16, 16, 3)), layers.Input((16, 16, 3))
    return keras.Model([a, b], layers.Dense(2)(layers.Flatten()(layers.Add()([a, b]))))


def two_outputs() -> keras.Model:
    inputs = layers.Input((16, 16, 3))
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(2)(flat), layers.Dense(2)(flat)])


def segmentation() -> keras.Model:
    inputs = layers.Input((16, 16, 3))
    return keras.Model(inputs, layers.Conv2D(2, 1)(inputs))


def tabular() -> keras.Model:
    return keras.Sequential([layers.Input((7,)), layers.Dense(2)])


def four_channels() -> keras.Model:
    return keras.Sequential([layers.Input((16, 16, 4)), layers.Flatten(), layers.Dense(2)])


def channels_first() -> keras.Model:
    return keras.Sequential([layers.Input((3, 16, 16)), layers.Flatten(), layers.Dense(2)])


def four_pixels() -> keras.Model:
    return keras.Sequential([layers.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (any_size, "--size"),
        (two_inputs, "expected one image"),
        (tabular, "expected one image"),
        (four_channels, "4 channels"),
        (channels_first, "16 channels"),
        (two_outputs, "expected one score per label"),
        (segmentation, "expected one score per label"),
        (four_pixels, "4×4"),
    ],
)
def test_networks_of_another_shape(build: Callable[[], keras.Model], message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        imported(build(), tmp_path, COVID_NORMAL)


@pytest.mark.parametrize(
    ("n_outputs", "labels", "message"),
    [
        (3, ("covid", "normal"), "3 outputs for 2 labels"),
        (2, ("covid", "pneumonia", "normal"), "2 outputs for 3 labels"),
        (1, ("covid", "pneumonia", "normal"), "1 outputs for 3 labels"),
    ],
)
def test_wrong_number_of_outputs(
    n_outputs: int, labels: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=message):
        imported(constant([0.0] * n_outputs), tmp_path, ImportSpec(labels=labels))


def test_size_of_a_network_for_any_size(tmp_path: Path, started: Runtime) -> None:
    bundle = imported(any_size(), tmp_path, ImportSpec(labels=("covid", "normal"), size=(48, 64)))
    assert (bundle.preprocess.height, bundle.preprocess.width) == (48, 64)
    assert scores(bundle, started).sum() == pytest.approx(1)


def test_size_that_contradicts_the_network(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="takes 16×16 pixels, and --size says 32×32"):
        imported(constant([0.0, 0.0]), tmp_path, ImportSpec(labels=("covid", "normal"), size=(32, 32)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("covid",), "what it is told from"),
        (("pneumonia", "normal"), "name covid"),
        (("covid", "covid"), "what it is told from"),
        (("covid", "ignore"), "what it is told from"),
        (("normal", "ignore", "pneumonia"), "name covid"),
        (("covid", "healthy"), "healthy: choose from covid, pneumonia, normal, ignore"),
        (("",), "choose from"),
    ],
)
def test_labels_that_cannot_be(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageProblem, match=message):
        ImportSpec(labels=labels)


@pytest.mark.parametrize("text", ["224", "224x", "ax b", "-1x5", ""])
def test_size_that_is_none(text: str) -> None:
    with pytest.raises(UsageProblem, match="such as 224x224"):
        parse_size(text)


def test_size_is_height_first() -> None:
    assert parse_size(" 224x160 ") == (224, 160)


# Files that are no models


def weights_only(folder: Path) -> Path:
    with h5py.File(folder / "w.h5", "w") as file:
        file.create_group("model_weights")
    return folder / "w.h5"


def truncated_h5(folder: Path) -> Path:
    constant([0.0, 1.0]).save(folder / "t.h5")
    data = (folder / "t.h5").read_bytes()
    (folder / "t.h5").write_bytes(data[: len(data) // 2])
    return folder / "t.h5"


def truncated_keras(folder: Path) -> Path:
    constant([0.0, 1.0]).save(folder / "t.keras")
    data = (folder / "t.keras").read_bytes()
    (folder / "t.keras").write_bytes(data[: len(data) // 2])
    return folder / "t.keras"


def other_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "z.keras", "w") as archive:
        archive.writestr("letter.txt", "dear model")
    return folder / "z.keras"


def without_weights(folder: Path) -> Path:
    constant([0.0, 1.0]).save(folder / "m.keras")
    with zipfile.ZipFile(folder / "m.keras") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("config.json", config)
    return folder / "m.keras"


def strange_config(content: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "s.keras", "w") as archive:
            archive.writestr("config.json", json.dumps(content))
        return folder / "s.keras"

    return make


def text_file(folder: Path) -> Path:
    (folder / "corona.h5").write_text("git lfs pointer")
    return folder / "corona.h5"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text_file, "neither HDF5"),
        (weights_only, "weights only"),
        (truncated_h5, "no Keras model"),
        (truncated_keras, "no Keras model"),
        (other_zip, "no Keras model"),
        (without_weights, "no Keras model"),
        (strange_config([1, 2]), "no Keras model"),
        (strange_config({"class_name": "Sequential", "config": None}), "no Keras model"),
        (strange_config({"class_name": "Sequential", "config": {"layers": []}}), "no Keras model"),
        (lambda folder: folder / "nothing.h5", "No such file"),
        (lambda folder: folder, "is a folder; name the model file"),
    ],
)
def test_files_that_are_no_models(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=message):
        import_bundle(make(tmp_path), tmp_path / "bundle", COVID_NORMAL)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    constant([0.0, 1.0]).save(tmp_path / "model.keras")
    with pytest.raises(UsageProblem, match="no bundle"):
        import_bundle(tmp_path / "model.keras", tmp_path / "thesis", COVID_NORMAL)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"

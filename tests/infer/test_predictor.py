"""Batches through the network."""

import dataclasses
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import phantom
import pytest
from numpy.typing import NDArray

from cxrbatch.bundle.bundle import Bundle, load_bundle
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.infer import runtime
from cxrbatch.infer.predictor import KerasPredictor, score_images
from cxrbatch.infer.runtime import Device, Precision, Runtime
from cxrbatch.preprocess import PreprocessSpec, preprocess
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageScore, ModelInput
from tests.bundle.test_bundle import rewrite
from tests.factories.records import header


@pytest.fixture(scope="module")
def started() -> Runtime:
    return runtime.start_runtime(Device.CPU)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


def pictures(n: int) -> NDArray[np.uint8]:
    """Pictures of different brightness and texture, so that their scores differ."""
    rng = np.random.default_rng(5)
    scale = rng.integers(20, 256, (n, 1, 1))
    return (rng.random((n, 64, 64)) * scale).astype(np.uint8)


def predictions(
    bundle: Bundle, started: Runtime, batch_size: int, pixels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    return KerasPredictor(bundle, started, batch_size)({"pixels": pixels})["scores"]


def test_scores_are_those_of_the_network(bundle: Bundle, started: Runtime) -> None:
    model = started.tensorflow.keras.models.load_model(bundle.model_path)
    pixels = pictures(5)
    expected = np.asarray(model(pixels[..., np.newaxis].astype(np.float32)))
    np.testing.assert_allclose(predictions(bundle, started, 2, pixels), expected, atol=1e-5)
    assert np.ptp(expected[:, 0]) > 0.05  # else the other tests here could not fail


def test_neighbours_and_place_in_the_batch_change_no_bit(bundle: Bundle, started: Runtime) -> None:
    pixels = pictures(21)
    together = predictions(bundle, started, 8, pixels)
    alone = np.concatenate([predictions(bundle, started, 8, pixels[i : i + 1]) for i in range(21)])
    backwards = predictions(bundle, started, 8, pixels[::-1])[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, backwards)


_SCORE_HASH = """
import hashlib, sys
import numpy as np
from phantom import radiograph
from cxrbatch.bundle import load_bundle
from cxrbatch.infer import KerasPredictor, start_runtime

bundle = load_bundle()
size = bundle.preprocess.height, bundle.preprocess.width
films = [radiograph(*size, seed=seed) for seed in range(4)]
pixels = np.stack([np.rint(255 * film ** (0.7 + 0.1 * turn)).astype(np.uint8) for film in films for turn in range(3)])
predictor = KerasPredictor(bundle, start_runtime(n_threads=int(sys.argv[1])), batch_size=8)
print(hashlib.sha256(predictor({"pixels": pixels})["scores"].tobytes()).hexdigest())
"""


def test_threads_change_no_bit() -> None:
    """Of the shipped network; TensorFlow takes its number of threads once for a process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "sample_data")}
    found = {
        subprocess.check_output(
            [sys.executable, "-c", _SCORE_HASH, n_threads], env=environment, stderr=subprocess.DEVNULL
        )
        for n_threads in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_changes_next_to_nothing(bundle: Bundle, started: Runtime, batch_size: int) -> None:
    pixels = pictures(70)
    expected = predictions(bundle, started, 16, pixels)
    actual = predictions(bundle, started, batch_size, pixels)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert np.array_equal(actual[:, 0].argsort(), expected[:, 0].argsort())


def test_a_batch_that_does_not_fit_is_halved(
    bundle: Bundle, started: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = KerasPredictor(bundle, started, 16)
    pixels = pictures(20)
    expected = predictor({"pixels": pixels})["scores"]
    score, sizes = KerasPredictor._score, []

    def small_device(self: KerasPredictor, chunk: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(self.batch_size)
        if self.batch_size > 4:
            raise started.tensorflow.errors.ResourceExhaustedError(None, None, "out of memory")
        return score(self, chunk)

    monkeypatch.setattr(KerasPredictor, "_score", small_device)
    np.testing.assert_allclose(predictor({"pixels": pixels})["scores"], expected, atol=1e-5)
    assert sizes == [16, 8, 4, 4, 4, 4, 4]
    assert predictor.batch_size == 4


def test_a_device_too_small_for_one_image(
    bundle: Bundle, started: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise started.tensorflow.errors.ResourceExhaustedError(None, None, "out of memory")

    monkeypatch.setattr(KerasPredictor, "_score", full)
    with pytest.raises(MemoryError):
        KerasPredictor(bundle, started, 4)({"pixels": pictures(1)})


@pytest.mark.parametrize("precision", [Precision.MIXED_BFLOAT16, Precision.MIXED_FLOAT16])
def test_mixed_precision_moves_scores_a_little(
    bundle: Bundle, started: Runtime, precision: Precision
) -> None:
    mixed = Runtime(
        tensorflow=started.tensorflow, device="CPU", precision=precision, batch_size=started.batch_size
    )
    pixels = pictures(8)
    difference = np.abs(predictions(bundle, mixed, 8, pixels) - predictions(bundle, started, 8, pixels))
    assert 0 < difference.max() < 0.05


@pytest.mark.parametrize("precision", [Precision.MIXED_FLOAT16, Precision.MIXED_BFLOAT16])
def test_the_shipped_network_finds_the_same_lungs_in_half_precision(
    started: Runtime, precision: Precision
) -> None:
    films = [phantom.radiograph(320, 320, seed=seed) for seed in range(4)]
    images = np.stack([preprocess(film, load_bundle().preprocess) for film in films])
    full, half = (
        KerasPredictor(load_bundle(), dataclasses.replace(started, precision=each), batch_size=4)(
            {"pixels": images}
        )["scores"]
        for each in (Precision.FLOAT32, precision)
    )
    assert half == pytest.approx(full, abs=0.05)


def test_the_key_travels_with_the_pixels(started: Runtime) -> None:
    """A predictor that reads the picture's number back from its pixels must find it under that picture's name."""
    inputs = [
        ModelInput(name=f"{i}.png", header=header(str(i)), pixels=np.full((4, 4), i, np.uint8))
        for i in range(50)
    ]

    def read_back(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        number = arrays["pixels"][:, 0, 0] / np.float32(100)
        return {"scores": np.stack([number, 1 - number, 0 * number], axis=1)}

    keyed = ((image.name.upper(), image) for image in inputs)
    found = list(score_images(keyed, read_back, 8, started))
    scores = [image for _, image in found if isinstance(image, ImageScore)]
    assert [key for key, _ in found] == [image.name.upper() for image in inputs]
    assert [image.name for image in scores] == [image.name for image in inputs]
    assert [round(image.scores[0] * 100) for image in scores] == list(range(50))
    assert [image.header.patient_id for image in scores] == [str(i) for i in range(50)]


def test_failures_pass_in_their_order(started: Runtime) -> None:
    """Among images, and in a row longer than any batch."""
    image = ModelInput(name="image", header=header("A"), pixels=np.zeros((4, 4), np.uint8))
    refused = Failure(name="refused", reason=Reason.CORRUPT)
    pair: list[ModelInput | Failure] = [refused, image]
    items = pair * 5 + [refused] * 1000 + [image]
    inputs = list(enumerate(items))

    def half(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"scores": np.full((len(arrays["pixels"]), 3), np.float32(0.5))}

    found = list(score_images(inputs, half, 3, started))
    assert [key for key, _ in found] == [key for key, _ in inputs]
    assert [outcome.name for _, outcome in found] == [item.name for _, item in inputs]
    assert [isinstance(outcome, Failure) for _, outcome in found] == [item is refused for _, item in inputs]


def test_failures_without_end_are_handed_out(started: Runtime, bundle: Bundle) -> None:
    endless = ((n, Failure(name="a", reason=Reason.CORRUPT)) for n in itertools.count())
    found = score_images(endless, KerasPredictor(bundle, started), 8, started)
    assert [key for key, _ in itertools.islice(found, 600)] == list(range(600))


def test_no_images_no_scores(started: Runtime, bundle: Bundle) -> None:
    nothing: list[tuple[str, ModelInput]] = []
    assert list(score_images(nothing, KerasPredictor(bundle, started), 8, started)) == []


def test_gpu_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch, started: Runtime) -> None:
    monkeypatch.setattr(started.tensorflow.config, "list_physical_devices", lambda _: [])
    with pytest.raises(UsageProblem, match="no GPU"):
        runtime.start_runtime(Device.GPU)


def test_a_network_of_another_shape(tiny_bundle: Path, started: Runtime) -> None:
    from dataclasses import replace

    bundle = replace(load_bundle(tiny_bundle), preprocess=PreprocessSpec(height=32, width=32))
    with pytest.raises(BundleError, match="expected"):
        KerasPredictor(bundle, started)


def test_a_network_that_cannot_be_loaded(tiny_bundle: Path, started: Runtime, tmp_path: Path) -> None:
    """Somebody packed rubbish under a right hash."""
    broken = Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))
    (broken / "model.keras").write_bytes(b"nonsense")
    rewrite(broken)
    with pytest.raises(BundleError, match="cannot be loaded"):
        KerasPredictor(load_bundle(broken), started)


@pytest.mark.parametrize("through_tf_data", [False, True])
def test_the_device_is_kept_fed(started: Runtime, through_tf_data: bool) -> None:
    """A device that ends no batch before the next one is prepared never waits in vain."""
    n_images, batch_size = 40, 8
    prepared, changed = [0], threading.Condition()
    batches: list[tuple[int, bool]] = []

    def inputs() -> Iterator[tuple[int, ModelInput]]:
        for number, pixels in enumerate(pictures(n_images)):
            with changed:
                prepared[0] += 1
                changed.notify()
            yield number, ModelInput(name=str(number), header=header("A"), pixels=pixels)

    def device(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        n, wanted = len(arrays["pixels"]), min((len(batches) + 2) * batch_size, n_images)
        with changed:
            is_fed = changed.wait_for(lambda: prepared[0] >= wanted, timeout=20)
        batches.append((n, is_fed))
        return {"scores": np.full((n, 3), np.float32(0.5))}

    list(score_images(inputs(), device, batch_size, started if through_tf_data else None))
    assert batches == [(batch_size, True)] * 5

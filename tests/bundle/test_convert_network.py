"""A network for LiteRT has the scores of the original, or there is none."""

import dataclasses
import json
import logging
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

from cxrbatch._lib.litert import open_network
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.bundle.convert_network import convert_bundle, convert_if_possible, convert_network
from cxrbatch.bundle.convert_network import test_images as draw_images
from cxrbatch.bundle.overview import describe
from cxrbatch.errors import BundleError, UsageProblem
from tests.bundle.test_bundle import rewrite


@pytest.fixture
def strange_network(tmp_path: Path) -> Path:
    """A network with an operation that LiteRT does not have."""
    radiograph = keras.layers.Input((32, 32, 1))
    turn = np.array([[0.9, 0.1, 0, -0.1, 0.9, 0, 0, 0]], np.float32)
    turned = keras.ops.image.affine_transform(radiograph, turn, data_format="channels_last")
    scores = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(turned))
    keras.Model(radiograph, scores).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_bundle_with_both_networks_is_the_same_but_for_its_hash(
    tiny_bundle: Path, lite_bundle: Path
) -> None:
    before, after = load_bundle(tiny_bundle), load_bundle(lite_bundle)
    assert (before.agreement, before.lite_path) == (None, None)
    assert after.agreement
    assert after.agreement.largest_difference <= 1e-5
    assert after.sha256 != before.sha256
    assert dataclasses.replace(after, path=before.path, sha256=before.sha256, agreement=None) == before
    for file in ("model.keras", "gate.npz"):
        assert (lite_bundle / file).read_bytes() == (tiny_bundle / file).read_bytes()
    stated = [json.loads((path / "bundle.json").read_text())["format"] for path in (tiny_bundle, lite_bundle)]
    assert stated == [1, 2]
    assert dict(describe(before))["runtimes"] == "TensorFlow"
    assert dict(describe(after))["runtimes"].startswith(
        "TensorFlow, LiteRT (scores of 24 test images differ by"
    )
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=lite_bundle, check=True)


def test_the_same_network_gives_the_same_bytes(lite_bundle: Path) -> None:
    bundle = load_bundle(lite_bundle)
    assert bundle.lite_path
    assert convert_network(bundle.model_path).content == bundle.lite_path.read_bytes()


def test_a_bundle_may_be_converted_in_its_place(lite_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(lite_bundle)
    once = convert_bundle(bundle, tmp_path / "b")
    with pytest.raises(UsageProblem, match="--force"):
        convert_bundle(once, once.path, replace=False)
    assert convert_bundle(once, once.path).sha256 == bundle.sha256


def test_an_operation_that_litert_does_not_have_leaves_the_bundle_to_tensorflow(
    strange_network: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BundleError, match="cannot be converted for LiteRT"):
        convert_network(strange_network)
    with caplog.at_level(logging.WARNING):
        assert convert_if_possible(strange_network) is None
    assert caplog.messages[-1].endswith("it runs on TensorFlow only")


@pytest.mark.parametrize("wrong", [0.001, float("nan")])
def test_scores_that_differ_are_no_conversion(
    wrong: float, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cxrbatch.bundle.convert_network.open_network",
        lambda *given: lambda image: (open_network(*given)(image)[0] + np.float32(wrong),),
    )
    with pytest.raises(BundleError, match="differ by"):
        convert_bundle(load_bundle(tiny_bundle), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_images_to_compare_with_differ_and_are_the_same_everywhere() -> None:
    images = draw_images(40, 24)
    assert images.shape == (24, 40, 24, 1)
    assert np.array_equal(images, draw_images(40, 24))
    assert (images[0].max(), images[1].min()) == (0, 255)
    assert len({image.tobytes() for image in images}) == 24


@pytest.mark.parametrize(
    ("number", "message"),
    [(1, "format 1 with the files of format 2"), (3, "format 3, this version reads formats 1 and 2")],
)
def test_format_and_files_must_fit(number: int, message: str, lite_bundle: Path, tmp_path: Path) -> None:
    copy = convert_bundle(load_bundle(lite_bundle), tmp_path / "b").path
    stated = json.loads((copy / "bundle.json").read_text()) | {"format": number}
    (copy / "bundle.json").write_text(json.dumps(stated))
    rewrite(copy)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)

"""LiteRT scores as TensorFlow does, and without it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch.bundle import Bundle, convert_bundle, load_bundle, load_network
from cxrbatch.errors import BundleError
from cxrbatch.explain import explain
from cxrbatch.infer import KerasPredictor, RuntimeChoice, start_network, start_runtime
from cxrbatch.infer.litert import LitePredictor
from cxrbatch.infer.runtime import Device
from cxrbatch.prediction import predict
from cxrbatch.records import ImageScore
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.screening.run import _settings
from tests.bundle.test_bundle import rewrite
from tests.infer.test_predictor import pictures

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.litert


@pytest.fixture(scope="module")
def bundle(lite_bundle: Path) -> Bundle:
    return load_bundle(lite_bundle)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped bundle, in format 2."""
    return convert_bundle(load_bundle(), tmp_path_factory.mktemp("shipped") / "bundle")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve phantoms of different exposure, a blank image and a note."""
    folder = tmp_path_factory.mktemp("films")
    phantom = radiograph(320, 280, seed=7)
    for number in range(12):
        pixels = np.rint(255 * phantom ** (0.7 + 0.03 * number)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    Image.fromarray(np.zeros((300, 300), np.uint8)).save(folder / "blank.png")
    (folder / "note.txt").write_text("no image")
    return folder


def test_scores_are_those_of_tensorflow(bundle: Bundle) -> None:
    pixels = pictures(40)
    expected = KerasPredictor(bundle, start_runtime(Device.CPU))({"pixels": pixels})["scores"]
    found = LitePredictor(bundle)({"pixels": pixels})["scores"]
    assert found.shape == (40, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected[:, 0]) > 0.05


@pytest.mark.parametrize("n_at_once", [1, 2, 4])
def test_neighbours_and_copies_change_no_bit(n_at_once: int, bundle: Bundle) -> None:
    pixels = pictures(21)
    together = LitePredictor(bundle)({"pixels": pixels})["scores"]
    predictor = LitePredictor(bundle, n_at_once)
    alone = np.concatenate([predictor({"pixels": pixels[i : i + 1]})["scores"] for i in range(21)])
    assert np.array_equal(together, alone)
    assert np.array_equal(predictor({"pixels": pixels[::-1]})["scores"][::-1], together)
    assert predictor({"pixels": pixels[:0]})["scores"].shape == (0, 3)


@pytest.mark.parametrize(("n_processors", "n_at_once"), [(1, 1), (2, 2), (4, 3), (16, 9)])
def test_more_than_half_of_the_processors_score(n_processors: int, n_at_once: int, bundle: Bundle) -> None:
    network = start_network(bundle, runtime=RuntimeChoice.LITERT, n_processors=n_processors)
    assert isinstance(network.predictor, LitePredictor)
    assert network.predictor.n_at_once == n_at_once


def test_a_night_names_its_runtime_and_differs_in_the_last_digits_only(bundle: Bundle, films: Path) -> None:
    options = ScreenOptions(bundle=bundle.path)
    by = {name: screen(films, options=options, runtime=name) for name in ("auto", "litert", "tensorflow")}
    assert by["auto"].images == by["litert"].images
    assert by["auto"].failures == by["tensorflow"].failures
    names = {name: run.provenance.runtime.split()[0] for name, run in by.items()}
    assert names == {"auto": "LiteRT", "litert": "LiteRT", "tensorflow": "TensorFlow"}
    assert by["auto"].provenance.batch_size == 1
    pairs = zip(by["litert"].images, by["tensorflow"].images, strict=True)
    assert (
        max(abs(a - b) for one, other in pairs for a, b in zip(one.scores, other.scores, strict=True)) <= 1e-5
    )
    assert by["litert"].n_scored == 12


def test_maps_of_the_shipped_network_are_those_of_tensorflow(shipped: Bundle) -> None:
    size = shipped.preprocess.height, shipped.preprocess.width
    pixels = np.stack([np.rint(radiograph(*size, seed=seed) * 255).astype(np.uint8) for seed in range(3)])
    predictor = LitePredictor(shipped)
    assert predictor.explains
    found, expected = (list(explain(pixels, by)) for by in (predictor, load_network(shipped.model_path)))
    for one, other in zip(found, expected, strict=True):
        assert one.strengths.keys() == other.strengths.keys() == {"abnormal", "covid"}
        for question, strength in other.strengths.items():
            np.testing.assert_allclose(one.strengths[question], strength, atol=1e-2)
        assert one.outside_lungs == pytest.approx(other.outside_lungs, abs=1e-2)


def test_a_network_without_evidence_is_explained_by_tensorflow(bundle: Bundle, shipped: Bundle) -> None:
    assert isinstance(start_network(shipped).explained_by, LitePredictor)
    network = start_network(bundle)
    assert isinstance(network.predictor, LitePredictor)
    assert network.explained_by.output_shape == (None, 3)


def test_single_images_have_the_scores_of_the_night(bundle: Bundle, films: Path) -> None:
    night = {image.name: image.scores for image in screen(films, bundle=bundle.path).images}
    paths = sorted(films.glob("??.png"), reverse=True)
    found = {
        Path(outcome.name).name: outcome.scores
        for outcome in predict(paths, bundle)
        if isinstance(outcome, ImageScore)
    }
    assert found == night


def test_the_runtime_is_a_setting(bundle: Bundle, tiny_bundle: Path) -> None:
    """A state reads files again when it changes, and not where ``auto`` chooses what was asked for."""
    options = ScreenOptions(bundle=bundle.path)
    by = {name: _settings(bundle, options.with_changes(runtime=name)) for name in RuntimeChoice}
    assert by[RuntimeChoice.AUTO] == by[RuntimeChoice.LITERT] != by[RuntimeChoice.TENSORFLOW]
    only_tensorflow = load_bundle(tiny_bundle)
    assert _settings(only_tensorflow, options) == _settings(
        only_tensorflow, options.with_changes(runtime="tensorflow")
    )


def test_tensorflow_is_not_imported(shipped: Bundle, films: Path, tmp_path: Path) -> None:
    """By a whole night with its page and its maps."""
    code = f"""
import json, sys
from cxrbatch import screen
if __name__ == "__main__":
    run = screen({str(films)!r}, {str(tmp_path / "night.csv")!r}, bundle={str(shipped.path)!r}, n_workers=1)
    heavy = {{"tensorflow", "keras", "h5py", "pandas", "jax"}} & sys.modules.keys()
    print(json.dumps([run.n_scored, sorted(heavy)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (json.loads(done.stdout), done.stderr) == ([12, []], "")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_rubbish_under_a_right_hash_ends_the_run(content: bytes, bundle: Bundle, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bundle.path, tmp_path / "broken"))
    (broken / "model.tflite").write_bytes(content)
    rewrite(broken)
    with pytest.raises(BundleError, match="network for LiteRT cannot be loaded"):
        start_network(load_bundle(broken))


def test_a_network_of_another_shape(bundle: Bundle, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle.path, tmp_path / "other"))
    stated = json.loads((other / "bundle.json").read_text())
    stated["preprocess"] |= {"height": 32}
    (other / "bundle.json").write_text(json.dumps(stated))
    rewrite(other)
    with pytest.raises(BundleError, match="network for LiteRT cannot be loaded"):
        LitePredictor(load_bundle(other))

"""The network that reads the lung: its features, heads, evidence, export and training, with a random backbone."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.bundle import explainable, load_network, scores_only
from cxrbatch.bundle.convert_network import convert_network
from cxrbatch.datasets import LungSpec
from cxrbatch.datasets.loading import Dataset
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation import compute_features
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.efficientnet import BLOCKS, random_weights, set_backbone
from cxrbatch.training.ensemble import Ensemble
from cxrbatch.training.export import export_scores
from cxrbatch.training.fit import fit
from cxrbatch.training.lung_crop import CELL_PX, lung_crop
from cxrbatch.training.lung_network import build_lung_logits
from cxrbatch.training.lungs import build_segmenter, with_mirror_image
from cxrbatch.training.recipe import FitSpec, NetworkSpec, TrainRecipe
from cxrbatch.training.start import fit_within_domains, start_heads
from tests.factories.collections import case, collection

SPEC = NetworkSpec(architecture="lung", size_px=64, dropout=0.0, first_trainable=10, ridge=1.0)
RECIPE = TrainRecipe(
    name="tiny",
    sources=(),
    preprocess=PreprocessSpec(height=64, width=64),
    lungs=LungSpec(images="images", masks="masks"),
    network=SPEC,
    fit=FitSpec(steps=6, abnormal_pairs=3, covid_pairs=2, schedule="cosine", warmup_steps=2, average=0.5),
)
WEIGHTS = random_weights()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return collection(3, size=64)


@pytest.fixture(scope="module")
def boxes(data: Dataset) -> NDArray[np.uint8]:
    """Grey values, and a lung probability of two stripes."""
    lungs = np.zeros_like(data.images)
    lungs[:, 8:56, 8:28] = lungs[:, 8:56, 36:56] = 255
    return np.stack([data.images, lungs], axis=-1)


@pytest.fixture(scope="module")
def network(data: Dataset, boxes: NDArray[np.uint8]) -> keras.Model:
    network = build_lung_logits(RECIPE.preprocess, SPEC)
    set_backbone(network, WEIGHTS)
    start_heads(network, boxes, data.cases, SPEC)
    return network


def test_the_blocks_are_those_of_the_paper() -> None:
    assert [block.channels for block in BLOCKS] == [
        *(16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
    ]
    assert [block.number for block in BLOCKS if block.strides == 2] == [1, 3, 5, 11]
    assert [block.number for block in BLOCKS if block.kernel == 5] == [3, 4, 8, 9, 10, 11, 12, 13, 14]


def test_only_the_named_blocks_and_the_heads_are_trained(network: keras.Model) -> None:
    trained = {weight.path.split("/")[0] for weight in network.trainable_weights}
    assert {name.split("_")[0] for name in trained} == {*(f"block{n}" for n in range(10, 16)), "logits"}
    assert not any("normalise" in name or "standardise" in name for name in trained)


def test_what_lies_outside_the_lungs_counts_for_almost_nothing(
    network: keras.Model, boxes: NDArray[np.uint8]
) -> None:
    inside = boxes[:1].astype(np.float32)
    features = keras.Model(network.input, network.get_layer("lung_features").output)
    whole = inside.copy()
    whole[..., 1] = 255
    assert np.abs(features(inside).numpy() - features(whole).numpy()).max() > 0.01
    empty = inside.copy()
    empty[..., 1] = 0  # no lung found: the whole box counts
    assert features(empty).numpy() == pytest.approx(features(whole).numpy(), abs=1e-3)


def test_features_are_standardised_and_the_start_ranks_within_domains(
    network: keras.Model, data: Dataset, boxes: NDArray[np.uint8]
) -> None:
    features = keras.Model(network.input, network.get_layer("lung_features").output)
    found = features(boxes.astype(np.float32)).numpy()
    spread = found.std(axis=0)
    assert np.abs(found.mean(axis=0)).max() < 0.05
    assert np.median(spread) == pytest.approx(1, abs=0.05)
    logits = network(boxes.astype(np.float32)).numpy()[:, 0]
    for domain in ("north", "south"):
        ill, well = (
            logits[[one.domain == domain and (one.label != "normal") is kind for one in data.cases]]
            for kind in (True, False)
        )
        assert ill.mean() > well.mean()


def test_heads_learn_only_within_domains() -> None:
    rng = np.random.default_rng(0)
    domains = ["a"] * 40 + ["b"] * 40
    labels = (["covid"] * 35 + ["normal"] * 5) + (["covid"] * 5 + ["normal"] * 35)
    cases = [
        case(f"{domain}/{index}", label, domain)
        for index, (domain, label) in enumerate(zip(domains, labels, strict=True))
    ]
    ill = np.array([label == "covid" for label in labels], float)
    place = np.array([domain == "a" for domain in domains], float)
    features = np.column_stack([place * 10, ill + rng.normal(0, 0.1, 80)])
    kernel = fit_within_domains(features, cases, 0, ridge=0.1)
    assert abs(kernel[0]) < 1e-6 < kernel[1]
    assert (fit_within_domains(features, cases, 1, ridge=0.1) == 0).all()


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "mirrored"])
def exported(
    network: keras.Model, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Ensemble, keras.Model]:
    keras.utils.set_random_seed(0)
    segmenter = build_segmenter(RECIPE.preprocess, 4)
    if request.param:
        segmenter = with_mirror_image(segmenter, 4)
    ensemble = Ensemble(
        crop=lung_crop(segmenter, 0.08, SPEC.size_px),
        members=(network, _other(network)),
        mirrored=request.param,
    )
    path = tmp_path_factory.mktemp("bundle") / "model.keras"
    export_scores(ensemble, LINES, SPEC).save(path)
    return ensemble, load_network(path)


LINES = Calibration(
    abnormal=Line(slope=2.0, intercept=0.3), covid_given_abnormal=Line(slope=0.5, intercept=-0.1)
)


def _other(network: keras.Model) -> keras.Model:
    other = build_lung_logits(RECIPE.preprocess, SPEC)
    other.set_weights(network.get_weights())
    kernel, bias = other.get_layer("logits").get_weights()
    other.get_layer("logits").set_weights([-kernel / 2, bias + 1])
    return other


def test_the_exported_network_scores_as_its_ensemble(
    exported: tuple[Ensemble, keras.Model], data: Dataset
) -> None:
    ensemble, loaded = exported
    expected = LINES.scores(ensemble.logits(data.images).mean(axis=0))
    images = data.images[..., None].astype(np.float32)
    assert loaded(images)["scores"].numpy() == pytest.approx(expected, abs=1e-5)
    assert scores_only(loaded)(images).numpy() == pytest.approx(expected, abs=1e-5)
    assert scores_only(scores_only(loaded)).output.shape == (None, 3)


def test_it_can_be_converted_for_litert(exported: tuple[Ensemble, keras.Model], tmp_path: Path) -> None:
    """`convert_network` refuses scores that differ by more than 1e-5."""
    exported[1].save(tmp_path / "model.keras")
    assert convert_network(tmp_path / "model.keras").content


def test_the_evidence_of_all_places_is_the_logit(
    exported: tuple[Ensemble, keras.Model], data: Dataset
) -> None:
    _, loaded = exported
    found: Mapping[str, NDArray[np.float32]] = {
        name: tensor.numpy() for name, tensor in loaded(data.images[..., None].astype(np.float32)).items()
    }
    assert found["evidence"].shape == (len(data.images), 16, 16, 2)
    abnormal, covid = found["evidence"].astype(np.float64).sum(axis=(1, 2)).T
    p, q = 1 / (1 + np.exp(-abnormal)), 1 / (1 + np.exp(-covid))
    assert found["scores"] == pytest.approx(np.stack([p * q, p * (1 - q), 1 - p], axis=1), abs=1e-4)


def test_the_lungs_that_it_finds_can_be_looked_at(
    exported: tuple[Ensemble, keras.Model], data: Dataset
) -> None:
    ensemble, loaded = exported
    model = explainable(loaded)
    assert model is not None
    images = data.images[:3, ..., None].astype(np.float32)
    lungs, of_mirror_images = (model(each)["lungs"].numpy() for each in (images, images[:, :, ::-1]))
    assert lungs.shape == (3, images.shape[1] // CELL_PX, images.shape[2] // CELL_PX, 1)
    differ = np.abs(lungs - of_mirror_images[:, :, ::-1]).max()
    assert differ < 1e-5 if ensemble.mirrored else differ > 1e-3


def test_an_image_and_its_mirror_image_have_one_score_and_mirrored_evidence(
    boxes: NDArray[np.uint8], network: keras.Model
) -> None:
    """Of the box around the lungs: what finds the lungs need not be symmetrical."""
    seen = keras.Input(boxes.shape[1:])
    crop = keras.Model(seen, {"box": seen, "rows": _whole(seen), "columns": _whole(seen)})
    ensemble = Ensemble(crop=crop, members=(network,), mirrored=True)
    loaded = export_scores(ensemble, LINES, SPEC)
    found, mirror_found = (
        {name: tensor.numpy() for name, tensor in loaded(images.astype(np.float32)).items()}
        for images in (boxes, boxes[:, :, ::-1])
    )
    assert mirror_found["scores"] == pytest.approx(found["scores"], abs=1e-6)
    assert mirror_found["evidence"][:, :, ::-1] == pytest.approx(found["evidence"], abs=1e-6)
    apart = export_scores(Ensemble(crop=crop, members=(network,)), LINES, SPEC)(boxes.astype(np.float32))
    assert np.abs(apart["scores"].numpy() - found["scores"]).max() > 1e-4


def _whole(seen: keras.KerasTensor) -> keras.KerasTensor:
    """Start and length of a box that is the whole image."""
    return keras.ops.stack([0 * seen[:, 0, 0, 0], 0 * seen[:, 0, 0, 0] + float(SPEC.size_px)], axis=1)


def test_features_for_the_source_probe_are_the_lung_averages(
    exported: tuple[Ensemble, keras.Model], data: Dataset
) -> None:
    features = compute_features(scores_only(exported[1]), data.images[:2])
    assert features is not None
    assert features.shape == (2, 2 * (80 + 112 + 320))


def test_training_changes_what_may_be_trained_and_repeats_itself(
    data: Dataset, boxes: NDArray[np.uint8], tmp_path: Path
) -> None:
    said: list[str] = []
    options = TrainOptions(work=tmp_path, on_progress=said.append)
    first = fit(boxes, data.cases, RECIPE, 0, options, WEIGHTS)
    again = fit(boxes, data.cases, RECIPE, 0, None, WEIGHTS)
    taken = fit(boxes, data.cases, RECIPE, 0, options, WEIGHTS)
    assert [line.split()[2] for line in said] == ["trained", "taken"]
    for one, two, three in zip(first.get_weights(), again.get_weights(), taken.get_weights(), strict=True):
        assert (one == two).all()
        assert (one == three).all()
    untouched = WEIGHTS["_blocks.9._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    moved = WEIGHTS["_blocks.10._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    assert (first.get_layer("block9_depth_convolution").get_weights()[0] == untouched).all()
    assert (first.get_layer("block10_depth_convolution").get_weights()[0] != moved).any()


def test_weights_of_another_network_are_refused() -> None:
    network = build_lung_logits(RECIPE.preprocess, SPEC)
    missing = {name: array for name, array in WEIGHTS.items() if name != "_bn0.bias"}
    with pytest.raises(RecipeError, match="not those of EfficientNet-Lite0"):
        set_backbone(network, missing)
    with pytest.raises(RecipeError, match="not those of EfficientNet-Lite0"):
        set_backbone(network, {**WEIGHTS, "_conv_stem.weight": np.zeros((8, 3, 3, 3), np.float32)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 100}, "multiple of 32"),
        ({"size_px": 0}, "multiple of 32"),
        ({"taps": ()}, "taps must name"),
        ({"taps": (10, 7)}, "taps must name"),
        ({"taps": (7, 16)}, "taps must name"),
        ({"ridge": 0.0}, "ridge"),
        ({"weights": "/etc/passwd"}, "weights"),
        ({"weights": "../other.pth"}, "weights"),
    ],
)
def test_impossible_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPEC, **change)

"""Maps of the shipped network on phantoms, of made-up networks, and their colours."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import radiograph
from PIL import Image

from cxrbatch.bundle import DEFAULT_BUNDLE, explainable, load_bundle, load_network
from cxrbatch.explain import Explanation, explain, has_maps
from cxrbatch.explain.colours import to_png
from cxrbatch.preprocess import content_box, preprocess

Pixels = NDArray[np.uint8]
N_PHANTOMS = 10
SIZE_PX = 256
OPACITY_SD = 0.06
"""Standard deviation of the opacity, as a share of the side."""


@pytest.fixture(scope="module")
def network() -> Any:
    return load_network(DEFAULT_BUNDLE / "model.keras")


def _with_opacity(seed: int) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Draw a phantom with one soft, uneven opacity in a lung; second: its centre, as shares of the sides."""
    picture = radiograph(SIZE_PX, SIZE_PX, seed=seed)
    draw = np.random.default_rng(seed)
    y, x = draw.uniform(0.36, 0.50), draw.choice([0.33, 0.68]) + draw.uniform(-0.02, 0.02)
    down, across = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX
    spot = np.exp(-(((down - y) ** 2 + (across - x) ** 2) / (2 * OPACITY_SD**2)))
    texture = 1 + 0.25 * draw.standard_normal((SIZE_PX // 4, SIZE_PX // 4)).repeat(4, axis=0).repeat(
        4, axis=1
    )
    drawn = np.clip(picture + 0.3 * spot * texture, 0, 1).astype(np.float32)
    left, upper, right, lower = content_box(drawn, load_bundle(DEFAULT_BUNDLE).preprocess.trim_tolerance)
    return drawn, ((y * SIZE_PX - upper) / (lower - upper), (x * SIZE_PX - left) / (right - left))


@dataclass(frozen=True)
class Phantoms:
    """Inputs of the network with an opacity, without it, and where its centre is."""

    pixels: Pixels
    healthy: Pixels
    places: list[tuple[float, float]]


@pytest.fixture(scope="module")
def phantoms() -> Phantoms:
    spec = load_bundle(DEFAULT_BUNDLE).preprocess
    drawn = [_with_opacity(seed) for seed in range(N_PHANTOMS)]
    healthy = [preprocess(radiograph(SIZE_PX, SIZE_PX, seed=seed), spec) for seed in range(N_PHANTOMS)]
    pixels = [preprocess(picture, spec) for picture, _ in drawn]
    return Phantoms(np.stack(pixels), np.stack(healthy), [place for _, place in drawn])


@pytest.fixture(scope="module")
def explained(network: Any, phantoms: Phantoms) -> list[Explanation]:
    return list(explain(phantoms.pixels, network))


@pytest.fixture(scope="module")
def lungs(network: Any, phantoms: Phantoms) -> NDArray[np.bool_]:
    """Cells of the maps that lie in the lungs which the network finds, (n, 16, 16)."""
    model = explainable(network)
    assert model is not None
    found = np.asarray(model(phantoms.pixels.astype(np.float32)[..., None], training=False)["lungs"])[..., 0]
    coarse = [Image.fromarray(one).resize((16, 16), Image.Resampling.BOX) for one in found]
    return np.stack([np.asarray(one) > 0.5 for one in coarse])


def _peak(strength: NDArray[np.float32]) -> tuple[float, float]:
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    return (row + 0.5) / strength.shape[0], (column + 0.5) / strength.shape[1]


def test_the_peak_is_in_the_opacity_that_was_drawn(explained: list[Explanation], phantoms: Phantoms) -> None:
    """In at least 80 %: within two standard deviations of its centre, which is the opacity as one sees it."""
    inside = [
        np.hypot(*np.subtract(_peak(one.strengths["abnormal"]), place)) <= 2 * OPACITY_SD
        for one, place in zip(explained, phantoms.places, strict=True)
    ]
    assert np.mean(inside) >= 0.8


def test_healing_what_the_map_shows_helps_more_than_random_places_and_than_the_lung(
    network: Any, explained: list[Explanation], phantoms: Phantoms, lungs: NDArray[np.bool_]
) -> None:
    """Deletion: the strongest cells become those of the phantom without opacity; insertion: the reverse.

    Against as many cells at random, all over the image and within the lungs that the network finds.
    """
    draw = np.random.default_rng(0)
    by_map = np.stack([one.strengths["abnormal"] for one in explained])
    anywhere = draw.random(by_map.shape)
    in_lungs = anywhere + lungs
    for share in (0.02, 0.05, 0.1):
        deleted = [_abnormal(network, _mixed(phantoms.pixels, phantoms.healthy, by, share))
                   for by in (by_map, anywhere, in_lungs)]  # fmt: skip
        inserted = [_abnormal(network, _mixed(phantoms.healthy, phantoms.pixels, by, share))
                    for by in (by_map, anywhere, in_lungs)]  # fmt: skip
        assert deleted[0] < min(deleted[1:])
        assert inserted[0] > max(inserted[1:])


def _mixed(kept: Pixels, put: Pixels, strengths: NDArray[np.floating], share: float) -> NDArray[np.float32]:
    """Put the strongest cells of one image into another."""
    scale = kept.shape[1] // strengths.shape[1]
    strongest = strengths > np.quantile(strengths, 1 - share, axis=(1, 2), keepdims=True)
    mask = strongest.repeat(scale, axis=1).repeat(scale, axis=2)
    return np.where(mask, put, kept).astype(np.float32)[..., None]


@pytest.mark.parametrize("question", ["abnormal", "covid"])
def test_other_weights_make_another_map(
    network: Any, explained: list[Explanation], phantoms: Phantoms, lungs: NDArray[np.bool_], question: str
) -> None:
    """With the weights of its features at random the map within the lungs is another: mean SSIM at most 0.3.

    A map that stays (1) would show where lungs are, and not what the network found in them (Adebayo et al. 2018).
    """
    other = keras.models.clone_model(network)
    other.set_weights(network.get_weights())
    draw = np.random.default_rng(0)
    for layer in other.layers:
        if layer.name.startswith("block"):
            layer.set_weights(
                [draw.permutation(weights.ravel()).reshape(weights.shape) for weights in layer.get_weights()]
            )
    similarity = [
        _ssim(one.strengths[question][mask], two.strengths[question][mask])
        for one, two, mask in zip(explained, explain(phantoms.pixels, other), lungs, strict=True)
    ]
    assert np.mean(similarity) <= 0.3


def _ssim(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Structural similarity of values of 0 to 1 in one window (Wang et al. 2004, with their constants)."""
    c1, c2 = 0.01**2, 0.03**2
    together = np.cov(one, other)
    means = 2 * one.mean() * other.mean() + c1, one.mean() ** 2 + other.mean() ** 2 + c1
    return float(means[0] * (2 * together[0, 1] + c2) / (means[1] * (together[0, 0] + together[1, 1] + c2)))


def test_ssim_is_one_of_the_same_and_low_of_others() -> None:
    values = np.random.default_rng(0).random(80).astype(np.float32)
    assert _ssim(values, values) == pytest.approx(1)
    assert _ssim(values, 1 - values) < 0
    assert abs(_ssim(values, np.random.default_rng(1).random(80).astype(np.float32))) < 0.3


def _abnormal(network: Any, pixels: NDArray[np.float32]) -> float:
    normal = np.asarray(network(pixels, training=False)["scores"])[:, 2]
    return float(np.mean(np.log((1 - normal) / normal)))


def test_the_share_outside_the_lungs_is_measured(explained: list[Explanation]) -> None:
    shares = [one.outside_lungs for one in explained]
    assert all(share is not None and 0 <= share <= 1 for share in shares)


def test_what_is_drawn_beside_the_body_counts_as_outside(network: Any, phantoms: Phantoms) -> None:
    """The share rises where the network hangs on letters and not on lungs: here everything else is grey."""
    pixels = phantoms.pixels[:2].copy()
    pixels[:, 60:180, 40:220] = 128
    for one in explain(pixels, network):
        assert one.outside_lungs is None or one.outside_lungs > 0.2


def test_maps_are_images_of_one_pixel_for_each_cell(explained: list[Explanation]) -> None:
    for one in explained[0].evidence:
        image = Image.open(io.BytesIO(one.png))
        assert (image.mode, image.size, image.format) == ("RGBA", (16, 16), "PNG")
    assert [one.question for one in explained[0].evidence] == ["abnormal", "covid"]


def test_an_image_is_explained_alike_in_any_company(network: Any, phantoms: Phantoms) -> None:
    alone = next(iter(explain(phantoms.pixels[:1], network)))
    among = next(iter(explain(phantoms.pixels[:3], network)))
    np.testing.assert_allclose(alone.strengths["covid"], among.strengths["covid"], atol=1e-4)


def _imported(*body: Any) -> Any:
    radiograph_ = keras.layers.Input((32, 32, 1))
    values = radiograph_
    for layer in (*body, keras.layers.Dense(3, "softmax")):
        values = layer(values)
    return keras.Model(radiograph_, values)


def _convolution() -> list[Any]:
    return [keras.layers.Conv2D(4, 3, 2, "same", activation="relu"), keras.layers.GlobalAveragePooling2D()]


def _no_places() -> list[Any]:
    return [keras.layers.Flatten()]


@pytest.mark.parametrize(("body", "maps"), [(_convolution, ["attention"]), (_no_places, [])])
def test_other_networks_have_a_map_of_attention_or_none(
    body: Callable[[], list[Any]], maps: list[str]
) -> None:
    keras.utils.set_random_seed(0)
    other = _imported(*body())
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    explained = list(explain(pixels, other))
    assert has_maps(other) == bool(maps)
    assert [list(one.strengths) for one in explained] == [maps] * 3
    assert [one.outside_lungs for one in explained] == [None] * 3
    for one in explained:
        for strength in one.strengths.values():
            assert strength.min() >= 0
            assert strength.max() <= 1


def test_colours_are_viridis_and_clear_where_there_is_nothing() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(to_png(np.array([[0.0, 0.5, 1.0]])))))
    assert pixels[0, 0].tolist() == [68, 1, 84, 0]
    assert pixels[0, 1].tolist() == [33, 144, 141, 117]
    assert pixels[0, 2].tolist() == [253, 231, 37, 166]
    lightness = np.asarray(Image.open(io.BytesIO(to_png(np.linspace(0, 1, 9)[None]))).convert("L"))[0]
    assert (np.diff(lightness.astype(int)) > 0).all()


def test_nothing_to_explain(tmp_path: Path, network: Any) -> None:
    assert list(explain(np.empty((0, SIZE_PX, SIZE_PX), np.uint8), network)) == []

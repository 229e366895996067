"""Means over parts of a reduced picture, against the same picture written out large."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxrbatch.preprocess import PreprocessSpec, content_box, preprocess
from cxrbatch.resample import COARSE_PX, Box, ReducedImage


def noise(rows: int, columns: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((rows, columns), np.float32)


def whole(pixels: NDArray[np.float32]) -> ReducedImage:
    return ReducedImage(pixels, (0, 0, pixels.shape[1], pixels.shape[0]))


def test_whole_pixels_are_averaged() -> None:
    pixels = noise(12, 20)
    expected = pixels.astype(np.float64).reshape(4, 3, 5, 4).mean(axis=(1, 3))
    assert whole(pixels).area_mean(4, 5) == pytest.approx(expected, abs=1e-6)


def test_parts_of_pixels_of_the_coarse_image_count_by_their_share() -> None:
    """Every pixel written out as many of the same value: then the mean is one of whole pixels."""
    image = whole(noise(96, 160))
    written_out = np.repeat(np.repeat(image.pixels.astype(np.float64), 8, axis=0), 8, axis=1)
    expected = written_out.reshape(COARSE_PX, 3, COARSE_PX, 5).mean(axis=(1, 3))
    assert image.coarse == pytest.approx(expected, abs=1e-6)


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_parts_of_pixels_of_an_extent_count_by_their_share(upper: int, lower: int) -> None:
    """Along either axis; every pixel written out as many, and the edge repeated."""
    pixels = noise(5, 1)
    written_out = np.repeat(np.pad(pixels[:, 0].astype(np.float64), 2, "edge"), 6 * COARSE_PX)
    part = written_out[(12 + upper) * COARSE_PX : (42 + lower) * COARSE_PX]
    expected = part.reshape(COARSE_PX, -1).mean(axis=1)
    begin, end = upper / 6, 5 + lower / 6
    assert ReducedImage(pixels, (0, begin, 1, end)).coarse[:, 0] == pytest.approx(expected, abs=1e-5)
    assert ReducedImage(pixels.T, (begin, 0, end, 1)).coarse[0] == pytest.approx(expected, abs=1e-5)


def test_the_coarse_image_does_not_overshoot_beside_an_edge() -> None:
    """A black border of 40 rows, which end within a coarse pixel, beside content of many greys."""
    pixels = np.zeros((300, 300), np.float32)
    pixels[40:] = noise(260, 300)
    n_black = int(40 / 300 * COARSE_PX)
    assert not whole(pixels).coarse[:n_black].any()


def _means(coefficients: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute means of a polynomial between each edge and the next."""
    integral = np.polynomial.Polynomial(coefficients).integ()
    return np.diff(integral(edges)) / np.diff(edges)


@given(st.tuples(*[st.integers(9, 27)] * 4), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_means_of_a_quadratic_image_are_exact(
    ninths: tuple[int, int, int, int], height: int, width: int, seed: int
) -> None:
    """Its pixels are means, too; the box stays a pixel within the image."""
    left, upper, right, lower = ninths
    down, across = np.random.default_rng(seed).uniform(-0.1, 0.1, (2, 3))
    pixels = np.add.outer(_means(down, np.arange(12.0)), _means(across, np.arange(15.0)))
    box = (left / 9, upper / 9, 14 - right / 9, 11 - lower / 9)
    expected = np.add.outer(
        _means(down, np.linspace(box[1], box[3], height + 1)),
        _means(across, np.linspace(box[0], box[2], width + 1)),
    )
    found = whole(pixels.astype(np.float32)).area_mean(height, width, box)
    assert found == pytest.approx(expected, abs=1e-4)


@given(st.tuples(*[st.integers(-9, 9)] * 4), st.integers(1, 9), st.integers(1, 9))
def test_the_mean_of_a_region_does_not_depend_on_how_finely_it_is_resampled(
    sixths: tuple[int, int, int, int], height: int, width: int
) -> None:
    left, upper, right, lower = sixths
    image = whole(noise(5, 7))
    box = (left / 6, upper / 6, 7 + right / 6, 5 + lower / 6)
    once = image.area_mean(1, 1, box)[0, 0]
    assert image.area_mean(height, width, box).mean(dtype=np.float64) == pytest.approx(once, abs=1e-6)


def test_pixels_beyond_the_edge_repeat_it() -> None:
    padded = np.pad(noise(6, 6), 3, "edge")
    inner = whole(padded[3:-3, 3:-3]).area_mean(5, 4, (-1.3, -0.4, 6.9, 7.0))
    assert inner == pytest.approx(whole(padded).area_mean(5, 4, (1.7, 2.6, 9.9, 10.0)), abs=1e-6)


def test_the_extent_is_the_region_that_is_used() -> None:
    pixels = noise(6, 6)
    box: Box = (0.4375, 0.4375, 5.6, 6.4375)
    assert np.array_equal(ReducedImage(pixels, box).area_mean(4, 4), whole(pixels).area_mean(4, 4, box))


def test_borders_are_found_in_the_pixels_of_the_reduced_picture() -> None:
    """A frame that is a quarter of the coarse grid's cells wide, and an extent that begins half a pixel in."""
    pixels = np.zeros((512, 512), np.float32)
    pixels[64:448, 32:480] = noise(384, 448)
    left, upper, right, lower = content_box(ReducedImage(pixels, (0.5, 0.5, 512.5, 512.5)), 0.03)
    assert (left, upper, right, lower) == pytest.approx((32, 64, 480, 448), abs=2.5)
    assert (left - 0.5) % 2 == (upper - 0.5) % 2 == 0


def test_the_network_sees_the_same_of_means_as_of_all_pixels() -> None:
    """Smooth content: what is lost in a square of 8 pixels is not seen at 64."""
    across, down = np.meshgrid(np.linspace(0, 5, 1536), np.linspace(0, 4, 1792))
    full = (np.sin(across) * np.cos(down) + across / 5).astype(np.float32)
    means = full.reshape(224, 8, 192, 8).mean(axis=(1, 3))
    spec = PreprocessSpec(height=64, width=64)
    difference = preprocess(whole(means), spec).astype(int) - preprocess(full, spec)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("side", "normalise", "resize", "expected"),
    [
        (160, "percentile", "area", 288),
        (224, "percentile", "area", 392),
        (64, "percentile", "area", 288),
        (160, "none", "area", None),
        (160, "percentile", "linear", None),
    ],
)
def test_what_a_picture_must_keep(side: int, normalise: str, resize: str, expected: int | None) -> None:
    spec = PreprocessSpec(height=side, width=side // 2, normalise=normalise, resize=resize)
    assert spec.least_px == expected

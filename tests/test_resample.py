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


def test_an_input_of_the_size_of_the_coarse_image_is_the_coarse_image() -> None:
    """Only where no border is cut off; else its pixels are those of the region alone."""
    image = whole(noise(4 * COARSE_PX, 2 * COARSE_PX))
    expected = image.pixels.astype(np.float64).reshape(COARSE_PX, 4, COARSE_PX, 2).mean(axis=(1, 3))
    assert image.area_mean(COARSE_PX, COARSE_PX, image.extent) is image.coarse
    assert image.coarse == pytest.approx(expected, abs=1e-6)
    left_half = image.pixels[:, :COARSE_PX].astype(np.float64).reshape(COARSE_PX, 4, COARSE_PX).mean(axis=1)
    box = (0, 0, COARSE_PX, 4 * COARSE_PX)
    assert image.area_mean(COARSE_PX, COARSE_PX, box) == pytest.approx(left_half, abs=1e-6)


SIXTHS = st.integers(-9, 9)


@given(
    left=SIXTHS, upper=SIXTHS, right=SIXTHS, lower=SIXTHS, height=st.integers(1, 9), width=st.integers(1, 9)
)
def test_parts_of_pixels_count_by_their_share(
    left: int, upper: int, right: int, lower: int, height: int, width: int
) -> None:
    """Every pixel written out as a square of many, and the edge repeated: then the mean is one of whole pixels."""
    pixels = noise(5, 7)
    fine = 6 * height * width
    large = np.repeat(np.repeat(np.pad(pixels, 2, "edge"), 6 * height, axis=0), 6 * width, axis=1)
    box = (left / 6, upper / 6, 7 + right / 6, 5 + lower / 6)
    rows = slice((12 + upper) * height, (12 + 30 + lower) * height)
    columns = slice((12 + left) * width, (12 + 42 + right) * width)
    part = large[rows, columns].astype(np.float64)
    expected = part.reshape(height, part.shape[0] // height, width, -1).mean(axis=(1, 3))
    assert whole(pixels).area_mean(height, width, box) == pytest.approx(expected, abs=1e-5)
    assert fine


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

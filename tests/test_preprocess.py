"""Properties of the one preprocessing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxrbatch.preprocess import _RESIZE, PreprocessSpec, _percentiles, area_resize, content_box, preprocess

SPEC = PreprocessSpec(height=32, width=32)


def picture(rows: int = 200, columns: int = 160, seed: int = 0) -> NDArray[np.float32]:
    """Smooth structure with noise, black nowhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    smooth = 0.5 + 0.3 * np.sin(7 * x) * np.cos(5 * y)
    return (smooth + rng.normal(0, 0.02, (rows, columns))).astype(np.float32)


@given(gain=st.floats(0.01, 100), offset=st.floats(-10, 10))
@settings(max_examples=25, deadline=None)
def test_gain_and_offset_change_nothing(gain: float, offset: float) -> None:
    changed = preprocess(np.float32(gain) * picture() + np.float32(offset), SPEC)
    assert np.abs(changed.astype(int) - preprocess(picture(), SPEC)).max() <= 1


@given(
    top=st.integers(0, 40),
    bottom=st.integers(0, 40),
    left=st.integers(0, 40),
    grey=st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=25, deadline=None)
def test_constant_borders_change_little(top: int, bottom: int, left: int, grey: float) -> None:
    padded = np.pad(picture(), ((top, bottom), (left, 0)), constant_values=grey)
    difference = np.abs(preprocess(padded, SPEC).astype(int) - preprocess(picture(), SPEC))
    assert difference.mean() < 12  # the border is found to within 1/256 of the picture


def test_border_is_found_exactly_where_the_grid_allows() -> None:
    padded = np.pad(picture(100, 100), 20)
    assert content_box(padded, 0.03) == (20, 20, 120, 120)


def test_at_most_a_quarter_is_cut() -> None:
    padded = np.pad(picture(40, 40), 80)
    assert content_box(padded, 0.03) == (50, 50, 150, 150)


def test_blank_picture_is_left_whole_and_black() -> None:
    blank = np.full((100, 100), 0.5, np.float32)
    assert content_box(blank, 0.03) == (0, 0, 100, 100)
    assert not preprocess(blank, SPEC).any()


def test_area_resize_is_the_block_mean() -> None:
    pixels = picture(64, 96)
    expected = pixels.reshape(16, 4, 24, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(area_resize(pixels, 16, 24), expected, atol=1e-6)


def test_fine_stripes_average_out_instead_of_aliasing() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (128, 64))
    np.testing.assert_allclose(area_resize(stripes, 32, 32), 0.5, atol=1e-6)


def test_percentiles_span_the_output() -> None:
    result = preprocess(picture(), SPEC)
    assert result.dtype == np.uint8
    assert result.shape == (32, 32)
    assert 0.005 < (result == 0).mean() < 0.02
    assert 0.005 < (result == 255).mean() < 0.02


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_bit_depth_changes_next_to_nothing(depth: int) -> None:
    levels = 2**depth - 1
    quantised = (np.rint(np.clip(picture(), 0, 1) * levels) / levels).astype(np.float32)
    difference = preprocess(quantised, SPEC).astype(int) - preprocess(np.clip(picture(), 0, 1), SPEC)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 4},
        {"width": 9999},
        {"low_percentile": 99.5},
        {"high_percentile": 101},
        {"trim_tolerance": 1},
        {"normalise": "histogram"},
        {"resize": "lanczos"},
    ],
)
def test_spec_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|within"):
        PreprocessSpec(**wrong)  # type: ignore[arg-type]


AS_IT_IS = PreprocessSpec(height=32, width=32, normalise="none", trim_tolerance=0.0)


def test_without_normalisation_grey_levels_pass_unchanged() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32)
    as_read = levels.astype(np.float32) / np.float32(255)
    assert np.array_equal(preprocess(as_read, AS_IT_IS), levels)


def test_without_normalisation_values_are_clipped_not_stretched() -> None:
    pixels = np.repeat(np.array([-0.5, 0.25, 0.5, 1.5], np.float32), 256).reshape(32, 32)
    assert preprocess(pixels, AS_IT_IS)[[0, 8, 16, 24], 0].tolist() == [0, 64, 128, 255]


def test_at_tolerance_0_nothing_is_trimmed() -> None:
    padded = np.pad(np.full((16, 16), 0.5, np.float32), 8)
    result = preprocess(padded, AS_IT_IS)
    assert (result[8:24, 8:24] == 128).all()
    assert result.astype(int).sum() == 128 * 256


@pytest.mark.parametrize(("resize", "expected"), [("area", 100), ("linear", 45), ("nearest", 60)])
def test_ways_to_resize(resize: str, expected: int) -> None:
    """Each new pixel covers 4 × 4 old ones; its centre lies between the four in the middle."""
    block = np.full((4, 4), 0.0)
    block[1:3, 1:3] = [[20, 40], [60, 60]]
    block[0, 0] = 1600 - 180
    pixels = (np.tile(block, (8, 8)) / 2000).astype(np.float32)
    spec = PreprocessSpec(height=8, width=8, normalise="none", trim_tolerance=0.0, resize=resize)
    assert (preprocess(pixels, spec) == np.rint(expected / 2000 * 255)).all()
    np.testing.assert_allclose(_RESIZE[resize](pixels, 8, 8, None) * 2000, expected, rtol=1e-5)


@pytest.mark.parametrize("resize", ["area", "linear", "nearest"])
def test_at_its_own_size_nothing_is_resized(resize: str) -> None:
    pixels = picture(32, 32)
    spec = PreprocessSpec(height=32, width=32, normalise="none", trim_tolerance=0.0, resize=resize)
    assert np.array_equal(preprocess(pixels, spec), np.rint(np.clip(pixels, 0, 1) * 255))


@given(
    n=st.integers(1, 300),
    levels=st.sampled_from([1, 3, 50, 2**24]),
    percentages=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    seed=st.integers(0, 2**32 - 1),
)
def test_percentiles_are_those_of_numpy_to_the_last_bit(
    n: int, levels: int, percentages: tuple[float, float], seed: int
) -> None:
    values = np.rint(np.random.default_rng(seed).random(n) * levels).astype(np.float32) / np.float32(levels)
    assert np.array_equal(_percentiles(values, percentages), np.percentile(values, percentages))

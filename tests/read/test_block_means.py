"""Means over squares of pixels."""

import numpy as np
import pytest

from cxrbatch.read.block_means import block_means, extent_in_blocks, halvings, rows_per_strip, strips

HALVINGS = [
    ((3000, 2500), 288, 3),
    ((2500, 3000), 288, 3),
    ((2304, 9000), 288, 3),
    ((2303, 9000), 288, 2),
    ((1152, 1152), 288, 2),
    ((1151, 1152), 288, 0),  # once is not worth it
    ((200, 200), 288, 0),
    ((12000, 12000), 288, 5),
    ((3000, 2500), None, 0),
]


@pytest.mark.parametrize(("size", "least_px", "expected"), HALVINGS)
def test_how_often_sides_are_halved(size: tuple[int, int], least_px: int | None, expected: int) -> None:
    assert halvings(*size, least_px) == expected


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", ">u2"])
@pytest.mark.parametrize("shape", [(64, 48), (67, 53), (7, 53, 3)])
def test_means_are_those_of_whole_squares(dtype: str, shape: tuple[int, ...]) -> None:
    limits = np.iinfo(dtype)
    pixels = np.random.default_rng(0).integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    rows, columns = shape[0] // 4, shape[1] // 4
    squares = pixels[: rows * 4, : columns * 4].astype(np.float64).reshape(rows, 4, columns, 4, *shape[2:])
    found = block_means(strips(pixels, 4), 4)
    assert found.dtype == np.float32
    assert found.shape == (rows, columns, *shape[2:])
    assert found == pytest.approx(squares.mean(axis=(1, 3)), rel=1e-6, abs=1e-6 * limits.max)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("block", [8, 256])
def test_sums_do_not_overflow(dtype: str, block: int) -> None:
    limits = np.iinfo(dtype)
    for extreme in (limits.min, limits.max):
        pixels = np.full((block, block), extreme, dtype)
        assert block_means([pixels], block).tolist() == [[np.float32(extreme)]]


@pytest.mark.parametrize("bits", [1, 8, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("kind", ["u", "i"])
@pytest.mark.parametrize("is_stated", [True, False])
def test_sums_of_few_bits_do_not_overflow(bits: int, kind: str, is_stated: bool) -> None:
    """They are summed in 16 bits as far as that goes: every square is full of one extreme, or of both in turn."""
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind == "i" else (0, (1 << bits) - 1)
    pixels = np.full((24, 8), highest, f"{kind}2")
    pixels[8:16] = lowest
    pixels[16:, ::2] = lowest
    expected = [[highest], [lowest], [(highest + lowest) / 2]]
    assert block_means([pixels], 8, bits if is_stated else None).tolist() == expected


def test_strips_are_whole_blocks_and_give_the_picture_back() -> None:
    pixels = np.arange(2000 * 700, dtype=np.uint16).reshape(2000, 700)
    parts = list(strips(pixels, 16))
    assert len(parts) > 1
    assert all(len(part) % 16 == 0 for part in parts[:-1])
    assert np.array_equal(np.concatenate(parts), pixels)


def test_a_strip_is_never_less_than_a_block() -> None:
    assert rows_per_strip(10**9, 8) == 8


def test_the_extent_counts_what_is_left_over() -> None:
    assert extent_in_blocks((3001, 2500, 3), 8) == (0, 0, 312.5, 375.125)

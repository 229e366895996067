"""A PNG that calls one grey value transparent shows the same radiograph as one that does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.read import PatientRule, open_image
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.png_files import GREY_BITS, write_grey_png

SMALL, LARGE = (37, 29), (1201, 1163)
LEAST_PX = 288
BLOCK = 4


def decoded(path: Path, least_px: int | None) -> CxrImage:
    image: CxrImage = open_image(ImageRef(path=path, name="a.png", kind=FileKind.PNG), PatientRule()).decode(
        least_px
    )
    return image


def values(shape: tuple[int, int], bits: int) -> NDArray[np.int64]:
    """All values of the format, or as many as there is room for, from the lowest to the highest."""
    return np.linspace(0, 2**bits - 1, shape[0] * shape[1]).round().astype(np.int64).reshape(shape)


def shares(shape: tuple[int, int], bits: int) -> NDArray[np.float64]:
    return values(shape, bits) / (2**bits - 1)


def means(pixels: NDArray[Any]) -> NDArray[np.float64]:
    rows, columns = (side // BLOCK for side in pixels.shape)
    squares = pixels[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return np.asarray(squares.mean(axis=(1, 3)))


def transparent_values(bits: int) -> list[int]:
    """Ends and middle of the scale, and numbers beyond it, which the specification lets a reader cut off."""
    highest = 2**bits - 1
    return sorted({0, 1, highest // 2, highest - 1, highest, 255, 256, 0xFFFF})


CASES = [(bits, transparent) for bits in GREY_BITS for transparent in transparent_values(bits)]


@pytest.mark.parametrize(("bits", "transparent"), CASES)
@pytest.mark.parametrize("least_px", [None, LEAST_PX])
def test_a_small_image_has_its_own_values(
    tmp_path: Path, bits: int, transparent: int, least_px: int | None
) -> None:
    image = decoded(write_grey_png(tmp_path / "a.png", values(SMALL, bits), bits, transparent), least_px)
    plain = decoded(write_grey_png(tmp_path / "b.png", values(SMALL, bits), bits), least_px)
    np.testing.assert_allclose(image.pixels, shares(SMALL, bits), atol=1e-7)
    assert np.array_equal(image.pixels, plain.pixels)
    assert (image.extent, image.colourfulness, image.flags) == (None, 0, plain.flags)


@pytest.mark.parametrize("bits", GREY_BITS)
@pytest.mark.parametrize("of_scale", [0, 0.5, 1])
def test_a_large_image_has_its_own_values(tmp_path: Path, bits: int, of_scale: float) -> None:
    transparent = int(of_scale * (2**bits - 1))
    path = write_grey_png(tmp_path / "a.png", values(LARGE, bits), bits, transparent)
    np.testing.assert_allclose(decoded(path, None).pixels, shares(LARGE, bits), atol=1e-7)


@pytest.mark.parametrize("bits", [bits for bits in GREY_BITS if bits > 1])
@pytest.mark.parametrize("of_scale", [0, 0.5, 1])
def test_a_large_image_has_its_own_means(tmp_path: Path, bits: int, of_scale: float) -> None:
    transparent = int(of_scale * (2**bits - 1))
    image = decoded(write_grey_png(tmp_path / "a.png", values(LARGE, bits), bits, transparent), LEAST_PX)
    plain = decoded(write_grey_png(tmp_path / "b.png", values(LARGE, bits), bits), LEAST_PX)
    assert image.extent == plain.extent == (0, 0, LARGE[1] / BLOCK, LARGE[0] / BLOCK)
    np.testing.assert_allclose(image.pixels, means(shares(LARGE, bits)), atol=1e-6)
    assert np.array_equal(image.pixels, plain.pixels)


def test_a_large_image_of_1_bit_is_decoded_in_full(tmp_path: Path) -> None:
    """As it is without transparency."""
    image = decoded(write_grey_png(tmp_path / "a.png", values(LARGE, 1), 1, transparent=1), LEAST_PX)
    assert image.extent is None
    assert np.array_equal(image.pixels, values(LARGE, 1))

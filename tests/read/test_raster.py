"""Exact presentation values for every way a PNG or JPEG stores its pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.raster import OpenRaster
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
SHARES = [[0, 0.2, 0.4], [0.6, 0.8, 1]]


def open_file(path: Path) -> Any:
    kind = FileKind.PNG if path.suffix == ".png" else FileKind.JPEG
    return open_image(ImageRef(path=path, name=path.name, kind=kind), PatientRule())


def read(path: Path) -> CxrImage:
    opened = open_file(path)
    assert isinstance(opened, OpenRaster)
    return opened.decode()


def one_bit() -> Image.Image:
    return Image.fromarray(np.array([[False, True, True], [True, False, True]]))


def palette() -> Image.Image:
    """Index 0 is white: the palette must be looked up and not taken for grey values."""
    image = Image.fromarray(np.array([[5, 4, 3], [2, 1, 0]], np.uint8), "P")
    image.putpalette([value for grey in (255, 204, 153, 102, 51, 0) for value in (grey, grey, grey)])
    return image


def with_alpha(mode: str) -> Image.Image:
    image = Image.fromarray(GREY).convert(mode)
    image.putalpha(255)
    return image


def half_transparent() -> Image.Image:
    """Transparent white over black: what lies under transparency must not count."""
    grey = Image.fromarray(np.array([[255, 51, 102], [153, 204, 255]], np.uint8))
    grey.putalpha(Image.fromarray(np.array([[0, 255, 255], [255, 255, 255]], np.uint8)))
    return grey


PNG: dict[str, tuple[Image.Image, Any]] = {
    "8 bit": (Image.fromarray(GREY), SHARES),
    "16 bit": (Image.fromarray(GREY.astype(np.uint16) * 257), SHARES),
    "1 bit": (one_bit(), [[0, 1, 1], [1, 0, 1]]),
    "RGB": (Image.fromarray(GREY).convert("RGB"), SHARES),
    "palette": (palette(), SHARES),
    "grey with alpha": (with_alpha("L"), SHARES),
    "RGBA": (with_alpha("RGB"), SHARES),
    "transparent corner": (half_transparent(), SHARES),
}


@pytest.mark.parametrize("case", PNG)
def test_exact_png(tmp_path: Path, case: str) -> None:
    image, expected = PNG[case]
    image.save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png").pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def smooth() -> NDArray[np.uint8]:
    return np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path: Path, mode: str) -> None:
    Image.fromarray(smooth()).convert("RGB").convert(mode).save(tmp_path / "a.jpg", quality=98)
    image = read(tmp_path / "a.jpg")
    np.testing.assert_allclose(image.pixels, smooth() / 255, atol=0.015)
    assert Flag.LOSSY in image.flags
    assert image.colourfulness == 0


# EXIF 2.32, 4.6.4 A: how to turn the stored picture upright
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    stored = smooth() // 2 + np.linspace(0, 120, 48).astype(np.uint8)[:, np.newaxis]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.jpg", quality=98, exif=exif)
    np.testing.assert_allclose(
        read(tmp_path / "a.jpg").pixels, UPRIGHT[orientation](stored.astype(float)) / 255, atol=0.015
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cut_off_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_damaged_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[:12] + b"\0" * 500)
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is Reason.CORRUPT


def test_animated_png_has_several_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert open_file(tmp_path / "a.png").header.n_frames == 2


def test_vanished_file_is_no_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "a.png")


RULES = [
    ("file", "ward/p1/x.png", ("file", "ward/p1/x.png"), "ward/p1/x.png"),
    ("folder", "ward/p1/x.png", ("named", "ward/p1"), "ward/p1"),
    ("folder", "x.png", ("file", "x.png"), "x.png"),
    (r"p(\d+)_", "ward/p17_2.png", ("named", "17"), "17"),
    (r"(a)(?P<patient>\d+)", "a5.png", ("named", "5"), "5"),
    (r"p(\d+)_", "other.png", ("file", "other.png"), "other.png"),
]


@pytest.mark.parametrize(("rule", "name", "key", "patient_id"), RULES)
def test_patient_rule(rule: str, name: str, key: tuple[str, ...], patient_id: str) -> None:
    assert PatientRule(rule).patient_of(name) == (key, patient_id)


def test_tinted_films_are_not_colour_pictures(real_data: Path) -> None:
    for name in ("case_76_1-3.png", "tpmd200203f2-b.png"):
        assert read(real_data / "raw-examples" / name).colourfulness < 0.05

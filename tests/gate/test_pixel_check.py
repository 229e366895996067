"""The pixel check: what the gate of the default bundle accepts and refuses."""

import csv
import dataclasses
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import phantom
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE
from cxrbatch.errors import BundleError
from cxrbatch.gate.pixel_check import N_FEATURES, ChestCheck, extract_features
from cxrbatch.preprocess import area_resize
from cxrbatch.training.pixel_check.altered import MADE_OF_RADIOGRAPHS
from cxrbatch.training.pixel_check.canvas import SIZE_PX
from cxrbatch.training.pixel_check.synthetic import DRAWN

Pixels = NDArray[np.float32]

CHECK = ChestCheck.load(DEFAULT_BUNDLE / "gate.npz")
FILM = phantom.radiograph(448, 400, seed=5)


def as_float32(values: NDArray[np.floating]) -> Pixels:
    return np.ascontiguousarray(values, np.float32)


def likeness(pixels: Pixels) -> float:
    return float(CHECK.likeness(extract_features(pixels)[None])[0])


# --- accepted


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("opacities", ["none", "peripheral", "lobar"])
def test_phantoms_pass_with_room_to_spare(seed: int, opacities: phantom.Opacities) -> None:
    film = phantom.radiograph(320, 300, seed=seed, opacities=opacities, view="AP" if seed % 2 else "PA")
    assert CHECK.rejection(film) == ""
    assert likeness(film) > CHECK.limit + 3


def padded(film: Pixels) -> Pixels:
    return np.pad(film, ((40, 0), (70, 70)))


def framed_in_white(film: Pixels) -> Pixels:
    return np.pad(film, 30, constant_values=1)


def with_writing(film: Pixels) -> Pixels:
    marked = film.copy()
    marked[10:22, 10:90], marked[30:60, -40:-20] = 1, 1
    return marked


def small(film: Pixels) -> Pixels:
    return area_resize(film, 224, 224)


def in_eight_bits(film: Pixels) -> Pixels:
    return as_float32(np.rint(film * 255) / 255)


def in_few_greys(film: Pixels) -> Pixels:
    return as_float32(0.4 + np.rint(film * 24) / 255)


def dark(film: Pixels) -> Pixels:
    return film**2


def grainy(film: Pixels) -> Pixels:
    return as_float32(film + np.random.default_rng(0).normal(0, 0.05, film.shape))


@pytest.mark.parametrize(
    "change", [padded, framed_in_white, with_writing, small, in_eight_bits, in_few_greys, dark, grainy]
)
def test_the_way_a_film_is_stored_does_not_matter(change: Callable[[Pixels], Pixels]) -> None:
    assert CHECK.rejection(change(FILM)) == ""


@given(gain=st.floats(0.02, 50), offset=st.floats(-1, 1))
def test_gain_and_offset_do_not_matter(gain: float, offset: float) -> None:
    assert likeness(as_float32(gain * FILM + offset)) == pytest.approx(likeness(FILM), abs=0.3)


@pytest.mark.parametrize("seed", range(40, 52))
def test_mirrored_phantoms_pass_too(seed: int) -> None:
    film = phantom.radiograph(160, 160, seed=seed)
    assert CHECK.rejection(film) == CHECK.rejection(as_float32(film[:, ::-1])) == ""


def test_likeness_of_one_picture_does_not_depend_on_its_neighbours() -> None:
    rows = np.stack([extract_features(FILM), extract_features(small(FILM)), extract_features(1 - FILM)])
    singly = [float(CHECK.likeness(row[None])[0]) for row in rows]
    np.testing.assert_allclose(CHECK.likeness(rows), singly, atol=1e-4)


# --- refused


@pytest.mark.parametrize("kind", DRAWN)
def test_drawn_pictures_are_refused(kind: str) -> None:
    rng = np.random.default_rng(20)
    passed = [n for n in range(25) if not CHECK.rejection(DRAWN[kind](rng))]
    assert passed == []


@pytest.mark.parametrize("scale", [1, 2, 5, 12, 30, 80])
@pytest.mark.parametrize("gaussian", [True, False])
def test_noise_of_any_grain_is_refused(scale: int, gaussian: bool) -> None:
    rng = np.random.default_rng(scale)
    grains = (480 // scale + 1,) * 2
    noise = rng.normal(size=grains) if gaussian else rng.random(grains)
    assert CHECK.rejection(area_resize(as_float32(noise), 480, 480))


@pytest.mark.parametrize("grey", [0.0, 0.3, 1.0])
def test_blank_pages_are_called_blank(grey: float) -> None:
    page = np.full((300, 200), grey, np.float32)
    assert CHECK.rejection(page) == "blank image"
    page[120:124, 50:90] = 1 - grey
    assert CHECK.rejection(page) == "blank image"


def test_noise_is_called_noise() -> None:
    noise = np.random.default_rng(0).random((400, 400), np.float32)
    assert CHECK.rejection(noise) == "noise or writing without anatomy"


@given(angle=st.floats(0, 360), power=st.floats(0.4, 2.5))
def test_linear_gradients_are_refused(angle: float, power: float) -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:180j]
    ramp = np.cos(np.radians(angle)) * x + np.sin(np.radians(angle)) * y
    assert CHECK.rejection(as_float32(((ramp + 1.5) / 3) ** power))


@given(x=st.floats(-0.6, 0.6), y=st.floats(-0.6, 0.6), bright=st.booleans())
def test_radial_gradients_are_refused(x: float, y: float, bright: bool) -> None:
    rows, columns = np.mgrid[-1:1:200j, -1:1:180j]
    distance = np.hypot(columns - x, rows - y) / 2.5
    assert CHECK.rejection(as_float32(1 - distance if bright else distance))


def test_colour_pictures_are_refused_whatever_they_show() -> None:
    assert CHECK.rejection(FILM, colourfulness=0.4) == "colour image (40% of it)"
    assert CHECK.rejection(FILM, colourfulness=0.02) == ""


@pytest.mark.parametrize("seed", range(10))
def test_slices_of_another_hand_are_refused(seed: int) -> None:
    slice_ = phantom.ct_slice(256, 256, seed=seed)
    assert CHECK.rejection(slice_)
    assert CHECK.rejection(((slice_ - 0.5) / 0.3).clip(0, 1))


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_real_slices_are_refused(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    values = pydicom.dcmread(path).pixel_array.astype(np.float32)
    assert CHECK.rejection((values - values.min()) / np.ptp(values))


@pytest.mark.parametrize("seed", range(10))
def test_films_that_lie_wrong_are_refused_and_named(seed: int) -> None:
    film = phantom.radiograph(256, 240, seed=seed)
    assert CHECK.rejection(1 - film) == "looks like a chest radiograph that is a negative (bone black)"
    turned = [CHECK.rejection(as_float32(np.rot90(film, quarters))) for quarters in (1, 2, 3)]
    assert turned == [
        "looks like a chest radiograph that is lying on its other side",
        "looks like a chest radiograph that is upside down",
        "looks like a chest radiograph that is lying on its side",
    ]


@pytest.mark.parametrize("kind", ["same_spectrum", "detail"])
def test_anatomy_is_needed_and_not_its_texture(kind: str) -> None:
    rng = np.random.default_rng(3)
    films = [phantom.radiograph(SIZE_PX, SIZE_PX, seed=seed) for seed in range(8)]
    passed = [n for n, film in enumerate(films) if not CHECK.rejection(MADE_OF_RADIOGRAPHS[kind](film, rng))]
    assert passed == []


def test_refusals_state_likeness_and_limit() -> None:
    rejection = CHECK.rejection(DRAWN["portrait"](np.random.default_rng(1)))
    assert rejection.startswith("does not look like a frontal chest radiograph (likeness -")
    assert rejection.endswith(f", limit {CHECK.limit:.1f})")


# --- real ones


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return as_float32(np.asarray(image.convert("L"), np.float32) / 255)


def every(folder: Path, pattern: str, n: int) -> list[Path]:
    """About `n` files spread over a folder."""
    paths = sorted(folder.glob(pattern))
    return paths[:: max(1, len(paths) // n)]


def views(folder: Path, *wanted: str) -> list[Path]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        names = {row["filename"] for row in csv.DictReader(stream) if row["view"] in wanted}
    return sorted(path for path in (folder / "images").iterdir() if path.name in names)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("chest_xray", "*/*/*.jp*g"),
        ("nih-chestxray8-subset", "*/*.jpg"),
        ("covid-radiography-database", "*/*.jpg"),
        ("seed-test-set", "*"),
    ],
)
def test_ninety_nine_of_a_hundred_radiographs_pass(real_data: Path, folder: str, pattern: str) -> None:
    paths = every(real_data / folder, pattern, 600)
    passed = [not CHECK.rejection(read(path)) for path in paths]
    assert passed
    assert np.mean(passed) >= 0.99


@pytest.mark.real
def test_a_collection_of_all_views_is_sorted(real_data: Path) -> None:
    folder = real_data / "covid-chestxray-dataset"
    frontal = [not CHECK.rejection(read(path)) for path in views(folder, "PA", "AP", "AP Supine")]
    lateral = [not CHECK.rejection(read(path)) for path in views(folder, "L")]
    slices = [not CHECK.rejection(read(path)) for path in views(folder, "Axial", "Coronal")]
    assert np.mean(frontal) >= 0.99
    assert np.mean(lateral) <= 0.1
    assert slices == [False] * 6


# --- the file


def test_save_and_load_give_the_same_check_and_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    CHECK.save(first)
    loaded = ChestCheck.load(first)
    loaded.save(second)
    assert first.read_bytes() == second.read_bytes() == (DEFAULT_BUNDLE / "gate.npz").read_bytes()
    assert likeness(FILM) == float(loaded.likeness(extract_features(FILM)[None])[0])
    assert first.stat().st_size < 400_000


def spoilt(tmp_path: Path, **changes: object) -> Path:
    values = {**dataclasses.asdict(CHECK), "format": 1, **changes}
    path = tmp_path / "gate.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (name for name, value in values.items() if value is not None):
            with archive.open(f"{name}.npy", "w") as stream:
                np.save(stream, np.asarray(values[name]))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 9}, "format 9, this version reads format 1"),
        ({"limit": None}, "limit"),
        ({"limit": np.nan}, "expected finite numbers"),
        ({"output_weights": np.zeros(3)}, r"expected finite numbers of shape \(64,\), found shape \(3,\)"),
        ({"hidden_weights": np.zeros((7, 64))}, rf"shape \({N_FEATURES}, 64\), found shape \(7, 64\)"),
        ({"limit": np.array([{}], dtype=object)}, "not understood"),
        ({"limit": np.array("low")}, "not understood"),
    ],
)
def test_parameters_that_make_no_sense(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        ChestCheck.load(spoilt(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00v\x00"])
def test_a_damaged_file_is_a_broken_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gate.npz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"gate\.npz: "):
        ChestCheck.load(path)


def test_a_cut_off_file_is_a_broken_bundle(tmp_path: Path) -> None:
    path = tmp_path / "gate.npz"
    path.write_bytes((DEFAULT_BUNDLE / "gate.npz").read_bytes()[:50_000])
    with pytest.raises(BundleError):
        ChestCheck.load(path)


def test_an_array_file_is_no_check(tmp_path: Path) -> None:
    np.save(tmp_path / "gate.npy", np.zeros(3))
    with pytest.raises(BundleError, match="not an npz file"):
        ChestCheck.load(tmp_path / "gate.npy")


def test_a_missing_file_is_a_broken_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file or directory"):
        ChestCheck.load(tmp_path / "gate.npz")


def test_the_check_needs_numpy_and_pillow_only() -> None:
    heavy = "{'tensorflow', 'keras', 'pandas', 'scipy', 'sklearn', 'pydicom'}"
    code = f"import sys, cxrbatch.gate.pixel_check; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"

"""PatientOrientation lays the image, against transpositions by hand of the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataelem import DataElement

from cxrbatch.gate import check_header
from cxrbatch.prepare import PrepareOptions, decode_image, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef, ModelInput
from tests.factories.dicom_files import write_dicom

Pixels = NDArray[Any]

STORED: dict[str, Callable[[Pixels], Pixels]] = {
    "L\\F": lambda upright: upright,
    "R\\F": np.fliplr,
    "L\\H": np.flipud,
    "R\\H": lambda upright: np.rot90(upright, 2),
    "F\\L": lambda upright: upright.T,
    "H\\R": lambda upright: np.rot90(upright, 2).T,
    "H\\L": lambda upright: np.rot90(upright, -1),
    "F\\R": np.rot90,
}
"""How an upright image is stored under each orientation: the eight layouts of a rectangle."""
SMALL = np.add.outer(np.arange(40) ** 2, 3 * np.arange(56)).astype(np.uint16)
LEAST_PX, BLOCK = 18, 8
_FLAGS = {Flag.REORIENTED, Flag.ORIENTATION_IGNORED}


def film(rows: int, columns: int) -> Pixels:
    """Smooth, and different at each corner, edge and side."""
    across, down = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return np.rint(2000 * across + 1500 * down**2 + 400 * np.sin(5 * across * down)).astype(np.uint16)


LARGE = film(200, 152)
ODD = film(203, 150)


def orientation(text: str) -> DataElement:
    """The element as it will stand in the file, right or wrong."""
    return DataElement("PatientOrientation", "CS", text, already_converted=True)


def read(path: Path, least_px: int | None = None) -> CxrImage:
    image: CxrImage = open_image(ImageRef(path=path, name="a", kind=FileKind.DICOM), PatientRule()).decode(
        least_px
    )
    return image


def write(path: Path, upright: Pixels, stated: str, layout: str | None = None, **elements: Any) -> Path:
    stored = np.ascontiguousarray(STORED[layout or stated](upright))
    return write_dicom(path, stored, bits_stored=12, PatientOrientation=orientation(stated), **elements)


def test_the_layouts_are_eight_and_differ() -> None:
    layouts = {np.ascontiguousarray(stored(SMALL)).tobytes() for stored in STORED.values()}
    assert len(layouts) == len(STORED) == 8


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("stated", STORED)
def test_every_layout_is_as_the_upright_film(
    tmp_path: Path, stated: str, view: str, photometric: str
) -> None:
    """L and R are the patient's, in PA and AP alike (PS3.3 C.7.6.1.1.1)."""
    window = {"WindowCenter": ["", "1000"], "WindowWidth": ["1", "1800"]}
    elements: dict[str, Any] = {"ViewPosition": view, "photometric": photometric, **window}
    image = read(write(tmp_path / "a", SMALL, stated, **elements))
    expected = read(write_dicom(tmp_path / "b", SMALL, bits_stored=12, **elements))
    assert np.array_equal(image.pixels, expected.pixels)
    assert image.pixels.flags.c_contiguous
    assert image.flags - expected.flags == ({Flag.REORIENTED} if stated != "L\\F" else set())
    assert (image.header.rows, image.header.columns) == STORED[stated](SMALL).shape


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.HTJ2KLossless,
        uid.JPEGLosslessSV1,
    ],
)
@pytest.mark.parametrize("stated", STORED)
def test_a_reduced_film_is_laid_like_the_full_one(tmp_path: Path, stated: str, syntax: str) -> None:
    reduced = read(write(tmp_path / "a", ODD, stated, syntax=syntax), LEAST_PX)
    assert reduced.extent is not None
    full = read(write_dicom(tmp_path / "b", ODD, bits_stored=12)).pixels
    found = reduced.grey_image.area_mean(7, 5)  # type: ignore[union-attr]
    expected = full[:203, :150].reshape(7, 29, 5, 30).mean(axis=(1, 3))
    fit = np.polyfit(found.ravel(), expected.ravel(), 1)
    assert fit[0] == pytest.approx(1, abs=0.1)
    assert np.polyval(fit, found) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("stated", STORED)
def test_means_of_whole_blocks_are_those_of_the_upright_film(tmp_path: Path, stated: str) -> None:
    image = read(write(tmp_path / "a", LARGE, stated), LEAST_PX)
    expected = read(write_dicom(tmp_path / "b", LARGE, bits_stored=12), LEAST_PX)
    assert np.array_equal(image.pixels, expected.pixels)
    assert image.extent == expected.extent == (0, 0, 152 / BLOCK, 200 / BLOCK)


@pytest.mark.parametrize("stated", STORED)
def test_parts_of_blocks_stay_at_their_edge(tmp_path: Path, stated: str) -> None:
    """The last pixels of rows and columns are in no block: those of the file, wherever they are laid."""
    image = read(write(tmp_path / "a", ODD, stated), LEAST_PX)
    assert image.extent is not None
    left, upper, right, lower = image.extent
    assert (right - left, lower - upper) == (150 / BLOCK, 203 / BLOCK)
    assert (left < 0) is ("R" in stated)
    assert (upper < 0) is ("H" in stated)


@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.parametrize("upright", [film(128, 160), film(560, 640)], ids=["small", "large"])
@pytest.mark.parametrize("stated", STORED)
def test_network_and_thumbnail_see_the_upright_film(
    tmp_path: Path, stated: str, upright: Pixels, full_size: bool
) -> None:
    options = PrepareOptions(spec=PreprocessSpec(height=48, width=40), thumbnail_px=32, full_size=full_size)
    paths = write(tmp_path / "a", upright, stated), write_dicom(tmp_path / "b", upright, bits_stored=12)
    laid, expected = (prepare(ImageRef(path=path, name="a", kind=FileKind.DICOM), options) for path in paths)
    assert isinstance(laid, ModelInput)
    assert isinstance(expected, ModelInput)
    assert np.array_equal(laid.pixels, expected.pixels)
    assert laid.thumbnail == expected.thumbnail


def test_as_exif_does_for_a_jpeg(tmp_path: Path) -> None:
    """Rows to the foot and columns to the left: EXIF Orientation 5, by another implementation."""
    turned = np.ascontiguousarray(STORED["F\\L"](film(40, 56) >> 4).astype(np.uint8))
    exif = Image.Exif()
    exif[274] = 5
    Image.fromarray(turned).save(tmp_path / "a.jpg", exif=exif, quality=100)
    path = write_dicom(tmp_path / "a.dcm", turned, PatientOrientation=orientation("F\\L"))
    assert decode_image(path).pixels.shape == decode_image(tmp_path / "a.jpg").pixels.shape == (40, 56)
    scale = np.ptp(turned) / 255
    offset = turned.min() / 255
    found = decode_image(path).pixels * scale + offset
    assert found == pytest.approx(decode_image(tmp_path / "a.jpg").pixels, abs=0.02)


def test_colours_are_laid_too(tmp_path: Path) -> None:
    grey = (SMALL >> 5).astype(np.uint8)
    upright = np.stack([grey] * 3, axis=-1)
    path = write_dicom(
        tmp_path / "a", upright[:, ::-1].copy(), photometric="RGB", PatientOrientation=orientation("R\\F")
    )
    assert read(path).pixels == pytest.approx(grey / np.float32(255), abs=1e-6)


# --- values as devices and people write them

UNDERSTOOD = {
    "r\\f": "R\\F",
    " R \\ F ": "R\\F",
    "RA\\F": "R\\F",
    "RP\\FA": "R\\F",
    "LH\\FR": "L\\F",
    "LAH\\FPR": "L\\F",
    "RHA\\HLP": "R\\H",
    "FL\\RA": "F\\R",
    "HP\\lf": "H\\L",
    "HAR\\RFP": "H\\R",
    "R\\HA": "R\\H",
    "FAL\\L": "F\\L",
}
IGNORED = (
    *(
        "L",
        "F",
        "R\\",
        "\\H",
        "L\\L",
        "R\\L",
        "F\\H",
        "L\\R",
        "LR\\F",
        "R\\FH",
        "LL\\F",
        "R\\F\\A",
        "X\\F",
        "RX\\H",
    ),
    *("1\\2", "RIGHT\\FOOT", "LEFT\\F", "RT\\CD", "-\\-", "R/F", "RF", "A\\A", "A\\P"),
)
EMPTY = ("", "\\", " \\ ")
QUADRUPED = {"RT\\CD": "R\\F", "LE\\CR": "L\\H", "CD\\LE": "F\\L", "CR\\RT": "H\\R", "le\\cd": "L\\F"}


@pytest.mark.parametrize(("stated", "layout"), UNDERSTOOD.items())
def test_the_first_letter_decides(tmp_path: Path, stated: str, layout: str) -> None:
    """Letters are in order of dominance: a patient who stands a little askew is a frontal film all the same."""
    image = read(write(tmp_path / "a", SMALL, stated, layout))
    assert np.array_equal(image.pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)
    assert image.flags & _FLAGS == ({Flag.REORIENTED} if layout != "L\\F" else set())


@pytest.mark.parametrize("stated", IGNORED)
def test_what_is_not_understood_turns_nothing(tmp_path: Path, stated: str) -> None:
    image = read(write(tmp_path / "a", SMALL, stated, "L\\F"))
    assert np.array_equal(image.pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)
    assert image.flags & _FLAGS == {Flag.ORIENTATION_IGNORED}


@pytest.mark.parametrize("stated", EMPTY)
def test_an_empty_value_is_none(tmp_path: Path, stated: str) -> None:
    image = read(write(tmp_path / "a", SMALL, stated, "L\\F"))
    assert np.array_equal(image.pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)
    assert not image.flags & _FLAGS


@pytest.mark.parametrize(("stated", "layout"), QUADRUPED.items())
def test_directions_of_quadrupeds(tmp_path: Path, stated: str, layout: str) -> None:
    image = read(write(tmp_path / "a", SMALL, stated, layout, AnatomicalOrientationType="QUADRUPED"))
    assert np.array_equal(image.pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)


@pytest.mark.parametrize("stated", ["L\\F", "R\\CD", "M\\CD"])
def test_quadrupeds_have_other_letters(tmp_path: Path, stated: str) -> None:
    """L is lateral and R rostral."""
    image = read(write(tmp_path / "a", SMALL, stated, "L\\F", AnatomicalOrientationType="QUADRUPED"))
    assert image.flags & _FLAGS == {Flag.ORIENTATION_IGNORED}


@pytest.mark.parametrize("stated", ["A\\F", "P\\F", "F\\A", "H\\P", "L\\A", "P\\R", "AL\\F"])
def test_other_planes_are_neither_turned_nor_scored(tmp_path: Path, stated: str) -> None:
    path = write(tmp_path / "a", SMALL, stated, "L\\F", ViewPosition=None)
    assert np.array_equal(read(path).pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)
    with pytest.raises(Refusal, match="lateral_view"):
        check_header(read(path).header, FileKind.DICOM)


def test_what_was_done_before_storing_is_not_done_again(tmp_path: Path) -> None:
    """FieldOfViewRotation and its flip lead from the detector to the stored image (PS3.3 C.8.11.4)."""
    done = {"FieldOfViewRotation": "90", "FieldOfViewHorizontalFlip": "YES"}
    image = read(write(tmp_path / "a", SMALL, "L\\F", **done))
    assert np.array_equal(image.pixels, read(write_dicom(tmp_path / "b", SMALL, bits_stored=12)).pixels)
    assert not image.flags & _FLAGS

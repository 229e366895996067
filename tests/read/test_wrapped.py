"""Grey values that wrap around are refused, whatever the cause; sharp edges, writing and noise are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import uid

from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.wrapped import require_unwrapped
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import write_dicom
from tests.factories.phantoms import phantom

ROWS, COLUMNS, LEAST_PX = 620, 540, 130
GREY = phantom(ROWS, COLUMNS)
PART = GREY * 7 // 10 + 500
Pixels = NDArray[np.int64]


def read(path: Path, least_px: int | None = None) -> CxrImage:
    kind = FileKind.PNG if path.suffix == ".png" else FileKind.DICOM
    image: CxrImage = open_image(ImageRef(path=path, name="a", kind=kind), PatientRule()).decode(least_px)
    return image


def refused(path: Path, least_px: int | None = None) -> bool:
    try:
        read(path, least_px)
    except Refusal as refusal:
        return refusal.reason is Reason.CORRUPT and "wrap" in refusal.detail
    return False


WRAPPED: dict[str, Pixels] = {
    "sign ignored": (GREY + 2048) % 4096,
    "sign ignored, part of the range": (PART + 2048) % 4096,
    "sign ignored elsewhere": (GREY + 1200) % 4096,
    "sign of 12 bits in 16": np.where(GREY < 2048, GREY, GREY + 0xF000),
    "1 bit too few": GREY % 2048,
    "1 bit too few, part of the range": PART % 2048,
    "2 bits too few": GREY % 1024,
    "3 bits too few": GREY % 512,
    "2 bits too few, then made brighter": GREY % 1024 * 3 + 700,
    "2 bits too few, inverted": 1023 - GREY % 1024,
    "too bright by a tenth": GREY * 11 // 10 % 4096,
    "too bright by half": GREY * 3 // 2 % 4096,
    "too dark by a tenth": (GREY - 410) % 4096,
    "16 bits": (GREY * 16 + 32768) % 65536,
}


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.HTJ2KLossless,
    ],
    ids=lambda syntax: syntax.name,
)
@pytest.mark.parametrize("case", WRAPPED)
def test_wrapped_greys_are_corrupt(tmp_path: Path, case: str, syntax: uid.UID) -> None:
    path = write_dicom(tmp_path / "a", WRAPPED[case].astype("<u2"), syntax=syntax)
    assert refused(path)
    # A few blurred lines are not suspicious in means.
    assert refused(path, LEAST_PX) or case.endswith("a tenth")


@pytest.mark.parametrize("case", ["sign ignored", "1 bit too few", "2 bits too few", "too bright by half"])
@pytest.mark.parametrize("colour", [False, True])
def test_wrapped_greys_of_a_png_are_corrupt(tmp_path: Path, case: str, colour: bool) -> None:
    eight = (WRAPPED[case] * 255 // WRAPPED[case].max()).astype(np.uint8)
    Image.fromarray(np.stack([eight] * 3, -1) if colour else eight).save(tmp_path / "a.png")
    assert refused(tmp_path / "a.png")
    assert refused(tmp_path / "a.png", LEAST_PX)


@pytest.mark.parametrize("header", [{"WindowCenter": 2000, "WindowWidth": 1500}, {"RescaleSlope": "-10"}])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_whatever_the_header_says_of_greys(tmp_path: Path, header: dict[str, Any], photometric: str) -> None:
    values = WRAPPED["sign ignored"].astype("<u2")
    assert refused(write_dicom(tmp_path / "a", values, bits_stored=12, photometric=photometric, **header))


def test_signed_values_under_an_unsigned_header_and_the_reverse(tmp_path: Path) -> None:
    """Without a codestream that knows better, nothing says which of the two is right."""
    signed = (GREY - 2048).astype("<i2")
    for name, values, bits, sign in (
        ("a", signed, 12, 0),
        ("b", signed, 16, 0),
        ("c", GREY.astype("<u2"), 12, 1),
    ):
        path = write_dicom(tmp_path / name, values, bits_stored=bits, PixelRepresentation=sign)
        assert refused(path)
        assert refused(path, LEAST_PX)


def written(draw: Callable[[ImageDraw.ImageDraw], None], values: Pixels = GREY) -> Pixels:
    canvas = Image.new("I", (COLUMNS, ROWS), -1)
    draw(ImageDraw.Draw(canvas))
    drawn = np.asarray(canvas)
    return np.where(drawn < 0, values, drawn)


def lines(draw: ImageDraw.ImageDraw) -> None:
    for row in range(20, 400, 24):
        draw.text((20, row), "PORTABLE CHEST 12:34 SEMI-ERECT L R", fill=4095)


def boxed(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((200, 10, 350, 200), fill=0)
    for row in range(20, 190, 12):
        draw.text((205, row), "PATIENT SUPINE 80 kV", fill=4095)


def framed(values: Pixels, outside: int, width: int = 40) -> Pixels:
    frame = np.full_like(values, outside)
    inside = slice(width, -width)
    frame[inside, inside] = values[inside, inside]
    return frame


BINARY = np.where(GREY > 2048, 4095, 0)
RANDOM = np.random.default_rng(3)
UNWRAPPED: dict[str, Pixels] = {
    "plain": GREY,
    "part of the range": PART,
    "black outside": framed(GREY, 0),
    "white outside": framed(GREY, 4095),
    "white outside, then black": framed(framed(GREY, 4095), 0, 20),
    "writing": written(lines),
    "writing on black": written(boxed),
    "writing on a dark film": written(lines, GREY // 4),
    "hard film": np.clip((GREY - 2048) * 3 + 2048, 0, 4095),
    "a mask": BINARY,
    "a mask with soft edges": (BINARY + np.roll(BINARY, 1, axis=1)) // 2,
    "chequered": np.kron(np.indices((31, 27)).sum(axis=0) % 2, np.ones((20, 20), np.int64)) * 4095,
    "grid of lines": np.where(np.arange(COLUMNS) % 40 == 0, 4095, GREY // 2),
    "noise": RANDOM.integers(0, 4096, GREY.shape),
    "strong noise": np.clip(GREY + RANDOM.normal(0, 600, GREY.shape), 0, 4095).astype(np.int64),
    "dead pixels": np.where(RANDOM.random(GREY.shape) < 0.002, 4095, GREY),
    "ramp": np.broadcast_to(np.linspace(0, 4095, COLUMNS).astype(np.int64), GREY.shape),
    "constant": np.full_like(GREY, 7),
    "too small to tell": (GREY[:100, :100] + 2048) % 4096,
}


@pytest.mark.parametrize("case", UNWRAPPED)
def test_nothing_else_is_refused(tmp_path: Path, case: str) -> None:
    path = write_dicom(tmp_path / "a", UNWRAPPED[case].astype("<u2"), bits_stored=12)
    assert not refused(path)
    assert not refused(path, LEAST_PX)


def test_padding_and_what_the_shutter_hides_are_not_looked_at(tmp_path: Path) -> None:
    values = np.where(np.arange(COLUMNS) % 9 == 0, 60000, GREY).astype("<u2")
    padded = write_dicom(tmp_path / "a", values, PixelPaddingValue=60000)
    assert not refused(padded)
    hidden = WRAPPED["sign ignored"].astype("<u2")
    hidden[:, :200] = GREY[:, :200]
    shutter: dict[str, Any] = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 1,
        "ShutterRightVerticalEdge": 200,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": ROWS,
    }
    assert refused(write_dicom(tmp_path / "b", hidden))
    assert not refused(write_dicom(tmp_path / "c", hidden, **shutter))
    assert not refused(write_dicom(tmp_path / "c", hidden, **shutter), LEAST_PX)


def test_real_radiographs_are_not_taken_for_wrapped_ones(real_data: Path) -> None:
    paths = sorted((real_data / "siim-covid19").rglob("*.jpg"))[::40]
    paths += sorted((real_data / "covid-chestxray-dataset" / "images").iterdir())[::20]
    for path in paths:
        with Image.open(path) as image:
            require_unwrapped(np.asarray(image.convert("L")))

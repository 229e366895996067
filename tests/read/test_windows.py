"""Which of several windows is applied: the first whose center and width, at the same position, are usable."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import DataElement

from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import write_dicom

Pair = tuple[float, float]

LEAST_PX = 18
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A Decimal String (PS3.5 6.2)."""
RAMP = np.arange(64 * 48, dtype="<u2").reshape(64, 48)
LARGE = np.tile(np.linspace(0, 4095, 150).astype("<u2"), (203, 1))


def decimals(keyword: str, text: str) -> DataElement:
    """A Decimal String as it will stand in the file, right or wrong."""
    return DataElement(keyword, "DS", text, already_converted=True)


def read(
    path: Path,
    stored: NDArray[np.uint16],
    center: str | None,
    width: str | None,
    *,
    function: str | None = None,
    syntax: str = uid.ExplicitVRLittleEndian,
    least_px: int | None = None,
) -> CxrImage:
    """Write a window, if any, into a file of 12 bits, and read it."""
    elements = {
        keyword: decimals(keyword, text)
        for keyword, text in (("WindowCenter", center), ("WindowWidth", width))
        if text is not None
    }
    named = {} if function is None else {"VOILUTFunction": function}
    write_dicom(path, stored, bits_stored=12, syntax=syntax, **elements, **named)
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    image: CxrImage = open_image(ref, PatientRule()).decode(least_px)
    return image


# --- the oracle


def parsed(text: str) -> list[float | None]:
    """Numbers by position; beyond 32 bits is no number."""
    found = [part.strip(" ") for part in text.split("\\")]
    numbers = [float(part) if NUMBER.fullmatch(part) else None for part in found]
    return [number if number is not None and abs(number) < 3e38 else None for number in numbers]


def chosen(center: str, width: str, function: str = "LINEAR") -> Pair | None:
    """The first complete pair; the width is at least 1 for LINEAR, above 0 otherwise (PS3.3 C.11.2.1.2)."""
    centers, widths = parsed(center), parsed(width)
    for position in range(min(len(centers), len(widths))):
        c, w = centers[position], widths[position]
        if c is not None and w is not None and (w >= 1 if function == "LINEAR" else w > 0):
            return c, w
    return None


def windowed(stored: NDArray[np.uint16], pair: Pair | None, function: str = "LINEAR") -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, then stretched to 0…1."""
    x = stored.astype(np.float64)
    if pair is not None:
        c, w = pair
        if function == "SIGMOID":
            x = 1 / (1 + np.exp(-4 * (x - c) / w))
        elif function == "LINEAR_EXACT":
            x = np.clip((x - c) / w + 0.5, 0, 1)
        else:
            x = np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1)
    return np.asarray((x - x.min()) / np.ptp(x))


# --- tests

# center, width, the pair that is right
PAIRS: dict[str, tuple[str, str, Pair | None]] = {
    "one": ("2048", "4096", (2048, 4096)),
    "first of two": ("1800\\2000", "1600\\900", (1800, 1600)),
    "first center empty": ("\\2048", "2\\4096", (2048, 4096)),
    "first width empty": ("40\\1500", "\\2000", (1500, 2000)),
    "both first empty": ("\\1500", "\\2000", (1500, 2000)),
    "two empty in front": ("\\\\1500", "\\\\2000", (1500, 2000)),
    "empty in turn": ("\\1000\\1500", "600\\\\2000", (1500, 2000)),
    "only blanks": ("  \\1500", "2\\2000", (1500, 2000)),
    "blanks around": (" 1500 \\40", " 2000 \\2", (1500, 2000)),
    "last empty": ("1500\\", "2000\\", (1500, 2000)),
    "more centers": ("1500\\900\\40", "2000", (1500, 2000)),
    "more widths": ("1500", "2000\\900\\2", (1500, 2000)),
    "center is a word": ("WIDE\\1500", "700\\2000", (1500, 2000)),
    "width is a word": ("700\\1500", "AUTO\\2000", (1500, 2000)),
    "a word behind": ("1500\\NONE", "2000\\NONE", (1500, 2000)),
    "decimal comma": ("700,5\\1500", "300\\2000", (1500, 2000)),
    "not a number": ("NaN\\1500", "700\\2000", (1500, 2000)),
    "infinite": ("700\\1500", "inf\\2000", (1500, 2000)),
    "too large": ("1e39\\1500", "700\\2000", (1500, 2000)),
    "much too large": ("700\\1500", "1e999\\2000", (1500, 2000)),
    "width 0": ("700\\1500", "0\\2000", (1500, 2000)),
    "width negative": ("700\\1500", "-300\\2000", (1500, 2000)),
    "width below 1": ("700\\1500", "0.5\\2000", (1500, 2000)),
    "center 0 and center negative are numbers": ("0\\-5", "6000\\9", (0, 6000)),
    "with signs, points and exponents": ("x\\+1.5e3", "y\\20.e2", (1500, 2000)),
    "no position with both": ("\\2048", "4096\\", None),
    "center beyond the widths": ("\\1500", "2000", None),
    "width beyond the centers": ("1500", "\\2000", None),
    "no width": ("1500", "", None),
    "no center": ("", "2000", None),
    "only widths out of range": ("700\\1500", "0\\-2000", None),
    "only words": ("A\\B", "C\\D", None),
}


def check(image: CxrImage, stored: NDArray[np.uint16], pair: Pair | None, *, stated: bool = True) -> None:
    np.testing.assert_allclose(image.pixels, windowed(stored, pair), atol=2e-6)
    assert (Flag.VOI_IGNORED in image.flags) == (pair is None and stated)


@pytest.mark.parametrize("case", PAIRS)
@pytest.mark.parametrize(
    "syntax",
    [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian],
    ids=lambda syntax: syntax.name,
)
def test_the_first_complete_pair(tmp_path: Path, case: str, syntax: uid.UID) -> None:
    center, width, pair = PAIRS[case]
    assert chosen(center, width) == pair
    check(read(tmp_path / "a", RAMP, center, width, syntax=syntax), RAMP, pair)


@pytest.mark.parametrize(
    "widths", list(product(("", "0", "x", "900"), ("", "-1", "x", "1100"))), ids="-".join
)
@pytest.mark.parametrize("centers", list(product(("", "x", "1200"), ("", "x", "1700"))), ids="-".join)
def test_every_state_of_two_positions(
    tmp_path: Path, centers: tuple[str, str], widths: tuple[str, str]
) -> None:
    center, width = "\\".join(centers), "\\".join(widths)
    image = read(tmp_path / "a", RAMP, center, width)
    check(image, RAMP, chosen(center, width), stated=any(centers + widths))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_least_width_depends_on_the_function(tmp_path: Path, function: str) -> None:
    center, width = "1200\\1700", "0.5\\2000"
    pair = chosen(center, width, function)
    assert pair == ((1700, 2000) if function == "LINEAR" else (1200, 0.5))
    image = read(tmp_path / "a", RAMP, center, width, function=function)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(image.pixels, windowed(RAMP, pair, function), atol=2e-6)


@pytest.mark.parametrize(
    ("center", "width"), [(None, "2000"), ("1500", None), (None, "\\2000"), ("\\1500", None)]
)
def test_half_a_window_is_flagged(tmp_path: Path, center: str | None, width: str | None) -> None:
    check(read(tmp_path / "a", RAMP, center, width), RAMP, None)


@pytest.mark.parametrize(("center", "width"), [(None, None), ("", ""), ("\\", "\\"), (" ", None)])
def test_no_window_is_not_flagged(tmp_path: Path, center: str | None, width: str | None) -> None:
    check(read(tmp_path / "a", RAMP, center, width), RAMP, None, stated=False)


@pytest.mark.parametrize("least_px", [None, LEAST_PX])
@pytest.mark.parametrize("case", PAIRS)
def test_a_large_image_decoded_in_full_and_in_part(tmp_path: Path, case: str, least_px: int | None) -> None:
    """To the bit as with nothing but the right pair."""
    center, width, pair = PAIRS[case]
    image = read(tmp_path / "a", LARGE, center, width, least_px=least_px)
    alone = ("", "") if pair is None else (f"{pair[0]:g}", f"{pair[1]:g}")
    expected = read(tmp_path / "b", LARGE, *alone, least_px=least_px)
    assert image.extent == expected.extent
    assert np.array_equal(image.pixels, expected.pixels)
    assert image.flags - {Flag.VOI_IGNORED} == expected.flags

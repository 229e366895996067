"""Greys for networks that normalise nothing: as a monitor shows them, in DICOM as in a PNG of the same picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.discover import classify
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import ImageRef, ModelInput
from tests.factories.dicom_files import write_dicom

Levels = NDArray[np.uint8]

ROWS, COLUMNS = 128, 160
AS_IT_IS = PreprocessSpec(height=ROWS, width=COLUMNS, trim_tolerance=0.0, normalise="none", resize="linear")
MIDDLE = np.linspace(1000, 3000, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype("<u2")
"""Half of the range of 12 bits."""


def levels(path: Path, spec: PreprocessSpec = AS_IT_IS) -> Levels:
    found = classify(path, path.name)
    assert isinstance(found, ImageRef)
    prepared = prepare(found, PrepareOptions(spec=spec))
    assert isinstance(prepared, ModelInput), prepared
    return prepared.pixels


def of_dicom(folder: Path, stored: NDArray[Any], **elements: Any) -> Levels:
    write_dicom(folder / "a.dcm", stored, bits_stored=12, **elements)
    return levels(folder / "a.dcm")


def of_png(folder: Path, shown: NDArray[np.floating], bits: int = 8) -> Levels:
    highest = (1 << bits) - 1
    pixels = np.rint(shown * highest).astype(np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(pixels).save(folder / "a.png")
    return levels(folder / "a.png")


def windowed(
    values: NDArray[Any], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2."""
    x = values.astype(np.float64)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR":
        return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    return np.clip((x - center) / width + 0.5, 0, 1)


WINDOWS = [
    (2048, 4096),
    (2048, 2000),
    (2048, 8192),
    (1000, 2600),
    (2600, 1500),
    (1500, 6000),
    (0, 4096),
    (4095, 4096),
]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_gives_the_greys_of_the_same_picture_as_png(
    window: tuple[float, float], function: str, photometric: str, tmp_path: Path
) -> None:
    """Whether the picture fills the window or not."""
    shown = windowed(MIDDLE, *window, function)
    shown = 1 - shown if photometric == "MONOCHROME1" else shown
    named = {"WindowCenter": window[0], "WindowWidth": window[1], "VOILUTFunction": function}
    found = of_dicom(tmp_path, MIDDLE, PhotometricInterpretation=photometric, **named)
    for bits in (8, 16):
        difference = found.astype(int) - of_png(tmp_path, shown, bits)
        assert np.abs(difference).max() <= 1
        assert (difference != 0).mean() < 0.01
    assert np.abs(found - 255 * shown).max() <= 0.501


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 0), (0.5, 100), (-1, 4095), (-10, 0)])
def test_a_window_is_in_values_after_rescaling(slope: float, intercept: float, tmp_path: Path) -> None:
    values = MIDDLE.astype(np.float64) * slope + intercept
    center, width = float(np.median(values)), 1.5 * float(np.ptp(values))
    center, width = round(center, 3), round(width, 3)
    named = {
        "WindowCenter": center,
        "WindowWidth": width,
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
    }
    found = of_dicom(tmp_path, MIDDLE, **named)
    assert np.abs(found - 255 * windowed(values, center, width)).max() <= 0.502


def voi_lut(table: NDArray[np.uint16], bits: int) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [table.size, 0, bits]
    item.LUTData = table.astype("<u2").tobytes()
    return Sequence([item])


@pytest.mark.parametrize(
    ("highest", "bits", "white"),
    [
        (4095, 12, 4095),
        (4000, 12, 4095),
        (4095, 16, 4095),
        (65535, 16, 65535),
        (255, 8, 255),
        (1000, 10, 1023),
    ],
)
def test_a_lut_says_itself_what_is_white(highest: int, bits: int, white: int, tmp_path: Path) -> None:
    table = np.linspace(0, highest, 4096).astype(np.uint16)
    found = of_dicom(tmp_path, MIDDLE, VOILUTSequence=voi_lut(table, bits))
    assert np.abs(found - 255 * (table[MIDDLE] / white)).max() <= 0.501


def test_padding_is_black_whatever_the_window_shows(tmp_path: Path) -> None:
    stored = MIDDLE.copy()
    stored[:, :10] = 4000
    named = {"WindowCenter": 2048, "WindowWidth": 4096, "PixelPaddingValue": 4000}
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        found = of_dicom(tmp_path, stored, PhotometricInterpretation=photometric, **named)
        assert not found[:, :10].any()
        assert found[:, 10:].min() > 60


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [(2048, 4096), None])
@pytest.mark.parametrize("value", [0, 4095])
@pytest.mark.parametrize("place", [(0, 0), (20, 30), (127, 159)])
def test_one_hot_or_dead_pixel_changes_no_other_grey(
    place: tuple[int, int], value: int, window: tuple[float, float] | None, photometric: str, tmp_path: Path
) -> None:
    named = {} if window is None else {"WindowCenter": window[0], "WindowWidth": window[1]}
    before = of_dicom(tmp_path, MIDDLE, PhotometricInterpretation=photometric, **named)
    stored = MIDDLE.copy()
    stored[place] = value
    after = of_dicom(tmp_path, stored, PhotometricInterpretation=photometric, **named)
    change = np.abs(before.astype(int) - after)
    change[place] = 0
    assert change.max() <= 1
    assert change.mean() < 0.2


def test_without_a_window_the_picture_fills_the_range_but_for_outliers(tmp_path: Path) -> None:
    found = of_dicom(tmp_path, MIDDLE)
    low, high = np.percentile(MIDDLE, (0.1, 99.9), method="nearest")
    assert (
        np.abs(found - 255 * np.clip((MIDDLE - float(low)) / (float(high) - float(low)), 0, 1)).max() <= 0.501
    )


@pytest.mark.parametrize("n_bright", [1, 2, 3])
def test_a_picture_of_hardly_more_than_one_grey_keeps_its_extremes(n_bright: int, tmp_path: Path) -> None:
    stored = np.full((ROWS, COLUMNS), 7, "<u2")
    stored[0, :n_bright] = 9
    found = of_dicom(tmp_path, stored)
    assert found[0, :n_bright].tolist() == [255] * n_bright
    assert found.astype(int).sum() == 255 * n_bright


def test_the_percentiles_of_other_bundles_are_untouched(tmp_path: Path) -> None:
    """They see the same values with and without a window that contains the picture."""
    spec = PreprocessSpec(height=ROWS, width=COLUMNS, trim_tolerance=0.0)
    of_dicom(tmp_path, MIDDLE)
    plain = levels(tmp_path / "a.dcm", spec)
    of_dicom(tmp_path, MIDDLE, WindowCenter=2048, WindowWidth=8192)
    assert np.abs(plain.astype(int) - levels(tmp_path / "a.dcm", spec)).max() <= 1

"""Windows and rescale of the functional groups; and windows that leave nothing of the chest to see."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import write_dicom
from tests.factories.phantoms import phantom

LEAST_PX = 18
GREY = phantom().astype("<u2")
LARGE, LARGE_LEAST_PX = phantom(620, 540).astype("<u2"), 130
SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
VOI, RESCALE = "FrameVOILUTSequence", "PixelValueTransformationSequence"


def read(path: Path, least_px: int | None = None) -> CxrImage:
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    image: CxrImage = open_image(ref, PatientRule()).decode(least_px)
    return image


def item(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def group(**macros: dict[str, Any]) -> Sequence:
    return Sequence([item(**{keyword: Sequence([item(**elements)]) for keyword, elements in macros.items()})])


def lut() -> Sequence:
    table = np.round(4095 * (np.arange(4096) / 4095) ** 0.7).astype("<u2")
    found = item(LUTDescriptor=[4096, 0, 12])
    found.add_new("LUTData", "OW", table.tobytes())
    return Sequence([found])


def window(center: float, width: float, **more: Any) -> dict[str, Any]:
    return {"WindowCenter": center, "WindowWidth": width, **more}


WIDE, OTHER = window(2000, 3000), window(1500, 2500)
SLOPE = {"RescaleSlope": "-2", "RescaleIntercept": "100", "RescaleType": "US"}

# functional groups (and what else the header says), what an ordinary header would say
GROUPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "shared window": ({SHARED: group(**{VOI: WIDE})}, WIDE),
    "window of the frame": ({OWN: group(**{VOI: WIDE})}, WIDE),
    "the frame's before the shared": ({OWN: group(**{VOI: WIDE}), SHARED: group(**{VOI: OTHER})}, WIDE),
    "before that of the image": ({SHARED: group(**{VOI: WIDE}), **OTHER}, WIDE),
    "only the image's": ({SHARED: group(**{RESCALE: SLOPE}), **OTHER}, SLOPE | OTHER),
    "several windows": (
        {SHARED: group(**{VOI: {"WindowCenter": [2000, 9], "WindowWidth": [3000, 2]}})},
        WIDE,
    ),
    "first without width": (
        {SHARED: group(**{VOI: {"WindowCenter": [9, 2000], "WindowWidth": ["", 3000]}})},
        WIDE,
    ),
    "exact": (
        {SHARED: group(**{VOI: window(2000, 3000, VOILUTFunction="LINEAR_EXACT")})},
        window(2000, 3000, VOILUTFunction="LINEAR_EXACT"),
    ),
    "sigmoid": (
        {OWN: group(**{VOI: window(2000, 3000, VOILUTFunction="SIGMOID")})},
        window(2000, 3000, VOILUTFunction="SIGMOID"),
    ),
    "VOI LUT": ({SHARED: group(**{VOI: {"VOILUTSequence": lut()}})}, {"VOILUTSequence": lut()}),
    "VOI LUT before window": (
        {OWN: group(**{VOI: {"VOILUTSequence": lut(), **WIDE}})},
        {"VOILUTSequence": lut()},
    ),
    "shared rescale": ({SHARED: group(**{RESCALE: SLOPE})}, SLOPE),
    "rescale of the frame": ({OWN: group(**{RESCALE: SLOPE})}, SLOPE),
    "rescale before that of the image": ({SHARED: group(**{RESCALE: SLOPE}), "RescaleSlope": "1"}, SLOPE),
    "window in rescaled units": (
        {SHARED: group(**{RESCALE: SLOPE, VOI: window(-4000, 6000)})},
        SLOPE | window(-4000, 6000),
    ),
    "one shared, one of the frame": (
        {SHARED: group(**{RESCALE: SLOPE}), OWN: group(**{VOI: window(-4000, 6000)})},
        SLOPE | window(-4000, 6000),
    ),
    "the other way round": (
        {OWN: group(**{RESCALE: SLOPE}), SHARED: group(**{VOI: window(-4000, 6000)})},
        SLOPE | window(-4000, 6000),
    ),
    "unusable window": ({SHARED: group(**{VOI: window(2000, 0)})}, window(2000, 0)),
    "half a window": ({SHARED: group(**{VOI: {"WindowCenter": 2000}})}, {"WindowCenter": 2000}),
    "empty groups": ({SHARED: Sequence([]), OWN: Sequence([]), **WIDE}, WIDE),
    "empty group": ({SHARED: Sequence([Dataset()]), OWN: Sequence([Dataset()]), **WIDE}, WIDE),
    "empty macro": ({SHARED: Sequence([item(FrameVOILUTSequence=Sequence([]))]), **WIDE}, WIDE),
    "second group is another frame's": (
        {OWN: Sequence([*group(**{VOI: WIDE}), *group(**{VOI: OTHER})])},
        WIDE,
    ),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("case", GROUPS)
def test_as_the_same_in_an_ordinary_header(tmp_path: Path, case: str, photometric: str) -> None:
    enhanced, ordinary = GROUPS[case]
    for syntax in (uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless):
        how: dict[str, Any] = {"syntax": syntax, "bits_stored": 12, "photometric": photometric}
        path = write_dicom(tmp_path / "a", GREY, **how, **enhanced, NumberOfFrames=1)
        plain = write_dicom(tmp_path / "b", GREY, **how, **ordinary)
        for least_px in (None, LEAST_PX):
            image, expected = read(path, least_px), read(plain, least_px)
            assert np.array_equal(image.pixels, expected.pixels)
            assert (image.extent, image.flags) == (expected.extent, expected.flags)


# --- too few grey levels in the middle

FEW: dict[str, dict[str, Any]] = {
    "two levels": window(2000, 1),
    "a few": window(2000, 20),
    "two by sigmoid": window(2000, 10, VOILUTFunction="SIGMOID"),
    "two by the exact function": window(2000, 0.5, VOILUTFunction="LINEAR_EXACT"),
    "nearly all white": window(100, 400),
    "nearly all black": window(4000, 100),
    "of another image": window(40, 400),
    "step as a table": {
        "VOILUTSequence": Sequence(
            [item(LUTDescriptor=[2, 2000, 16], LUTData=np.array([0, 65535], "<u2").tobytes())]
        )
    },
    "far above": window(90000, 10),
    "far below": window(-90000, 10),
}
ENOUGH: dict[str, dict[str, Any]] = {
    "whole range": window(2048, 4096),
    "half of it": window(2048, 2048),
    "bright half": window(3000, 2000),
    "dark half": window(1200, 2000),
    "narrow": window(2000, 1000),
    "beyond the range": window(2000, 40000),
    "sigmoid": window(2000, 1500, VOILUTFunction="SIGMOID"),
    "gentle table": {"VOILUTSequence": lut()},
}


@pytest.mark.parametrize("case", FEW)
def test_a_window_that_hides_the_chest_is_ignored(tmp_path: Path, case: str) -> None:
    path = write_dicom(tmp_path / "a", LARGE, bits_stored=12, **FEW[case])
    plain = write_dicom(tmp_path / "b", LARGE, bits_stored=12)
    for least_px in (None, LARGE_LEAST_PX):
        image = read(path, least_px)
        assert Flag.VOI_IGNORED in image.flags
        assert np.array_equal(image.pixels, read(plain, least_px).pixels)


@pytest.mark.parametrize("case", ENOUGH)
def test_other_windows_are_applied(tmp_path: Path, case: str) -> None:
    path = write_dicom(tmp_path / "a", LARGE, bits_stored=12, **ENOUGH[case])
    plain = write_dicom(tmp_path / "b", LARGE, bits_stored=12)
    for least_px in (None, LARGE_LEAST_PX):
        image = read(path, least_px)
        assert Flag.VOI_IGNORED not in image.flags
        same = np.allclose(image.pixels, read(plain).pixels, atol=1e-5) if image.extent is None else None
        assert same in (None, case in ("whole range", "beyond the range"))


def test_it_is_the_chest_that_counts(tmp_path: Path) -> None:
    """A bright frame around it gives the window contrast, and nothing to see."""
    values = np.full((203, 150), 300, "<u2")
    values[40:160, 30:120] = 3000 + phantom(120, 90) // 5
    path = write_dicom(tmp_path / "a", values, bits_stored=12, **window(400, 400))
    assert Flag.VOI_IGNORED in read(path).flags

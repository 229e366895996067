"""What is outside a shutter or collimator is black, as in a file in which it was made black."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import write_dicom
from tests.factories.phantoms import block_means, phantom

ROWS, COLUMNS, LEAST_PX, BLOCK = 203, 150, 18, 8
GREY = (693 + phantom(ROWS, COLUMNS) * 3280 // 4095).astype("<u2")
SHUTTERS = frozenset((Flag.SHUTTER_APPLIED, Flag.SHUTTER_IGNORED))
APPLIED, IGNORED = frozenset((Flag.SHUTTER_APPLIED,)), frozenset((Flag.SHUTTER_IGNORED,))


def read(path: Path, least_px: int | None = None) -> CxrImage:
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    image: CxrImage = open_image(ref, PatientRule()).decode(least_px)
    return image


def integers(keyword: str, text: str) -> DataElement:
    """An Integer String as it will stand in the file, right or wrong."""
    return DataElement(keyword, "IS", text, already_converted=True)


def rectangle(
    left: object, right: object, upper: object, lower: object, kind: str = "Shutter"
) -> dict[str, Any]:
    edges = {"LeftVertical": left, "RightVertical": right, "UpperHorizontal": upper, "LowerHorizontal": lower}
    keywords = {f"{kind}{name}Edge": edge for name, edge in edges.items() if edge is not None}
    return {f"{kind}Shape": "RECTANGULAR"} | {
        name: integers(name, str(edge)) for name, edge in keywords.items()
    }


def circle(row: object, column: object, radius: object, kind: str = "Shutter") -> dict[str, Any]:
    numbers = {f"CenterOfCircular{kind}": f"{row}\\{column}", f"RadiusOfCircular{kind}": str(radius)}
    return {f"{kind}Shape": "CIRCULAR"} | {name: integers(name, text) for name, text in numbers.items()}


def polygon(*vertices: object, kind: str = "Shutter") -> dict[str, Any]:
    name = f"VerticesOfThePolygonal{kind}"
    return {f"{kind}Shape": "POLYGONAL", name: integers(name, "\\".join(map(str, vertices)))}


def several(*shutters: dict[str, Any], kind: str = "Shutter") -> dict[str, Any]:
    shapes = [shutter[f"{kind}Shape"] for shutter in shutters]
    together: dict[str, Any] = {}
    for shutter in shutters:
        together |= shutter
    return together | {f"{kind}Shape": shapes}


# --- the oracle: pixel by pixel, the first one at 1\1; edges belong to the inside

DOWN, ACROSS = np.meshgrid(np.arange(1, ROWS + 1), np.arange(1, COLUMNS + 1), indexing="ij")


def within(left: float, right: float, upper: float, lower: float) -> NDArray[np.bool_]:
    return np.asarray((left <= ACROSS) & (right >= ACROSS) & (upper <= DOWN) & (lower >= DOWN))


def near(row: float, column: float, radius: float, aspect: float = 1) -> NDArray[np.bool_]:
    return np.asarray(((DOWN - row) * aspect) ** 2 + (ACROSS - column) ** 2 <= radius**2)


def left_of(*vertices: float) -> NDArray[np.bool_]:
    """Inside a convex polygon whose vertices go round clockwise: on one side of each edge."""
    places = np.array(vertices, float).reshape(-1, 2)
    inside = np.ones((ROWS, COLUMNS), bool)
    for (row, column), (next_row, next_column) in zip(places, np.roll(places, -1, axis=0), strict=True):
        inside &= (next_column - column) * (DOWN - row) - (next_row - row) * (ACROSS - column) >= 0
    return inside


ROUND = circle(100, 75, 70)
ARROW = (20, 20, 20, 130, 100, 75, 180, 130, 180, 20)
SHAPES: dict[str, tuple[dict[str, Any], NDArray[np.bool_]]] = {
    "rectangle": (rectangle(31, 120, 21, 180), within(31, 120, 21, 180)),
    "a few rows and columns less": (rectangle(5, 147, 4, 200), within(5, 147, 4, 200)),
    "only the left side": (rectangle(40, 150, 1, 203), within(40, 150, 1, 203)),
    "beyond the image": (rectangle(-50, 90, -3, 900), within(-50, 90, -3, 900)),
    "decimals and blanks": (rectangle(" 31 ", "120.0", "+21", "1.8e2"), within(31, 120, 21, 180)),
    "circle": (ROUND, near(100, 75, 70)),
    "circle off the middle": (circle(0, 0, 150), near(0, 0, 150)),
    "circle of flat pixels": (ROUND | {"PixelAspectRatio": [1, 2]}, near(100, 75, 70, 0.5)),
    "circle of tall pixels": (ROUND | {"ImagerPixelSpacing": [0.3, 0.2]}, near(100, 75, 70, 1.5)),
    "polygon that is a rectangle": (polygon(21, 31, 21, 120, 180, 120, 180, 31), within(31, 120, 21, 180)),
    "the other way round": (polygon(21, 31, 180, 31, 180, 120, 21, 120), within(31, 120, 21, 180)),
    "closed twice": (polygon(21, 31, 21, 120, 180, 120, 180, 31, 21, 31), within(31, 120, 21, 180)),
    "triangle": (polygon(10, 75, 190, 140, 190, 10), left_of(10, 75, 190, 140, 190, 10)),
    "hexagon": (
        polygon(5, 40, 5, 110, 100, 148, 195, 110, 195, 40, 100, 3),
        left_of(5, 40, 5, 110, 100, 148, 195, 110, 195, 40, 100, 3),
    ),
    "arrow": (
        polygon(*ARROW),
        left_of(20, 20, 20, 130, 100, 75, 100, 20) | left_of(100, 20, 100, 75, 180, 130, 180, 20),
    ),
    "rectangle and circle": (
        several(rectangle(31, 120, 21, 180), ROUND),
        within(31, 120, 21, 180) & near(100, 75, 70),
    ),
    "all three": (
        several(rectangle(31, 150, 1, 203), ROUND, polygon(10, 75, 190, 140, 190, 10)),
        within(31, 150, 1, 203) & near(100, 75, 70) & left_of(10, 75, 190, 140, 190, 10),
    ),
    "collimator": (rectangle(31, 120, 21, 180, "Collimator"), within(31, 120, 21, 180)),
    "round collimator": (circle(100, 75, 70, "Collimator"), near(100, 75, 70)),
    "polygonal collimator": (
        polygon(10, 75, 190, 140, 190, 10, kind="Collimator"),
        left_of(10, 75, 190, 140, 190, 10),
    ),
    "shutter and collimator": (
        rectangle(31, 150, 1, 203) | circle(100, 75, 70, "Collimator"),
        within(31, 150, 1, 203) & near(100, 75, 70),
    ),
    "small letters": (ROUND | {"ShutterShape": "circular"}, near(100, 75, 70)),
    "to be shown in white": (ROUND | {"ShutterPresentationValue": 65535}, near(100, 75, 70)),
}


def blacked(stored: NDArray[Any], inside: NDArray[np.bool_], black: int) -> NDArray[Any]:
    mask = inside if stored.ndim == 2 else inside[..., None]
    return np.where(mask, stored, stored.dtype.type(black))


@pytest.mark.parametrize("case", SHAPES)
def test_as_the_file_that_is_black_outside(tmp_path: Path, case: str) -> None:
    """To the bit in full; in part but for the edge, where squares of pixels are cut."""
    header, inside = SHAPES[case]
    scatter = np.where(inside, GREY, np.uint16(3900) + (GREY & 63)).astype("<u2")
    path = write_dicom(tmp_path / "a", scatter, bits_stored=12, **header)
    black = write_dicom(tmp_path / "b", blacked(GREY, inside, 0), bits_stored=12)
    image, expected = read(path), read(black)
    assert image.flags & SHUTTERS == APPLIED
    assert np.array_equal(image.pixels, expected.pixels)
    reduced, expected = read(path, LEAST_PX), read(black, LEAST_PX)
    assert reduced.extent == expected.extent is not None
    assert reduced.flags & SHUTTERS == APPLIED
    share = block_means(inside, BLOCK)
    whole = (share == 0) | (share == 1)
    # Both are scaled to their own extremes, which at the edge may be means of both sides.
    fit = np.polyfit(reduced.pixels[whole], expected.pixels[whole], 1)
    np.testing.assert_allclose(np.polyval(fit, reduced.pixels[whole]), expected.pixels[whole], atol=1e-4)


TRANSFORMS: dict[str, tuple[NDArray[Any], dict[str, Any], int]] = {
    "MONOCHROME1": (GREY, {"PhotometricInterpretation": "MONOCHROME1"}, 4095),
    "MONOCHROME1 in 16 bits": (
        GREY,
        {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 16, "HighBit": 15},
        4095,
    ),
    "signed": ((GREY.astype("<i2") - 2048).astype("<i2"), {}, -2048),
    "signed MONOCHROME1": (
        (GREY.astype("<i2") - 2048).astype("<i2"),
        {"PhotometricInterpretation": "MONOCHROME1"},
        2047,
    ),
    "signed, all above 0": (GREY.astype("<i2"), {"BitsStored": 16, "HighBit": 15}, 0),
    "negative slope": (GREY, {"RescaleSlope": "-10", "RescaleIntercept": "40950"}, 4095),
    "negative slope of MONOCHROME1": (
        GREY,
        {"RescaleSlope": "-10", "PhotometricInterpretation": "MONOCHROME1"},
        0,
    ),
    "window": (GREY, {"WindowCenter": "2000", "WindowWidth": "3000"}, 0),
    "window of MONOCHROME1": (
        GREY,
        {"WindowCenter": "2000", "WindowWidth": "3000", "PhotometricInterpretation": "MONOCHROME1"},
        4095,
    ),
    "narrow window": (GREY, {"WindowCenter": "2000", "WindowWidth": "800"}, 0),
    "8 bits": ((GREY >> 4).astype("u1"), {}, 0),
    "16 bits": ((GREY << 4).astype("<u2"), {}, 0),
}


@pytest.mark.parametrize(
    "syntax",
    [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless, uid.JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
@pytest.mark.parametrize("case", TRANSFORMS)
def test_black_is_what_is_shown_darkest(tmp_path: Path, case: str, syntax: uid.UID) -> None:
    values, header, black = TRANSFORMS[case]
    bits = 8 if values.dtype.itemsize == 1 else 16 if case == "16 bits" else 12
    shutter, inside = SHAPES["circle"]
    written: dict[str, Any] = {"syntax": syntax, "bits_stored": bits, **header}
    path = write_dicom(tmp_path / "a", values, **written, **shutter)
    expected = read(write_dicom(tmp_path / "b", blacked(values, inside, black), **written))
    image = read(path)
    assert np.array_equal(image.pixels, expected.pixels)
    assert image.flags - SHUTTERS == expected.flags
    reduced = read(path, LEAST_PX)
    assert (reduced.extent is None) == (case == "narrow window")
    assert reduced.pixels[0, 0] == pytest.approx(0, abs=0.02)


def test_colour_outside_is_black_and_no_colour(tmp_path: Path) -> None:
    shutter, inside = SHAPES["rectangle"]
    grey = (GREY >> 4).astype(np.uint8)
    stored = np.where(inside[..., None], np.stack([grey] * 3, -1), np.array([250, 10, 90], np.uint8))
    image = read(write_dicom(tmp_path / "a", stored, photometric="RGB", **shutter))
    black = write_dicom(tmp_path / "b", blacked(stored, inside, 0), photometric="RGB")
    assert np.array_equal(image.pixels, read(black).pixels)
    assert image.colourfulness == 0
    assert image.flags & SHUTTERS == APPLIED


def test_padding_and_scatter_are_no_part_of_the_greys(tmp_path: Path) -> None:
    """A window is judged by what is left to see."""
    shutter, inside = SHAPES["rectangle"]
    stored = np.where(inside, 1000 + GREY // 8, 4000).astype("<u2")
    stored[100:110, 70:80] = 0
    window: dict[str, Any] = {"WindowCenter": "3000", "WindowWidth": "400", "PixelPaddingValue": 0}
    image = read(write_dicom(tmp_path / "a", stored, bits_stored=12, **shutter, **window))
    assert Flag.VOI_IGNORED in image.flags
    assert (image.pixels[100:110, 70:80] == 0).all()
    assert (image.pixels[0] == 0).all()


def test_the_shutter_of_one_frame(tmp_path: Path) -> None:
    shutter, inside = SHAPES["circle"]
    item, group = Dataset(), Dataset()
    for keyword, value in shutter.items():
        if isinstance(value, DataElement):
            item[value.tag] = value
        else:
            setattr(item, keyword, value)
    group.FrameDisplayShutterSequence = Sequence([item])
    path = write_dicom(tmp_path / "a", GREY, bits_stored=12, SharedFunctionalGroupsSequence=Sequence([group]))
    black = write_dicom(tmp_path / "b", blacked(GREY, inside, 0), bits_stored=12)
    assert np.array_equal(read(path).pixels, read(black).pixels)


# --- nothing to do, or nothing that can be done

UNCHANGED: dict[str, tuple[dict[str, Any], frozenset[Flag]]] = {
    "covers nothing": (rectangle(1, COLUMNS, 1, ROWS), frozenset()),
    "far beyond on all sides": (rectangle(-9000, 9000, -9000, 9000), frozenset()),
    "great circle": (circle(100, 75, 10**9), frozenset()),
    "no shape": ({**ROUND, "ShutterShape": ""}, frozenset()),
    "shape missing": ({name: value for name, value in ROUND.items() if name != "ShutterShape"}, frozenset()),
    "covers everything": (rectangle(0, 0, 0, 0), IGNORED),
    "edges reversed": (rectangle(120, 31, 180, 21), IGNORED),
    "one pair reversed": (rectangle(120, 31, 21, 180), IGNORED),
    "beside the image": (rectangle(500, 600, 1, ROWS), IGNORED),
    "next to nothing left": (rectangle(70, 80, 90, 110), IGNORED),
    "two without overlap": (several(rectangle(1, 20, 1, 203), circle(100, 120, 20)), IGNORED),
    "no number": (rectangle("LEFT", 120, 21, 180), IGNORED),
    "not a number": (rectangle("nan", 120, 21, 180), IGNORED),
    "infinite": (rectangle(1, "inf", 21, 180), IGNORED),
    "edge missing": (rectangle(31, None, 21, 180), IGNORED),
    "edge empty": (rectangle(31, "", 21, 180), IGNORED),
    "no radius": (circle(100, 75, ""), IGNORED),
    "radius 0": (circle(100, 75, 0), IGNORED),
    "radius below 0": (circle(100, 75, -70), IGNORED),
    "half a center": (circle(100, "", 70), IGNORED),
    "circle elsewhere": (circle(10**12, 10**12, 70), IGNORED),
    "two vertices": (polygon(1, 1, 203, 150), IGNORED),
    "half a vertex": (polygon(10, 75, 190, 140, 190), IGNORED),
    "vertices in a line": (polygon(1, 1, 100, 100, 50, 50), IGNORED),
    "vertices beyond all": (polygon(1, 1, 1, 10**9, 10**9, 1), IGNORED),
    "no vertices": (polygon(), IGNORED),
    "bitmap": ({"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6000}, IGNORED),
    "unknown shape": ({"ShutterShape": "STAR"}, IGNORED),
    "no collimator": (rectangle("", "", "", "", "Collimator"), IGNORED),
}


@pytest.mark.parametrize("least_px", [None, LEAST_PX])
@pytest.mark.parametrize("case", UNCHANGED)
def test_all_of_the_image_is_kept(tmp_path: Path, case: str, least_px: int | None) -> None:
    header, flags = UNCHANGED[case]
    image = read(write_dicom(tmp_path / "a", GREY, bits_stored=12, **header), least_px)
    plain = read(write_dicom(tmp_path / "b", GREY, bits_stored=12), least_px)
    assert np.array_equal(image.pixels, plain.pixels)
    assert image.flags & SHUTTERS == flags


def test_what_is_usable_of_several_is_applied(tmp_path: Path) -> None:
    shutter, inside = SHAPES["circle"]
    path = write_dicom(
        tmp_path / "a", GREY, bits_stored=12, **shutter | {"ShutterShape": ["BITMAP", "CIRCULAR"]}
    )
    black = write_dicom(tmp_path / "b", blacked(GREY, inside, 0), bits_stored=12)
    assert np.array_equal(read(path).pixels, read(black).pixels)
    assert read(path).flags & SHUTTERS == SHUTTERS


def test_thousands_of_vertices(tmp_path: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    places = np.stack([100 + 70 * np.sin(angles), 75 + 70 * np.cos(angles)], 1).round(2).ravel()
    path = write_dicom(tmp_path / "a", GREY, bits_stored=12, **polygon(*places))
    found = read(path).pixels > 0
    assert np.mean(found != near(100, 75, 70)) < 0.005

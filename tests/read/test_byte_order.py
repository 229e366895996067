"""Pixels whose two bytes are exchanged are refused, and nothing else; what the header leaves to defaults is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import DataElement

from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.byte_order import is_exchanged, variation
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import FileKind, ImageRef
from tests.factories.dicom_files import write_dicom
from tests.factories.phantoms import phantom

LEAST_PX = 130
SMALL, LARGE = phantom(300, 260), phantom(620, 540)
NATIVE = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
CODED = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)
Pixels = NDArray[Any]


def read(path: Path, least_px: int | None = None) -> NDArray[np.float32]:
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    return open_image(ref, PatientRule()).decode(least_px).pixels


def refused(path: Path, least_px: int | None = None) -> bool:
    try:
        read(path, least_px)
    except Refusal as refusal:
        return refusal.reason is Reason.CORRUPT and "other order" in refusal.detail
    return False


def stored(grey: Pixels, bits: int, *, signed: bool) -> Pixels:
    """Bring a phantom of 12 bits to others."""
    values = (grey << bits >> 12) - ((1 << bits - 1) if signed else 0)
    return values.astype(np.int16 if signed else np.uint16)


def written(path: Path, pixels: Pixels, bits: int, syntax: uid.UID, *, exchanged: bool) -> Path:
    place: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1}
    if syntax in CODED:
        return write_dicom(path, pixels.byteswap() if exchanged else pixels, syntax=syntax, **place)
    is_big = (syntax == uid.ExplicitVRBigEndian) != exchanged
    data = pixels.astype(pixels.dtype.newbyteorder(">" if is_big else "<")).tobytes()
    return write_dicom(path, pixels, syntax=syntax, x=DataElement(0x7FE00010, "OW", data), **place)


@pytest.mark.parametrize("exchanged", [True, False])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14, 15, 16])
@pytest.mark.parametrize("syntax", [*NATIVE, *CODED], ids=lambda syntax: syntax.name)
def test_exchanged_bytes(tmp_path: Path, syntax: uid.UID, bits: int, signed: bool, exchanged: bool) -> None:
    for least_px, grey in ((None, SMALL), (LEAST_PX, LARGE)):
        pixels = stored(grey, bits, signed=signed)
        path = written(tmp_path / "a", pixels, bits, syntax, exchanged=exchanged)
        assert refused(path, least_px) == exchanged


RNG = np.random.default_rng(5)
BYTES = SMALL >> 4
OTHERS: dict[str, Pixels] = {
    "8 bits in the upper byte": BYTES << 8,
    "8 bits in the upper byte, and white writing": np.where(
        RNG.random(BYTES.shape) < 0.01, 65535, BYTES << 8
    ),
    "8 bits in the lower byte": BYTES,
    "8 bits in the lower byte, and white writing": np.where(RNG.random(BYTES.shape) < 0.01, 65535, BYTES),
    "8 bits twice": BYTES * 257,
    "12 bits in the upper ones": SMALL << 4,
    "noise": RNG.integers(0, 65536, SMALL.shape),
    "noise of the upper byte": RNG.integers(0, 256, SMALL.shape) << 8,
    "noise of 8 bits": RNG.integers(0, 256, SMALL.shape),
    "much noise": np.clip((SMALL << 4) + RNG.normal(0, 6000, SMALL.shape), 0, 65535),
    "one grey": np.full_like(SMALL, 300),
    "black": np.zeros_like(SMALL),
    "black and white": np.where(SMALL > 1500, 65535, 0),
    "squares": np.indices(SMALL.shape).sum(0) % 2 * 65535,
    "stripes": np.indices(SMALL.shape)[1] % 2 * 255,
    "a wedge": np.broadcast_to(np.arange(SMALL.shape[1]) * 250, SMALL.shape),
    "a steep wedge": np.broadcast_to(np.arange(SMALL.shape[1]) * 257 % 65536, SMALL.shape),
}


@pytest.mark.parametrize("case", OTHERS)
def test_nothing_else_is_refused(case: str) -> None:
    assert not is_exchanged(OTHERS[case].astype(np.uint16))


def test_colours_and_other_sizes_are_not_looked_at() -> None:
    swapped = stored(SMALL, 16, signed=False).byteswap()
    assert is_exchanged(swapped)
    assert not is_exchanged(swapped.astype(np.uint32))
    assert not is_exchanged(np.repeat(swapped[..., None], 3, axis=-1))


def test_variation() -> None:
    assert variation(np.zeros((4, 4), np.uint16)) == 0
    assert variation(np.zeros((0, 4), np.uint16)) == 0
    assert variation(np.array([[0, 65535, 0, 65535]], np.uint16)) == 0.75
    assert variation(RNG.integers(0, 65536, (200, 200)).astype(np.int16)) == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    "elements",
    [
        {"SamplesPerPixel": None},
        {"PixelRepresentation": None},
        {"SamplesPerPixel": None, "PixelRepresentation": None, "HighBit": None},
        {"PhotometricInterpretation": "monochrome2"},
        {"NumberOfFrames": 0},
        {"PixelRepresentation": DataElement(0x00280103, "UL", 0)},
        {"PixelRepresentation": DataElement(0x00280103, "OB", b"\0")},
    ],
    ids=lambda elements: " ".join(f"{key}={value}" for key, value in elements.items()),
)
@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_a_header_that_leaves_something_to_defaults(
    tmp_path: Path, syntax: uid.UID, elements: dict[str, Any]
) -> None:
    """In full, too, and not only where means are enough."""
    pixels = stored(LARGE, 12, signed=False)
    plain = write_dicom(tmp_path / "a", pixels, bits_stored=12, syntax=syntax)
    path = write_dicom(tmp_path / "b", pixels, bits_stored=12, syntax=syntax, **elements)
    for least_px in (None, LEAST_PX):
        assert np.array_equal(read(path, least_px), read(plain, least_px))


def test_a_few_pixels_say_nothing_of_their_bytes() -> None:
    few = np.array([[0, 0], [0, 0], [1, 257]], np.uint16)
    assert not is_exchanged(few)
    assert is_exchanged(np.tile(few, (700, 1)))

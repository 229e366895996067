"""Which bits of a pixel are its grey value, and of which sign: one rule for every way of coding."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import DataElement

from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import ENCODERS, NATIVE, write_dicom
from tests.factories.phantoms import expected_of, phantom

LEAST_PX = 18
GREY = phantom()
SMALL = phantom(128, 140)
RANDOM = np.random.default_rng(7)
LOSSLESS = (NATIVE[0], NATIVE[3], *list(ENCODERS)[:1], *list(ENCODERS)[2:6])
WITH_SIGN = (uid.JPEG2000Lossless, uid.HTJ2KLossless)
CONFLICTS = frozenset((Flag.BITS_CONFLICT, Flag.PIXEL_SIGN_CONFLICT))


def read(path: Path, least_px: int | None = None) -> CxrImage:
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    image: CxrImage = open_image(ref, PatientRule()).decode(least_px)
    return image


class Case(NamedTuple):
    """`pattern` makes the bits of containers out of grey values of `bits` bits; the header says the rest."""

    bits: int
    pattern: Any
    header: dict[str, Any]
    flags: frozenset[Flag] = frozenset()


def stated(
    stored: int, high: int | None = None, *, signed: bool = False, overlays: tuple[int, ...] = ()
) -> Any:
    return {
        "BitsStored": stored,
        "HighBit": stored - 1 if high is None else high,
        "PixelRepresentation": int(signed),
        "overlays": overlays,
    }


def text(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """1 on thin lines, as letters have them."""
    lines = np.zeros(shape, np.int64)
    lines[5:30:3, 4:30], lines[4:30, 6:30:5] = 1, 1
    return lines


def noise(shape: tuple[int, ...], n: int) -> NDArray[np.int64]:
    return RANDOM.integers(0, n, shape)


def half(shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(shape[1]) > shape[1] // 2, shape).astype(np.int64)


def twos(v: NDArray[np.int64], bits: int, container: int = 16) -> NDArray[np.int64]:
    """Two's complement of values whose zero is moved to the middle."""
    return (v - (1 << (bits - 1))) & ((1 << container) - 1)


WIDE = frozenset((Flag.BITS_CONFLICT,))
CASES: dict[str, Case] = {
    "nothing above": Case(12, lambda v: v, stated(12)),
    "overlay declared": Case(12, lambda v: v | text(v.shape) << 12, stated(12, overlays=(12,))),
    "overlay declared in the last bit": Case(
        12, lambda v: v | text(v.shape) << 15, stated(12, overlays=(15,))
    ),
    "overlay over half of it": Case(12, lambda v: v | half(v.shape) << 13, stated(12, overlays=(13,))),
    "two overlays": Case(
        12, lambda v: v | text(v.shape) << 12 | half(v.shape) << 14, stated(12, overlays=(12, 14))
    ),
    "one of two declared": Case(
        12, lambda v: v | text(v.shape) << 12 | half(v.shape) << 14, stated(12, overlays=(14,))
    ),
    "overlay not declared": Case(12, lambda v: v | text(v.shape) << 12, stated(12)),
    "overlay declared elsewhere": Case(12, lambda v: v | text(v.shape) << 12, stated(12, overlays=(3,))),
    "rubbish in one bit": Case(12, lambda v: v | noise(v.shape, 2) << 12, stated(12)),
    "rubbish in four bits": Case(12, lambda v: v | noise(v.shape, 16) << 12, stated(12)),
    "the same everywhere": Case(12, lambda v: v | 0xA000, stated(12)),
    "of half the image": Case(12, lambda v: v | half(v.shape) << 12, stated(12)),
    "14 of 16": Case(14, lambda v: v | noise(v.shape, 4) << 14, stated(14)),
    "15 of 16": Case(15, lambda v: v | text(v.shape) << 15, stated(15)),
    "8 of 16": Case(8, lambda v: v | noise(v.shape, 256) << 8, stated(8)),
    "8 of 16, twice": Case(8, lambda v: v | v << 8, stated(8)),
    "10 of 16": Case(10, lambda v: v | noise(v.shape, 64) << 10, stated(10)),
    "upper bits": Case(12, lambda v: v << 4, stated(12, 15)),
    "upper bits, rubbish below": Case(12, lambda v: v << 4 | noise(v.shape, 16), stated(12, 15)),
    "middle bits, rubbish on both sides": Case(
        10, lambda v: v << 3 | noise(v.shape, 8) | noise(v.shape, 8) << 13, stated(10, 12)
    ),
    "middle bits, overlay above": Case(
        10, lambda v: v << 2 | text(v.shape) << 14, stated(10, 11, overlays=(14,))
    ),
    "1 bit wider": Case(12, lambda v: v, stated(11), WIDE),
    "2 bits wider": Case(12, lambda v: v, stated(10), WIDE),
    "4 bits wider": Case(12, lambda v: v, stated(8), WIDE),
    "16 bits": Case(16, lambda v: v, stated(12), WIDE),
    "wider, overlay above": Case(12, lambda v: v | text(v.shape) << 14, stated(10, overlays=(14,)), WIDE),
    "wider, rubbish above": Case(12, lambda v: v | noise(v.shape, 8) << 13, stated(10), WIDE),
    "wider, in the middle": Case(12, lambda v: v << 2, stated(10, 11), WIDE),
    "signed": Case(12, lambda v: twos(v, 12), stated(12, signed=True)),
    "signed, not extended": Case(12, lambda v: twos(v, 12, 12), stated(12, signed=True)),
    "signed, 16 bits": Case(16, lambda v: twos(v, 16), stated(16, signed=True)),
    "signed, more bits than are used": Case(12, lambda v: twos(v, 12), stated(16, signed=True)),
    "signed, overlay above": Case(
        12, lambda v: twos(v, 12, 12) | text(v.shape) << 12, stated(12, signed=True, overlays=(12,))
    ),
    "signed, rubbish above": Case(
        12, lambda v: twos(v, 12, 12) | noise(v.shape, 16) << 12, stated(12, signed=True)
    ),
    "signed, upper bits": Case(
        12, lambda v: twos(v, 12, 12) << 4 | noise(v.shape, 16), stated(12, 15, signed=True)
    ),
    "signed and wider": Case(12, lambda v: twos(v, 12), stated(10, signed=True), WIDE),
    "signed and wider, not extended": Case(12, lambda v: twos(v, 12, 12), stated(10, signed=True), WIDE),
}


def write(path: Path, case: Case, syntax: str, grey: NDArray[np.int64]) -> Path:
    header = dict(case.header)
    for number, bit in enumerate(header.pop("overlays")):
        group = 0x6000 + 2 * number
        header[f"overlay {number}"] = DataElement((group, 0x0102), "US", bit)
    values = case.pattern(grey).astype("<u2")
    return write_dicom(path, values, syntax=syntax, bits_stored=16, **header)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_the_grey_values_are_found(tmp_path: Path, case: str, syntax: uid.UID) -> None:
    """To the bit, in full and in part, small and large."""
    found = CASES[case]
    for grey in (GREY, SMALL):
        values = grey >> (12 - found.bits) if found.bits < 12 else grey << (found.bits - 12)
        path = write(tmp_path / "a", found, syntax, values)
        flags = set(found.flags)
        if found.header["PixelRepresentation"] and syntax in WITH_SIGN:
            flags.add(Flag.PIXEL_SIGN_CONFLICT)  # the encoder is given bits without a sign
        for image in (read(path), read(path, LEAST_PX)) if grey is GREY else (read(path),):
            np.testing.assert_allclose(image.pixels, expected_of(values, image), atol=2e-6)
            assert image.flags & CONFLICTS == flags


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGLSLossless])
def test_padding_beyond_the_stored_bits_stays_padding(
    tmp_path: Path, syntax: uid.UID, photometric: str
) -> None:
    """It is no rubbish, and the step at its edge is none of the grey values."""
    for name, case in (("rubbish", CASES["rubbish in four bits"]), ("wide", CASES["2 bits wider"])):
        values = case.pattern(GREY).astype("<u2")
        values[values == 0xF830] = 0
        values[:, :20] = 0xF830
        path = write_dicom(
            tmp_path / name,
            values,
            syntax=syntax,
            bits_stored=16,
            photometric=photometric,
            PixelPaddingValue=0xF830,
            BitsStored=case.header["BitsStored"],
            HighBit=case.header["HighBit"],
        )
        image = read(path)
        expected = expected_of(GREY[:, 20:], image)
        kept = 1 - expected if photometric == "MONOCHROME1" else expected
        assert (image.pixels[:, :20] == 0).all()
        assert np.mean(np.abs(image.pixels[:, 20:] - kept) > 1e-3) < 1e-3


def test_a_few_pixels_that_overflow_are_read_in_full(tmp_path: Path) -> None:
    """12 bits announced, and the brightest spot has 13."""
    values = phantom(bits=13)
    values = np.where(values > 4000, 4000 + (values - 4000) // 16, values).astype("<u2")
    image = read(write_dicom(tmp_path / "a", values, bits_stored=12))
    assert Flag.BITS_CONFLICT in image.flags
    np.testing.assert_allclose(image.pixels, expected_of(values, image), atol=2e-6)


# --- signs: dtype given to the encoder, PixelRepresentation, bits of codestream and header, whether signed is meant

SIGNS: dict[str, tuple[str, int, int, int, bool]] = {
    "signed, header unsigned": ("i2", 0, 12, 12, True),
    "signed 16, header unsigned": ("i2", 0, 16, 16, True),
    "signed 10, header unsigned": ("i2", 0, 10, 10, True),
    "signed 12, header unsigned 16": ("i2", 0, 12, 16, True),
    "unsigned, header signed": ("u2", 1, 12, 12, False),
    "unsigned 16, header signed": ("u2", 1, 16, 16, False),
    "unsigned 12, header signed 16": ("u2", 1, 12, 16, False),
    "two's complement as unsigned, header signed": ("u2", 1, 12, 12, True),
    "two's complement 16 as unsigned, header signed": ("u2", 1, 16, 16, True),
    "unsigned written as signed, header unsigned": ("i2", 0, 12, 12, False),
    "unsigned 16 written as signed, header unsigned": ("i2", 0, 16, 16, False),
    "both signed": ("i2", 1, 12, 12, True),
    "both signed, header 16 bits": ("i2", 1, 12, 16, True),
    "both unsigned": ("u2", 0, 12, 12, False),
    "both unsigned, header 16 bits": ("u2", 0, 12, 16, False),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("case", SIGNS)
@pytest.mark.parametrize("syntax", WITH_SIGN, ids=lambda syntax: syntax.name)
def test_the_sign_of_the_codestream(tmp_path: Path, syntax: uid.UID, case: str, photometric: str) -> None:
    """Its own where the header contradicts it, unless the greys would wrap around; always flagged."""
    dtype, representation, bits, stored, means_signed = SIGNS[case]
    grey = phantom(bits=bits)
    middle = 1 << (bits - 1)
    meant = grey - middle if means_signed else grey
    pattern = meant & ((1 << bits) - 1)
    as_signed = np.where(pattern >= middle, pattern - (1 << bits), pattern)
    path = write_dicom(
        tmp_path / "a",
        (as_signed if dtype == "i2" else pattern).astype(f"<{dtype}"),
        syntax=syntax,
        bits_stored=bits,
        photometric=photometric,
        PixelRepresentation=representation,
        BitsStored=stored,
        HighBit=stored - 1,
    )
    conflict = (dtype == "i2") != (representation == 1)
    full, reduced = read(path), read(path, LEAST_PX)
    for image in (full, reduced):
        assert (Flag.PIXEL_SIGN_CONFLICT in image.flags) == conflict
        assert Flag.BITS_CONFLICT not in image.flags
    expected = expected_of(grey, full)
    np.testing.assert_allclose(
        full.pixels, 1 - expected if photometric == "MONOCHROME1" else expected, atol=2e-6
    )
    assert reduced.extent is not None


@pytest.mark.parametrize("syntax", WITH_SIGN, ids=lambda syntax: syntax.name)
def test_a_window_applies_to_values_of_the_right_sign(tmp_path: Path, syntax: uid.UID) -> None:
    values = (GREY - 2048).astype("<i2")
    window: dict[str, Any] = {"WindowCenter": 0, "WindowWidth": 3000, "VOILUTFunction": "LINEAR_EXACT"}
    plain = write_dicom(tmp_path / "a", values, syntax=syntax, bits_stored=12, **window)
    wrong = write_dicom(
        tmp_path / "b", values, syntax=syntax, bits_stored=12, PixelRepresentation=0, **window
    )
    assert np.array_equal(read(plain).pixels, read(wrong).pixels)

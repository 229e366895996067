"""Exact presentation values for every way a DICOM radiograph stores its pixels."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef
from tests.factories.dicom_files import LOSSLESS, LOSSY, write_dicom


def open_file(path: Path) -> Any:
    return open_image(ImageRef(path=path, name=path.name, kind=FileKind.DICOM), PatientRule())


def read(path: Path) -> CxrImage:
    image: CxrImage = open_file(path).decode()
    assert image.pixels.dtype == np.float32
    assert np.isfinite(image.pixels).all()
    return image


def ramp(dtype: str, bits: int) -> NDArray[Any]:
    """64 × 48 values that use the whole range, smooth enough for the lossy coders."""
    values = np.linspace(0, 2**bits - 1, 64 * 48).round().reshape(64, 48)
    return (values - 2 ** (bits - 1) if dtype.startswith("i") else values).astype(dtype)


def scaled(stored: NDArray[Any]) -> NDArray[np.float64]:
    low, high = float(stored.min()), float(stored.max())
    return (stored.astype(np.float64) - low) / (high - low)


DEPTHS = [("u1", 8), ("u2", 10), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)]


LOSSLESS_CASES = [
    (syntax, dtype, bits)
    for syntax in LOSSLESS
    for dtype, bits in DEPTHS
    if (syntax, dtype) != (uid.HTJ2KLossless, "i2")  # the encoder of the tests writes no signed HTJ2K
]


@pytest.mark.parametrize(("syntax", "dtype", "bits"), LOSSLESS_CASES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_lossless_syntaxes_give_the_stored_values(
    tmp_path: Path, syntax: uid.UID, dtype: str, bits: int, photometric: str
) -> None:
    stored = ramp(dtype, bits)
    path = write_dicom(tmp_path / "a", stored, syntax=syntax, bits_stored=bits, photometric=photometric)
    expected = scaled(stored)
    if photometric == "MONOCHROME1":
        expected = 1 - expected
    np.testing.assert_allclose(read(path).pixels, expected, atol=1e-6)


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda s: s.name)
def test_lossy_syntaxes_stay_close_and_are_flagged(tmp_path: Path, syntax: uid.UID) -> None:
    dtype, bits = ("u2", 12) if syntax in (uid.JPEGExtended12Bit, uid.JPEGLSNearLossless) else ("u1", 8)
    image = read(write_dicom(tmp_path / "a", ramp(dtype, bits), syntax=syntax, bits_stored=bits))
    np.testing.assert_allclose(image.pixels, scaled(ramp(dtype, bits)), atol=0.02)
    assert Flag.LOSSY in image.flags


def lut_item(first: int, bits: int, table: list[int]) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(table), first, bits])
    item.add_new(0x00283006, "US", table)
    return item


STORED = np.array([[0, 10, 20], [30, 40, 50]], dtype="<u2")
SIGNED = np.array([[-30, -20, -10], [0, 10, 20]], dtype="<i2")

# stored values, header elements, expected presentation values × 100
EXACT: dict[str, tuple[NDArray[Any], dict[str, Any], list[list[float]]]] = {
    "no transform": (STORED, {}, [[0, 20, 40], [60, 80, 100]]),
    "signed": (SIGNED, {}, [[0, 20, 40], [60, 80, 100]]),
    "MONOCHROME1": (STORED, {"PhotometricInterpretation": "MONOCHROME1"}, [[100, 80, 60], [40, 20, 0]]),
    "INVERSE is no second inversion": (
        STORED,
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        [[100, 80, 60], [40, 20, 0]],
    ),
    "rescale changes nothing without a window": (
        STORED,
        {"RescaleSlope": "2", "RescaleIntercept": "-7"},
        [[0, 20, 40], [60, 80, 100]],
    ),
    "negative slope": (
        STORED,
        {"RescaleSlope": "-10", "RescaleIntercept": "500"},
        [[100, 80, 60], [40, 20, 0]],
    ),
    "slope 0 is missing": (STORED, {"RescaleSlope": "0"}, [[0, 20, 40], [60, 80, 100]]),
    # PS3.3 C.11.2.1.2.1: y = (x - (c - 0.5)) / (w - 1) + 0.5; c = 25.5 and w = 21 → (x - 25) / 20 + 0.5
    "window LINEAR": (STORED, {"WindowCenter": "25.5", "WindowWidth": "21"}, [[0, 0, 25], [75, 100, 100]]),
    "window LINEAR_EXACT": (
        STORED,
        {"WindowCenter": "25", "WindowWidth": "20", "VOILUTFunction": "LINEAR_EXACT"},
        [[0, 0, 25], [75, 100, 100]],
    ),
    # 1 / (1 + exp(-4 (x - 25) / 20)), then stretched to 0…1
    "window SIGMOID": (
        STORED,
        {"WindowCenter": "25", "WindowWidth": "20", "VOILUTFunction": "SIGMOID"},
        [[0, 4.128566, 26.580658], [73.419342, 95.871434, 100]],
    ),
    "window in rescaled units": (
        STORED,
        {"RescaleSlope": "2", "WindowCenter": "50.5", "WindowWidth": "41"},
        [[0, 0, 25], [75, 100, 100]],
    ),
    "window after negative slope": (
        STORED,
        {"RescaleSlope": "-1", "RescaleIntercept": "50", "WindowCenter": "25.5", "WindowWidth": "21"},
        [[100, 100, 75], [25, 0, 0]],
    ),
    "window and MONOCHROME1": (
        STORED,
        {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": "25.5", "WindowWidth": "21"},
        [[100, 100, 75], [25, 0, 0]],
    ),
    "first of several windows": (
        STORED,
        {"WindowCenter": ["25.5", "2"], "WindowWidth": ["21", "3"]},
        [[0, 0, 25], [75, 100, 100]],
    ),
    "window of width 0": (STORED, {"WindowCenter": "25", "WindowWidth": "0"}, [[0, 20, 40], [60, 80, 100]]),
    "window outside the values": (
        STORED,
        {"WindowCenter": "9000", "WindowWidth": "10"},
        [[0, 20, 40], [60, 80, 100]],
    ),
    "empty window": (STORED, {"WindowCenter": "", "WindowWidth": ""}, [[0, 20, 40], [60, 80, 100]]),
    "VOI LUT before window": (
        np.array([[0, 1, 2], [3, 4, 5]], "<u2"),
        {
            "VOILUTSequence": Sequence([lut_item(1, 16, [0, 100, 150, 400])]),
            "WindowCenter": "1",
            "WindowWidth": "2",
        },
        [[0, 0, 25], [37.5, 100, 100]],
    ),
    "modality LUT before rescale": (
        np.array([[0, 1, 2], [3, 3, 3]], "<u2"),
        {"ModalityLUTSequence": Sequence([lut_item(0, 16, [0, 100, 150, 400])]), "RescaleSlope": "9"},
        [[0, 25, 37.5], [100, 100, 100]],
    ),
    "padding is black and takes no part in the range": (
        np.array([[4095, 10, 20], [30, 40, 50]], "<u2"),
        {"PixelPaddingValue": 4095},
        [[0, 0, 25], [50, 75, 100]],
    ),
    "padding of MONOCHROME1 is black too": (
        np.array([[0, 10, 20], [30, 40, 50]], "<u2"),
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
        [[0, 100, 75], [50, 25, 0]],
    ),
    "padding range": (
        np.array([[4090, 4093, 10], [20, 30, 50]], "<u2"),
        {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4090},
        [[0, 0, 0], [25, 50, 100]],
    ),
    "bits above HighBit are rubbish": (
        np.array([[0xF000, 10, 20], [30, 0x8028, 50]], "<u2"),
        {"BitsStored": 12, "HighBit": 11},
        [[0, 20, 40], [60, 80, 100]],
    ),
    "values in the upper bits": (
        np.array([[0, 10 << 4, 20 << 4], [30 << 4, 40 << 4, (50 << 4) | 0xF]], "<u2"),
        {"BitsStored": 12, "HighBit": 15},
        [[0, 20, 40], [60, 80, 100]],
    ),
    "12-bit signed without sign extension": (
        np.array([[0xFE2, 0xFEC, 0xFF6], [0, 10, 20]], "<u2"),
        {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1},
        [[0, 20, 40], [60, 80, 100]],
    ),
}


@pytest.mark.parametrize("case", EXACT)
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian], ids=lambda s: s.name
)
def test_exact_presentation_values(tmp_path: Path, case: str, syntax: uid.UID) -> None:
    stored, elements, expected = EXACT[case]
    image = read(write_dicom(tmp_path / "a", stored, syntax=syntax, **elements))
    np.testing.assert_allclose(image.pixels * 100, expected, atol=1e-4)


@pytest.mark.parametrize("case", ["window of width 0", "window outside the values"])
def test_an_unusable_window_is_flagged(tmp_path: Path, case: str) -> None:
    stored, elements, _ = EXACT[case]
    assert Flag.VOI_IGNORED in read(write_dicom(tmp_path / "a", stored, **elements)).flags


def test_contradictory_presentation_lut_shape_is_flagged_and_not_obeyed(tmp_path: Path) -> None:
    image = read(write_dicom(tmp_path / "a", STORED, PresentationLUTShape="INVERSE"))
    assert Flag.PHOTOMETRIC_CONFLICT in image.flags
    np.testing.assert_allclose(image.pixels[0], [0, 0.2, 0.4], atol=1e-6)


GREY_AS_COLOUR = [
    ("RGB", uid.ExplicitVRLittleEndian),
    ("RGB", uid.JPEGBaseline8Bit),
    ("RGB", uid.JPEG2000Lossless),
    ("YBR_FULL", uid.ExplicitVRLittleEndian),
    ("YBR_FULL_422", uid.JPEGBaseline8Bit),
]


@pytest.mark.parametrize(("photometric", "syntax"), GREY_AS_COLOUR, ids=str)
def test_monochrome_stored_as_colour(tmp_path: Path, photometric: str, syntax: uid.UID) -> None:
    grey = ramp("u1", 8)
    neutral = np.full_like(grey, 128)
    is_native_ybr = photometric == "YBR_FULL"
    stored = np.stack([grey, neutral, neutral] if is_native_ybr else [grey] * 3, axis=-1)
    image = read(write_dicom(tmp_path / "a", stored, syntax=syntax, photometric=photometric))
    np.testing.assert_allclose(
        image.pixels, grey / 255, atol=0.02 if syntax == uid.JPEGBaseline8Bit else 1e-6
    )
    assert image.colourfulness < 0.01


def test_colour_is_measured_beyond_a_tint(tmp_path: Path) -> None:
    grey = ramp("u1", 8).astype(np.float64)
    blue = np.stack([grey * 0.6, grey * 0.8, grey], axis=-1).astype(np.uint8)
    assert read(write_dicom(tmp_path / "tint", blue, photometric="RGB")).colourfulness == 0
    random = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    assert read(write_dicom(tmp_path / "photo", random, photometric="RGB")).colourfulness > 0.9


DAMAGED: dict[str, tuple[dict[str, Any], Reason]] = {
    "bits contradict each other": ({"BitsStored": 20}, Reason.CORRUPT),
    "more rows than pixels": ({"Rows": 640}, Reason.TRUNCATED),
    "no photometric interpretation": ({"PhotometricInterpretation": None}, Reason.CORRUPT),
    "no pixel data": ({"PixelData": None}, Reason.TRUNCATED),
    "pixels of 32 bits, floating point": (
        {"PixelData": None, "FloatPixelData": STORED.astype("<f4").tobytes()},
        Reason.UNSUPPORTED_FORMAT,
    ),
    "pixels of 64 bits, floating point": (
        {"PixelData": None, "DoubleFloatPixelData": STORED.astype("<f8").tobytes()},
        Reason.UNSUPPORTED_FORMAT,
    ),
    "1 bit allocated": ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, Reason.CORRUPT),
    "colour in one sample": ({"PhotometricInterpretation": "RGB"}, Reason.CORRUPT),
    "rescale overflows": ({"RescaleSlope": "1e37"}, Reason.CORRUPT),
    "rescale overflows twice": ({"RescaleSlope": "1e38", "RescaleIntercept": "-3e38"}, Reason.CORRUPT),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_contradictions_are_refused(tmp_path: Path, case: str) -> None:
    elements, reason = DAMAGED[case]
    with pytest.raises(Refusal) as refusal:
        read(write_dicom(tmp_path / "a", STORED, **elements))
    assert refusal.value.reason is reason


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, *LOSSLESS[4:], *LOSSY], ids=lambda s: s.name)
def test_a_cut_off_file_is_truncated_whatever_its_syntax(tmp_path: Path, syntax: uid.UID) -> None:
    bits = 8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else 12
    stored = np.random.default_rng(1).integers(0, 2**bits, (64, 48)).astype("u1" if bits == 8 else "u2")
    path = write_dicom(tmp_path / "a", stored, syntax=syntax, bits_stored=bits)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is Reason.TRUNCATED


def test_a_flipped_bit_in_a_codestream_header_is_corrupt(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", ramp("u2", 12), syntax=uid.JPEGLSLossless, bits_stored=12)
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8\xff\xf7") + 3] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is Reason.CORRUPT


def test_codestream_of_another_size_than_the_header_says(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", ramp("u2", 12), syntax=uid.JPEG2000Lossless, bits_stored=12, Rows=63)
    with pytest.raises(Refusal, match="announces"):
        read(path)


def test_unknown_compression_is_named(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", STORED)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.66"))
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_file_without_meta_information(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", STORED, syntax=uid.ImplicitVRLittleEndian)
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"\x08\x00\x16\x00") :])
    np.testing.assert_allclose(read(path).pixels[0], [0, 0.2, 0.4], atol=1e-6)


HEADERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (
        {},
        {
            "patient_key": ("dicom", "", "TEST-1"),
            "patient_id": "TEST-1",
            "age_years": 45,
            "view_position": "PA",
            "study_date": "2020-04-01",
            "body_part": "CHEST",
            "accession_number": "A1",
            "modality": "DX",
            "n_frames": 1,
            "for_processing": False,
        },
    ),
    "issuer keeps two hospitals apart": (
        {"IssuerOfPatientID": "HOSPITAL B"},
        {"patient_key": ("dicom", "HOSPITAL B", "TEST-1"), "issuer_of_patient_id": "HOSPITAL B"},
    ),
    "study where no patient": (
        {"PatientID": "", "StudyInstanceUID": "1.2.3"},
        {"patient_key": ("study", "1.2.3"), "patient_id": "1.2.3"},
    ),
    "file where nothing": ({"PatientID": None, "StudyInstanceUID": None}, {"patient_key": ("file", "a")}),
    "age from birth date": (
        {"PatientAge": None, "PatientBirthDate": "20020402"},
        {"age_years": 17},
    ),
    "the smaller age counts": (
        {"PatientAge": "018Y", "PatientBirthDate": "20030401"},
        {"age_years": 17},
    ),
    "age in months": ({"PatientAge": "018M"}, {"age_years": 18 * 30.4375 / 365.25}),
    "age without unit": ({"PatientAge": "62"}, {"age_years": 62}),
    "nonsense age": ({"PatientAge": "old"}, {"age_years": None}),
    "birth after study": ({"PatientAge": None, "PatientBirthDate": "20300101"}, {"age_years": None}),
    "view by description": (
        {"ViewPosition": "", "SeriesDescription": "Chest LAT"},
        {"view_position": "LATERAL"},
    ),
    "view by protocol": ({"ViewPosition": None, "ProtocolName": "W_Chest_PA"}, {"view_position": "FRONTAL"}),
    "description of a whole study": (
        {"ViewPosition": None, "SeriesDescription": "Chest PA and lateral"},
        {"view_position": ""},
    ),
    "bilateral is no lateral": (
        {"ViewPosition": None, "SeriesDescription": "bilateral"},
        {"view_position": ""},
    ),
    "view by orientation": (
        {"ViewPosition": None, "PatientOrientation": ["P", "F"]},
        {"view_position": "LATERAL"},
    ),
    "frontal orientation": (
        {"ViewPosition": None, "PatientOrientation": ["L", "F"]},
        {"view_position": "FRONTAL"},
    ),
    "raw data": ({"PresentationIntentType": "FOR PROCESSING"}, {"for_processing": True}),
    "raw data by class": (
        {"SOPClassUID": uid.DigitalXRayImageStorageForProcessing},
        {"for_processing": True},
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_header(tmp_path: Path, case: str) -> None:
    elements, expected = HEADERS[case]
    header: ImageHeader = open_file(write_dicom(tmp_path / "a", STORED, **elements)).header
    assert {name: getattr(header, name) for name in expected} == expected


def test_flags_of_a_silent_header(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a", STORED, PatientAge=None, ViewPosition=None, BodyPartExamined=None, PatientID=None
    )
    assert read(path).flags == {
        Flag.AGE_UNKNOWN,
        Flag.VIEW_UNKNOWN,
        Flag.BODY_PART_UNKNOWN,
        Flag.NO_PATIENT_ID,
    }


def test_name_and_birth_date_stay_in_the_file(tmp_path: Path) -> None:
    elements: dict[str, Any] = {
        "PatientName": "Secret^Name",
        "PatientBirthDate": "19700203",
        "PatientSex": "F",
    }
    header = open_file(write_dicom(tmp_path / "a", STORED, **elements)).header
    assert "Secret" not in repr(header)
    assert "1970" not in repr(header)
    other = open_file(write_dicom(tmp_path / "b", STORED, **elements | {"PatientSex": "M"})).header
    assert header.identity_digest != other.identity_digest


def test_hundreds_of_birth_dates_have_the_same_digest(tmp_path: Path) -> None:
    """Whoever tries them all does not know which was meant."""
    born = dt.date(1970, 2, 3)
    path = write_dicom(tmp_path / "a", STORED, PatientBirthDate=f"{born:%Y%m%d}", PatientSex="F")
    digest = open_file(path).header.identity_digest
    days = (dt.date(1920, 1, 1) + dt.timedelta(n) for n in range(85 * 365))
    tried = [hashlib.sha256(f"{day}|{sex}".encode()).hexdigest() for day in days for sex in "FM"]
    assert sum(one.startswith(digest) for one in tried) > 150


def test_real_radiograph_and_its_negative(real_data: Path) -> None:
    positive = read(real_data / "raw-examples" / "rsna-cxr.dcm")
    negative = read(real_data / "raw-examples" / "rsna-cxr-monochrome1.dcm")
    np.testing.assert_allclose(positive.pixels, 1 - negative.pixels, atol=1e-6)
    assert positive.header.age_years == 62


def rle_frame(segments: list[bytes]) -> bytes:
    header = np.zeros(16, "<u4")
    header[0] = len(segments)
    header[1 : 1 + len(segments)] = 64 + np.cumsum([0, *(len(segment) for segment in segments[:-1])])
    return header.tobytes() + b"".join(segments)


HALF, WHOLE = b"\x81\x01" * 12, b"\x81\x01" * 24
"""Runs of 128 ones: 64 × 48 pixels are 24 of them."""


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0", b"\x80\x80", b"\0" * 16])
def test_padding_behind_an_rle_segment_is_no_pixel(tmp_path: Path, padding: bytes) -> None:
    frame = rle_frame([b"\x81\x00" * 12 + HALF + padding, WHOLE + padding])
    values = np.repeat([1, 257], 32 * 48).astype(np.uint16).reshape(64, 48)
    path = write_dicom(tmp_path / "a", values, syntax=uid.RLELossless, PixelData=encapsulate([frame]))
    assert read(path).pixels == pytest.approx(scaled(values))


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([WHOLE], Reason.CORRUPT),
        ([WHOLE, HALF], Reason.TRUNCATED),
        ([WHOLE, b""], Reason.TRUNCATED),
        ([WHOLE, WHOLE + WHOLE], Reason.CORRUPT),
        ([WHOLE, WHOLE[:-2] + b"\x7f\0"], Reason.CORRUPT),
    ],
)
def test_rle_segments_that_do_not_fit(tmp_path: Path, segments: list[bytes], reason: Reason) -> None:
    pixels = encapsulate([rle_frame(segments)])
    path = write_dicom(tmp_path / "a", ramp("u2", 16), syntax=uid.RLELossless, PixelData=pixels)
    with pytest.raises(Refusal) as refusal:
        read(path)
    assert refusal.value.reason is reason

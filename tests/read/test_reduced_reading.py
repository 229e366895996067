"""Every way of decoding less of a picture, against decoding all of it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.codecs.reduced import Form, decode_reduced
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef
from cxrbatch.resample import ReducedImage
from tests.factories.dicom_files import ENCODERS, LOSSLESS, LOSSY, write_dicom

ROWS, COLUMNS, LEAST_PX, BLOCK = 203, 150, 18, 8
BY_LEVELS = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless)
BY_BLOCKS = tuple(syntax for syntax in LOSSLESS if syntax not in BY_LEVELS)
DEPTHS = [("u1", 8), ("u2", 10), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)]


def opened(path: Path) -> Any:
    kind = {".png": FileKind.PNG, ".jpg": FileKind.JPEG}.get(path.suffix, FileKind.DICOM)
    return open_image(ImageRef(path=path, name=path.name, kind=kind), PatientRule())


def both(path: Path) -> tuple[CxrImage, CxrImage]:
    return opened(path).decode(LEAST_PX), opened(path).decode()


def smooth(rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.float64]:
    """0…1, and as far as the edge; slow enough for every filter."""
    across, down = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    picture = np.sin(4 * across + 1) * np.cos(3 * down) + across * down
    return np.asarray((picture - picture.min()) / np.ptp(picture))


def stored(dtype: str, bits: int) -> NDArray[Any]:
    values = np.rint(smooth() * (2**bits - 1))
    return (values - 2 ** (bits - 1) if dtype.startswith("i") else values).astype(dtype)


def means(pixels: NDArray[Any]) -> NDArray[np.float64]:
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    squares = pixels[: rows * BLOCK, : columns * BLOCK].astype(np.float64)
    return np.asarray(squares.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)))


def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values - values.min()) / np.ptp(values))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("dtype", "bits"), DEPTHS)
@pytest.mark.parametrize("syntax", BY_BLOCKS)
def test_lossless_syntaxes_give_the_means_of_stored_values(
    tmp_path: Path, syntax: uid.UID, dtype: str, bits: int, photometric: str
) -> None:
    values = stored(dtype, bits)
    path = write_dicom(tmp_path / "a", values, syntax=syntax, bits_stored=bits, photometric=photometric)
    image = opened(path).decode(LEAST_PX)
    expected = scaled(means(values))
    assert image.extent == (0, 0, COLUMNS / BLOCK, ROWS / BLOCK)
    assert image.pixels == pytest.approx(1 - expected if photometric == "MONOCHROME1" else expected, abs=1e-5)


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEGLSLossless])
def test_a_codestream_of_fewer_bits_than_the_header_states(tmp_path: Path, syntax: uid.UID) -> None:
    values = stored("u1", 8)
    path = write_dicom(tmp_path / "a", values, syntax=syntax, BitsAllocated=16, BitsStored=12, HighBit=11)
    assert opened(path).decode(LEAST_PX).pixels == pytest.approx(scaled(means(values)), abs=1e-5)


def test_bits_beside_the_stored_ones_do_not_count(tmp_path: Path) -> None:
    values = stored("u2", 10)
    rubbish = (values << 3) | np.random.default_rng(0).integers(0, 8, values.shape).astype(np.uint16) | 0xE000
    path = write_dicom(tmp_path / "a", rubbish, bits_stored=10, HighBit=12)
    assert opened(path).decode(LEAST_PX).pixels == pytest.approx(scaled(means(values)), abs=1e-5)


@pytest.mark.parametrize(
    ("syntax", "dtype", "bits"),
    [(uid.JPEG2000Lossless, dtype, bits) for dtype, bits in DEPTHS]
    + [(uid.HTJ2KLossless, "u2", 10), (uid.HTJ2KLossless, "u2", 12)],
)
def test_resolution_levels_give_every_eighth_pixel(
    tmp_path: Path, syntax: uid.UID, dtype: str, bits: int
) -> None:
    """The low-pass filters keep straight lines, so that samples are the pixels on which they are centred."""
    line = np.rint(np.add.outer(np.linspace(0, 0.6, ROWS), np.linspace(0, 0.4, COLUMNS)) * (2**bits - 1))
    values = (line - 2 ** (bits - 1) if dtype.startswith("i") else line).astype(dtype)
    image = opened(write_dicom(tmp_path / "a", values, syntax=syntax, bits_stored=bits)).decode(LEAST_PX)
    before = 0.5 - 0.5 / BLOCK
    assert image.extent == (before, before, before + COLUMNS / BLOCK, before + ROWS / BLOCK)
    assert image.pixels.shape == (-(-ROWS // BLOCK), -(-COLUMNS // BLOCK))
    inside = slice(1, -2)
    every_eighth = values[::BLOCK, ::BLOCK].astype(np.float64)
    fit = np.polyfit(every_eighth[inside, inside].ravel(), image.pixels[inside, inside].ravel(), 1)
    assert image.pixels[inside, inside] == pytest.approx(
        np.polyval(fit, every_eighth[inside, inside]), abs=0.01
    )


@pytest.mark.parametrize("samples_per_wave", [4, 8])
@pytest.mark.parametrize("syntax", BY_LEVELS)
def test_resolution_levels_weaken_waves_as_means_do(syntax: uid.UID, samples_per_wave: int) -> None:
    """The reversible filter alone would leave 1.15 and 1.05 of their height, where means have 0.90 and 0.97."""
    phase = 2 * np.pi / samples_per_wave
    wave = 2000 + 500 * np.sin(phase / BLOCK * np.arange(512) + 0.3)
    values = np.rint(np.broadcast_to(wave, (64, 512))).astype(np.uint16)
    form = Form(shape=values.shape, allocated=16, stored=12, high=11, signed=False)
    reduced = decode_reduced(bytes(ENCODERS[syntax](values, 12)), syntax, form, halvings=3)
    place = np.arange(16, 48)
    parts = np.stack([np.sin(phase * place), np.cos(phase * place), np.ones_like(place)], axis=1)
    sine, cosine, _ = np.linalg.lstsq(parts, reduced.pixels[4, place])[0]
    of_means = 500 * np.sin(phase / 2) / (phase / 2)
    assert np.hypot(sine, cosine) == pytest.approx(of_means, rel=0.045)


@pytest.mark.parametrize("syntax", [*BY_BLOCKS, *BY_LEVELS, *LOSSY])
def test_any_part_of_the_picture_has_the_mean_of_the_full_one(tmp_path: Path, syntax: uid.UID) -> None:
    dtype, bits = ("u1", 8) if syntax == uid.JPEGBaseline8Bit else ("u2", 12)
    path = write_dicom(tmp_path / "a", stored(dtype, bits), syntax=syntax, bits_stored=bits)
    reduced, full = both(path)
    assert reduced.pixels.shape in (
        (ROWS // BLOCK, COLUMNS // BLOCK),
        (-(-ROWS // BLOCK), -(-COLUMNS // BLOCK)),
    )
    assert isinstance(reduced.grey_image, ReducedImage)
    expected = full.pixels[: ROWS // 7 * 7, : COLUMNS // 5 * 5]
    expected = expected.reshape(7, ROWS // 7, 5, COLUMNS // 5).mean(axis=(1, 3))
    found = reduced.grey_image.area_mean(7, 5)
    # Both are scaled to their own extremes, which the means do not reach.
    fit = np.polyfit(found.ravel(), expected.ravel(), 1)
    assert fit[0] == pytest.approx(1, abs=0.1)
    assert np.polyval(fit, found) == pytest.approx(expected, abs=0.006)
    assert reduced.flags == full.flags


@pytest.mark.parametrize("size", [(203, 150), (200, 152), (201, 151), (207, 159), (208, 145)])
def test_levels_of_any_size_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    """Pillow takes a level of 203 rows to have 25 rows where it has 26, and then calls it broken."""
    values = np.rint(smooth(*size) * 4095).astype(np.uint16)
    path = write_dicom(tmp_path / "a", values, syntax=uid.JPEG2000Lossless, bits_stored=12)
    assert opened(path).decode(LEAST_PX).pixels.shape == (-(-size[0] // 8), -(-size[1] // 8))


# --- what is decoded in full all the same


def lut(entries: list[int]) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, 12]
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return Sequence([item])


STEPS = [0 if value < 2000 else 4095 for value in range(4096)]
GENTLE = [round(4095 * (value / 4095) ** 0.7) for value in range(4096)]
IN_FULL: dict[str, dict[str, Any]] = {
    "padding": {"PixelPaddingValue": 0},
    "narrow window": {"WindowCenter": 2000, "WindowWidth": 1000},
    "step in the VOI LUT": {"VOILUTSequence": lut(STEPS)},
    "step in the modality LUT": {"ModalityLUTSequence": lut(STEPS)},
}
REDUCED: dict[str, dict[str, Any]] = {
    "wide window": {"WindowCenter": 2000, "WindowWidth": 3000},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": "SIGMOID"},
    "gentle VOI LUT": {"VOILUTSequence": lut(GENTLE)},
    "rescaled": {"RescaleSlope": "0.25", "RescaleIntercept": "-1000"},
    "padding that does not occur": {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4094},
}


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGLSLossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("case", IN_FULL)
def test_where_means_are_not_enough_all_pixels_are_decoded(
    tmp_path: Path, case: str, syntax: uid.UID
) -> None:
    path = write_dicom(tmp_path / "a", stored("u2", 12), syntax=syntax, bits_stored=12, **IN_FULL[case])
    reduced, full = both(path)
    assert reduced.extent is None
    assert np.array_equal(reduced.pixels, full.pixels)


@pytest.mark.parametrize("case", REDUCED)
def test_what_the_header_says_is_applied_to_means(tmp_path: Path, case: str) -> None:
    values = np.minimum(stored("u2", 12), 4090)
    reduced, full = both(write_dicom(tmp_path / "a", values, bits_stored=12, **REDUCED[case]))
    assert reduced.extent
    expected = means(full.pixels)
    fit = np.polyfit(reduced.pixels.ravel(), expected.ravel(), 1)
    assert np.polyval(fit, reduced.pixels) == pytest.approx(expected, abs=0.008)
    assert reduced.flags == full.flags


def jpeg2k(values: NDArray[Any], **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG2000", no_jp2=True, **how)
    return stream.getvalue()


BY_BLOCKS_EXTENT = (0, 0, COLUMNS / BLOCK, ROWS / BLOCK)


@pytest.mark.parametrize(
    ("how", "has_level"),
    [
        ({}, True),
        ({"num_resolutions": 3}, False),
        ({"tile_size": (64, 64)}, False),
    ],
)
def test_codestreams_without_a_level_that_fits_are_averaged(
    tmp_path: Path, how: dict[str, Any], has_level: bool
) -> None:
    values = stored("u1", 8)
    pixels = encapsulate([jpeg2k(values, **how)])
    path = write_dicom(tmp_path / "a", values, syntax=uid.JPEG2000Lossless, PixelData=pixels)
    image = opened(path).decode(LEAST_PX)
    assert (image.extent != BY_BLOCKS_EXTENT) == has_level
    expected = values[::BLOCK, ::BLOCK].astype(np.float64) if has_level else means(values)
    assert image.pixels == pytest.approx(scaled(expected), abs=0.03 if has_level else 1e-5)


def test_a_sign_that_header_and_codestream_do_not_share_is_averaged_afterwards(tmp_path: Path) -> None:
    """Two's complement wraps round in the middle of the grey scale: a mean across it would be nonsense."""
    values = stored("i2", 12)
    wrapped = (values & 0xFFF).astype(np.uint16)
    path = write_dicom(
        tmp_path / "a",
        values,
        syntax=uid.JPEG2000Lossless,
        bits_stored=12,
        PixelData=encapsulate([jpeg2k(wrapped)]),
    )
    image = opened(path).decode(LEAST_PX)
    assert image.extent == BY_BLOCKS_EXTENT
    assert image.pixels == pytest.approx(scaled(means(values)), abs=1e-5)


# --- damage is told as it is when all pixels are decoded


def refusal(path: Path, least_px: int | None) -> Reason:
    with pytest.raises(Refusal) as found:
        opened(path).decode(least_px)
    return found.value.reason


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, *ENCODERS])
def test_a_file_that_was_cut_off_is_refused_for_the_same_reason(tmp_path: Path, syntax: uid.UID) -> None:
    dtype, bits = ("u1", 8) if syntax == uid.JPEGBaseline8Bit else ("u2", 12)
    path = write_dicom(tmp_path / "a", stored(dtype, bits), syntax=syntax, bits_stored=bits)
    content = path.read_bytes()
    path.write_bytes(content[: -len(content) // 3])
    assert refusal(path, LEAST_PX) is refusal(path, None) is Reason.TRUNCATED


@pytest.mark.parametrize("syntax", ENCODERS)
def test_rubbish_in_place_of_a_codestream_is_refused_for_the_same_reason(
    tmp_path: Path, syntax: uid.UID
) -> None:
    dtype, bits = ("u1", 8) if syntax == uid.JPEGBaseline8Bit else ("u2", 12)
    rubbish = b"\xff\x4f\xff\x51" + bytes(range(256)) * 4 + b"\xff\xd9"
    path = write_dicom(
        tmp_path / "a", stored(dtype, bits), syntax=syntax, bits_stored=bits, PixelData=encapsulate([rubbish])
    )
    assert refusal(path, LEAST_PX) is refusal(path, None)


def test_pixels_of_another_size_than_the_header_says_are_refused(tmp_path: Path) -> None:
    """Else a picture could be shown squeezed that nobody would show in full."""
    for syntax in (uid.JPEG2000Lossless, uid.HTJ2KLossless):
        path = write_dicom(tmp_path / "a", stored("u2", 12), syntax=syntax, bits_stored=12, Rows=ROWS - 1)
        assert refusal(path, LEAST_PX) is Reason.CORRUPT


# --- PNG and JPEG


def colours() -> NDArray[np.uint8]:
    grey = np.rint(smooth() * 255)
    return np.stack([grey, 255 - grey, grey / 2], axis=2).astype(np.uint8)


RASTERS: dict[str, tuple[str, Image.Image]] = {
    "8-bit PNG": (".png", Image.fromarray(stored("u1", 8))),
    "16-bit PNG": (".png", Image.fromarray(stored("u2", 16))),
    "RGB PNG": (".png", Image.fromarray(colours())),
    "JPEG": (".jpg", Image.fromarray(stored("u1", 8))),
    "RGB JPEG": (".jpg", Image.fromarray(colours())),
}


@pytest.mark.parametrize("case", RASTERS)
def test_rasters_give_the_means_of_presentation_values(tmp_path: Path, case: str) -> None:
    suffix, image = RASTERS[case]
    path = tmp_path / f"a{suffix}"
    image.save(path, quality=98, subsampling=0)
    reduced, full = both(path)
    expected = means(full.pixels)
    assert reduced.extent == (0, 0, COLUMNS / BLOCK, ROWS / BLOCK)
    found = reduced.pixels[: expected.shape[0], : expected.shape[1]]
    assert found == pytest.approx(expected, abs=0.004 if suffix == ".jpg" else 1e-5)
    assert reduced.colourfulness == pytest.approx(full.colourfulness, abs=0.06)
    assert reduced.flags == full.flags


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


RASTERS_IN_FULL: dict[str, tuple[str, Image.Image, dict[str, Any]]] = {
    "turned": (".jpg", Image.fromarray(stored("u1", 8)), {"exif": turned()}),
    "palette": (".png", Image.fromarray(stored("u1", 8)).convert("P"), {}),
    "one colour transparent": (".png", Image.fromarray(colours()), {"transparency": (255, 0, 127)}),
    "transparent": (".png", Image.fromarray(colours()).convert("RGBA"), {}),
    "CMYK": (".jpg", Image.fromarray(colours()).convert("CMYK"), {}),
}


@pytest.mark.parametrize("case", RASTERS_IN_FULL)
def test_unusual_rasters_are_decoded_in_full(tmp_path: Path, case: str) -> None:
    suffix, image, how = RASTERS_IN_FULL[case]
    path = tmp_path / f"a{suffix}"
    image.save(path, **how)
    reduced, full = both(path)
    assert reduced.extent is None
    assert np.array_equal(reduced.pixels, full.pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_raster_that_was_cut_off_is_refused_for_the_same_reason(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(stored("u1", 8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path, LEAST_PX) is refusal(path, None) is Reason.TRUNCATED

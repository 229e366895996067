"""Pictures outside DICOM: the right grey values, in full and in part, or a reason that says what is not read."""

import io
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cxrbatch import gate
from cxrbatch.discover import classify
from cxrbatch.limits import Limits
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import PatientRule, block_means, open_image
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, Failure, ImageRef
from tests.factories.dicom_files import ENCODERS, _htj2k
from tests.factories.pictures import bmp, box, jp2, packed_12_bits, tiff, webp_header
from tests.factories.radiographs import LARGE, LEAST_PX, SMALL, drawn

GREY_8, GREY_12, GREY_16 = (drawn(bits, SMALL) for bits in (8, 12, 16))


def opened(path: Path, limits: Limits = Limits()) -> Any:
    found = classify(path, path.name)
    assert isinstance(found, ImageRef)
    return open_image(found, PatientRule(), limits)


def read(path: Path, data: bytes, least_px: int | None = None, limits: Limits = Limits()) -> CxrImage:
    path.write_bytes(data)
    image: CxrImage = opened(path, limits).decode(least_px)
    return image


def refusal(path: Path, data: bytes, limits: Limits = Limits()) -> Refusal:
    for least_px in (None, LEAST_PX):
        with pytest.raises(Refusal) as found:
            read(path, data, least_px, limits)
    return found.value


def saved(pixels: NDArray[Any], kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def jpeg2000(pixels: NDArray[Any], bits: int, **options: Any) -> bytes:
    options = {"codecformat": "j2k", "level": 0, "reversible": True, "bitspersample": bits, **options}
    return bytes(imagecodecs.jpeg2k_encode(pixels, **options))


def lossless_jpeg(pixels: NDArray[Any], bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=bits))


def jpeg_ls(pixels: NDArray[Any], _: int) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels))


LOSSLESS: dict[str, tuple[int, Callable[[NDArray[Any]], bytes]]] = {
    "lossless JPEG, 8 bits": (8, lambda a: lossless_jpeg(a, 8)),
    "lossless JPEG, 12 bits": (12, lambda a: lossless_jpeg(a, 12)),
    "lossless JPEG, 16 bits": (16, lambda a: lossless_jpeg(a, 16)),
    "lossless JPEG, other predictor": (12, lambda a: bytes(imagecodecs.ljpeg_encode(a, bitspersample=12))),
    "JPEG-LS, 8 bits": (8, lambda a: jpeg_ls(a, 8)),
    "JPEG-LS, 16 bits": (16, lambda a: jpeg_ls(a, 16)),
    "JPEG 2000, 8 bits": (8, lambda a: jpeg2000(a, 8)),
    "JPEG 2000, 12 bits": (12, lambda a: jpeg2000(a, 12)),
    "JPEG 2000, 16 bits": (16, lambda a: jpeg2000(a, 16)),
    "JP2, 12 bits": (12, lambda a: jp2(jpeg2000(a, 12))),
    "JP2 of OpenJPEG": (16, lambda a: jpeg2000(a, 16, codecformat="jp2")),
    "JP2 of Pillow": (8, lambda a: saved(a, "JPEG2000")),
    "HTJ2K, 12 bits": (12, lambda a: _htj2k(a, 12)),
    "HTJ2K in JP2": (12, lambda a: jp2(_htj2k(a, 12))),
    "TIFF, 8 bits": (8, tiff),
    "TIFF, 16 bits": (16, tiff),
    "TIFF, 16 bits, big-endian": (16, lambda a: tiff(a, order=">")),
    "TIFF, 8 bits, white is 0": (8, lambda a: tiff(255 - a, white_is_zero=True)),
    "TIFF, 16 bits, white is 0": (16, lambda a: tiff(65535 - a, white_is_zero=True)),
    "TIFF, 12 bits": (12, lambda a: tiff(a, bits=12, data=packed_12_bits(a))),
    "TIFF of Pillow, LZW": (8, lambda a: saved(a, "TIFF", compression="tiff_lzw")),
    "TIFF of Pillow, deflate": (16, lambda a: saved(a, "TIFF", compression="tiff_adobe_deflate")),
    "TIFF of Pillow, PackBits": (8, lambda a: saved(a, "TIFF", compression="packbits")),
    "TIFF, RGB": (8, lambda a: tiff(np.stack([a] * 3, axis=-1))),
    "BigTIFF": (8, lambda a: saved(a, "TIFF", big_tiff=True)),
    "BMP": (8, bmp),
    "BMP of Pillow": (8, lambda a: saved(a, "BMP")),
    "BMP, RGB": (8, lambda a: saved(np.stack([a] * 3, axis=-1), "BMP")),
    "WebP": (8, lambda a: saved(a, "WEBP", lossless=True)),
    "WebP with a profile": (8, lambda a: saved(a, "WEBP", lossless=True, icc_profile=b"\0" * 9)),
}
"""Bits, and how a file is made."""
MAYBE_LOSSY = ("WebP with a profile",)


@pytest.mark.parametrize("name", LOSSLESS)
def test_exact_values(tmp_path: Path, name: str) -> None:
    bits, encode = LOSSLESS[name]
    pixels = drawn(bits, SMALL)
    image = read(tmp_path / "film.jpg", encode(pixels))
    assert np.array_equal(np.rint(image.pixels * (2**bits - 1)), pixels)
    assert (image.header.rows, image.header.columns, image.header.n_frames) == (*SMALL, 1)
    assert image.header.patient_key == ("file", "film.jpg")
    assert (Flag.LOSSY in image.flags) == (name in MAYBE_LOSSY)
    assert image.flags >= {Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN}
    assert image.colourfulness == 0


@pytest.mark.parametrize(
    "name", [name for name in LOSSLESS if not name.endswith("16 bits") or "white" in name]
)
def test_a_large_one_in_part(tmp_path: Path, name: str) -> None:
    """As means of blocks, or of a resolution level, which overlaps its neighbours a little."""
    bits, encode = LOSSLESS[name]
    pixels = drawn(bits, LARGE)
    image = read(tmp_path / "a", encode(pixels), LEAST_PX)
    block = round(LARGE[0] / (image.extent[3] - image.extent[1])) if image.extent else 0
    assert block == 32
    rows, columns = (side // block for side in LARGE)
    means = block_means.block_means(block_means.strips(pixels, block), block) / (2**bits - 1)
    tolerance = 0.07 if "K" in name or name.startswith(("JPEG 2000", "JP2")) else 1e-6
    assert np.abs(image.pixels[:rows, :columns] - means).max() < tolerance


LOSSY: dict[str, tuple[int, Callable[[NDArray[Any]], bytes]]] = {
    "JPEG, 12 bits": (12, lambda a: bytes(imagecodecs.jpeg8_encode(a, level=98, bitspersample=12))),
    "JPEG-LS, near": (16, lambda a: bytes(imagecodecs.jpegls_encode(a, level=2))),
    "JPEG 2000": (12, lambda a: jpeg2000(a, 12, level=60, reversible=False)),
    "WebP": (8, lambda a: saved(a, "WEBP", quality=98)),
    "JPEG in TIFF": (8, lambda a: saved(a, "TIFF", compression="jpeg", quality=98)),
}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("name", LOSSY)
def test_lossy_ones(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    bits, encode = LOSSY[name]
    pixels = drawn(bits, size)
    image = read(tmp_path / "a", encode(pixels))
    assert np.abs(image.pixels - pixels / (2**bits - 1)).max() < 0.06
    assert Flag.LOSSY in image.flags
    in_part = read(tmp_path / "a", encode(pixels), LEAST_PX)
    assert abs(in_part.pixels.mean() - image.pixels.mean()) < 0.003


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "JPEG", "lossless JPEG"])
def test_orientation_is_that_of_exif(tmp_path: Path, kind: str, orientation: int) -> None:
    """The oracle is `ImageOps.exif_transpose`."""
    pixels = drawn(8, SMALL)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "TIFF":
        data = tiff(pixels, _274=orientation)
    elif kind == "lossless JPEG":
        frame, segment = lossless_jpeg(pixels, 8), exif.tobytes()
        data = frame[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + frame[2:]
    else:
        data = saved(pixels, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {"quality": 100}))
    plain = Image.fromarray(pixels)
    plain.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(plain)) / 255
    image = read(tmp_path / "a", data)
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels - expected).max() < (0.05 if kind == "JPEG" else 1e-6)


def test_a_rotated_large_one_is_upright_too(tmp_path: Path) -> None:
    pixels = drawn(8, LARGE)
    image = read(tmp_path / "a", tiff(pixels, _274=6), LEAST_PX)
    assert np.array_equal(np.rint(image.pixels * 255), np.rot90(pixels, -1))


@pytest.mark.parametrize("level", [None, 2])
def test_a_draft_that_fails_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int | None
) -> None:
    """Whatever the failure: here that of any file under any decoder."""
    from cxrbatch.read import codestream_file, raster

    def fail(*_: object, **__: object) -> None:
        raise OSError("broken data stream")

    monkeypatch.setattr(raster, "plain_pixels", lambda _: None)
    monkeypatch.setattr(raster, "_has_clear_colour", fail)
    monkeypatch.setattr(codestream_file, "can_reduce", lambda _: False)
    pixels = drawn(8, LARGE)
    least_px = LEAST_PX if level else None
    for data in (tiff(pixels), bmp(pixels), saved(pixels, "PNG"), saved(pixels, "WEBP", lossless=True)):
        assert np.array_equal(np.rint(read(tmp_path / "a", data, least_px).pixels * 255), pixels)


# --- what is not read, and what is damaged

GREY = GREY_8.astype(np.float32)
UNSUPPORTED = {
    "TIFF of real values": tiff(GREY, _339=3),
    "TIFF of real values, big-endian": tiff(GREY, order=">", _339=3),
    "TIFF of 32 bits": tiff(GREY_16.astype("u4")),
    "TIFF, signed": tiff(GREY_16.astype("i2"), _339=2),
    "TIFF, signed, 8 bits": tiff(GREY_8, _339=2),
    "TIFF of 64 bits": tiff(GREY.astype("f8"), _339=3),
    "TIFF, 16 bits, big-endian, white is 0": tiff(GREY_16, order=">", white_is_zero=True),
    "TIFF of an unknown compression": tiff(GREY_8, _259=9999),
    "TIFF of no known colours": tiff(GREY_8, _262=999),
    "JPEG 2000, signed": jpeg2000(GREY_12.astype("i2"), 12),
    "JP2 with a palette": jp2(jpeg2000(GREY_8, 8), further=box(b"pclr", bytes(10))),
    "JP2 of YCC": jp2(jpeg2000(np.stack([GREY_8] * 3, axis=-1), 8, mct=False), colour_space=18),
    "JP2 without an image": box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 "),
    "JP2 of two images": jp2(jpeg2000(GREY_8, 8)) + box(b"jp2c", jpeg2000(GREY_8, 8)),
    "JPEG 2000 of four channels": jpeg2000(np.stack([GREY_8] * 4, axis=-1), 8),
    "BMP in JPEG": bmp(GREY_8)[:30] + b"\4" + bmp(GREY_8)[31:],
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_read_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    found = refusal(tmp_path / "a.tif", UNSUPPORTED[name])
    assert found.reason is Reason.UNSUPPORTED_FORMAT
    assert found.detail.endswith("export it as DICOM, PNG or JPEG")


WHOLE = {
    "TIFF": tiff(GREY_8),
    "TIFF, LZW": saved(GREY_8, "TIFF", compression="tiff_lzw"),
    "BMP": bmp(GREY_8),
    "WebP": saved(GREY_8, "WEBP", lossless=True),
    "JPEG 2000": jpeg2000(GREY_12, 12),
    "JP2": jp2(jpeg2000(GREY_12, 12)),
    "JPEG, 12 bits": LOSSY["JPEG, 12 bits"][1](GREY_12),
    "lossless JPEG": lossless_jpeg(GREY_12, 12),
    "JPEG-LS": jpeg_ls(GREY_12, 12),
}


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", WHOLE)
def test_files_that_are_cut_off(tmp_path: Path, name: str, share: float) -> None:
    data = WHOLE[name]
    assert refusal(tmp_path / "a", data[: int(len(data) * share)]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("name", ["JPEG 2000", "JPEG, 12 bits", "lossless JPEG", "JPEG-LS"])
def test_padding_behind_a_codestream(tmp_path: Path, name: str) -> None:
    expected = read(tmp_path / "a", WHOLE[name]).pixels
    for padding in (b"\0" * 5000, b"\xff" * 100, b"\r\n"):
        assert np.array_equal(read(tmp_path / "a", WHOLE[name] + padding).pixels, expected)
        assert refusal(tmp_path / "a", WHOLE[name][:-40] + padding).reason is Reason.TRUNCATED


def test_pages_and_frames(tmp_path: Path) -> None:
    """Which of them is the radiograph nobody knows."""
    page = Image.fromarray(drawn(8, (200, 180)))
    for kind in ("TIFF", "WEBP"):
        stream = io.BytesIO()
        page.save(stream, kind, save_all=True, append_images=[page.transpose(Image.Transpose.ROTATE_180)])
        (tmp_path / "a").write_bytes(stream.getvalue())
        found = prepared(tmp_path / "a")
        assert isinstance(found, Failure)
        assert found.reason is Reason.MULTI_FRAME


def test_pages_in_a_circle_are_not_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(tiff(drawn(8, (200, 180)), next_page=8))
    assert opened(tmp_path / "a").header.n_frames == 1


def prepared(path: Path) -> Any:
    found = classify(path, path.name)
    assert isinstance(found, ImageRef)
    return prepare(found, PrepareOptions(spec=PreprocessSpec(height=32, width=32)))


# --- claims of a size

HUGE = 100_000


def j2k_of(rows: int, columns: int) -> bytes:
    data = bytearray(jpeg2000(GREY_8, 8))
    for place in (8, 24):
        struct.pack_into(">LL", data, place, columns, rows)
    return bytes(data)


def jpeg_of(data: bytes, rows: int, columns: int) -> bytes:
    place = next(at for m in (0xC1, 0xC3, 0xF7) if (at := data.find(bytes((0xFF, m)))) > 0)
    return data[: place + 5] + struct.pack(">HH", rows, columns) + data[place + 9 :]


CLAIMS = {
    "TIFF": tiff(GREY_8, _256=HUGE, _257=HUGE, _278=HUGE),
    "TIFF, LZW": tiff(GREY_8, _256=HUGE, _257=HUGE, _278=HUGE, _259=5),
    "BMP": bmp(GREY_8, rows=HUGE, columns=HUGE),
    "JPEG 2000": j2k_of(HUGE, HUGE),
    "JP2": jp2(j2k_of(HUGE, HUGE)),
    "WebP": webp_header(HUGE, HUGE, "VP8X"),
    "WebP, the largest": webp_header(1 << 24, 1 << 24, "VP8X"),
    "WebP, lossless": webp_header(1 << 14, 1 << 14, "VP8L"),
    "WebP, lossy": webp_header((1 << 14) - 1, (1 << 14) - 1, "VP8 "),
    "JPEG, 12 bits": jpeg_of(WHOLE["JPEG, 12 bits"], 65_500, 65_500),
    "lossless JPEG": jpeg_of(WHOLE["lossless JPEG"], 65_500, 65_500),
    "JPEG-LS": jpeg_of(WHOLE["JPEG-LS"], 65_500, 65_500),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_of_a_huge_size_is_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(CLAIMS[name])
    tracemalloc.start()
    found = prepared(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert isinstance(found, Failure)
    assert found.reason is Reason.TOO_LARGE
    assert "limit 144 million" in found.detail


def test_a_codestream_for_too_many_pixels_is_refused_by_the_ratio(tmp_path: Path) -> None:
    data = jpeg2000(np.zeros((1000, 1000), np.uint8), 8)
    assert 1000 * len(data) < 1_000_000
    found = refusal(tmp_path / "a", data)
    assert (found.reason, "limit 1000 times" in found.detail) == (Reason.TOO_LARGE, True)


def test_formats_of_pillow_are_a_closed_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file only as the one format that its first bytes show."""
    asked: list[Any] = []
    open_ = Image.open

    def watched(stream: Any, *, formats: Any) -> Any:
        asked.append(formats)
        return open_(stream, formats=formats)

    monkeypatch.setattr(Image, "open", watched)
    for data in (tiff(GREY_8), bmp(GREY_8), WHOLE["WebP"], saved(GREY_8, "PNG"), saved(GREY_8, "JPEG")):
        read(tmp_path / "a", data)
    assert {len(formats) for formats in asked} == {1}
    assert {formats[0] for formats in asked} == {"TIFF", "BMP", "WEBP", "PNG", "JPEG"}


def test_the_gate_sees_the_size_before_pixels_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CLAIMS["WebP"])
    with pytest.raises(Refusal):
        gate.check_size(opened(tmp_path / "a").header)


def test_every_compression_of_dicom_is_read_outside_it(tmp_path: Path) -> None:
    for syntax, encode in ENCODERS.items():
        if syntax.name == "RLE Lossless":
            continue  # nothing says that a file is RLE
        bits = 8 if syntax.name == "JPEG Baseline (Process 1)" else 16 if "JPEG-LS" in syntax.name else 12
        image = read(tmp_path / "film", bytes(encode(drawn(bits, SMALL), bits)))
        assert np.abs(image.pixels - drawn(bits, SMALL) / (2**bits - 1)).max() < 0.1

"""Files that ask for more than they may, or announce what they do not hold."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from cxrbatch.limits import Limits
from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.codecs import jpeg2000
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import ENCODERS, write_dicom

ROWS, COLUMNS = 64, 48
COMPRESSED = tuple(ENCODERS)


def stored(bits: int = 12) -> NDArray[Any]:
    values = np.linspace(0, 2**bits - 1, ROWS * COLUMNS).round().reshape(ROWS, COLUMNS)
    return values.astype("u1" if bits == 8 else "<u2")


def written(path: Path, syntax: str, **elements: Any) -> Path:
    bits = 8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else 12
    return write_dicom(path, stored(bits), syntax=syntax, bits_stored=bits, **elements)


def read(path: Path, limits: Limits = Limits(), least_px: int | None = None) -> CxrImage:
    kind = {".png": FileKind.PNG, ".jpg": FileKind.JPEG}.get(path.suffix, FileKind.DICOM)
    return open_image(ImageRef(path=path, name="a", kind=kind), PatientRule(), limits).decode(least_px)


def refusal(path: Path, limits: Limits = Limits(), least_px: int | None = None) -> Refusal:
    with pytest.raises(Refusal) as found:
        read(path, limits, least_px)
    return found.value


def with_size(codestream: bytes, rows: int, columns: int) -> bytes:
    """Change what the codestream says of its size."""
    data = bytearray(codestream)
    if (siz := data.find(b"\xff\x51")) == 2:
        struct.pack_into(">LL", data, siz + 6, columns, rows)
        struct.pack_into(">LL", data, siz + 22, columns, rows)
        return bytes(data)
    sof = next(at for m in (0xC0, 0xC1, 0xC3, 0xF7) if (at := data.find(bytes((0xFF, m)))) > 0)
    struct.pack_into(">HH", data, sof + 5, rows, columns)
    return bytes(data)


def resized(path: Path, syntax: str, rows: int, columns: int, **elements: Any) -> Path:
    bits = 8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else 12
    frame = with_size(bytes(ENCODERS[uid.UID(syntax)](stored(bits), bits)), rows, columns)
    return written(path, syntax, PixelData=encapsulate([frame]), **elements)


@pytest.mark.parametrize("least_px", [None, 8])
@pytest.mark.parametrize("syntax", COMPRESSED[1:], ids=lambda s: s.name)
def test_a_codestream_larger_than_the_header_is_not_decoded(
    tmp_path: Path, syntax: uid.UID, least_px: int | None
) -> None:
    """160,000 × 160,000 pixels of 16 bits are 51 GB; JPEG can say 65,500 × 65,500."""
    side = 65_500 if "JPEG" in syntax.name and "2000" not in syntax.name else 160_000
    path = resized(tmp_path / "a", syntax, side, side)
    tracemalloc.start()
    found = refusal(path, least_px=least_px)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.reason is Reason.CORRUPT
    assert f"{COLUMNS} × {ROWS} × 1 of" in found.detail
    assert f"{side} × {side} × 1 of" in found.detail
    assert peak < 1 << 22


@pytest.mark.parametrize(
    "syntax", [uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.JPEGLSLossless], ids=lambda s: s.name
)
def test_pixels_out_of_too_few_bytes(tmp_path: Path, syntax: uid.UID) -> None:
    path = resized(tmp_path / "a", syntax, 6000, 6000, Rows=6000, Columns=6000)
    found = refusal(path)
    n_bytes = 2 * 6000 * 6000
    assert found.reason is Reason.TOO_LARGE
    assert found.detail.startswith(f"{n_bytes} bytes of pixels out of ")


def test_the_ratio_is_a_limit_like_others(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.JPEG2000Lossless)
    frame_bytes = len(ENCODERS[uid.JPEG2000Lossless](stored(), 12))
    ratio = 2 * ROWS * COLUMNS // frame_bytes
    assert read(path, Limits(ratio=ratio + 1)).pixels.shape == (ROWS, COLUMNS)
    assert refusal(path, Limits(ratio=ratio)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("elements", "detail"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "× 3 of 16"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "of 8 bits"),
        ({"Rows": ROWS + 1}, f"{COLUMNS} × {ROWS + 1} ×"),
    ],
)
@pytest.mark.parametrize(
    "syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless], ids=lambda s: s.name
)
def test_size_depth_and_samples_are_compared(
    tmp_path: Path, syntax: uid.UID, elements: dict[str, Any], detail: str
) -> None:
    found = refusal(written(tmp_path / "a", syntax, **elements))
    assert found.reason is Reason.CORRUPT
    assert detail in found.detail


@pytest.mark.parametrize("number", [0, 1, 3, 15, 2**32 - 1])
def test_rle_with_another_number_of_segments(tmp_path: Path, number: int) -> None:
    frame = struct.pack("<L", number) + bytes(ENCODERS[uid.RLELossless](stored(), 12))[4:]
    found = refusal(written(tmp_path / "a", uid.RLELossless, PixelData=encapsulate([frame])))
    assert (found.reason, found.detail) == (
        Reason.CORRUPT,
        f"the RLE data has {number} segments, 2 are needed",
    )


def test_rle_segments_that_overlap(tmp_path: Path) -> None:
    frame = bytearray(ENCODERS[uid.RLELossless](stored(), 12))
    frame[4:12] = frame[8:12] + frame[4:8]
    found = refusal(written(tmp_path / "a", uid.RLELossless, PixelData=encapsulate([bytes(frame)])))
    assert (found.reason, found.detail) == (Reason.CORRUPT, "the segments of the RLE data overlap")


@pytest.mark.parametrize("tile_origin", [(0, 2), (2, 0)])
@pytest.mark.parametrize("syntax", [uid.HTJ2KLossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
def test_tiles_that_do_not_begin_with_the_picture(
    tmp_path: Path, syntax: uid.UID, tile_origin: tuple[int, int]
) -> None:
    """OpenJPH 0.26.3 was still busy with one of these after half a minute."""
    frame = bytearray(ENCODERS[syntax](stored(), 12))
    struct.pack_into(">LL", frame, frame.index(b"\xff\x51") + 30, *tile_origin)
    found = refusal(written(tmp_path / "a", syntax, PixelData=encapsulate([bytes(frame)])))
    assert (found.reason, found.detail) == (Reason.CORRUPT, f"{syntax.name} data is damaged")


@pytest.mark.parametrize("marker", [b"\xff\x52", b"\xff\x5c"])
@pytest.mark.parametrize("length", [0, 2, 3, 9, 0xFFFF])
@pytest.mark.parametrize(
    "syntax", [uid.HTJ2KLossless, uid.JPEG2000Lossless, uid.JPEG2000], ids=lambda s: s.name
)
def test_a_main_header_out_of_joint(tmp_path: Path, syntax: uid.UID, marker: bytes, length: int) -> None:
    """OpenJPH 0.26.3 reads beyond a short QCD, and the process dies."""
    bits = 8 if syntax == uid.JPEG2000 else 12
    frame = bytearray(ENCODERS[syntax](stored(bits), bits))
    struct.pack_into(">H", frame, frame.index(marker) + 2, length)
    found = refusal(written(tmp_path / "a", syntax, PixelData=encapsulate([bytes(frame)])))
    assert (found.reason, found.detail) == (Reason.CORRUPT, f"{syntax.name} data is damaged")


@pytest.mark.parametrize("least_px", [None, 8])
def test_damaged_htj2k_gives_no_undefined_pixels(
    tmp_path: Path, least_px: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder prints the error, and gives back memory nobody has written to."""
    frame = bytearray(ENCODERS[uid.HTJ2KLossless](stored(), 12))
    frame[frame.index(b"\xff\x93") + 14] = 0xFF  # within the first code block
    found = refusal(
        written(tmp_path / "a", uid.HTJ2KLossless, PixelData=encapsulate([bytes(frame)])), least_px=least_px
    )
    assert (found.reason, found.detail) == (Reason.CORRUPT, f"{uid.HTJ2KLossless.name} data is damaged")
    assert capfd.readouterr() == ("", "")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", 8 + len(content)) + kind + content


def test_a_codestream_in_a_jp2_file_is_read_for_itself(tmp_path: Path) -> None:
    bare = bytes(ENCODERS[uid.JPEG2000Lossless](stored(), 12))
    wrapped = bytes(
        imagecodecs.jpeg2k_encode(stored(), codecformat="jp2", level=0, reversible=True, bitspersample=12)
    )
    assert jpeg2000.strip_jp2(wrapped) == bare
    path = written(tmp_path / "a", uid.JPEG2000Lossless, PixelData=encapsulate([wrapped]))
    assert np.array_equal(read(path).pixels, read(written(tmp_path / "b", uid.JPEG2000Lossless)).pixels)
    head = wrapped[:12] + box(b"xml ", b"jp2c" + with_size(bare, 9, 9))
    assert jpeg2000.strip_jp2(head + wrapped[12:]) == bare
    assert jpeg2000.strip_jp2(wrapped[:12]) == wrapped[:12]


def test_pixels_that_are_not_what_the_transfer_syntax_says(tmp_path: Path) -> None:
    frame = bytes(range(256)) * 100
    plain = write_dicom(tmp_path / "a", stored(), PixelData=encapsulate([frame]))
    data = plain.read_bytes()
    at = data.index(b"\xe0\x7f\x10\0OW\0\0") + 8
    plain.write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :] + b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert "PixelData is encapsulated" in refusal(plain).detail
    # One pixel too few: what has their number exactly is read (test_syntax_mismatch.py).
    short = stored().tobytes()[:-2]
    other = written(tmp_path / "b", uid.ExplicitVRLittleEndian, PixelData=short)
    other.write_bytes(other.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    assert "PixelData is not encapsulated" in refusal(other).detail


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFE, 2 * ROWS * COLUMNS + 100])
def test_a_length_beyond_the_file_asks_for_no_memory(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian)
    expected = read(path).pixels
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\0OW\0\0") + 8
    path.write_bytes(data[:at] + struct.pack("<L", length) + data[at + 4 :])
    tracemalloc.start()
    assert np.array_equal(read(path).pixels, expected)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_what_stands_behind_the_pixels_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian)
    expected = read(path).pixels
    path.write_bytes(path.read_bytes() + b"\xfc\xff\xfc\xffOB\0\0\xfe\xff\xff\xff rubbish")
    assert np.array_equal(read(path).pixels, expected)


def deflated(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """A deflated file with something done to what is deflated."""
    written(path, uid.DeflatedExplicitVRLittleEndian)
    data = path.read_bytes()
    begin = 144 + struct.unpack_from("<L", data, 140)[0]
    path.write_bytes(data[:begin] + change(data[begin:]))
    return path


def packed(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def bomb(data: bytes) -> bytes:
    return packed(zlib.decompress(data, -zlib.MAX_WBITS) + b"\0" * (1 << 24))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[: len(data) // 2], Reason.TRUNCATED),
        (lambda data: data[:40] + b"\xff" * 40 + data[80:], Reason.CORRUPT),
        (bomb, Reason.TOO_LARGE),
    ],
)
def test_deflated_data_sets(tmp_path: Path, change: Callable[[bytes], bytes], reason: Reason) -> None:
    assert refusal(deflated(tmp_path / "a", change), Limits(ratio=500)).reason is reason


def test_deflated_data_may_be_as_large_as_a_file(tmp_path: Path) -> None:
    path = deflated(tmp_path / "a", lambda data: data)
    plain_bytes = written(tmp_path / "b", uid.ExplicitVRLittleEndian).stat().st_size
    assert read(path, Limits(file_bytes=plain_bytes)).pixels.shape == (ROWS, COLUMNS)
    assert refusal(path, Limits(file_bytes=plain_bytes // 2)).reason is Reason.TOO_LARGE


def with_nested(path: Path, depth: int) -> Path:
    """Sequences of undefined length in each other, put in behind Modality."""
    written(path, uid.ExplicitVRLittleEndian)
    head, item = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    tail = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = path.read_bytes()
    at = data.index(b"\x08\0\x60\0CS") + 10
    path.write_bytes(data[:at] + (head + item) * depth + tail * depth + data[at:])
    return path


@pytest.mark.parametrize(("depth", "nesting"), [(17, 16), (3, 2), (150, 16), (3000, 16)])
def test_sequences_nested_too_deep(tmp_path: Path, depth: int, nesting: int) -> None:
    found = refusal(with_nested(tmp_path / "a", depth), Limits(nesting=nesting))
    assert (found.reason, found.detail) == (Reason.CORRUPT, f"sequences nested deeper than {nesting}")


def test_sequences_nested_as_deep_as_they_may(tmp_path: Path) -> None:
    assert read(with_nested(tmp_path / "a", 16)).pixels.shape == (ROWS, COLUMNS)


LONG = [(0x00281050, 80_000), (0x00100021, 70_000), (0x00280010, 1 << 20)]


@pytest.mark.parametrize(("tag", "n_bytes"), LONG)
def test_values_too_long_for_their_kind(tmp_path: Path, tag: int, n_bytes: int) -> None:
    """Only in implicit VR can they be: there, lengths have 32 bits."""
    path = written(tmp_path / "a", uid.ImplicitVRLittleEndian)
    data = path.read_bytes()
    at = data.index(b"\x28\0\x10\0") if tag >> 16 == 0x28 else data.index(b"\x10\0\x20\0")
    new = struct.pack("<HHL", tag >> 16, tag & 0xFFFF, n_bytes) + b"1\\" * (n_bytes // 2)
    path.write_bytes(data[:at] + new + data[at:] if tag != 0x00280010 else data[:at] + new + data[at + 10 :])
    before = time.process_time()
    found = refusal(path)
    assert (found.reason, found.detail) == (
        Reason.CORRUPT, f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) is {n_bytes} bytes long"
    )  # fmt: skip
    assert time.process_time() - before < 0.5


def test_private_elements_may_be_long(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.ImplicitVRLittleEndian)
    data = path.read_bytes()
    at = data.index(b"\x10\0\x20\0")
    new = struct.pack("<HHL", 9, 0x1001, 1 << 20) + b"\0" * (1 << 20)
    path.write_bytes(data[:at] + new + data[at:])
    assert read(path).pixels.shape == (ROWS, COLUMNS)


NUMBERS = ["1e999", "-1e999", "NaN", "9" * 400, "1e308", "-1e308", "1\\NaN", "", "\\"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("keyword", ["WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"])
def test_decimal_strings_of_any_kind(tmp_path: Path, keyword: str, number: str) -> None:
    tags = {"WindowCenter": 0x1050, "WindowWidth": 0x1051, "RescaleIntercept": 0x1052, "RescaleSlope": 0x1053}
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian, WindowCenter="2000", WindowWidth="900")
    value = number.encode().ljust((len(number) + 1) // 2 * 2)
    new = struct.pack("<HH2sH", 0x0028, tags[keyword], b"DS", len(value)) + value
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\0OW")
    path.write_bytes(data[:at] + new + data[at:])
    try:
        pixels = read(path).pixels
    except Refusal as found:
        assert found.reason is Reason.CORRUPT  # noqa: PT017 - either is right
    else:
        assert 0 <= pixels.min() <= pixels.max() <= 1


@pytest.mark.parametrize(
    ("frames", "rows", "columns"), [("1e308", 64, 48), ("9" * 300, 64, 48), ("2", 64, 48)]
)
def test_huge_numbers_stay_huge(tmp_path: Path, frames: str, rows: int, columns: int) -> None:
    """A number that no program could mean is not taken for a missing one."""
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian)
    data = path.read_bytes()
    value = frames.encode().ljust((len(frames) + 1) // 2 * 2)
    at = data.index(b"\x28\0\x10\0US")
    path.write_bytes(data[:at] + struct.pack("<HH2sH", 0x28, 8, b"DS", len(value)) + value + data[at:])
    header = open_image(ImageRef(path=path, name="a", kind=FileKind.DICOM), PatientRule()).header
    assert header.n_frames == (2 if frames == "2" else 2**32)


@pytest.mark.parametrize("descriptor", [[0, 0, 16], [4096, 0, 16], [2, 65535, 8], [1, 0, 16], [4096], []])
def test_tables_shorter_than_they_say_are_flagged(tmp_path: Path, descriptor: list[int]) -> None:
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW", b"\1\0" * 100)
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian, VOILUTSequence=Sequence([item] * 300))
    assert Flag.VOI_IGNORED in read(path).flags


def test_a_segmented_palette_is_not_unpacked(tmp_path: Path) -> None:
    """A linear segment of three words stands for 65,535 entries (PS3.3 C.7.9.2)."""
    hues = ("Red", "Green", "Blue")
    segments = struct.pack("<HHH", 0, 1, 0) + struct.pack("<HHH", 1, 65535, 9) * 10_000
    palette: dict[str, Any] = {f"{hue}PaletteColorLookupTableDescriptor": [256, 0, 16] for hue in hues}
    palette |= {f"Segmented{hue}PaletteColorLookupTableData": segments for hue in hues}
    path = write_dicom(tmp_path / "a", stored(8), photometric="PALETTE COLOR", **palette)
    found = refusal(path)
    assert (found.reason, found.detail) == (
        Reason.CORRUPT,
        "the colour palette is segmented, which is not read here",
    )


@pytest.mark.parametrize("samples", [0, 2, 4, 65535])
def test_pixels_of_an_odd_number_of_samples(tmp_path: Path, samples: int) -> None:
    found = refusal(written(tmp_path / "a", uid.ExplicitVRLittleEndian, SamplesPerPixel=samples))
    assert (found.reason, found.detail) == (Reason.CORRUPT, f"MONOCHROME2 with {samples} samples per pixel")


def test_texts_in_png_that_inflate_without_end(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "0" * (1 << 26), zip=True)
    Image.fromarray(stored(8)).save(tmp_path / "a.png", pnginfo=info)
    tracemalloc.start()
    assert refusal(tmp_path / "a.png").reason is Reason.CORRUPT
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_damaged_exif_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow warns of it; with warnings as errors, as here, the file would not be read."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHLL", 3, 0x0112, 3, 1, 6)
    Image.fromarray(stored(8)).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").pixels.shape in ((ROWS, COLUMNS), (COLUMNS, ROWS))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n_bytes", [60, 80])
def test_a_picture_cut_off_in_a_chunk_is_truncated(tmp_path: Path, n_bytes: int) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS), np.uint8)).save(
        tmp_path / "a.png"
    )
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:n_bytes])
    assert refusal(tmp_path / "a.png").reason is Reason.TRUNCATED

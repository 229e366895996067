"""Where one compressed frame ends: fragments that are joined, padding behind the end marker, codestreams cut off."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from cxrbatch.limits import Limits
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import Failure, FileKind, ImageRef
from tests.factories.dicom_files import ENCODERS, write_dicom

SMALL, LARGE = (64, 48), (1208, 1160)
LEAST_PX = 36
WITH_END = tuple(syntax for syntax in ENCODERS if syntax != uid.RLELossless)
PADDING = {
    "one zero": b"\0",
    "100 zeros": bytes(100),
    "70,000 zeros": bytes(70_000),
    "100 times FF": b"\xff" * 100,
    "70,000 times FF": b"\xff" * 70_000,
    "a zero, then FF": b"\0" + b"\xff" * 200,
    "FF, then zeros": b"\xff" + bytes(200),
}
TABLES: dict[str, Callable[[list[int]], list[int]]] = {
    "empty": lambda _: [],
    "of the frame": lambda starts: starts[:1],
    "of every fragment": lambda starts: starts,
    "first not 0": lambda starts: [start + 8 for start in starts],
    "of the last fragment": lambda starts: starts[-1:],
    "beyond the file": lambda _: [1 << 31, (1 << 32) - 1],
}


def stored(bits: int, size: tuple[int, int]) -> NDArray[Any]:
    across, down = np.meshgrid(np.linspace(0, 1, size[1]), np.linspace(0, 1, size[0]))
    noise = np.random.default_rng(0).normal(0, 0.03, size)
    picture = np.sin(9 * across + 1) * np.cos(7 * down) + across * down + noise
    values = np.rint((picture - picture.min()) / np.ptp(picture) * (2**bits - 1))
    return values.astype("u1" if bits == 8 else "<u2")


def bits_of(syntax: uid.UID) -> int:
    return 8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else 12


def codestream(syntax: uid.UID, size: tuple[int, int]) -> bytes:
    return bytes(ENCODERS[syntax](stored(bits_of(syntax), size), bits_of(syntax)))


def written(path: Path, syntax: uid.UID, size: tuple[int, int], **elements: Any) -> Path:
    bits = bits_of(syntax)
    return write_dicom(path, stored(bits, size), syntax=syntax, bits_stored=bits, **elements)


def items(fragments: list[bytes], table: Callable[[list[int]], list[int]]) -> bytes:
    """Encapsulate fragments by hand: pydicom writes right tables only."""
    starts = [sum(8 + len(before) for before in fragments[:number]) for number in range(len(fragments))]
    offsets = b"".join(struct.pack("<L", offset) for offset in table(starts))
    tag = b"\xfe\xff\x00\xe0"
    return b"".join(tag + struct.pack("<L", len(content)) + content for content in (offsets, *fragments))


def fragments_of(frame: bytes, number: int) -> list[bytes]:
    """Cut into as many parts of even length."""
    frame += b"\0" * (len(frame) % 2)
    step = len(frame) // number // 2 * 2
    return [frame[step * i : step * (i + 1) if i < number - 1 else None] for i in range(number)]


def read(path: Path, least_px: int | None = None, limits: Limits = Limits()) -> NDArray[np.float32]:
    kind = FileKind.JPEG if path.suffix == ".jpg" else FileKind.DICOM
    opened = open_image(ImageRef(path=path, name="a", kind=kind), PatientRule(), limits)
    return opened.decode(least_px).pixels


def refusal(path: Path, least_px: int | None = None, limits: Limits = Limits()) -> Reason:
    with pytest.raises(Refusal) as found:
        read(path, least_px, limits)
    return found.value.reason


def assert_same(path: Path, reference: Path) -> None:
    for least_px in (None, LEAST_PX):
        assert np.array_equal(read(path, least_px), read(reference, least_px))


# --- fragments


@pytest.mark.parametrize("frames", [None, 1])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("number", [1, 2, 3, 17])
@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda s: s.name)
def test_all_fragments_are_the_one_frame(
    tmp_path: Path, syntax: uid.UID, number: int, table: str, frames: int | None
) -> None:
    data = items(fragments_of(codestream(syntax, SMALL), number), TABLES[table])
    elements = {"NumberOfFrames": frames} if frames else {}
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data, **elements)
    assert_same(path, written(tmp_path / "b", syntax, SMALL))


@pytest.mark.parametrize("table", ["empty", "of every fragment", "first not 0"])
@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda s: s.name)
def test_fragments_of_a_large_image(tmp_path: Path, syntax: uid.UID, table: str) -> None:
    data = items(fragments_of(codestream(syntax, LARGE), 5), TABLES[table])
    path = written(tmp_path / "a", syntax, LARGE, PixelData=data)
    assert_same(path, written(tmp_path / "b", syntax, LARGE))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda s: s.name)
def test_the_last_fragment_is_missing(tmp_path: Path, syntax: uid.UID, table: str) -> None:
    """RLE that ends inside a run is damaged to its decoder."""
    data = items(fragments_of(codestream(syntax, SMALL), 3)[:-1], TABLES[table])
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data)
    reason = Reason.CORRUPT if syntax == uid.RLELossless else Reason.TRUNCATED
    assert refusal(path) is refusal(path, LEAST_PX) is reason


@pytest.mark.parametrize("n_bytes", [5, 7, 8, 9, 16, 100])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless], ids=lambda s: s.name)
def test_a_file_of_fragments_is_cut_off(tmp_path: Path, syntax: uid.UID, table: str, n_bytes: int) -> None:
    """Even if only the tag of the delimiter is."""
    data = items(fragments_of(codestream(syntax, SMALL), 3), TABLES[table])
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data)
    path.write_bytes(path.read_bytes()[:-n_bytes])
    assert refusal(path) is refusal(path, LEAST_PX) is Reason.TRUNCATED


def test_no_fragment_at_all(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.JPEG2000Lossless, SMALL, PixelData=items([], TABLES["empty"]))
    assert refusal(path) is Reason.TRUNCATED


@pytest.mark.parametrize("table", TABLES)
def test_several_frames_are_refused_as_such(tmp_path: Path, table: str) -> None:
    frames = fragments_of(codestream(uid.JPEG2000Lossless, SMALL), 1) * 2
    path = written(
        tmp_path / "a",
        uid.JPEG2000Lossless,
        SMALL,
        NumberOfFrames=2,
        PixelData=items(frames, TABLES[table]),
    )
    ref = ImageRef(path=path, name="a", kind=FileKind.DICOM)
    found = prepare(ref, PrepareOptions(spec=PreprocessSpec(height=32, width=32)))
    assert isinstance(found, Failure)
    assert found.reason is Reason.MULTI_FRAME


# --- padding


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("syntax", WITH_END, ids=lambda s: s.name)
def test_padding_behind_the_end_changes_nothing(tmp_path: Path, syntax: uid.UID, padding: str) -> None:
    data = encapsulate([codestream(syntax, SMALL) + PADDING[padding]])
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data)
    assert_same(path, written(tmp_path / "b", syntax, SMALL))


@pytest.mark.parametrize("padding", ["100 zeros", "70,000 times FF"])
@pytest.mark.parametrize("syntax", WITH_END, ids=lambda s: s.name)
def test_padding_in_fragments_of_a_large_image(tmp_path: Path, syntax: uid.UID, padding: str) -> None:
    """Some of the fragments hold nothing else."""
    frame = codestream(syntax, LARGE)
    fragments = [*fragments_of(frame + b"\0" * (len(frame) % 2), 2), PADDING[padding], PADDING[padding]]
    path = written(tmp_path / "a", syntax, LARGE, PixelData=items(fragments, TABLES["of every fragment"]))
    assert_same(path, written(tmp_path / "b", syntax, LARGE))


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("syntax", WITH_END, ids=lambda s: s.name)
def test_padding_is_no_end(tmp_path: Path, syntax: uid.UID, share: float, padding: str) -> None:
    frame = codestream(syntax, SMALL)
    data = encapsulate([frame[: int(len(frame) * share)] + PADDING[padding]])
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data)
    assert refusal(path) is refusal(path, LEAST_PX) is Reason.TRUNCATED


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("syntax", WITH_END, ids=lambda s: s.name)
def test_only_the_end_marker_is_missing(tmp_path: Path, syntax: uid.UID, padding: str) -> None:
    data = encapsulate([codestream(syntax, SMALL)[:-2] + PADDING[padding]])
    path = written(tmp_path / "a", syntax, SMALL, PixelData=data)
    assert refusal(path) is refusal(path, LEAST_PX) is Reason.TRUNCATED


def test_the_end_of_a_picture_in_the_header_is_none(tmp_path: Path) -> None:
    frame = codestream(uid.JPEGBaseline8Bit, SMALL)
    thumbnail = b"\xff\xd8 preview \xff\xd9"
    frame = frame[:2] + b"\xff\xe5" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + frame[2:]
    whole = written(tmp_path / "a", uid.JPEGBaseline8Bit, SMALL, PixelData=encapsulate([frame + bytes(100)]))
    assert_same(whole, written(tmp_path / "b", uid.JPEGBaseline8Bit, SMALL))
    cut = encapsulate([frame[:-40] + bytes(5000)])
    assert refusal(written(tmp_path / "c", uid.JPEGBaseline8Bit, SMALL, PixelData=cut)) is Reason.TRUNCATED


def test_padding_makes_no_room_for_more_pixels(tmp_path: Path) -> None:
    """The decompression ratio is that of the codestream."""
    frame = codestream(uid.JPEG2000Lossless, SMALL)
    ratio = 2 * SMALL[0] * SMALL[1] // len(frame)
    path = written(
        tmp_path / "a", uid.JPEG2000Lossless, SMALL, PixelData=encapsulate([frame + bytes(70_000)])
    )
    assert read(path, limits=Limits(ratio=ratio + 1)).shape == SMALL
    assert refusal(path, limits=Limits(ratio=ratio)) is Reason.TOO_LARGE


# --- files of JPEG


def saved(path: Path, size: tuple[int, int], *, progressive: bool) -> Path:
    Image.fromarray(stored(8, size)).save(path, quality=95, progressive=progressive)
    return path


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("padding", PADDING)
def test_padding_behind_a_jpeg_file(
    tmp_path: Path, padding: str, size: tuple[int, int], progressive: bool
) -> None:
    reference = saved(tmp_path / "b.jpg", size, progressive=progressive)
    path = tmp_path / "a.jpg"
    path.write_bytes(reference.read_bytes() + PADDING[padding])
    assert_same(path, reference)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("padding", ["100 zeros", "70,000 zeros", "70,000 times FF", "FF, then zeros"])
def test_a_jpeg_file_cut_off_before_padding(
    tmp_path: Path, padding: str, size: tuple[int, int], progressive: bool
) -> None:
    """As a copy leaves it that reserved the space and was interrupted."""
    path = saved(tmp_path / "a.jpg", size, progressive=progressive)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5] + PADDING[padding])
    assert refusal(path) is refusal(path, LEAST_PX) is Reason.TRUNCATED


def test_what_else_stands_behind_a_jpeg_file_does_not_matter(tmp_path: Path) -> None:
    reference = saved(tmp_path / "b.jpg", SMALL, progressive=False)
    path = tmp_path / "a.jpg"
    path.write_bytes(reference.read_bytes() + b"ftypmp42" + bytes(range(256)) + bytes(9))
    assert_same(path, reference)

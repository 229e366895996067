"""Large JPEG 2000 in DICOM: only the first bytes of a frame are read, and whatever is unusual is read in full."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate

from cxrbatch.limits import Limits
from cxrbatch.read import PatientRule, open_image
from cxrbatch.read.codecs import reduced
from cxrbatch.read.dicom import pixel_data
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import ENCODERS, write_dicom

SYNTAXES = (uid.JPEG2000Lossless, uid.JPEG2000)
SIZE, LEAST_PX = (1208, 1160), 150
END = b"\xff\xd9"


def stored() -> NDArray[np.uint16]:
    across, down = np.meshgrid(np.linspace(0, 1, SIZE[1]), np.linspace(0, 1, SIZE[0]))
    noise = np.random.default_rng(0).normal(0, 0.03, SIZE)
    picture = np.sin(9 * across + 1) * np.cos(7 * down) + across * down + noise
    return np.rint((picture - picture.min()) / np.ptp(picture) * 4095).astype(np.uint16)


@pytest.fixture(scope="module")
def frames() -> dict[str, bytes]:
    return {syntax: bytes(ENCODERS[syntax](stored(), 12)) for syntax in SYNTAXES}


def written(path: Path, syntax: str, *fragments: bytes, **elements: Any) -> Path:
    rows, columns = SIZE
    small = np.zeros((16, 16), np.uint16)  # encoded, and replaced
    pixels = {"PixelData": encapsulate(list(fragments)), "Rows": rows, "Columns": columns}
    return write_dicom(path, small, syntax=syntax, bits_stored=12, **pixels, **elements)


def read(path: Path, limits: Limits = Limits()) -> CxrImage:
    return open_image(ImageRef(path=path, name=path.name, kind=FileKind.DICOM), PatientRule(), limits).decode(
        LEAST_PX
    )


@pytest.fixture
def n_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of all pieces that are read of pixels."""
    found: list[int] = []

    class Counted(io.FileIO):
        def readinto(self, memory: Any) -> int:
            found.append(super().readinto(memory))
            return found[-1]

    monkeypatch.setattr(pixel_data, "open_source", lambda path: io.BufferedReader(Counted(path)))
    return found


def read_in_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> CxrImage:
    with monkeypatch.context() as patched:
        patched.setattr(reduced, "start_is_sufficient", lambda _: False)
        return read(path)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_first_bytes_give_the_same_pixels(
    tmp_path: Path, frames: dict[str, bytes], syntax: str, n_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a", syntax, frames[syntax])
    found = read(path)
    assert sum(n_read) < len(frames[syntax]) / 2
    n_read.clear()
    full = read_in_full(path, monkeypatch)
    assert sum(n_read) >= len(frames[syntax])
    assert found.pixels.shape == (302, 290)
    np.testing.assert_array_equal(found.pixels, full.pixels)
    assert (found.extent, found.flags, found.header) == (full.extent, full.flags, full.header)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("n_bytes", [1, 300, 5000])
def test_too_few_first_bytes_are_followed_by_all(
    tmp_path: Path, frames: dict[str, bytes], syntax: str, n_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a", syntax, frames[syntax])
    expected = read_in_full(path, monkeypatch)
    monkeypatch.setattr(pixel_data, "_FIRST_BYTES", n_bytes)
    monkeypatch.setattr("cxrbatch.read.dicom.stored_means._SHARE_OF_LEVEL", 0)
    np.testing.assert_array_equal(read(path).pixels, expected.pixels)


def test_several_fragments_are_joined(
    tmp_path: Path, frames: dict[str, bytes], n_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frames[uid.JPEG2000Lossless]
    path = written(tmp_path / "a", uid.JPEG2000Lossless, frame[:1000], frame[1000:])
    found = read(path)
    assert sum(n_read) >= len(frame)
    np.testing.assert_array_equal(found.pixels, read_in_full(path, monkeypatch).pixels)


def test_an_overstated_depth_is_read(tmp_path: Path, frames: dict[str, bytes]) -> None:
    path = written(tmp_path / "a", uid.JPEG2000, frames[uid.JPEG2000], BitsStored=16, HighBit=15)
    assert read(path).pixels.shape == (302, 290)


@pytest.mark.parametrize("n_left", [-8, -10, 400_000])
def test_a_file_that_was_cut_off_is_truncated(tmp_path: Path, frames: dict[str, bytes], n_left: int) -> None:
    """Without the delimiter, the end marker, or half of the frame."""
    path = written(tmp_path / "a", uid.JPEG2000Lossless, frames[uid.JPEG2000Lossless])
    path.write_bytes(path.read_bytes()[:n_left])
    with pytest.raises(Refusal) as refused:
        read(path)
    assert refused.value.reason is Reason.TRUNCATED


def test_a_codestream_without_its_end_is_truncated(tmp_path: Path, frames: dict[str, bytes]) -> None:
    frame = frames[uid.JPEG2000Lossless]
    assert frame.endswith(END)
    path = written(tmp_path / "a", uid.JPEG2000Lossless, frame[:-2] + b"\x01\x02")
    with pytest.raises(Refusal) as refused:
        read(path)
    assert refused.value.reason is Reason.TRUNCATED


def test_a_frame_too_small_for_its_pixels_is_too_large(tmp_path: Path, frames: dict[str, bytes]) -> None:
    path = written(tmp_path / "a", uid.JPEG2000Lossless, frames[uid.JPEG2000Lossless])
    with pytest.raises(Refusal) as refused:
        read(path, Limits(ratio=1))
    assert refused.value.reason is Reason.TOO_LARGE

"""Files that state one encoding and have another: read as the reference, or refused with the reason."""

import gzip
import io
import struct
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from cxrbatch.discover import classify
from cxrbatch.limits import Limits
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageRef
from tests.factories.dicom_files import ENCODERS, NATIVE, write_dicom
from tests.factories.radiographs import LARGE, LEAST_PX, SMALL, drawn

STATED = (*NATIVE, uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEGLosslessSV1, uid.JPEGLSLossless,
          uid.JPEG2000Lossless, uid.HTJ2K)  # fmt: skip
UNKNOWN = (uid.MPEG2MPML, uid.UID("1.2.3"), uid.UID("1.2.840.113619.5.2"))
_PREFIX_END = 132


def bits_of(syntax: uid.UID) -> int:
    return 8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else 12


def written(path: Path, syntax: uid.UID, size: tuple[int, int] = SMALL, **elements: Any) -> Path:
    bits = bits_of(syntax)
    return write_dicom(path, drawn(bits, size), syntax=syntax, bits_stored=bits, **elements)


def data_set(path: Path) -> bytes:
    data = path.read_bytes()
    return data[144 + struct.unpack_from("<L", data, 140)[0] :]


def stating(data: bytes, syntax: str | None) -> bytes:
    """Meta information that states a transfer syntax, or none, before a data set."""
    value = (syntax or "").encode() + b"\0" * (len(syntax or "") % 2)
    element = b"" if syntax is None else struct.pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value
    class_ = uid.DigitalXRayImageStorageForPresentation.encode() + b"\0"
    class_ = class_[: len(class_) // 2 * 2]
    meta = struct.pack("<HH2sH", 2, 2, b"UI", len(class_)) + class_ + element
    group = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + group + meta + data


def relabelled(path: Path, syntax: str | None) -> Path:
    path.write_bytes(stating(data_set(path), syntax))
    return path


def read(path: Path, least_px: int | None = None, limits: Limits = Limits()) -> CxrImage:
    found = classify(path, path.name)
    assert isinstance(found, ImageRef)
    assert found.kind is FileKind.DICOM
    return open_image(found, PatientRule(), limits).decode(least_px)


def refusal(path: Path, limits: Limits = Limits()) -> Refusal:
    with pytest.raises(Refusal) as found:
        read(path, limits=limits)
    with pytest.raises(Refusal) as in_part:
        read(path, LEAST_PX, limits)
    assert in_part.value.reason is found.value.reason
    return found.value


def assert_same(path: Path, reference: Path) -> None:
    for least_px in (None, LEAST_PX):
        found, expected = read(path, least_px), read(reference, least_px)
        assert np.array_equal(found.pixels, expected.pixels)
        assert (found.header, found.flags, found.extent) == (expected.header, expected.flags, expected.extent)


# --- the encoding of the data set


@pytest.mark.parametrize("stated", STATED, ids=lambda s: s.name)
@pytest.mark.parametrize("true", NATIVE, ids=lambda s: s.name)
def test_native_pixels_under_another_transfer_syntax(tmp_path: Path, true: uid.UID, stated: uid.UID) -> None:
    # Every third pair is large: it is decoded in part.
    size = LARGE if (NATIVE.index(true) + STATED.index(stated)) % 3 == 0 else SMALL
    reference = written(tmp_path / "b", true, size)
    path = relabelled(written(tmp_path / "a", true, size), stated)
    assert_same(path, reference)
    # the oracle: pydicom on the right label
    stored = pydicom.dcmread(reference).pixel_array
    assert np.array_equal(np.rint(read(path).pixels * 4095), stored)


@pytest.mark.parametrize("stated", [*STATED, *UNKNOWN, None], ids=str)
@pytest.mark.parametrize("true", ENCODERS, ids=lambda s: s.name)
def test_a_codestream_under_another_transfer_syntax(
    tmp_path: Path, true: uid.UID, stated: uid.UID | None
) -> None:
    """JPEG 2000 lossless labelled lossy is lossy, and the reverse: the label may know more than the codestream."""
    reference = written(tmp_path / "b", true)
    path = relabelled(written(tmp_path / "a", true), stated)
    for least_px in (None, LEAST_PX):
        assert np.array_equal(read(path, least_px).pixels, read(reference, least_px).pixels)
    if stated not in STATED[4:]:
        assert read(path).flags == read(reference).flags


@pytest.mark.parametrize("stated", [uid.ImplicitVRLittleEndian], ids=lambda s: s.name)
@pytest.mark.parametrize("true", ENCODERS, ids=lambda s: s.name)
def test_a_large_codestream_under_another_transfer_syntax(
    tmp_path: Path, true: uid.UID, stated: uid.UID
) -> None:
    path = relabelled(written(tmp_path / "a", true, LARGE), stated)
    reference = written(tmp_path / "b", true, LARGE)
    for least_px in (None, LEAST_PX):
        assert np.array_equal(read(path, least_px).pixels, read(reference, least_px).pixels)


@pytest.mark.parametrize("true", NATIVE[:3], ids=lambda s: s.name)
def test_no_transfer_syntax_is_stated(tmp_path: Path, true: uid.UID) -> None:
    assert_same(relabelled(written(tmp_path / "a", true), None), written(tmp_path / "b", true))


@pytest.mark.parametrize("true", [*NATIVE[:2], uid.ExplicitVRBigEndian, *ENCODERS], ids=lambda s: s.name)
def test_neither_preamble_nor_meta_information(tmp_path: Path, true: uid.UID) -> None:
    path = written(tmp_path / "a", true)
    path.write_bytes(data_set(path))
    assert np.array_equal(read(path).pixels, read(written(tmp_path / "b", true)).pixels)


@pytest.mark.parametrize("stated", NATIVE, ids=lambda s: s.name)
@pytest.mark.parametrize("true", NATIVE, ids=lambda s: s.name)
def test_no_preamble(tmp_path: Path, true: uid.UID, stated: uid.UID) -> None:
    path = relabelled(written(tmp_path / "a", true), stated)
    path.write_bytes(path.read_bytes()[_PREFIX_END:])
    assert_same(path, written(tmp_path / "b", true))


def test_meta_information_longer_than_any_buffer(tmp_path: Path) -> None:
    """A private element of it may have any length (PS3.10 7.1)."""
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian)
    private = struct.pack("<HH2sHL", 2, 0x102, b"OB", 0, 20_000) + bytes(20_000)
    head = stating(b"", uid.ImplicitVRLittleEndian) + private
    path.write_bytes(head + data_set(path))
    assert_same(path, written(tmp_path / "b", uid.ExplicitVRLittleEndian))


@pytest.mark.parametrize("syntax", UNKNOWN, ids=str)
def test_native_pixels_under_an_unknown_transfer_syntax(tmp_path: Path, syntax: uid.UID) -> None:
    """Their byte order is anybody's guess."""
    path = relabelled(written(tmp_path / "a", uid.ExplicitVRLittleEndian), syntax)
    assert refusal(path).reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX


@pytest.mark.parametrize("change", [-2, 2, 1000])
def test_native_pixels_of_another_length_under_a_compressed_syntax(tmp_path: Path, change: int) -> None:
    stored = drawn(12, SMALL).tobytes()
    data = stored[:change] if change < 0 else stored + bytes(change)
    path = written(tmp_path / "a", uid.ExplicitVRLittleEndian, PixelData=data)
    found = refusal(relabelled(path, uid.JPEG2000Lossless))
    assert found.reason is Reason.CORRUPT
    assert "PixelData is not encapsulated" in found.detail


def test_colours_that_may_have_been_converted_when_they_were_decompressed(tmp_path: Path) -> None:
    rgb = np.stack([drawn(8, SMALL)] * 3, axis=-1)
    for photometric, is_read in {"RGB": True, "YBR_FULL": False, "YBR_FULL_422": False}.items():
        path = write_dicom(tmp_path / "a", rgb, photometric=photometric)
        relabelled(path, uid.JPEGBaseline8Bit)
        if is_read:
            assert np.array_equal(np.rint(read(path).pixels * 255), rgb[..., 0])
        else:
            assert refusal(path).reason is Reason.CORRUPT


def test_encapsulated_pixels_that_are_no_codestream(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.JPEG2000Lossless, PixelData=encapsulate([b"nothing" * 200]))
    assert refusal(relabelled(path, uid.ExplicitVRLittleEndian)).reason is Reason.CORRUPT
    assert refusal(relabelled(path, uid.MPEG2MPML)).reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX


def test_a_codestream_that_contradicts_the_header_stays_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", uid.JPEG2000Lossless, Rows=SMALL[0] - 1)
    assert refusal(relabelled(path, uid.ImplicitVRLittleEndian)).reason is Reason.CORRUPT


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("true", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian], ids=str)
def test_a_relabelled_file_that_is_cut_off(tmp_path: Path, true: uid.UID, share: float) -> None:
    path = relabelled(written(tmp_path / "a", true, LARGE), uid.ImplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refusal(path).reason is Reason.TRUNCATED


# --- gzip


def packed(path: Path, *, level: int = 6) -> Path:
    path.write_bytes(gzip.compress(path.read_bytes(), level))
    return path


@pytest.mark.parametrize("syntax", [*NATIVE, *ENCODERS], ids=lambda s: s.name)
def test_gzip(tmp_path: Path, syntax: uid.UID) -> None:
    size = LARGE if syntax in (*NATIVE[:3], uid.JPEG2000Lossless) else SMALL
    path = packed(written(tmp_path / "a.dcm.gz", syntax, size))
    reference = written(tmp_path / "b.dcm", syntax, size)
    for least_px in (None, LEAST_PX):
        assert np.array_equal(read(path, least_px).pixels, read(reference, least_px).pixels)
    assert read(path).header == read(reference).header


def test_gzip_of_a_file_that_states_another_encoding(tmp_path: Path) -> None:
    path = packed(relabelled(written(tmp_path / "a", uid.ExplicitVRLittleEndian), uid.ImplicitVRLittleEndian))
    assert_same(path, written(tmp_path / "b", uid.ExplicitVRLittleEndian))


@pytest.mark.parametrize("cuts", [[100], [1, 2, 3], [40_000, 70_000, 70_001]])
@pytest.mark.parametrize("behind", [b"", b"\0" * 512, b"rubbish", b"\x1f", b"\0" * 70_000])
def test_gzip_in_several_members_with_something_behind(
    tmp_path: Path, cuts: list[int], behind: bytes
) -> None:
    reference = written(tmp_path / "b", uid.ExplicitVRLittleEndian, LARGE)
    data = reference.read_bytes()
    ends = [0, *cuts, len(data)]
    members = [gzip.compress(data[a:b], 1) for a, b in pairwise(ends)]
    path = tmp_path / "a"
    # The first member must show what it is.
    path.write_bytes(gzip.compress(data[: 1 << 18], 1) if cuts[0] < 132 else b"")
    rest = [gzip.compress(data[1 << 18 :], 1), gzip.compress(b"")] if cuts[0] < 132 else members
    path.write_bytes(path.read_bytes() + b"".join(rest) + behind)
    assert_same(path, reference)


def test_a_second_file_behind_the_first_changes_nothing(tmp_path: Path) -> None:
    """Not even whose it is."""
    first = written(tmp_path / "b", uid.ExplicitVRLittleEndian, PatientID="first")
    second = written(tmp_path / "c", uid.ExplicitVRLittleEndian, PatientID="second")
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(first.read_bytes()) + gzip.compress(second.read_bytes()))
    assert_same(path, first)


@pytest.mark.parametrize("share", [0.4, 0.8, 0.999])
def test_gzip_that_is_cut_off(tmp_path: Path, share: float) -> None:
    path = packed(written(tmp_path / "a", uid.ExplicitVRLittleEndian, LARGE))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refusal(path).reason is Reason.TRUNCATED


def test_damaged_gzip(tmp_path: Path) -> None:
    data = packed(written(tmp_path / "a", uid.ExplicitVRLittleEndian)).read_bytes()
    (tmp_path / "a").write_bytes(data[:-8] + bytes(4) + data[-4:])  # a wrong check sum
    assert refusal(tmp_path / "a").reason is Reason.CORRUPT


def bomb(n_bytes: int, *, zeros_in: str) -> bytes:
    """DICOM with as many zeros, in a gzip file or in a deflated data set in a gzip file."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as packer:
        head = stating(b"", uid.DeflatedExplicitVRLittleEndian if zeros_in == "deflate" else None)
        packer.write(head)
        if zeros_in == "deflate":
            deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
            packer.write(
                b"".join(deflate.compress(bytes(1 << 20)) for _ in range(n_bytes >> 20)) + deflate.flush()
            )
        else:
            packer.write(b"\x08\0\5\0CS\x0a\0ISO_IR 100")
            for _ in range(n_bytes >> 20):
                packer.write(bytes(1 << 20))
    return stream.getvalue()


@pytest.mark.parametrize("zeros_in", ["gzip", "deflate"])
def test_a_bomb_takes_no_memory_beyond_the_ratio(tmp_path: Path, zeros_in: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(bomb(64 << 20, zeros_in=zeros_in))
    limits = Limits(ratio=100)
    tracemalloc.start()
    assert refusal(path, limits).reason is Reason.TOO_LARGE
    assert tracemalloc.get_traced_memory()[1] < 3 * 100 * path.stat().st_size + (4 << 20)
    tracemalloc.stop()


def test_gzip_may_be_as_large_as_a_file(tmp_path: Path) -> None:
    path = packed(written(tmp_path / "a", uid.ExplicitVRLittleEndian))
    n_bytes = written(tmp_path / "b", uid.ExplicitVRLittleEndian).stat().st_size
    assert read(path, limits=Limits(file_bytes=n_bytes)).pixels.shape == SMALL
    assert refusal(path, Limits(file_bytes=n_bytes - 1)).reason is Reason.TOO_LARGE

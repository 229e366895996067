"""Files that crash, hang or swell among good ones: each costs its own row, and nothing else changes.

What a decoder's fault would do is done by the pixel check, in the reader process, with the interpreter's lock held.
"""

import csv
import ctypes
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image
from pydicom import uid

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.engines.options import EngineOptions
from cxrbatch.gate.pixel_check import StoredCheck
from cxrbatch.infer.runtime import Device
from cxrbatch.limits import Limits
from cxrbatch.prediction import predict, save_annotated
from cxrbatch.preprocess import GreyImage
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure
from cxrbatch.screening import ScreenOptions, screen
from tests.factories.dicom_files import write_dicom

N_GOOD = 200


class Mined(StoredCheck):
    """The pixel check, but for pictures of one grey: they do what a broken decoder does."""

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        grey = round(float(np.mean(image)) * 255)  # type: ignore[arg-type]
        if grey in MINES and np.ptp(image) == 0:  # type: ignore[arg-type]
            MINES[grey]()
        return super().rejection(image, colourfulness)


def _crash() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    ctypes.PyDLL(None).pause()


CRASH, HANG = 17, 34
MINES: dict[int, Callable[[], None]] = {CRASH: _crash, HANG: _hang}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 phantoms."""
    folder = tmp_path_factory.mktemp("export")
    drawn = [radiograph(320, 280, seed=i) for i in range(5)]
    for i in range(N_GOOD):
        pixels = np.rint(drawn[i % 5][i // 5 :] ** (0.7 + 0.002 * i) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return folder


def plant(folder: Path) -> dict[str, str]:
    """Put bad files among the good ones, and return why each is to be refused."""
    grey = np.full((200, 200), 1, np.uint8)
    Image.fromarray(grey * CRASH).save(folder / "050-crash.png")
    Image.fromarray(grey * CRASH).save(folder / "051-crash.png")
    Image.fromarray(grey * HANG).save(folder / "100-hang.png")
    (folder / "101-50GB.png").write_bytes(png_of_50_gb())
    stored = np.zeros((256, 256), np.uint16)
    write_dicom(folder / "102-8GB.dcm", stored, Rows=65_535, Columns=65_535)
    write_dicom(folder / "103-50GB.dcm", stored, syntax=uid.JPEG2000Lossless)
    in_codestream(folder / "103-50GB.dcm", 160_000)
    return {
        "050-crash.png": "corrupt",
        "051-crash.png": "corrupt",
        "100-hang.png": "timeout",
        "101-50GB.png": "too_large",
        "102-8GB.dcm": "too_large",
        "103-50GB.dcm": "corrupt",
    }


def png_of_50_gb() -> bytes:
    """A header of 160,000 × 160,000 pixels of 16 bits, and a first piece of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 160_000, 160_000, 16, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def in_codestream(path: Path, side: int) -> None:
    """Make the JPEG 2000 data of a file, and not its header, announce a larger picture (ISO/IEC 15444-1 A.5.1)."""
    content = bytearray(path.read_bytes())
    siz = content.index(b"\xff\x4f\xff\x51")
    for offset in (8, 24):  # image, tile
        content[siz + offset : siz + offset + 8] = struct.pack(">II", side, side)
    path.write_bytes(content)


def files_of(out: Path) -> dict[str, dict[str, str]]:
    with out.with_suffix(".files.csv").open(encoding="utf-8", newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


@pytest.fixture(autouse=True)
def mined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrbatch.engines.registry.StoredCheck", Mined)


def assert_others_unchanged(export: Path, folder: Path, **asked: Any) -> None:
    """Screen an export without and with bad files among it."""
    on_cpu = EngineOptions(device=Device.CPU, limits=Limits(seconds=3))
    options = ScreenOptions(engine=on_cpu).with_changes(**asked)
    screen(export, folder / "without.csv", options)
    (folder / "mined").mkdir()
    for path in export.iterdir():
        (folder / "mined" / path.name).hardlink_to(path)
    planted = plant(folder / "mined")
    run = screen(folder / "mined", folder / "with.csv", options)
    found, expected = files_of(folder / "with.csv"), files_of(folder / "without.csv")
    assert {name: found.pop(name)["reason"] for name in planted} == planted
    assert found == expected
    assert run.n_found == N_GOOD + len(planted)
    assert run.n_scored == sum(row["status"] == "scored" for row in expected.values()) > 0.95 * N_GOOD


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_others_score_exactly_as_without_them(
    export: Path, tiny_bundle: Path, tmp_path: Path, n_workers: int
) -> None:
    assert_others_unchanged(export, tmp_path, bundle=tiny_bundle, n_workers=n_workers)


@pytest.mark.real
def test_real_radiographs_score_exactly_as_without_them(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    films = sorted((real_data / "nih-chestxray8-subset" / "No_Finding").iterdir())
    for path in films[:N_GOOD]:
        shutil.copy(path, tmp_path / "export")
    assert_others_unchanged(tmp_path / "export", tmp_path)


def test_a_single_image_that_crashes_its_reader_is_told_and_not_opened_again(
    export: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, good, bad = load_bundle(tiny_bundle), export / "000.png", tmp_path / "bad.png"
    Image.fromarray(np.full((200, 200), CRASH, np.uint8)).save(bad)
    on_cpu = EngineOptions(device=Device.CPU)
    (alone,) = predict([good], bundle, on_cpu)
    failure, beside = predict([bad, good], bundle, on_cpu)
    assert beside == alone
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.CORRUPT
    monkeypatch.setattr("cxrbatch.prediction.decode_image", None)
    save_annotated(failure, bad, tmp_path / "bad.result.png")
    assert (tmp_path / "bad.result.png").stat().st_size > 0

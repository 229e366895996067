"""Every way of storing pixels: exact here, and found out where a decoder lies or fails."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid

from cxrbatch.doctor import Setup, decoders
from cxrbatch.doctor.check import Level, Observation
from cxrbatch.engines.options import EngineOptions
from cxrbatch.errors import WorkersFailed
from cxrbatch.read.codecs import decode
from cxrbatch.screening.options import ScreenOptions
from tests.factories.dicom_files import ENCODERS, NATIVE


def observed() -> dict[str, Observation]:
    return {item.found.split(": ")[0]: item for item in decoders.decoders(Setup())}


def test_every_syntax_that_is_read_is_tried() -> None:
    compressed = {syntax for syntax in uid.UID_dictionary if decode.can_decode(syntax)}
    assert compressed >= set(ENCODERS)
    expected = {f"DICOM {uid.UID(syntax).name}" for syntax in {*compressed, *NATIVE}}
    assert {name for name in decoders.WAYS if name.startswith("DICOM")} == expected


def test_all_is_well_here() -> None:
    found = observed()
    assert set(found) == set(decoders.WAYS)
    assert {item.level for item in found.values()} == {Level.OK}
    lossy = {
        "JPEG",
        *(f"DICOM {uid.UID(syntax).name}" for syntax in uid.UID_dictionary if decode.is_lossy(syntax)),
    }
    assert {name for name, item in found.items() if not item.found.endswith(": exact")} == lossy


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_the_picture_uses_the_whole_range(bits: int) -> None:
    picture = decoders.make_image(bits)
    assert (picture.min(), picture.max(), len(np.unique(picture))) == (0, 2**bits - 1, 16)


@pytest.mark.parametrize("name", decoders.WAYS)
def test_one_wrong_grey_value_is_seen(name: str, tmp_path: Path) -> None:
    """By one where nothing may be lost, by one more than may be lost otherwise."""
    way = decoders.WAYS[name]
    stored = decoders.make_image(way.bits)
    way.write(tmp_path / "picture", stored)
    assert decoders.largest_difference(tmp_path / "picture", stored) <= way.tolerance
    other = stored.copy()
    other[9, 9] += 2 * way.tolerance + 1
    assert decoders.largest_difference(tmp_path / "picture", other) > way.tolerance


def test_a_decoder_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    right = imagecodecs.jpegls_decode

    def wrong(data: bytes) -> NDArray[Any]:
        pixels = right(data)
        pixels[3, 3] ^= 1
        return pixels

    monkeypatch.setattr(imagecodecs, "jpegls_decode", wrong)
    item = observed()[f"DICOM {uid.JPEGLSLossless.name}"]
    assert item.level is Level.PROBLEM
    assert item.found.endswith("grey values are wrong by up to 1")
    assert "install imagecodecs" in item.advice


def test_a_decoder_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise ImportError("libhtj2k.so: no such file")

    monkeypatch.setattr(imagecodecs, "htj2k_decode", fail)
    levels = {name: item.level for name, item in observed().items() if "High-Throughput" in name}
    assert set(levels.values()) == {Level.PROBLEM}
    assert len(levels) == 3


def test_no_encoder_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> bytes:
        raise ImportError("no encoder")

    monkeypatch.setitem(decoders.WAYS, "DICOM made up", decoders._encapsulated(uid.RLELossless, missing))
    assert observed()["DICOM made up"].level is Level.WARNING


def test_readers() -> None:
    (item,) = decoders.readers(Setup(options=ScreenOptions(engine=EngineOptions(n_workers=1))))
    assert (item.level, item.found) == (Level.OK, "1 processes")


def test_readers_that_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "WorkerPool", Dead)
    (item,) = decoders.readers(Setup(options=ScreenOptions(engine=EngineOptions(n_workers=1))))
    assert item.level is Level.PROBLEM


def test_readers_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise WorkersFailed("ended before it could read")

    monkeypatch.setattr(Dead, "prepare", failing)
    monkeypatch.setattr(decoders, "WorkerPool", Dead)
    (item,) = decoders.readers(Setup(options=ScreenOptions(engine=EngineOptions(n_workers=1))))
    assert (item.level, item.found) == (Level.PROBLEM, "ended before it could read")


class Dead:
    """What the pool gives back of a picture on which its process dies."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> "Dead":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self, refs: list[object]) -> list[tuple[object, object]]:
        from cxrbatch.reasons import Reason
        from tests.factories.records import failure

        return [(ref, failure("picture", Reason.CORRUPT)) for ref in refs]

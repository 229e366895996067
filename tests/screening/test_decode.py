"""Screening large radiographs decoded only as far as needed, against decoding all of them."""

import csv
import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import radiograph
from PIL import Image
from pydicom import uid

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.engines.options import Decode, EngineOptions
from cxrbatch.gate.pixel_check import StoredCheck
from cxrbatch.infer.runtime import Device
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import FileKind, ImageRef, ModelInput, TriageRun
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.run import screen
from tests.factories.dicom_files import write_dicom

SYNTAXES = {
    "uncompressed": uid.ExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "lossless": uid.JPEGLosslessSV1,
    "ls": uid.JPEGLSLossless,
    "2000": uid.JPEG2000Lossless,
    "2000-lossy": uid.JPEG2000,
    "ht": uid.HTJ2KLossless,
}
SIZE = (2016, 1800)


def write_all(folder: Path, picture: NDArray[np.float32], name: str) -> None:
    """One film in every format in which a part of it can be decoded."""
    stored = np.rint(picture * 4095).astype(np.uint16)
    for label, syntax in SYNTAXES.items():
        one = f"{name}-{label}"
        instance = uid.generate_uid(entropy_srcs=[one])
        write_dicom(
            folder / f"{one}.dcm",
            stored,
            syntax=syntax,
            bits_stored=12,
            PatientID=one,
            SOPInstanceUID=instance,
        )
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(folder / f"{name}.png", compress_level=1)
    Image.fromarray(np.rint(picture * 65535).astype(np.uint16)).save(
        folder / f"{name}-16.png", compress_level=1
    )
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(folder / f"{name}.jpg", quality=95)


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def run(folder: Path, out: Path, decode: Decode) -> TriageRun:
    return screen(folder, out, ScreenOptions(engine=EngineOptions(device=Device.CPU, decode=decode)))


def assert_within_bounds(folder: Path, scratch: Path, n_scored: int) -> None:
    """The network's input moves by at most 1/255 on average, scores by at most 0.02, and no outcome changes."""
    runs = {decode: run(folder, scratch / f"{decode}.csv", decode) for decode in Decode}
    assert {decode: run.provenance.decode for decode, run in runs.items()} == {d: d for d in Decode}
    reduced, full = (rows(scratch / f"{decode}.files.csv") for decode in ("reduced", "full"))
    assert reduced.keys() == full.keys()
    assert [row["status"] for row in full.values()].count("scored") == n_scored
    for name, row in full.items():
        assert (row["status"], row["reason"]) == (reduced[name]["status"], reduced[name]["reason"]), name
        for key in ("score_covid", "score_pneumonia", "score_normal"):
            if row[key]:
                assert abs(float(row[key]) - float(reduced[name][key])) <= 0.02, name
    assert any(row["score_covid"] != reduced[name]["score_covid"] for name, row in full.items())
    assert np.mean([moved(folder / name) for name in full]) <= 1


def moved(path: Path) -> float:
    """Mean difference of the network's input in grey levels of 255."""
    kind = {".png": FileKind.PNG, ".jpg": FileKind.JPEG}.get(path.suffix, FileKind.DICOM)
    ref = ImageRef(path=path, name=path.name, kind=kind)
    spec = load_bundle().preprocess
    pixels = []
    for full_size in (False, True):
        found = prepare(ref, PrepareOptions(spec=spec, full_size=full_size))
        assert isinstance(found, ModelInput)
        pixels.append(found.pixels.astype(int))
    return float(np.abs(pixels[0] - pixels[1]).mean())


def test_a_phantom_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_all(tmp_path / "in", radiograph(*SIZE, seed=3), "a")
    assert_within_bounds(tmp_path / "in", tmp_path, n_scored=10)


@pytest.mark.real
def test_real_radiographs_in_every_format(real_data: Path, tmp_path: Path) -> None:
    """Small films of several collections, made large with the noise of a large one."""
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number, path in enumerate(some_radiographs(real_data)):
        with Image.open(path) as image:
            large = np.asarray(image.convert("F").resize(SIZE[::-1], Image.Resampling.BICUBIC)) / np.float32(
                255
            )
        noisy = large + rng.normal(0, 0.006, SIZE).astype(np.float32)
        write_all(tmp_path / "in", np.clip(noisy, 0, 1), str(number))
    assert_within_bounds(tmp_path / "in", tmp_path, n_scored=40)


def some_radiographs(real_data: Path) -> list[Path]:
    collections = (
        "chest_xray",
        "covid-radiography-database",
        "nih-chestxray8-subset",
        "covid-chestxray-dataset",
    )
    found = []
    for collection in collections:
        images = sorted(
            path
            for path in (real_data / collection).rglob("*")
            if path.suffix in (".png", ".jpeg", ".jpg") and "mask" not in str(path).lower()
        )
        found.append(images[len(images) // 3])
    return found


@pytest.mark.real
def test_the_largest_real_radiographs(real_data: Path, tmp_path: Path) -> None:
    """4280 × 3520 and 3670 × 3308 pixels as they came, decoded at an eighth of it."""
    (tmp_path / "in").mkdir()
    names = ("raw-examples/case_72_RX-TORACE1.jpg", "seed-test-set/patient2.jpg")
    for name in names:
        (tmp_path / "in" / Path(name).name).write_bytes((real_data / name).read_bytes())
    assert_within_bounds(tmp_path / "in", tmp_path, n_scored=2)


def test_a_foreign_way_of_resizing_needs_all_pixels(tmp_path: Path) -> None:
    """Networks that were taught to see single pixels, or greys as they are, never get means."""
    stored = np.rint(radiograph(*SIZE, seed=1) * 4095).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, bits_stored=12)
    ref = ImageRef(path=path, name="a.dcm", kind=FileKind.DICOM)
    spec = load_bundle().preprocess
    for change in ({"normalise": "none"}, {"resize": "linear"}):
        other = dataclasses.replace(spec, **change)  # type: ignore[arg-type]
        either = [prepare(ref, PrepareOptions(spec=other, full_size=full)) for full in (False, True)]
        assert all(isinstance(found, ModelInput) for found in either)
        assert np.array_equal(either[0].pixels, either[1].pixels)  # type: ignore[union-attr]


def test_readers_start_together() -> None:
    """What they are sent must fit into a pipe (64 KiB), else each blocks the start of the next."""
    bundle = load_bundle()
    options = PrepareOptions(
        spec=bundle.preprocess, pixel_check=StoredCheck(bundle.gate_path), thumbnail_px=88
    )
    assert len(pickle.dumps(options)) < 10_000

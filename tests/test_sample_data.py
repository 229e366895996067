"""The phantoms look like chest films, and the committed night is what its manifest and its generator say."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import generate
import imagecodecs
import numpy as np
import phantom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import generate_frames

from cxrbatch.preprocess import PreprocessSpec, preprocess
from cxrbatch.reasons import Reason

SEEDS = range(8)
THUMBNAIL = PreprocessSpec(height=32, width=32, trim_tolerance=0.0)


@cache
def film_of(
    seed: int,
    opacities: phantom.Opacities = "none",
    view: phantom.View = "PA",
    extent: phantom.Extent = "moderate",
) -> phantom.Picture:
    return phantom.radiograph(240, 200, seed=seed, opacities=opacities, view=view, extent=extent)


def mean_of(film: phantom.Picture, region: str) -> float:
    left, upper, right, lower = phantom.REGIONS[region]
    rows, columns = film.shape
    return float(
        film[round(upper * rows) : round(lower * rows), round(left * columns) : round(right * columns)].mean()
    )


# --- the phantom


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (256, 211), (400, 512), (1300, 1000)])
def test_radiograph_has_the_asked_size_type_and_range(rows: int, columns: int) -> None:
    film = phantom.radiograph(rows, columns, seed=3)
    assert film.shape == (rows, columns)
    assert film.dtype == np.float32
    assert film.min() >= 0
    assert film.max() <= 1
    assert np.ptp(film) > 0.8


def test_same_seed_same_pixels_and_other_seed_other_patient() -> None:
    first = phantom.radiograph(200, 160, seed=5, opacities="lobar")
    np.testing.assert_array_equal(phantom.radiograph(200, 160, seed=5, opacities="lobar"), first)
    assert np.abs(phantom.radiograph(200, 160, seed=6, opacities="lobar") - first).mean() > 0.01


def test_a_film_is_the_same_drawing_at_every_size() -> None:
    small = phantom.radiograph(300, 250, seed=8)
    large = phantom.radiograph(1500, 1250, seed=8)
    binned = large.reshape(300, 5, 250, 5).mean(axis=(1, 3))
    assert np.abs(binned - small).mean() < 0.006
    assert np.corrcoef(binned.ravel(), small.ravel())[0, 1] > 0.999


def test_full_size_noise_is_quantum_noise() -> None:
    """Neighbouring pixels of a smooth region differ by the stated noise: 0.24 % at 512 pixels, in proportion."""
    film = phantom.radiograph(1024, 1024, seed=8)[960:1000, 250:350]
    measured = float(np.diff(film, axis=1).std() / 2**0.5)
    assert measured == pytest.approx(0.0048 * (0.4 + float(film.mean())), rel=0.1)


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("seed", SEEDS)
def test_bone_is_white_and_lungs_are_dark(seed: int, view: phantom.View) -> None:
    film = film_of(seed, view=view)
    lungs = max(mean_of(film, "right_lung"), mean_of(film, "left_lung"))
    assert lungs + 0.3 < min(mean_of(film, "mediastinum"), mean_of(film, "abdomen"))
    assert film[:20, :20].mean() < 0.1, "air beside the neck is black"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_heart_is_on_the_right_side_of_the_picture(seed: int) -> None:
    film = film_of(seed)
    assert mean_of(film, "heart") > mean_of(film, "mirrored_heart") + 0.08


def test_ap_view_has_the_larger_heart() -> None:
    heart = [
        np.mean([film_of(seed, view=view)[130:150, 130:145].mean() for seed in SEEDS])
        for view in ("PA", "AP")
    ]
    assert heart[1] > heart[0] + 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_mild_ground_glass_whitens_both_lower_zones_only(seed: int) -> None:
    clear = film_of(seed)
    ill = film_of(seed, "peripheral", extent="mild")
    for zone in ("right_lower_zone", "left_lower_zone"):
        assert mean_of(ill, zone) > mean_of(clear, zone) + 0.03
    for elsewhere in ("right_upper_zone", "mediastinum", "abdomen"):
        assert mean_of(ill, elsewhere) == pytest.approx(mean_of(clear, elsewhere), abs=0.002)


@pytest.mark.parametrize("seed", SEEDS)
def test_more_ground_glass_is_whiter_in_every_zone_of_the_lungs_and_nowhere_else(seed: int) -> None:
    graded = [film_of(seed, "peripheral", extent=extent) for extent in ("mild", "moderate", "severe")]
    for zone in ("right_lung", "left_lung", "right_lower_zone", "left_lower_zone"):
        means = [mean_of(film, zone) for film in (film_of(seed), *graded)]
        assert means == sorted(means)
        assert means[-1] > means[0] + 0.05
    for elsewhere in ("mediastinum", "abdomen"):
        found = [mean_of(film, elsewhere) for film in graded]
        assert found == pytest.approx([mean_of(film_of(seed), elsewhere)] * 3, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_lobar_consolidation_whitens_the_right_upper_zone_only(seed: int) -> None:
    clear = film_of(seed)
    ill = film_of(seed, "lobar")
    assert mean_of(ill, "right_upper_zone") > mean_of(clear, "right_upper_zone") + 0.15
    for elsewhere in ("left_lung", "right_lower_zone", "left_lower_zone", "abdomen"):
        assert mean_of(ill, elsewhere) == pytest.approx(mean_of(clear, elsewhere), abs=0.002)


def test_lateral_and_ct_are_other_pictures_than_the_frontal_film() -> None:
    frontal = _thumbnail(film_of(1))
    for other in (phantom.lateral(240, 200, seed=1), phantom.ct_slice(240, 200, seed=1)):
        assert other.shape == (240, 200)
        assert other.dtype == np.float32
        assert np.corrcoef(_thumbnail(other), frontal)[0, 1] < 0.7


@pytest.mark.real
def test_phantoms_look_like_real_radiographs_from_afar(real_data: Path) -> None:
    """The worst phantom is nearer to the mean radiograph than a tenth of the real radiographs are."""
    files = sorted((real_data / "nih-chestxray8-subset").glob("*/*.jpg"))
    real = np.array([_thumbnail(_read_small(file)) for file in files])
    mean = real.mean(axis=0)
    tenth = np.percentile([np.corrcoef(picture, mean)[0, 1] for picture in real], 10)
    pictures = [
        film_of(seed, opacities, view)
        for seed in range(6)
        for opacities in ("none", "peripheral", "lobar")
        for view in ("PA", "AP")
    ]
    assert min(np.corrcoef(_thumbnail(picture), mean)[0, 1] for picture in pictures) > tenth


def _thumbnail(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return preprocess(picture, THUMBNAIL).ravel().astype(np.float64)


def _read_small(file: Path) -> NDArray[np.float32]:
    with Image.open(file) as image:
        image.draft("L", (128, 128))
        return np.asarray(image.convert("L"), np.float32)


# --- the night


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, str]]:
    with generate.MANIFEST.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_manifest_names_every_file_and_nothing_else(manifest: list[dict[str, str]]) -> None:
    on_disk = {
        path.relative_to(generate.NIGHT).as_posix() for path in generate.NIGHT.rglob("*") if path.is_file()
    }
    assert [row["file"] for row in manifest] == [sample.file for sample in generate.samples()]
    assert {row["file"] for row in manifest} == on_disk
    assert sum((generate.NIGHT / name).stat().st_size for name in on_disk) < 4_000_000


def test_manifest_hashes_are_those_of_the_files(manifest: list[dict[str, str]]) -> None:
    for row in manifest:
        content = (generate.NIGHT / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"], row["file"]


def test_manifest_says_what_the_generator_says(manifest: list[dict[str, str]]) -> None:
    assert tuple(manifest[0]) == generate.COLUMNS
    assert [tuple(row.values())[:-1] for row in manifest] == [
        (sample.file, sample.shows, sample.status, sample.reason, sample.patient_id)
        for sample in generate.samples()
    ]


def test_expected_reasons_are_codes_of_the_package(manifest: list[dict[str, str]]) -> None:
    assert {row["expected_status"] for row in manifest} == {"scored", "not_scored", "skipped"}
    for row in manifest:
        assert (row["expected_reason"] == "") == (row["expected_status"] == "scored")
        assert row["expected_reason"] == "" or Reason(row["expected_reason"])


def test_only_the_resent_file_is_a_copy(manifest: list[dict[str, str]]) -> None:
    first_with: dict[str, str] = {}
    copies = [row for row in manifest if first_with.setdefault(row["sha256"], row["file"]) != row["file"]]
    assert [row["expected_reason"] for row in copies] == ["duplicate"]


def test_the_night_has_clear_lungs_and_ground_glass_and_the_hostile_name_is_well(
    manifest: list[dict[str, str]],
) -> None:
    """A name that is an HTML tag must be on the page, and must not be the first that a reader sees there."""
    scored = [row for row in manifest if row["expected_status"] == "scored"]
    found = Counter(
        extent
        for row in scored
        for extent in ("severe ground glass", "moderate ground glass", "clear lungs")
        if extent in row["shows"]
    )
    assert found == {"severe ground glass": 5, "moderate ground glass": 6, "clear lungs": 11}
    assert ["clear lungs" in row["shows"] for row in scored if row["patient_id"] == "<b>7</b>"] == [True]


def test_headers_carry_the_patient_id_of_the_manifest(manifest: list[dict[str, str]]) -> None:
    seen = {}
    for row in manifest:
        if is_dicom(content := (generate.NIGHT / row["file"]).read_bytes()):
            seen[row["file"]] = _read(content).get("PatientID", "")
    assert len(seen) == 25
    assert seen == {row["file"]: row["patient_id"] for row in manifest if row["file"] in seen}


@pytest.mark.parametrize("sample", generate.samples(), ids=lambda sample: sample.file)
def test_generator_makes_the_committed_file_again(sample: generate.Sample) -> None:
    """Same bytes, or with other versions of the encoders the same header and the same picture."""
    committed, made = (generate.NIGHT / sample.file).read_bytes(), sample.make()
    if committed != made:
        assert _description(made, sample) == _description(committed, sample)
        _assert_same_picture(_picture(made, sample), _picture(committed, sample), "lossy" in sample.shows)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.RLELossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_lossless_instances_hold_exactly_the_phantom(syntax: uid.UID, bits: int, photometric: str) -> None:
    film = film_of(4)
    instance = generate.instance(4, film, syntax, bits, PhotometricInterpretation=photometric)
    stored = _stored(_read(generate.part10(instance)))
    expected = np.rint(film * (2**bits - 1)).astype(int)
    np.testing.assert_array_equal(
        stored, 2**bits - 1 - expected if photometric == "MONOCHROME1" else expected
    )


def is_dicom(content: bytes) -> bool:
    return content[128:132] == b"DICM" or content.startswith(b"\x08\x00")


def _read(content: bytes) -> Dataset:
    dataset = dcmread(io.BytesIO(content), force=True)
    dataset.file_meta.setdefault("TransferSyntaxUID", uid.ImplicitVRLittleEndian)
    return dataset


def _description(content: bytes, sample: generate.Sample) -> Any:
    """What must be equal beside the picture."""
    if not is_dicom(content):
        return content if sample.reason == "not_an_image" else content[:4]
    dataset = _read(content)
    return dataset.file_meta.TransferSyntaxUID, {
        element.tag: element.value for element in dataset if element.keyword != "PixelData"
    }


def _picture(content: bytes, sample: generate.Sample) -> NDArray[np.int64]:
    """Stored grey levels, of PNG and JPEG the shown ones."""
    if sample.reason == "truncated":
        return np.frombuffer(content[-100_000:], "<u2").astype(np.int64)
    if is_dicom(content):
        return _stored(_read(content)).astype(np.int64)
    with Image.open(io.BytesIO(content)) as image:
        shown = image if image.mode.startswith("I") else image.convert("L")
        return np.asarray(shown).astype(np.int64)


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg8_decode,
    uid.JPEGLosslessSV1: imagecodecs.ljpeg_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
}


def _stored(dataset: Dataset) -> NDArray[Any]:
    decode = _DECODERS.get(dataset.file_meta.TransferSyntaxUID)
    if decode is None:
        return np.asarray(dataset.pixel_array)
    return np.asarray(decode(next(generate_frames(dataset.PixelData, number_of_frames=1))))


def _assert_same_picture(made: NDArray[np.int64], committed: NDArray[np.int64], lossy: bool) -> None:
    difference = np.abs(made - committed)
    assert difference.max() <= (8 if lossy else 1)
    assert difference.mean() <= (0.5 if lossy else 0.05)

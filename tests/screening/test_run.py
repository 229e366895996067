"""The whole way: a folder in, a report out."""

import csv
import gzip
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import ct_slice, radiograph
from PIL import Image
from pydicom import uid

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, load_bundle
from cxrbatch.engines.options import EngineOptions
from cxrbatch.errors import NoImageFound, OutputError, UsageProblem
from cxrbatch.infer.runtime import Device
from cxrbatch.records import TriageRun
from cxrbatch.screening import ScreenOptions, screen
from tests.factories.dicom_files import LOSSLESS, LOSSY, write_dicom

CPU = Device.CPU


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def mixed_night(tmp_path_factory: pytest.TempPathFactory, sample_night: Path) -> Path:
    """The sample night and forty phantoms more, so that batches and workers have something to mix up."""
    folder = tmp_path_factory.mktemp("export") / "nuit d'été"
    shutil.copytree(sample_night, folder)
    drawn = [radiograph(320, 280, seed=100 + i) for i in range(5)]
    for i in range(40):
        picture = drawn[i % 5] ** (0.7 + 0.01 * i)
        pixels = np.rint(picture[i // 5 :] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i % 23:02}_{i}.png")
    return folder


def run(folder: Path, out: Path, bundle: Path, **options: object) -> TriageRun:
    asked = ScreenOptions(bundle=bundle, engine=EngineOptions(device=CPU)).with_changes(**options)
    return screen(folder, out, asked)


@pytest.fixture(scope="module")
def reference(mixed_night: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "report.csv"
    run(mixed_night, out, tiny_bundle, n_workers=1)
    return out


def assert_same_tables(out: Path, reference: Path) -> None:
    assert out.read_bytes() == reference.read_bytes()
    files = [path.with_suffix(".files.csv") for path in (out, reference)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.fixture(scope="module")
def sample_report(tmp_path_factory: pytest.TempPathFactory, sample_night: Path) -> Path:
    """The report of the sample night by the shipped bundle."""
    out = tmp_path_factory.mktemp("sample") / "report.csv"
    screen(sample_night, out, ScreenOptions(engine=EngineOptions(device=CPU)))
    return out


@pytest.fixture(scope="module")
def manifest(sample_night: Path) -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in rows(sample_night.parent / "MANIFEST.csv")}


def test_sample_night_comes_out_as_its_manifest_says(
    sample_report: Path, manifest: dict[str, dict[str, str]]
) -> None:
    expected = {file: (row["expected_status"], row["expected_reason"]) for file, row in manifest.items()}
    files = rows(sample_report.with_suffix(".files.csv"))
    assert {row["file"]: (row["status"], row["reason"]) for row in files} == expected


def test_phantoms_with_opacities_rank_above_clear_ones(
    sample_report: Path, manifest: dict[str, dict[str, str]]
) -> None:
    scores: dict[bool, list[float]] = {True: [], False: []}
    for row in rows(sample_report.with_suffix(".files.csv")):
        if row["status"] == "scored":
            scores["ground glass" in manifest[row["file"]]["shows"]].append(float(row["score_covid"]))
    assert (len(scores[True]), len(scores[False])) == (11, 11)
    assert min(scores[True]) > max(scores[False])
    assert rows(sample_report)[0]["patient_id"].startswith("SAMPLE-")


def test_counts_reconcile(mixed_night: Path, reference: Path) -> None:
    n_files = sum(len(files) for _, _, files in os.walk(mixed_night))
    statuses = [row["status"] for row in rows(reference.with_suffix(".files.csv"))]
    assert len(statuses) == n_files
    assert set(statuses) == {"scored", "not_scored", "skipped"}
    scored = sum(int(row["n_images"]) for row in rows(reference) if row["status"] == "ranked")
    assert scored == statuses.count("scored")


def test_ranks_follow_the_scores(reference: Path) -> None:
    ranked = [row for row in rows(reference) if row["status"] == "ranked"]
    assert [int(row["rank"]) for row in ranked] == list(range(1, len(ranked) + 1))
    scores = [float(row["score"]) for row in ranked]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 20


@pytest.mark.parametrize("n_workers", [2, 3])
def test_workers_change_no_byte(
    mixed_night: Path, tiny_bundle: Path, reference: Path, tmp_path: Path, n_workers: int
) -> None:
    run(mixed_night, tmp_path / "report.csv", tiny_bundle, n_workers=n_workers)
    assert_same_tables(tmp_path / "report.csv", reference)


def test_order_of_the_listing_changes_no_byte(
    mixed_night: Path, tiny_bundle: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path: Path) -> None:
            with scandir(path) as listing:
                self.entries = list(listing)
            random.Random(1).shuffle(self.entries)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    run(mixed_night, tmp_path / "report.csv", tiny_bundle)
    assert_same_tables(tmp_path / "report.csv", reference)


def test_neighbours_change_no_digit(
    mixed_night: Path, tiny_bundle: Path, reference: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted(mixed_night.glob("p*.png"))[::3]:
        shutil.copy(path, some)
    run(some, tmp_path / "report.csv", tiny_bundle)
    alone = {row["file"]: row["score_covid"] for row in rows(tmp_path / "report.files.csv")}
    together = {row["file"]: row["score_covid"] for row in rows(reference.with_suffix(".files.csv"))}
    assert alone == {name: together[name] for name in alone}
    assert len(alone) == 14


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_keeps_the_ranking(
    mixed_night: Path, tiny_bundle: Path, reference: Path, tmp_path: Path, batch_size: int
) -> None:
    run(mixed_night, tmp_path / "report.csv", tiny_bundle, batch_size=batch_size)
    actual, expected = rows(tmp_path / "report.csv"), rows(reference)
    assert [row["patient_id"] for row in actual] == [row["patient_id"] for row in expected]
    for one, other in zip(actual, expected, strict=True):
        if one["score"]:
            assert float(one["score"]) == pytest.approx(float(other["score"]), abs=1e-5)


def test_patients_from_file_names(mixed_night: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    from cxrbatch.read import PatientRule

    run(mixed_night, tmp_path / "report.csv", tiny_bundle, patients=PatientRule(r"p(\d\d)_"))
    counts = {row["patient_id"]: int(row["n_images"]) for row in rows(tmp_path / "report.csv")}
    assert (counts["00"], counts["22"]) == (2, 1)


def test_the_folder_is_only_read(mixed_night: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    def state() -> list[tuple[str, int, int]]:
        return [
            (str(path), path.stat().st_mtime_ns, path.stat().st_size)
            for path in sorted(mixed_night.rglob("*"))
        ]

    before = state()
    run(mixed_night, tmp_path / "report.csv", tiny_bundle)
    assert state() == before


def test_pseudonyms_hide_every_identifier(
    mixed_night: Path, tiny_bundle: Path, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123")
    run(mixed_night, tmp_path / "report.csv", tiny_bundle, pseudonym_key=tmp_path / "key")
    text = "".join(
        (tmp_path / name).read_text() for name in ("report.csv", "report.files.csv", "report.html")
    )
    for secret in ("SAMPLE-", "ACC000", "1.2.826.0.1", "p00_", "IM0001"):
        assert secret not in text
    hidden, plain = rows(tmp_path / "report.csv"), rows(reference)
    assert [row["score"] for row in hidden] == [row["score"] for row in plain]
    assert len({row["patient_id"] for row in hidden}) == len({row["patient_id"] for row in plain})


FORMATS = [
    *((syntax, photometric) for syntax in LOSSLESS for photometric in ("MONOCHROME1", "MONOCHROME2")),
    *((syntax, "MONOCHROME2") for syntax in LOSSY),
]


def write_in_every_format(folder: Path, picture: NDArray[np.float32]) -> dict[str, float]:
    """Write one picture in every format; returns the tolerance for each file's score."""
    eight = np.rint(picture * 255).astype(np.uint8)
    twelve = np.rint(picture * 4095).astype("<u2")
    Image.fromarray(eight).save(folder / "8.png")
    Image.fromarray(np.rint(picture * 65535).astype(np.uint16)).save(folder / "16.png")
    Image.fromarray(eight).save(folder / "8.jpg", quality=95)
    tolerances = {"8.png": 0.01, "16.png": 0.01, "8.jpg": 0.05}
    for syntax, photometric in FORMATS:
        is_eight = syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000)
        stored, bits = (eight, 8) if is_eight else (twelve, 12)
        if photometric == "MONOCHROME1":
            stored = (2**bits - 1 - stored).astype(stored.dtype)
        name = f"{syntax}-{photometric}"
        uid_here = uid.generate_uid(entropy_srcs=[name])
        write_dicom(
            folder / name,
            stored,
            syntax=syntax,
            bits_stored=bits,
            photometric=photometric,
            SOPInstanceUID=uid_here,
        )
        tolerances[name] = 0.05 if syntax in LOSSY else 0.01
    return tolerances


def assert_scores_agree(folder: Path, out: Path, tolerances: dict[str, float]) -> None:
    screen(folder, out, ScreenOptions(engine=EngineOptions(device=CPU)))
    files = rows(out.with_suffix(".files.csv"))
    scores = {
        row["file"]: np.array(
            [float(row[f"score_{finding}"]) for finding in ("covid", "pneumonia", "normal")]
        )
        for row in files
        if row["status"] == "scored"
    }
    assert scores.keys() == tolerances.keys()
    for name, tolerance in tolerances.items():
        assert np.abs(scores[name] - scores["16.png"]).max() <= tolerance, name


def test_one_picture_has_one_score_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tolerances = write_in_every_format(tmp_path / "in", radiograph(500, 420, seed=4))
    assert_scores_agree(tmp_path / "in", tmp_path / "report.csv", tolerances)


@pytest.mark.real
def test_one_real_radiograph_has_one_score_in_every_format(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with Image.open(real_data / "raw-examples" / "case_72_RX-TORACE1.jpg") as image:
        small = image.convert("F").resize((856, 704), Image.Resampling.BOX)
        picture = np.asarray(small, np.float32) / np.float32(255)
    assert_scores_agree(
        tmp_path / "in", tmp_path / "report.csv", write_in_every_format(tmp_path / "in", picture)
    )


@pytest.mark.real
def test_raw_examples(real_data: Path, tmp_path: Path) -> None:
    screen(
        real_data / "raw-examples", tmp_path / "report.csv", ScreenOptions(engine=EngineOptions(device=CPU))
    )
    outcome = {row["file"]: (row["status"], row["reason"]) for row in rows(tmp_path / "report.files.csv")}
    refused = ("not_scored", "not_a_chest_radiograph")
    assert outcome == {
        "16745_5_2.png": refused,  # a CT slice
        "case_72_RX-TORACE1.jpg": ("scored", ""),
        "case_76_1-3.png": ("scored", ""),
        "kjr-21-e25-g001-l-a.jpg": ("scored", ""),
        "rsna-cxr-monochrome1.dcm": refused,  # a negative
        "rsna-cxr.dcm": ("scored", ""),
        "ryct.2020003.fig2-a.png": ("scored", ""),
        "tpmd200203f2-b.png": ("scored", ""),
    }


def other_pictures() -> dict[str, Image.Image]:
    """What else lies in an export: a photograph, noise, a gradient, a blank page, a CT slice, a negative."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (300, 1))
    film = radiograph(300, 300, seed=8)
    return {
        "photo": coarse.resize((400, 300), Image.Resampling.BICUBIC),
        "noise": Image.fromarray(rng.integers(0, 256, (300, 300), np.uint8)),
        "gradient": Image.fromarray(ramp),
        "blank": Image.new("L", (300, 300), 255),
        "ct": Image.fromarray(np.rint(ct_slice(300, 300, seed=2) * 255).astype(np.uint8)),
        "negative": Image.fromarray(np.rint((1 - film) * 255).astype(np.uint8)),
        "upside down": Image.fromarray(np.rint(film[::-1] * 255).astype(np.uint8)),
    }


def test_every_refusal_has_its_code_and_costs_no_other_image(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    film = np.rint(radiograph(300, 260, seed=9) * 4095).astype("<u2")
    dicom: dict[str, tuple[str, dict[str, object]]] = {
        "good": ("", {}),
        "ct": ("wrong_modality", {"Modality": "CT"}),
        "hand": ("wrong_body_part", {"BodyPartExamined": "HAND"}),
        "lateral": ("lateral_view", {"ViewPosition": "LL"}),
        "raw": ("for_processing", {"PresentationIntentType": "FOR PROCESSING"}),
        "cine": ("multi_frame", {"NumberOfFrames": 2}),
        "child": ("paediatric", {"PatientAge": "006M"}),
        "born": ("paediatric", {"PatientAge": None, "PatientBirthDate": "20100101"}),
        "huge": ("too_large", {"Rows": 13_000, "Columns": 13_000}),
        "bits": ("corrupt", {"BitsStored": 20}),
        "short": ("truncated", {"Rows": 301}),
    }
    for number, (name, (_, elements)) in enumerate(dicom.items()):
        own = {"SOPInstanceUID": uid.generate_uid(entropy_srcs=[name]), "PatientID": str(number)}
        write_dicom(folder / name, film, bits_stored=12, **own | elements)
    unknown = (folder / "good").read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.66")
    (folder / "unknown").write_bytes(unknown)
    Image.fromarray((film[:100, :100] >> 4).astype(np.uint8)).save(folder / "small.png")
    (folder / "text.png").write_text("no picture")
    (folder / "film.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "night.txt.gz").write_bytes(gzip.compress(b"no radiograph"))
    (folder / "out").symlink_to(tmp_path)
    expected = {name: reason for name, (reason, _) in dicom.items()} | {
        "unknown": "unsupported_transfer_syntax",
        "small.png": "too_small",
        "text.png": "not_an_image",
        "film.heic": "unsupported_format",
        "night.txt.gz": "packed_file",
        "out": "unreadable",
    }
    for name, picture in other_pictures().items():
        picture.save(folder / f"{name}.png")
        expected[f"{name}.png"] = "not_a_chest_radiograph"
    screen(folder, tmp_path / "report.csv", ScreenOptions(engine=EngineOptions(device=CPU)))
    assert {row["file"]: row["reason"] for row in rows(tmp_path / "report.files.csv")} == expected


def test_what_the_bundle_warns_of_stands_on_the_page(sample_report: Path) -> None:
    page = sample_report.with_suffix(".html").read_text()
    assert load_bundle().worth_in_brief in page.split("<details")[0]
    assert load_bundle().worth_in_pairs in page.split("<details")[1]
    assert load_bundle().worth in page.split("<details")[1]
    assert all(note in page for note in load_bundle().notes)


def test_no_image_is_no_quiet_night(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "README").write_text("nothing here")
    with pytest.raises(NoImageFound, match="mounted"):
        screen(tmp_path / "in", tmp_path / "report.csv", ScreenOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_only_unreadable_files_give_a_report(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").write_text("no picture")
    screen(tmp_path / "in", tmp_path / "report.csv", ScreenOptions(engine=EngineOptions(device=CPU)))
    (row,) = rows(tmp_path / "report.csv")
    assert (row["status"], row["reason"], row["patient_id"]) == ("not_scored", "not_an_image", "x.png")


def test_places_that_cannot_work(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no such folder"):
        screen(tmp_path / "nothing", tmp_path / "report.csv", ScreenOptions())
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageProblem, match="only read"):
        screen(tmp_path / "in", tmp_path / "in" / "report.csv", ScreenOptions())
    with pytest.raises((UsageProblem, OutputError)):
        screen(tmp_path / "in", Path("/dev/null/report.csv"), ScreenOptions())


def test_default_bundle_is_the_shipped_one() -> None:
    assert ScreenOptions().bundle == DEFAULT_BUNDLE

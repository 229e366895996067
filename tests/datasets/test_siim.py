from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import phantom
import pytest
from PIL import Image

from cxrbatch.datasets import SourceSpec, load_dataset
from cxrbatch.datasets.labelled import BY_SIZE, Excluded, LabelledImage
from cxrbatch.datasets.loading import FEWEST_OF_A_SIZE, with_scanners
from cxrbatch.datasets.siim import load_siim
from cxrbatch.errors import RecipeError
from cxrbatch.preprocess import PreprocessSpec, area_resize, preprocess
from tests.factories.collections import case

MANIFEST = "file,label,patient,study,source,orig_width,orig_height,near_dup_of,flag"
STUDIES = "id,Negative for Pneumonia,Typical Appearance,Indeterminate Appearance,Atypical Appearance"
IMAGES = "id,boxes,label,StudyInstanceUID"


def write(path: Path, *rows: str) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("appearance", "label"),
    [
        ("typical", "covid"),
        ("atypical", "pneumonia"),
        ("indeterminate", "indeterminate"),
        ("negative", "normal"),
    ],
)
def test_a_row_of_the_manifest(tmp_path: Path, appearance: str, label: str) -> None:
    touch(tmp_path / appearance / "é 1.jpg")
    write(tmp_path / "manifest.csv", MANIFEST, f"{appearance}/é 1.jpg,{appearance},p7,s1,siim,4280,3520,,")
    assert list(load_siim(tmp_path)) == [
        LabelledImage(
            path=tmp_path / appearance / "é 1.jpg",
            label=label,
            patient="siim/p7",
            source="siim",
            scanner=BY_SIZE,
            rows=3520,
            columns=4280,
        )
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("negative/a.jpg,negative,p1,s,siim,10,10,,upside_down", "upside down"),
        ("negative/a.jpg,negative,p1,s,siim,10,10,,possible_child", "possible child"),
        ("negative/a.jpg,negative,p1,s,siim,10,10,04cc2f7f4c4b,", "duplicate"),
        ("negative/a.jpg,lateral,p1,s,siim,10,10,,", "label lateral"),
        ("negative/a.jpg,negative,,s,siim,10,10,,", "no patient"),
        (",negative,p1,s,siim,10,10,,", "no file"),
        ("negative/gone.jpg,negative,p1,s,siim,10,10,,", "file missing"),
        ("../a.jpg,negative,p1,s,siim,10,10,,", "file outside the folder of the table"),
    ],
)
def test_rows_of_the_manifest_that_take_no_part(tmp_path: Path, row: str, reason: str) -> None:
    touch(tmp_path / "negative" / "a.jpg")
    write(tmp_path / "manifest.csv", MANIFEST, row)
    (found,) = load_siim(tmp_path)
    assert isinstance(found, Excluded)
    assert (found.source, found.reason) == ("siim", reason)


def test_tables_of_kaggle(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "s1" / "x" / "i1.dcm", tmp_path / "i2.png", tmp_path / "s3" / "y" / "i3.JPG")
    touch(tmp_path / "s4" / "y" / "i4.jpg")
    write(
        tmp_path / "train_study_level.csv",
        STUDIES,
        "s1_study,0,1,0,0",
        "s2_study,1,0,0,0",
        "s3_study,0,0,1,0",
        "s4_study,0,1,0,1",
    )
    pairs = (("i1", "s1"), ("i2", "s2"), ("i3", "s3"), ("i4", "s4"), ("i5", "s1"), ("i6", "s9"))
    write(tmp_path / "train_image_level.csv", IMAGES, *(f"{i}_image,,none 1 0 0 1 1,{s}" for i, s in pairs))
    rows = list(load_siim(tmp_path))
    assert [(row.path.name, row.label, row.patient) for row in rows if isinstance(row, LabelledImage)] == [
        ("i1.dcm", "covid", "siim/s1"),
        ("i2.png", "normal", "siim/s2"),
        ("i3.JPG", "indeterminate", "siim/s3"),
    ]
    assert [(row.name, row.reason) for row in rows if isinstance(row, Excluded)] == [
        ("i4", "not one appearance"),
        ("i5", "file missing"),
        ("i6", "no row of the study"),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "train_study_level.csv: No such file"),
        ({"train_study_level.csv": STUDIES}, "train_image_level.csv: No such file"),
        ({"manifest.csv": "file,label"}, "column 'patient' is missing"),
        ({"train_study_level.csv": "id"}, "column 'Typical Appearance' is missing"),
    ],
)
def test_a_missing_table_or_column_is_an_error(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, header in files.items():
        write(tmp_path / name, header)
    with pytest.raises(RecipeError, match=message):
        list(load_siim(tmp_path))


def test_sizes_make_scanner_formats_and_rare_ones_are_one() -> None:
    def of_size(rows: int, n: int) -> list[LabelledImage]:
        cases = [case(f"siim/{rows}-{index}", "normal", "siim") for index in range(n)]
        return [replace(one, scanner=BY_SIZE, rows=rows, columns=7) for one in cases]

    cases = [*of_size(1, FEWEST_OF_A_SIZE), *of_size(2, FEWEST_OF_A_SIZE - 1), *of_size(3, 1)]
    cases += [case("nih/1", "normal", "nih")]
    domains = Counter(one.domain for one in with_scanners(cases))
    assert domains == {"siim 7x1": FEWEST_OF_A_SIZE, "siim other": FEWEST_OF_A_SIZE, "nih": 1}


def test_a_squashed_image_and_its_original_become_the_same_input(tmp_path: Path) -> None:
    original = 255 * np.asarray(phantom.radiograph(704, 880, seed=1), np.float32)
    squashed = Image.fromarray(np.rint(area_resize(original, 256, 256)).astype(np.uint8))
    (tmp_path / "siim" / "typical").mkdir(parents=True)
    squashed.save(tmp_path / "siim" / "typical" / "a.png")
    write(tmp_path / "siim" / "manifest.csv", MANIFEST, "typical/a.png,typical,p1,s1,siim,880,704,,")
    spec = PreprocessSpec(height=64, width=64, trim_tolerance=0)
    dataset = load_dataset([SourceSpec(layout="siim", folder="siim")], tmp_path, spec)
    differences = np.abs(dataset.images[0].astype(int) - preprocess(original, spec))
    assert differences.mean() < 0.5
    assert differences.max() <= 8  # at edges: the squashed image is stored in whole grey values
    assert [(one.rows, one.columns, one.domain) for one in dataset.cases] == [(704, 880, "siim other")]


@pytest.mark.real
def test_every_row_of_the_real_manifest_is_a_case_or_excluded(real_data: Path) -> None:
    rows = list(load_siim(real_data / "siim-covid19"))
    assert len(rows) == 4436
    reasons = Counter(row.reason for row in rows if isinstance(row, Excluded))
    assert reasons.pop("duplicate") == 69
    assert sum(reasons.values()) == 6

from collections import Counter
from pathlib import Path

import pytest

from cxrbatch.datasets.collections import (
    load_ieee8023,
    load_kaggle,
    load_nih,
    load_radiography_database,
)
from cxrbatch.datasets.labelled import Excluded, LabelledImage
from cxrbatch.errors import RecipeError

HEADER = "patientid,sex,age,finding,view,modality,folder,filename,url,date\n"


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def ieee8023(folder: Path, *rows: str) -> list[LabelledImage | Excluded]:
    touch(folder / "images" / "a.png")
    (folder / "metadata.csv").write_text(HEADER + "\n".join(rows) + "\n")
    return list(load_ieee8023(folder))


def test_ieee8023_row_with_everything(tmp_path: Path) -> None:
    row = "7,F,66,COVID-19,AP Supine,X-ray,images,a.png,https://www.eurorad.org/case/16660,03/16/20"
    assert ieee8023(tmp_path, row) == [
        LabelledImage(
            path=tmp_path / "images" / "a.png",
            label="covid",
            patient="ieee8023/7",
            source="ieee8023",
            publisher="eurorad.org",
            view="AP",
            age_years=66.0,
            sex="F",
            year=2020,
        )
    ]


def test_ieee8023_has_publishers_as_sites_and_views_as_domains(tmp_path: Path) -> None:
    (case,) = ieee8023(tmp_path, "7,F,,No Finding,PA,X-ray,images,a.png,https://radiopaedia.org/cases/1")
    assert isinstance(case, LabelledImage)
    assert (case.site, case.domain) == ("ieee8023/radiopaedia.org", "ieee8023 PA")
    assert (case.label, case.age_years) == ("normal", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,M,50,COVID-19,Axial,CT,volumes,a.nii.gz,https://x.org", "modality CT"),
        ("1,M,50,COVID-19,L,X-ray,images,a.png,https://x.org", "lateral view"),
        ("1,M,50,COVID-19,,X-ray,images,a.png,https://x.org", "view unknown"),
        ("1,M,50,COVID-19,?,X-ray,images,a.png,https://x.org", "view unknown"),
        ("1,M,50,todo,PA,X-ray,images,a.png,https://x.org", "finding todo"),
        ("1,M,50,ARDS,PA,X-ray,images,a.png,https://x.org", "finding ARDS"),
        ("1,M,50,Something New,PA,X-ray,images,a.png,https://x.org", "finding Something New"),
        ("1,M,17,COVID-19,PA,X-ray,images,a.png,https://x.org", "younger than 18"),
        ("1,M,50,COVID-19,PA,X-ray,images,gone.png,https://x.org", "file missing"),
        (
            "1,M,50,COVID-19,PA,X-ray,images,../images/a.png,https://x.org",
            "file outside the folder of the table",
        ),
        ("1,M,50,COVID-19,PA,X-ray,/images,a.png,https://x.org", "file outside the folder of the table"),
    ],
)
def test_ieee8023_exclusions_are_counted_never_mapped(tmp_path: Path, row: str, reason: str) -> None:
    (excluded,) = ieee8023(tmp_path, row)
    assert isinstance(excluded, Excluded)
    assert (excluded.source, excluded.reason) == ("ieee8023", reason)


@pytest.mark.parametrize(
    ("finding", "label"),
    [
        ("COVID-19, ARDS", "covid"),
        ("SARS", "pneumonia"),
        ("Pneumocystis", "pneumonia"),
        ("No Finding", "normal"),
    ],
)
def test_ieee8023_findings(tmp_path: Path, finding: str, label: str) -> None:
    (case,) = ieee8023(tmp_path, f'1,M,50,"{finding}",PA,X-ray,images,a.png,https://x.org')
    assert isinstance(case, LabelledImage)
    assert case.label == label


def test_kaggle_patients_are_in_the_names(tmp_path: Path) -> None:
    touch(
        tmp_path / "train" / "PNEUMONIA" / "person7_bacteria_21.jpeg",
        tmp_path / "test" / "PNEUMONIA" / "person7_virus_22.jpeg",
        tmp_path / "train" / "NORMAL" / "NORMAL2-IM-0461-0001.jpeg",
        tmp_path / "train" / "NORMAL" / "who.jpeg",
        tmp_path / "train" / "README.txt",
    )
    rows = list(load_kaggle(tmp_path))
    assert [(row.label, row.patient) for row in rows if isinstance(row, LabelledImage)] == [
        ("pneumonia", "kaggle/person7"),
        ("normal", "kaggle/IM-0461"),
        ("pneumonia", "kaggle/person7"),
    ]
    assert [row.name for row in rows if isinstance(row, Excluded)] == ["who.jpeg"]


def test_nih_folders_name_the_label(tmp_path: Path) -> None:
    touch(
        tmp_path / "No_Finding" / "00000061_012.jpg",
        tmp_path / "Pneumonia" / "00000061_015.jpg",
        tmp_path / "Hernia" / "00000001_000.jpg",
    )
    excluded, normal, pneumonia = load_nih(tmp_path)
    assert isinstance(excluded, Excluded)
    assert excluded.reason == "finding Hernia"
    assert isinstance(normal, LabelledImage)
    assert isinstance(pneumonia, LabelledImage)
    assert (normal.label, pneumonia.label) == ("normal", "pneumonia")
    assert normal.patient == pneumonia.patient == "nih/00000061"


NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
)


def test_nih_table_gives_view_age_size_and_spacing(tmp_path: Path) -> None:
    names = ("00000061_012", "00000062_000", "00000063_000", "00000064_000", "00000065_000")
    touch(*(tmp_path / "Pneumonia" / f"{name}.jpg" for name in names))
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(
        NIH_HEADER
        + "00000061_012.png,Pneumonia,12,61,77,M,AP,3056,2544,0.139,0.139\n"
        + "00000062_000.png,Pneumonia,0,62,17,F,PA,2992,2991,0.14300000000000002,0.14300000000000002\n"
        + "00000063_000.png,Pneumonia,0,63,018Y,F,PA,2992,2991,0.14300000000000002,0.14300000000000002\n"
        + "00000064_000.png,Pneumonia,0,64,414,F,,x,nan,,\n"
    )
    whole, child, adult, odd, unlisted = load_nih(tmp_path)
    assert whole == LabelledImage(
        path=tmp_path / "Pneumonia" / "00000061_012.jpg",
        label="pneumonia",
        patient="nih/00000061",
        source="nih",
        view="AP",
        age_years=77.0,
        sex="M",
        scanner="0.139 mm",
        rows=2544,
        columns=3056,
    )
    assert isinstance(child, Excluded)
    assert child.reason == "younger than 18"
    assert isinstance(adult, LabelledImage)
    assert (adult.domain, adult.site, adult.age_years) == ("nih PA 0.143 mm", "nih", 18.0)
    for one in (odd, unlisted):
        assert isinstance(one, LabelledImage)
        assert (one.domain, one.age_years, one.rows, one.columns) == ("nih", None, 0, 0)


def test_nih_table_without_its_columns_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "Pneumonia" / "00000061_012.jpg")
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("Image Index,Patient Age\n")
    with pytest.raises(RecipeError, match="column 'Patient Gender' is missing"):
        list(load_nih(tmp_path))


def test_radiography_database_follows_its_list_of_sources(tmp_path: Path) -> None:
    touch(
        tmp_path / "COVID" / "COVID-1.jpg",
        tmp_path / "Normal" / "Normal-1.jpg",
        tmp_path / "COVID" / "COVID-2.jpg",
    )
    (tmp_path / "sources.csv").write_text(
        "file,likely_source\n"
        "COVID/COVID-1.jpg,mostly BIMCV-COVID19+\n"
        "COVID/COVID-2.jpg,web collections\n"
        "COVID/COVID-3.jpg,mostly BIMCV-COVID19+\n"
        "Normal/Normal-1.jpg,RSNA (NIH) adult\n"
    )
    rows = list(load_radiography_database(tmp_path))
    assert [(row.source, row.label) for row in rows if isinstance(row, LabelledImage)] == [
        ("bimcv", "covid"),
        ("rsna", "normal"),
    ]
    assert [row.reason for row in rows if isinstance(row, Excluded)] == [
        "origin: web collections",
        "file missing",
    ]


@pytest.mark.real
def test_every_row_of_the_real_metadata_is_a_case_or_excluded(real_data: Path) -> None:
    rows = list(load_ieee8023(real_data / "covid-chestxray-dataset"))
    assert len(rows) == 751
    reasons = Counter(row.reason for row in rows if isinstance(row, Excluded))
    assert reasons["finding todo"] == 28
    assert reasons["modality CT"] == 84
    assert reasons["finding ARDS"] == 4
    assert reasons["lateral view"] == 58
    assert reasons["file missing"] == 26
    assert sum(reasons.values()) + sum(isinstance(row, LabelledImage) for row in rows) == 751


@pytest.mark.real
def test_years_of_the_real_metadata(real_data: Path) -> None:
    rows = load_ieee8023(real_data / "covid-chestxray-dataset")
    years = Counter(row.year for row in rows if isinstance(row, LabelledImage))
    assert years[2020] == 339
    assert years[None] == 87
    assert {year for year in years if year and not 2003 <= year <= 2020} == set()


def test_a_source_without_its_table_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"metadata\.csv: No such file"):
        list(load_ieee8023(tmp_path))

"""Load the public collections, in the layouts in which they are published; the table of all layouts.

Every row or file becomes a `LabelledImage` or an `Excluded` with its reason. A label that is not mapped is never
turned into a class.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from cxrbatch.datasets.labelled import Excluded, LabelledImage, Loader
from cxrbatch.datasets.siim import load_siim
from cxrbatch.datasets.tables import (
    OLDEST_YEARS,
    OUTSIDE,
    leads_out,
    load_folder,
    load_table,
    number_in,
    published_table,
    year_in,
)
from cxrbatch.records import ADULT_YEARS

OF_CHILDREN = frozenset({"kaggle"})
"""Sources that hold radiographs of children only."""

_SUFFIXES = {".jpg", ".jpeg", ".png"}
NIH_TABLE = "Data_Entry_2017_v2020.csv"
# As published: the names of the last four columns are two names with a comma in each.
_NIH_COLUMNS = (
    "Image Index",
    "Patient Age",
    "Patient Gender",
    "View Position",
    "OriginalImage[Width",
    "Height]",
    "OriginalImagePixelSpacing[x",
)
_FRONTAL_VIEWS = {"PA": "PA", "AP": "AP", "AP Supine": "AP"}

_IEEE8023_LABELS = {
    "COVID-19": "covid",
    "COVID-19, ARDS": "covid",
    "No Finding": "normal",
    **dict.fromkeys(
        (
            "Bacterial",
            "Chlamydophila",
            "E.Coli",
            "Influenza",
            "Klebsiella",
            "Legionella",
            "Lipoid",
            "Mycoplasma Bacterial Pneumonia",
            "Pneumocystis",
            "Pneumonia",
            "SARS",
            "Streptococcus",
            "Varicella",
        ),
        "pneumonia",
    ),
}


def load_ieee8023(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load the rows of ``metadata.csv`` of ieee8023/covid-chestxray-dataset (Cohen et al. 2020, arXiv:2006.11988)."""
    for row in published_table(folder / "metadata.csv"):
        yield _ieee8023_case(folder, row)


def _ieee8023_case(folder: Path, row: dict[str, str]) -> LabelledImage | Excluded:
    name = PurePath(row["folder"] or "images", row["filename"])
    if leads_out(name):
        return Excluded(source="ieee8023", name=row["filename"], reason=OUTSIDE)
    path = folder / name
    age = float(row["age"]) if row["age"] else None
    reason = _ieee8023_exclusion(path, row, age)
    if reason:
        return Excluded(source="ieee8023", name=row["filename"], reason=reason)
    return LabelledImage(
        path=path,
        label=_IEEE8023_LABELS[row["finding"]],
        patient=f"ieee8023/{row['patientid']}",
        source="ieee8023",
        publisher=(urlsplit(row["url"]).hostname or "unknown").removeprefix("www."),
        view=_FRONTAL_VIEWS[row["view"]],
        age_years=age,
        sex=row["sex"],
        year=year_in(row.get("date", "")),
    )


def _ieee8023_exclusion(path: Path, row: dict[str, str], age: float | None) -> str:
    if row["modality"] != "X-ray":
        return f"modality {row['modality']}"
    if row["view"] not in _FRONTAL_VIEWS:
        return "lateral view" if row["view"] == "L" else "view unknown"
    if row["finding"] not in _IEEE8023_LABELS:
        return f"finding {row['finding']}"
    if age is not None and age < ADULT_YEARS:
        return "younger than 18"
    return "" if path.is_file() else "file missing"


def load_kaggle(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load Kaggle ``chest_xray`` (Kermany et al. 2018, CC BY 4.0): children of 1–5 years of one hospital."""
    for path in _images(folder):
        label = {"NORMAL": "normal", "PNEUMONIA": "pneumonia"}.get(path.parent.name)
        patient = re.search(r"(person\d+|IM-\d+)", path.name)
        if label and patient:
            yield LabelledImage(path=path, label=label, patient=f"kaggle/{patient[1]}", source="kaggle")
        else:
            yield Excluded(source="kaggle", name=path.name, reason="no label or patient in the name")


def load_nih(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load a subset of NIH ChestX-ray8 (Wang et al. 2017) as ``{No_Finding,Pneumonia}/<patient>_<n>``.

    Where NIH's table ``Data_Entry_2017_v2020.csv`` lies beside the folders, it gives view, age, sex, original size
    and pixel spacing of each image that it names, and patients under 18 are excluded.
    """
    table = folder / NIH_TABLE
    rows = published_table(table, _NIH_COLUMNS) if table.is_file() else []
    known = {PurePath(row["Image Index"]).stem: row for row in rows}
    for path in _images(folder):
        yield _nih_case(path, known.get(path.stem, {}))


def _nih_case(path: Path, row: Mapping[str, str]) -> LabelledImage | Excluded:
    label = {"No_Finding": "normal", "Pneumonia": "pneumonia"}.get(path.parent.name)
    age = number_in(row.get("Patient Age", "").rstrip("Yy"))
    if label is None:
        return Excluded(source="nih", name=path.name, reason=f"finding {path.parent.name}")
    if age is not None and age < ADULT_YEARS:
        return Excluded(source="nih", name=path.name, reason="younger than 18")
    spacing = number_in(row.get("OriginalImagePixelSpacing[x", ""))
    return LabelledImage(
        path=path,
        label=label,
        patient=f"nih/{path.stem.split('_')[0]}",
        source="nih",
        view=_FRONTAL_VIEWS.get(row.get("View Position", ""), ""),
        age_years=age if age is None or age <= OLDEST_YEARS else None,  # a few are stated as 148 and 414
        sex=row.get("Patient Gender", ""),
        scanner="" if spacing is None else f"{spacing:.3f} mm",
        rows=int(number_in(row.get("Height]", "")) or 0),
        columns=int(number_in(row.get("OriginalImage[Width", "")) or 0),
    )


_RADIOGRAPHY_SOURCES = {"mostly BIMCV-COVID19+": "bimcv", "RSNA (NIH) adult": "rsna"}


def load_radiography_database(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load the COVID-19 Radiography Database (Chowdhury et al. 2020, Rahman et al. 2021) with a ``sources.csv``.

    Each collection in it has one class only, so it can be used for tests but never for training. The patient is the
    file, because the database does not name patients. Images from mixed web collections overlap with
    ieee8023 and are left out.
    """
    for row in published_table(folder / "sources.csv"):
        if leads_out(PurePath(row["file"])):
            yield Excluded(source="radiography_database", name=row["file"], reason=OUTSIDE)
        else:
            yield _radiography_case(folder / row["file"], row["likely_source"])


def _radiography_case(path: Path, origin: str) -> LabelledImage | Excluded:
    source = _RADIOGRAPHY_SOURCES.get(origin)
    label = {"COVID": "covid", "Normal": "normal"}.get(path.parent.name)
    if source is None or label is None:
        return Excluded(source="radiography_database", name=path.name, reason=f"origin: {origin}")
    if not path.is_file():
        return Excluded(source="radiography_database", name=path.name, reason="file missing")
    return LabelledImage(path=path, label=label, patient=f"{source}/{path.stem}", source=source)


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


LOADERS: dict[str, Loader] = {
    "ieee8023": load_ieee8023,
    "kaggle": load_kaggle,
    "nih": load_nih,
    "radiography_database": load_radiography_database,
    "siim": load_siim,
    "folder": load_folder,
    "table": load_table,
}
"""Loaders by the ``layout`` that a recipe names."""

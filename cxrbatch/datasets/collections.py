"""Load the public collections, in the layouts in which they are published; the table of all layouts.

Every row or file becomes a `LabelledImage` or an `Excluded` with its reason. A label that is not mapped is never
turned into a class.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from cxrbatch.datasets.labelled import Excluded, LabelledImage, Loader
from cxrbatch.datasets.tables import load_folder, load_table, published_table, year_in
from cxrbatch.records import ADULT_YEARS

_SUFFIXES = {".jpg", ".jpeg", ".png"}
_OUTSIDE = "file outside the folder of the table"
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
    if _leads_out(name):
        return Excluded(source="ieee8023", name=row["filename"], reason=_OUTSIDE)
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
    """Load the subset of NIH ChestX-ray8 (Wang et al. 2017) as ``{No_Finding,Pneumonia}/<patient>_<n>``: adults."""
    for path in _images(folder):
        label = {"No_Finding": "normal", "Pneumonia": "pneumonia"}.get(path.parent.name)
        if label:
            yield LabelledImage(
                path=path, label=label, patient=f"nih/{path.stem.split('_')[0]}", source="nih"
            )
        else:
            yield Excluded(source="nih", name=path.name, reason=f"finding {path.parent.name}")


_RADIOGRAPHY_SOURCES = {"mostly BIMCV-COVID19+": "bimcv", "RSNA (NIH) adult": "rsna"}


def load_radiography_database(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load the COVID-19 Radiography Database (Chowdhury et al. 2020, Rahman et al. 2021) with a ``sources.csv``.

    Each collection in it has one class only, so it can be used for tests but never for training. The patient is the
    file, because the database does not name patients. Images from mixed web collections overlap with
    ieee8023 and are left out.
    """
    for row in published_table(folder / "sources.csv"):
        if _leads_out(PurePath(row["file"])):
            yield Excluded(source="radiography_database", name=row["file"], reason=_OUTSIDE)
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


def _leads_out(name: PurePath) -> bool:
    return name.is_absolute() or ".." in name.parts


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


LOADERS: dict[str, Loader] = {
    "ieee8023": load_ieee8023,
    "kaggle": load_kaggle,
    "nih": load_nih,
    "radiography_database": load_radiography_database,
    "folder": load_folder,
    "table": load_table,
}
"""Loaders by the ``layout`` that a recipe names."""

"""Load the SIIM-FISABIO-RSNA COVID-19 data set (Lakhani et al. 2023, J Digit Imaging): folder in, images out.

Both classes come from the same hospitals and machines, often from the same patient. The labels are what radiologists
saw (Litmanovich et al. 2020), and no PCR results: *typical* is ``covid``, *atypical* ``pneumonia``, *negative for
pneumonia* ``normal``, and *indeterminate* is abnormal of no stated kind.

Images of this data set are often passed on squashed to a square. They need not be stretched again: preprocessing
resizes each image to the size of the network's input whatever its aspect, so a squashed image and its original become
the same input. The original size, where a manifest states it, is that of the labelled image.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from cxrbatch.datasets.labelled import BY_SIZE, UNSTATED, Excluded, LabelledImage
from cxrbatch.datasets.tables import OUTSIDE, leads_out, number_in, published_table

MANIFEST = "manifest.csv"
STUDIES, IMAGES = "train_study_level.csv", "train_image_level.csv"

_SOURCE = "siim"
_LABELS = {"typical": "covid", "indeterminate": UNSTATED, "atypical": "pneumonia", "negative": "normal"}
_MANIFEST_COLUMNS = ("file", "label", "patient", "orig_width", "orig_height", "near_dup_of", "flag")
_APPEARANCES = {
    "Typical Appearance": "typical",
    "Indeterminate Appearance": "indeterminate",
    "Atypical Appearance": "atypical",
    "Negative for Pneumonia": "negative",
}
_SUFFIXES = {".dcm", ".dicom", ".png", ".jpg", ".jpeg"}


def load_siim(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load the data set by a ``manifest.csv``, or by the two tables in which Kaggle publishes it.

    The manifest names files ``<label>/<image>``, their patients and original sizes, and what takes no part: copies
    (``near_dup_of``) and films with a ``flag``, such as upside down or of a child. Kaggle's
    ``train_study_level.csv`` and ``train_image_level.csv`` name images and their studies; the files lie anywhere
    below the folder as ``<image>.dcm``, ``.png`` or ``.jpg``, and the study is the patient.

    The scanner format is the original size.

    Yields
    ------
    LabelledImage or Excluded
        One for every row of the manifest, or of the table of images.

    Raises
    ------
    RecipeError
        A table cannot be read, or lacks a column.
    """
    if (folder / MANIFEST).is_file():
        for row in published_table(folder / MANIFEST, _MANIFEST_COLUMNS):
            yield _manifest_case(folder, row)
    else:
        yield from _kaggle_cases(folder)


def _manifest_case(folder: Path, row: Mapping[str, str]) -> LabelledImage | Excluded:
    if reason := _manifest_exclusion(folder, row):
        return Excluded(source=_SOURCE, name=row["file"], reason=reason)
    return LabelledImage(
        path=folder / row["file"],
        label=_LABELS[row["label"]],
        patient=f"{_SOURCE}/{row['patient']}",
        source=_SOURCE,
        scanner=BY_SIZE,
        rows=int(number_in(row["orig_height"]) or 0),
        columns=int(number_in(row["orig_width"]) or 0),
    )


def _manifest_exclusion(folder: Path, row: Mapping[str, str]) -> str:
    """Return the reason why a row takes no part; empty where it does."""
    for column in ("file", "patient"):
        if not row[column]:
            return f"no {column}"
    if leads_out(PurePath(row["file"])):
        return OUTSIDE
    if row["label"] not in _LABELS:
        return f"label {row['label']}"
    if row["flag"]:
        return row["flag"].replace("_", " ")
    if row["near_dup_of"]:
        return "duplicate"
    return "" if (folder / row["file"]).is_file() else "file missing"


def _kaggle_cases(folder: Path) -> Iterator[LabelledImage | Excluded]:
    studies = published_table(folder / STUDIES, ("id", *_APPEARANCES))
    appearances = {row["id"].removesuffix("_study"): _appearance(row) for row in studies}
    files = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES}
    for row in published_table(folder / IMAGES, ("id", "StudyInstanceUID")):
        image, study = row["id"].removesuffix("_image"), row["StudyInstanceUID"]
        yield _kaggle_case(image, study, appearances.get(study, "no row of the study"), files.get(image))


def _appearance(row: Mapping[str, str]) -> str:
    stated = [appearance for column, appearance in _APPEARANCES.items() if row[column].strip() == "1"]
    return stated[0] if len(stated) == 1 else "not one appearance"


def _kaggle_case(image: str, study: str, appearance: str, path: Path | None) -> LabelledImage | Excluded:
    if appearance not in _LABELS:
        return Excluded(source=_SOURCE, name=image, reason=appearance)
    if path is None:
        return Excluded(source=_SOURCE, name=image, reason="file missing")
    return LabelledImage(
        path=path, label=_LABELS[appearance], patient=f"{_SOURCE}/{study}", source=_SOURCE, scanner=BY_SIZE
    )

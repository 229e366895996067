"""Load own radiographs: a tree of folders or a table of files in, labelled images and exclusions out.

The module also reads tables and the words in them. A word that is not in `LABELS` is never turned into a class: its
image is excluded and counted.
"""

import difflib
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import cast

from cxrbatch.datasets.labelled import Excluded, LabelledImage
from cxrbatch.discover import discover
from cxrbatch.errors import RecipeError
from cxrbatch.records import ADULT_YEARS, ImageRef

LABELS: Mapping[str, str] = {
    **dict.fromkeys(
        ("covid", "covid 19", "covid19", "covid 19 pneumonia", "sars cov 2", "2019 ncov"), "covid"
    ),
    **dict.fromkeys(
        ("pneumonia", "viral pneumonia", "bacterial pneumonia", "other pneumonia", "non covid pneumonia"),
        "pneumonia",
    ),
    **dict.fromkeys(("normal", "no finding", "no findings", "healthy"), "normal"),
}
"""Words for the three labels, as `label_of` compares them: lower case, one space for ``_`` and ``-``."""

TABLE_NAME = "labels.csv"
TABLE_COLUMNS = ("file", "label", "patient", "source")
"""Columns that a table must have; ``view``, ``age``, ``sex`` and ``year`` are optional."""

OUTSIDE = "file outside the folder of the table"
"""Reason for a row that names a file elsewhere."""

_VIEWS = {"": "", "pa": "PA", "ap": "AP", "ap supine": "AP"}
_LATERAL = {"l", "ll", "rl", "lat", "lateral"}
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}
OLDEST_YEARS = 120
# The COVID-19 Radiography Database is published as COVID/images/… beside COVID/masks/….
_PICTURES, _MASKS = {"images", "image"}, {"masks", "mask"}


def label_of(words: str) -> str | None:
    """Return the label that words stand for, None where they are not in `LABELS`: ``COVID-19`` → ``covid``."""
    return LABELS.get(_plain(words))


def _plain(words: str) -> str:
    return " ".join(re.split(r"[\s_-]+", words.strip())).casefold()


def load_folder(folder: Path) -> Iterator[LabelledImage | Excluded]:
    """Load a tree ``label/image`` or ``label/patient/image``; the source is the folder's name.

    Files are recognised by their content, as in screening, so DICOM without a suffix is found. Without a folder of
    the patient, every file is its own patient. A patient may occur under two labels.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    LabelledImage or Excluded
        One for every file.
    """
    source = folder.absolute().name
    for found in discover(folder):
        if isinstance(found, ImageRef):
            yield _file_case(found, source)
        else:
            yield Excluded(source=source, name=found.name, reason=f"not scored: {found.reason}")


def _file_case(found: ImageRef, source: str) -> LabelledImage | Excluded:
    label_folder, *between = PurePosixPath(found.name).parent.parts or ("",)
    label = label_of(label_folder)
    if label is None:
        reason = f"label {label_folder}" if label_folder else "no label: not in a folder of its own"
        return Excluded(source=source, name=found.name, reason=reason)
    if _MASKS & {part.casefold() for part in between}:
        return Excluded(source=source, name=found.name, reason="a mask")
    named = [part for part in between if part.casefold() not in _PICTURES]
    return LabelledImage(
        path=found.path, label=label, patient=f"{source}/{(named or [found.name])[0]}", source=source
    )


def load_table(place: Path) -> Iterator[LabelledImage | Excluded]:
    """Load the files that a CSV names: `TABLE_COLUMNS`, and ``view``, ``age``, ``sex``, ``year`` where known.

    Parameters
    ----------
    place : Path
        The CSV, or a folder with a ``labels.csv``. The files in it are relative to the folder of the CSV, and within
        that folder.

    Yields
    ------
    LabelledImage or Excluded
        One for every row.

    Raises
    ------
    RecipeError
        The table cannot be read, or lacks a column.
    """
    table = place / TABLE_NAME if place.is_dir() else place
    folder = table.parent.absolute()
    rows = [{key: cell.strip() for key, cell in row.items()} for row in published_table(table, TABLE_COLUMNS)]
    repeats = _repeats(folder, rows)
    for index, row in enumerate(rows):
        reason = _row_exclusion(folder, row) or repeats.get(index, "")
        if reason:
            yield Excluded(source=row["source"] or folder.name, name=row["file"], reason=reason)
        else:
            yield _row_case(folder, row)


def _row_exclusion(folder: Path, row: Mapping[str, str]) -> str:
    """Return the reason why a row takes no part; empty where it does."""
    path = _within(folder, row["file"])
    for column in TABLE_COLUMNS:
        if not row[column]:
            return f"no {column}"
    if path is None:
        return OUTSIDE
    if label_of(row["label"]) is None:
        return f"label {row['label']}"
    if not path.is_file():
        return "file missing"
    return _unusable_view(row.get("view", "")) or _unusable_age(row.get("age", ""))


def _unusable_view(view: str) -> str:
    if _plain(view) in _LATERAL:
        return "lateral view"
    return "" if _plain(view) in _VIEWS else f"view {view}"


def _unusable_age(age: str) -> str:
    if not age:
        return ""
    if not re.fullmatch(r"\d{1,3}(\.\d+)?", age) or float(age) > OLDEST_YEARS:
        return f"age {age}"
    return "younger than 18" if float(age) < ADULT_YEARS else ""


def _row_case(folder: Path, row: Mapping[str, str]) -> LabelledImage:
    return LabelledImage(
        path=folder / row["file"],
        label=LABELS[_plain(row["label"])],
        patient=f"{row['source']}/{row['patient']}",
        source=row["source"],
        view=_VIEWS[_plain(row.get("view", ""))],
        age_years=float(row["age"]) if row.get("age") else None,
        sex=_SEXES.get(row.get("sex", "").casefold(), ""),
        year=year_in(row.get("year", "")),
    )


def _repeats(folder: Path, rows: Sequence[Mapping[str, str]]) -> dict[int, str]:
    """Find rows that name a file again, with the reason; if the rows of a file disagree, all of them are excluded."""
    named: dict[Path | None, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        named[_within(folder, row["file"])].append(index)
    reasons: dict[int, str] = {}
    for first, *again in named.values():
        stated = {
            (label_of(row["label"]), row["patient"], row["source"])
            for row in (rows[i] for i in (first, *again))
        }
        if len(stated) > 1:
            reasons |= dict.fromkeys(
                (first, *again), "file named again with another label, patient or source"
            )
        reasons |= {} if len(stated) > 1 else dict.fromkeys(again, "file named again")
    return reasons


def _within(folder: Path, name: str) -> Path | None:
    """Return the resolved path of that name if it is in the folder, links followed; else None."""
    try:
        path = (folder / name).resolve()
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # a loop of links (RuntimeError before Python 3.13), a null byte
        return None
    return path if path.is_relative_to(folder.resolve()) else None


def number_in(cell: str) -> float | None:
    """Read a number that is not negative; None for anything else, such as an empty cell or ``nan``."""
    return float(cell) if re.fullmatch(r"\d{1,9}(\.\d{1,30})?", cell.strip(), re.ASCII) else None


def leads_out(name: PurePath) -> bool:
    """Check whether a name in a table leads out of the folder of the table."""
    return name.is_absolute() or ".." in name.parts


def year_in(date: str) -> int | None:
    """Find the year of a date as people write it: ``2020``, ``March 10, 2020``, ``2020-03-10``, ``03/16/20``."""
    if match := re.search(r"\b(?:19|20)\d\d\b", date):
        return int(match[0])
    short = re.fullmatch(r"\d\d?/\d\d?/(\d\d)", date.strip())
    return 2000 + int(short[1]) if short else None


def published_table(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read the rows of a published CSV, every cell as unchanged text.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns that must be there.

    Raises
    ------
    RecipeError
        The file cannot be read, is no CSV in UTF-8, lacks a column, or has a row with more cells than columns.
    """
    import pandas as pd  # noqa: PLC0415 - takes long, and only tables need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with too many cells
            table = pd.read_csv(path, dtype=str, na_filter=False, index_col=False, encoding="utf-8-sig")
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except (ValueError, pd.errors.ParserWarning) as error:
        raise RecipeError(f"{path}: not a CSV in UTF-8 with as many cells as columns: {error}") from error
    _check_columns(path, columns, list(table.columns))
    return cast(list[dict[str, str]], table.to_dict("records"))


def _check_columns(path: Path, wanted: Sequence[str], found: Sequence[str]) -> None:
    for column in wanted:
        if column not in found:
            close = difflib.get_close_matches(column, found, n=1)
            hint = (
                f"is {close[0]!r} meant?" if close else f"found: {', '.join(map(repr, found)) or 'nothing'}"
            )
            raise RecipeError(f"{path}: column {column!r} is missing; {hint}")

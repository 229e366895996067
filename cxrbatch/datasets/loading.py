"""Load the labelled images of a recipe: sources in, decoded images without duplicates out.

They are decoded as in screening.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.datasets.collections import LOADERS
from cxrbatch.datasets.labelled import BY_SIZE, Excluded, LabelledImage
from cxrbatch.datasets.measures import measure
from cxrbatch.datasets.near_duplicates import duplicate_pairs, keep_one_each
from cxrbatch.datasets.spec import SourceSpec
from cxrbatch.datasets.tables import year_in
from cxrbatch.discover import classify
from cxrbatch.engines import EngineOptions, prepare_in_order
from cxrbatch.errors import RecipeError
from cxrbatch.prepare import PrepareOptions
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import ModelInput

FEWEST_OF_A_SIZE = 60
"""Images of one original size that make a scanner format; fewer join the format ``other``."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    cases : tuple of LabelledImage
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed, in the order of `cases`.
    excluded : tuple of Excluded
        Rows and files that take no part.
    test_only : frozenset of Path
        Paths of the cases that must not be in the training set.
    """

    cases: tuple[LabelledImage, ...]
    images: NDArray[np.uint8]
    excluded: tuple[Excluded, ...] = ()
    test_only: frozenset[Path] = frozenset()

    def select(self, wanted: Callable[[LabelledImage], bool]) -> "Dataset":
        """Select the images of the cases for which `wanted` is true."""
        chosen = [index for index, case in enumerate(self.cases) if wanted(case)]
        return self.at(chosen)

    def at(self, indices: Sequence[int]) -> "Dataset":
        """Select the images at some indices."""
        cases = tuple(self.cases[index] for index in indices)
        return dataclasses.replace(self, cases=cases, images=self.images[list(indices)])


def load_dataset(sources: Sequence[SourceSpec], data: Path, spec: PreprocessSpec) -> Dataset:
    """Load all sources of a recipe.

    Raises
    ------
    RecipeError
        A layout is unknown, a folder is missing, a table is wrong, or no image can be used.
    """
    by_source = [(source, list(_rows(source, data))) for source in sources]
    rows = [row for _, rows_of_one in by_source for row in rows_of_one]
    cases = [row for row in rows if isinstance(row, LabelledImage)]
    excluded = [row for row in rows if isinstance(row, Excluded)]
    decoded = list(zip(cases, _decode(cases, spec), strict=True))
    good = [(_seen(case, found), found.pixels) for case, found in decoded if isinstance(found, ModelInput)]
    excluded += [_unreadable(case, why) for case, why in decoded if isinstance(why, str)]
    if not good:
        raise RecipeError(f"sources: not one image can be used; excluded: {dict(count_excluded(excluded))}")
    kept, images = zip(*good, strict=True)
    return without_duplicates(
        Dataset(tuple(with_scanners(kept)), np.stack(images), tuple(excluded), _test_only(by_source))
    )


def read_again(dataset: Dataset, spec: PreprocessSpec) -> Dataset:
    """Read the images of a data set once more, preprocessed in another way.

    Raises
    ------
    RecipeError
        A file cannot be read any more.
    """
    found = list(_decode(dataset.cases, spec))
    for case, one in zip(dataset.cases, found, strict=True):
        if isinstance(one, str):
            raise RecipeError(f"sources: {case.path} was read, and is {one} now")
    images = [one.pixels for one in found if isinstance(one, ModelInput)]
    return dataclasses.replace(dataset, images=np.stack(images))


def _test_only(by_source: Iterable[tuple[SourceSpec, Iterable[LabelledImage | Excluded]]]) -> frozenset[Path]:
    return frozenset(
        row.path
        for source, rows in by_source
        for row in rows
        if isinstance(row, LabelledImage) and row.label not in source.teaches
    )


def _rows(source: SourceSpec, data: Path) -> Iterable[LabelledImage | Excluded]:
    if source.layout not in LOADERS:
        raise RecipeError(f"source layout {source.layout!r} is unknown; known: {', '.join(LOADERS)}")
    place = data / source.folder
    if not (place.is_dir() or (source.layout == "table" and place.is_file())):
        raise RecipeError(f"source {source.folder}: no such folder in {data} (--data)")
    return LOADERS[source.layout](place)


def _decode(cases: Sequence[LabelledImage], spec: PreprocessSpec) -> Iterable[ModelInput | str]:
    """Prepare each image, in the order of `cases`; yield the reason where screening would not score the file."""
    found = [classify(case.path, case.path.name) for case in cases]
    prepared = prepare_in_order(found, PrepareOptions(spec=spec), EngineOptions())
    for result in tqdm(prepared, total=len(found), desc="decode", disable=None):
        yield result if isinstance(result, ModelInput) else str(result.reason)


def _seen(case: LabelledImage, found: ModelInput) -> LabelledImage:
    """Fill in from the decoded file what the source does not state."""
    header = found.header
    return dataclasses.replace(
        case,
        view=case.view or (header.view_position if header.view_position in ("PA", "AP") else ""),
        age_years=header.age_years if case.age_years is None else case.age_years,
        year=year_in(header.study_date) if case.year is None else case.year,
        rows=case.rows or header.rows,
        columns=case.columns or header.columns,
        measures=measure(found.pixels, case.path.stat().st_size),
    )


def with_scanners(cases: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Name the scanner format of the images that are told by their size; rare sizes are one format, ``other``."""
    by_size = Counter((case.source, case.columns, case.rows) for case in cases if case.scanner == BY_SIZE)
    return [
        case
        if case.scanner != BY_SIZE
        else dataclasses.replace(
            case,
            scanner=f"{case.columns}x{case.rows}"
            if by_size[case.source, case.columns, case.rows] >= FEWEST_OF_A_SIZE
            else "other",
        )
        for case in cases
    ]


def _unreadable(case: LabelledImage, reason: str) -> Excluded:
    return Excluded(source=case.source, name=case.path.name, reason=f"not scored: {reason}")


def without_duplicates(dataset: Dataset) -> Dataset:
    """Keep one of each radiograph and merge the patients of its copies; see `keep_one_each`."""
    kept, removed, patients = keep_one_each(dataset.cases, duplicate_pairs(dataset.images), dataset.test_only)
    cases = [
        dataclasses.replace(dataset.cases[index], patient=patient)
        for index, patient in zip(kept, patients, strict=True)
    ]
    excluded = (
        Excluded(source=dataset.cases[index].source, name=dataset.cases[index].path.name, reason=reason)
        for index, reason in removed.items()
    )
    return dataclasses.replace(
        dataset, cases=tuple(cases), images=dataset.images[kept], excluded=(*dataset.excluded, *excluded)
    )


def hold_out(dataset: Dataset, sites: Sequence[str]) -> tuple[Dataset, Dataset]:
    """Split into a training part and left-out sites.

    A patient who occurs in a left-out site is not in the training part.

    Parameters
    ----------
    sites : sequence of str
        Sources (``nih``) or single publishers (``ieee8023/eurorad.org``).

    Returns
    -------
    training, left_out : Dataset
    """
    left_out = dataset.select(lambda case: bool({case.source, case.site} & set(sites)))
    return without_patients(dataset, left_out), left_out


def without_patients(dataset: Dataset, others: Dataset) -> Dataset:
    """Select the images of patients who are not in `others`."""
    patients = {case.patient for case in others.cases}
    return dataset.select(lambda case: case.patient not in patients)


def count(dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Count ``images`` and ``patients`` per source and label."""
    images = Counter((case.source, case.label) for case in dataset.cases)
    patients = Counter(
        (source, label) for source, label, _ in {(c.source, c.label, c.patient) for c in dataset.cases}
    )
    table: dict[str, dict[str, dict[str, int]]] = {}
    for (source, label), n in sorted(images.items()):
        table.setdefault(source, {})[label] = {"images": n, "patients": patients[source, label]}
    return table


def count_excluded(excluded: Iterable[Excluded]) -> Mapping[str, dict[str, int]]:
    """Count the images of each reason, per source."""
    table: dict[str, dict[str, int]] = {}
    for (source, reason), n in sorted(Counter((row.source, row.reason) for row in excluded).items()):
        table.setdefault(source, {})[reason] = n
    return table

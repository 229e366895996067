"""Record of a run: patients in order, expected yield of the swabs, provenance of the scores."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from cxrbatch._lib.csv import Row
from cxrbatch.records.capacity import CapacityYield
from cxrbatch.records.columns import FILE_COLUMNS, NUMBER_TYPES, PATIENT_COLUMNS
from cxrbatch.records.outcomes import Failure, ImageScore
from cxrbatch.records.patients import PatientTriage, Priority
from cxrbatch.records.rows import file_row, patient_row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Provenance of the scores: enough to reproduce them.

    Attributes
    ----------
    runtime : str
        Name and version of what ran the network: TensorFlow or LiteRT.
    header_words_sha256 : str
        Digest of the words of the hospital for body parts and views; empty where there were none.
    decode : str
        ``full`` or ``reduced``: whether all pixels of large radiographs were decoded.
    """

    bundle_id: str
    bundle_sha256: str
    cxrbatch_version: str
    runtime: str
    device: str
    precision: str
    batch_size: int
    header_words_sha256: str = ""
    decode: str = "full"
    engine: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TriageRun:
    """Everything that a report states.

    Attributes
    ----------
    folder : str
        Name of the screened folder.
    n_found : int
        Number of files found, counted before any was read: the other counts must add up to it.
    patients : sequence of PatientTriage
        Ranked patients by rank, then those without a score by patient_key, then those who wait for the result of a
        swab.
    images : sequence of ImageScore
        Sorted by name.
    failures : sequence of Failure
        Sorted by name; skipped files are included. Where there are many, `cxrbatch.screen` holds all three
        compressed: what is read of them is a new record each time.
    worth : str
        What the scores are worth by the bundle's evaluation, in one sentence for whoever reads the list; the same in
        figures is one of the notes.
    worth_in_brief : str
        The same in one line, the warning first; empty without an evaluation.
    thresholds : mapping of Priority to float
        Least COVID-19 score of each priority but the last, 0–1; empty without operating points.
    prevalence : float or None
        Share of the patients with COVID-19 for which the probabilities hold; None where none was stated.
    warnings : tuple of str
        Those of the notes that the technician must see too.
    has_maps : bool
        False where the bundle's network allows no map of where it looked.
    n_remembered : int
        Number of files that were not read because an earlier run had resolved them. Not in the report, which must be
        the same after a killed and resumed run.
    capacity : CapacityYield or None
        Expected yield of the available swabs; None where their number was not stated.
    stage_s : mapping of str to float
        Seconds by stage, in their order. Not in the report, for the same reason. Readers and network work at the same
        time, so that ``resolve`` is all that happens to files: remember, read, gate, preprocess, infer.
    """

    folder: str
    n_found: int
    started: dt.datetime
    duration_s: float
    patients: Sequence[PatientTriage]
    images: Sequence[ImageScore]
    failures: Sequence[Failure]
    provenance: Provenance
    notes: tuple[str, ...] = field(default=())
    worth: str = ""
    worth_in_brief: str = ""
    thresholds: Mapping[Priority, float] = field(default_factory=dict)
    prevalence: float | None = None
    warnings: tuple[str, ...] = ()
    has_maps: bool = True
    n_remembered: int = 0
    capacity: CapacityYield | None = None
    stage_s: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Summarise in one line, without a word about a patient."""
        return (
            f"TriageRun({self.n_found} files = {self.n_scored} scored + {self.n_not_scored} not scored + "
            f"{self.n_skipped} skipped; {len(self.patients)} patients)"
        )

    @property
    def n_scored(self) -> int:
        """Number of files with a score."""
        return len(self.images)

    @property
    def n_not_scored(self) -> int:
        """Number of files that should have a score and have none."""
        return sum(not failure.skipped for failure in self.failures)

    @property
    def n_skipped(self) -> int:
        """Number of files that are no radiographs."""
        return sum(failure.skipped for failure in self.failures)

    def n_patients(self, status: str) -> int:
        """Count the patients of one `PatientTriage.status`."""
        return sum(patient.status == status for patient in self.patients)

    def patients_frame(self) -> "pd.DataFrame":
        """Make a table with the columns of ``report.csv``, one row for each patient in the order of the list.

        Returns
        -------
        DataFrame
            Scores and probability are float64 (NaN where there is none), ``rank`` is Int64, counts are int64. All
            other columns are ``str`` as in the file: identifiers keep their leading zeros, and nothing is neutralised
            for spreadsheets.
        """
        return table_frame(PATIENT_COLUMNS, map(patient_row, self.patients))

    def files_frame(self) -> "pd.DataFrame":
        """Make a table with the columns of ``report.files.csv``, one row for each file found, by name.

        Returns
        -------
        DataFrame
            Types as in `patients_frame`.
        """
        return table_frame(FILE_COLUMNS, map(file_row, self.files()))

    def files(self) -> Iterator[ImageScore | Failure]:
        """Go through the outcomes of all files found, by name."""
        return merge(self.images, self.failures, key=attrgetter("name"))


def table_frame(columns: Sequence[str], rows: Iterable[Row]) -> "pd.DataFrame":
    """Make a table of rows; types as in `TriageRun.patients_frame`."""
    import pandas as pd  # noqa: PLC0415 - takes long, and only these tables need it

    listed = list(rows)
    return pd.DataFrame({column: _series(column, [row.get(column) for row in listed]) for column in columns})


def _series(column: str, values: list[Any]) -> "pd.Series[Any]":
    import pandas as pd  # noqa: PLC0415

    if column in NUMBER_TYPES:
        return pd.Series(values, dtype=NUMBER_TYPES[column])
    text = ["" if value is None else str(value) for value in values]
    try:
        return pd.Series(text, dtype=str)
    except UnicodeEncodeError:  # a file name that is not UTF-8, where pandas keeps text in pyarrow
        return pd.Series(text, dtype=object)

"""Options of a screening run: what it does with the outcomes.

How it executes is in `cxrbatch.engines.EngineOptions`.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from cxrbatch._lib.clock import EXPIRE_NIGHTS, MOST_NIGHTS, PENDING_DAYS, Clock, system_clock
from cxrbatch._lib.ranges import (
    EXPLAINED,
    MOST_EXPLAINED,
    SHOWABLE,
    check_count,
    check_names,
    check_seconds,
    check_share,
)
from cxrbatch._lib.text import CSV_ENCODINGS, TABLE_FORMATS
from cxrbatch.bundle import DEFAULT_BUNDLE
from cxrbatch.engines import EngineOptions
from cxrbatch.errors import UsageProblem
from cxrbatch.read import PatientRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOptions:
    """Options of ``cxrbatch screen``.

    Attributes
    ----------
    bundle : Path
        Folder of the bundle.
    engine : EngineOptions
        How the run executes.
    patients : PatientRule
        Rule that finds the patient of a file that is not DICOM.
    header_words : Path or None
        File with words of the hospital for body parts and views (`cxrbatch.terms.HeaderWords`).
    operating_points : Path or None
        File with other operating points than the bundle's own.
    prevalence : float or None
        Share of the patients with COVID-19, above 0 and below 1, for which probabilities are given.
    pseudonym_key : Path or None
        File with the key that replaces identifiers in the report.
    state : Path or None
        File in which outcomes are remembered from night to night; None: each run is independent.
    rescore : bool
        Read and score again the files that are remembered.
    settle_s : float
        Seconds for which a file must not have been modified.
    expire_nights : int
        Nights without a new image or a result after which a patient leaves the list.
    max_nights : int or None
        Nights after which a patient is put first.
    pending_days : int
        Days after a swab for which its result is waited for, before the patient is put back on the list.
    capacity : int or None
        Number of available swabs.
    n_explained : int
        Number of patients for whom the page shows a large image and where the network looked.
    show : tuple of str
        What the page alone shows of the header: names of `cxrbatch._lib.ranges.SHOWABLE`.
    viewer_url, viewer_scheme : str or None, str
        Address of the hospital's viewer, see `cxrbatch.report.ViewerUrl`, and its scheme.
    csv_encoding : str
        Encoding of the tables: ``utf-8``, or ``utf-8-sig`` with a byte order mark, for Excel.
    formats : tuple of str
        Formats of the tables: ``csv``, which is always written, ``json`` and ``parquet``.
    latest : bool
        Keep ``latest.html`` beside the report, the page of the newest one.
    show_progress : bool
        Show a progress bar on stderr.
    clock : callable
        Returns the present time, with a time zone.
    """

    bundle: Path = DEFAULT_BUNDLE
    engine: EngineOptions = EngineOptions()
    patients: PatientRule = PatientRule()
    header_words: Path | None = None
    operating_points: Path | None = None
    prevalence: float | None = None
    pseudonym_key: Path | None = None
    state: Path | None = None
    rescore: bool = False
    settle_s: float = 0.0
    expire_nights: int = EXPIRE_NIGHTS
    max_nights: int | None = None
    pending_days: int = PENDING_DAYS
    capacity: int | None = None
    n_explained: int = EXPLAINED
    show: tuple[str, ...] = ()
    viewer_url: str | None = None
    viewer_scheme: str = "https"
    csv_encoding: str = "utf-8"
    formats: tuple[str, ...] = ("csv",)
    latest: bool = False
    show_progress: bool = False
    clock: Clock = system_clock

    def __post_init__(self) -> None:
        for name in ("bundle", "header_words", "operating_points", "pseudonym_key", "state"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, Path(getattr(self, name)))
        if isinstance(self.patients, str):
            object.__setattr__(self, "patients", PatientRule(self.patients))
        for name in ("expire_nights", "max_nights", "pending_days"):
            check_count(name, getattr(self, name), MOST_NIGHTS)
        if self.n_explained:
            check_count("n_explained", self.n_explained, MOST_EXPLAINED)
        check_count("capacity", self.capacity, None)
        if self.csv_encoding not in CSV_ENCODINGS:
            raise UsageProblem(
                f"csv_encoding {self.csv_encoding!r}: has to be one of {', '.join(CSV_ENCODINGS)}"
            )
        check_names("formats", self.formats, TABLE_FORMATS)
        check_names("show", self.show, SHOWABLE)
        check_share("prevalence", self.prevalence)
        check_seconds("settle_s", self.settle_s)

    def with_changes(self, **changes: Any) -> Self:
        """Make a copy with some fields changed; fields of `engine` may be given by name too, and paths as text.

        Raises
        ------
        TypeError
            There is no such field.
        UsageProblem
            A value is out of its range.
        """
        names = {field.name for field in fields(EngineOptions)} & changes.keys()
        engine = replace(changes.get("engine", self.engine), **{name: changes.pop(name) for name in names})
        return replace(self, **changes | {"engine": engine})

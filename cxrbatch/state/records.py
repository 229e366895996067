"""Records of the state: runs, images, results and list entries."""

import datetime as dt
from dataclasses import dataclass

from cxrbatch.records import Outcome, PatientKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Data of a run that are stored with every outcome.

    Attributes
    ----------
    root : str
        The screened folder, links resolved.
    settings : str
        Hash of everything but the file that decides an outcome.
    bundle_sha256 : str
    night : datetime.date
        Night of the run.
    moment : datetime.datetime
        Start of the run.
    """

    root: str
    settings: str
    bundle_sha256: str
    night: dt.date
    moment: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome:
    """An outcome and its row in the state; its thumbnail is there only (`cxrbatch.state.State.thumbnail`)."""

    id: int
    outcome: Outcome
    first_night: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A version of a file that may be relevant to the list.

    Attributes
    ----------
    root, name : str
        Folder, and name relative to it.
    mtime_ns : int
        Time of the last modification, in nanoseconds since 1970 UTC.
    first_night : datetime.date
        Night on which it came in.
    first_seen : datetime.datetime
        Start of the run that found it first; UTC.
    duplicate_of : str
        Name of the file of which it was a second copy when it was last found; empty if it was none.
    former_key : PatientKey
        Key of its patient before the file was read otherwise; empty if there was no other, or if all that belonged to
        that key has followed.
    """

    id: int
    root: str
    name: str
    mtime_ns: int
    first_night: dt.date
    first_seen: dt.datetime
    bundle_sha256: str
    outcome: Outcome
    duplicate_of: str = ""
    former_key: PatientKey = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """Summary of an image, for statistics.

    Attributes
    ----------
    written : datetime.datetime or None
        Time of the last modification of the file; None if unknown.
    status, reason : str
        ``scored`` or ``not_scored``; reason code, empty if scored.
    score_covid : float or None
        COVID-19 score, 0–1; None if not scored.
    """

    first_night: dt.date
    first_seen: dt.datetime
    written: dt.datetime | None
    patient_key: PatientKey
    study_date: str
    bundle_sha256: str
    status: str
    reason: str
    score_covid: float | None
    duplicate_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrResult:
    """A swab of a patient and its PCR result.

    Attributes
    ----------
    date : datetime.date
        Day of the swab.
    positive : bool or None
        None for a swab whose result is pending.
    """

    patient_key: PatientKey
    date: dt.date
    positive: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import of results.

    Attributes
    ----------
    imported_by, undone_by : str
        User of the machine; empty if unknown.
    source_sha256 : str
        SHA-256 of what was imported, in hexadecimal; empty if unknown.
    undone : datetime.datetime or None
        When it was undone; None while it counts.
    n_positive, n_negative, n_swabbed : int
        Number of rows that it stored.
    """

    id: int
    imported: dt.datetime
    imported_by: str
    source_sha256: str
    undone: dt.datetime | None
    undone_by: str
    n_positive: int
    n_negative: int
    n_swabbed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """A line of the list of a night, as it was reported.

    Attributes
    ----------
    run : int
        Number of the run that reported it.
    position : int
        Position on the list, from 1; equal to the rank if `status` is ``ranked``.
    priority, reason : str
        Empty if there is none.
    flags : tuple of str
    """

    run: int
    night: dt.date
    patient_key: PatientKey
    position: int
    status: str
    score: float | None
    priority: str
    nights_waiting: int
    flags: tuple[str, ...]
    reason: str
    bundle_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run; `finished` is None for a run that is running, was killed or failed, `page` the path of its report's."""

    id: int
    night: dt.date
    started: dt.datetime
    finished: dt.datetime | None
    folder: str
    bundle_sha256: str
    n_found: int | None
    n_scored: int | None
    n_not_scored: int | None
    n_skipped: int | None
    page: str = ""

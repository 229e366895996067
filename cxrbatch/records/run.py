"""A run and its list: patients in order, what the swabs buy, what made the scores."""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records.images import PatientKey
from cxrbatch.records.outcomes import Failure, ImageScore


class Priority(StrEnum):
    """Band of the list a patient falls into, by the bundle's operating points."""

    URGENT = "urgent"
    HIGH = "high"
    ROUTINE = "routine"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientTriage:
    """One patient on the list.

    Attributes
    ----------
    rank : int or None
        1 is swabbed first; None where no image could be scored.
    priority : Priority or None
        None also where the bundle has no operating points.
    score : float or None
        What the list is sorted by, 0–1.
    scores : tuple of float or None
        One per entry of `FINDINGS`.
    top_image : str
        Name of the image with the highest COVID-19 score, or of the first one that was not scored.
    reason, detail : Reason or None, str
        Why there is no score; of the first file where several failed.
    nights_waiting : int
        Nights since the patient came onto the list; 0 where no state is kept.
    probability : float or None
        Of COVID-19, 0–1; only where a prevalence was stated (`cxrbatch.triage.probability`).
    patient_key : PatientKey
        Who this is, for the state; in no report.
    """

    rank: int | None
    priority: Priority | None
    patient_id: str
    accession_number: str
    study_date: str
    score: float | None
    scores: tuple[float, float, float] | None
    n_images: int
    top_image: str
    nights_waiting: int = 0
    flags: tuple[Flag, ...] = ()
    reason: Reason | None = None
    detail: str = ""
    issuer_of_patient_id: str = ""
    thumbnail: bytes = b""
    probability: float | None = None
    patient_key: PatientKey = ()

    @property
    def is_ranked(self) -> bool:
        """Whether the patient has a place on the list."""
        return self.rank is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made the scores: enough to make them again.

    Attributes
    ----------
    decode : str
        ``full`` or ``reduced``: whether all pixels of large radiographs were decoded.
    """

    bundle_id: str
    bundle_sha256: str
    cxrbatch_version: str
    tensorflow_version: str
    device: str
    precision: str
    batch_size: int
    decode: str = "full"
    engine: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A figure that is expected, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What testing some of the list's patients is expected to find.

    Attributes
    ----------
    share : Expected
        Of the ranked patients who are PCR-positive, the share among them, 0–1.
    positives : Expected
        Their number.
    tests_per_positive : Expected
        Number needed to test; infinite where none is expected.
    """

    share: Expected
    positives: Expected
    tests_per_positive: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityYield:
    """What a number of swabs buys, see `cxrbatch.triage.capacity`.

    Attributes
    ----------
    n_swabs : int
        As stated with ``--capacity``, 1 or more.
    n_ranked : int
        Patients on the list.
    n_max_wait : int
        Those who stand at its top because of ``--max-nights``, whatever their score.
    prevalence : float or None
        Share of the ranked patients with COVID-19, as stated.
    from_top, at_random : Reach or None
        Of the first of the list, and of as many in random order; None where it cannot be said: without a prevalence,
        a measured curve or a ranked patient.
    measured_on : str
        Patients on whom the bundle's curve was measured, in words; empty where it has none.
    """

    n_swabs: int
    n_ranked: int
    n_max_wait: int = 0
    prevalence: float | None = None
    from_top: Reach | None = None
    at_random: Reach | None = None
    measured_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageRun:
    """Everything a report says.

    Attributes
    ----------
    folder : str
        Name of the screened folder.
    n_found : int
        Files that were found before anything was read: what the other counts must add up to.
    patients : tuple of PatientTriage
        Ranked ones by rank, then the not-scored ones by patient_id.
    images : tuple of ImageScore
        By name.
    failures : tuple of Failure
        By name, skipped ones among them.
    prevalence : float or None
        Share of the patients with COVID-19 for which the probabilities hold; None where none was stated.
    warnings : tuple of str
        Of the notes, those that the technician must see too.
    n_remembered : int
        Files that were not read because an earlier run had judged them; in no report, which a killed and resumed run
        must write alike.
    capacity : CapacityYield or None
        What the swabs that there are buy; None where nobody said how many.
    """

    folder: str
    n_found: int
    started: dt.datetime
    duration_s: float
    patients: tuple[PatientTriage, ...]
    images: tuple[ImageScore, ...]
    failures: tuple[Failure, ...]
    provenance: Provenance
    notes: tuple[str, ...] = field(default=())
    prevalence: float | None = None
    warnings: tuple[str, ...] = ()
    n_remembered: int = 0
    capacity: CapacityYield | None = None

    @property
    def n_scored(self) -> int:
        """Files that have a score."""
        return len(self.images)

    @property
    def n_not_scored(self) -> int:
        """Files that should have a score and have none."""
        return sum(not failure.skipped for failure in self.failures)

    @property
    def n_skipped(self) -> int:
        """Files that are no radiographs at all."""
        return sum(failure.skipped for failure in self.failures)

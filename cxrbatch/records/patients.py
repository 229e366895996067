"""Record of a patient on the list."""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records.patient_key import PatientKey


class Priority(StrEnum):
    """Band of the list that a patient is in, by the bundle's operating points."""

    URGENT = "urgent"
    HIGH = "high"
    ROUTINE = "routine"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientImage:
    """One image of a patient, as the page of a report lists it.

    Attributes
    ----------
    name : str
        As in `cxrbatch.records.ImageRef`.
    scores : tuple of float or None
        One per entry of `FINDINGS`, each 0–1; None where it was not scored.
    reason, detail : Reason or None, str
        Reason for having no score.
    night : datetime.date or None
        Night on which it came in, if that was an earlier one.
    is_here : bool
        True if it is in the folder tonight.
    """

    name: str
    scores: tuple[float, float, float] | None = None
    reason: Reason | None = None
    detail: str = ""
    view_position: str = ""
    flags: tuple[Flag, ...] = ()
    night: dt.date | None = None
    is_here: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierEntry:
    """Entry of a patient in the list of an earlier night."""

    night: dt.date
    position: int
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where the network looked: one question, what each place of the image adds to it, as an image.

    Attributes
    ----------
    question : str
        ``abnormal``, ``covid``, or ``attention`` for networks that state no evidence.
    png : bytes
        Translucent colours, one pixel for each cell; to be laid over the whole image.
    """

    question: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientTriage:
    """One patient on the list.

    Attributes
    ----------
    rank : int or None
        1 is swabbed first; None where no image could be scored, and while the result of a swab is waited for.
    priority : Priority or None
        None also where the bundle has no operating points.
    score : float or None
        Score by which the list is sorted, 0–1.
    scores : tuple of float or None
        One per entry of `FINDINGS`, each 0–1.
    top_image : str
        Name of the image with the highest COVID-19 score, or of the first one that was not scored.
    reason, detail : Reason or None, str
        Reason for having no score; of the first file where several failed.
    nights_waiting : int
        Nights since the first image of the current wait; 0 where no state is kept.
    probability : float or None
        Probability of COVID-19, 0–1; only where a prevalence was stated (`cxrbatch.triage.with_probabilities`).
    swabbed : datetime.date or None
        Day of the swab that has no result yet; None where there is none.
    patient_key : PatientKey
        Key of the patient in the state; in no report.
    study_instance_uid : str
        Study of the top image, for links on the page.
    images : tuple of PatientImage
        All images that count for the patient; on the page only.
    earlier : tuple of EarlierEntry
        The patient's entries in lists of the earlier nights of this wait; on the page only.
    large_image : bytes
        JPEG of the top image to look at, for the first patients; empty for the others. On the page only.
    evidence : tuple of Evidence
        Where the network looked in the top image; empty where it was not asked.
    outside_lungs : float or None
        Share of the evidence of the top image that lies outside the lungs, 0–1; None where it was not measured.
    stored_id : int
        Number of the row of the top image in the state, where its thumbnail is.
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
    probability: float | None = None
    swabbed: dt.date | None = None
    patient_key: PatientKey = ()
    study_instance_uid: str = ""
    images: tuple[PatientImage, ...] = ()
    earlier: tuple[EarlierEntry, ...] = ()
    large_image: bytes = b""
    evidence: tuple[Evidence, ...] = ()
    outside_lungs: float | None = None
    stored_id: int = field(default=0, compare=False)

    @property
    def status(self) -> str:
        """``ranked``, ``not_scored`` or ``swabbed``, as tables state it."""
        if self.awaits_result:
            return "swabbed"
        return "ranked" if self.is_ranked else "not_scored"

    @property
    def awaits_result(self) -> bool:
        """True if the patient was swabbed, and need not be swabbed while the result is waited for."""
        return self.swabbed is not None and Flag.RESULT_OVERDUE not in self.flags

    @property
    def is_ranked(self) -> bool:
        """True if the patient has a rank on the list."""
        return self.rank is not None

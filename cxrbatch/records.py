"""The records that travel between the stages.

``ImageRef`` → ``CxrImage | Failure`` → ``ModelInput | Failure`` → ``ImageScore`` → ``PatientTriage`` →
``TriageRun``. All are frozen: a stage makes a new record and never edits the one it was given.
"""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.reasons import Flag, Reason
from cxrbatch.resample import Box, ReducedPicture

FINDINGS = ("covid", "pneumonia", "normal")
"""What the model scores, in the order of its outputs. ``pneumonia`` is pneumonia of another cause."""

PatientKey = tuple[str, ...]
"""Starts with how the patient was named (``dicom``, ``study``, ``file``, …), so that no two ways collide."""


class FileKind(StrEnum):
    """What a file is by its content, whatever its name says."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file, not opened yet.

    Attributes
    ----------
    name : str
        Path relative to the screened folder with ``/`` between its parts: how reports name the file.
    failure : Failure or None
        Why there is no point in opening it.
    """

    path: Path
    name: str
    version: FileVersion = FileVersion()
    failure: "Failure | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One file that holds an image.

    Attributes
    ----------
    path : Path
        Where to open it.
    name : str
        Path relative to the screened folder with ``/`` between its parts: how reports name the file.
    kind : FileKind
        What its first bytes say it is.
    version : FileVersion
        What it was when it was found.
    """

    path: Path
    name: str
    kind: FileKind
    version: FileVersion = FileVersion()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """What a file says about its image, free of name and birth date.

    Attributes
    ----------
    patient_key : PatientKey
        Images are grouped by this and by nothing else (see `cxrbatch.triage.aggregate`).
    patient_id, issuer_of_patient_id, accession_number : str
        As in the DICOM header; ``patient_id`` is what a person searches for, so where there is none it is the
        study or the file. Empty where unknown.
    study_date : str
        ISO 8601 (``2026-11-22``), empty where unknown.
    modality, body_part : str
        As in DICOM (0008,0060) and (0018,0015) or the anatomic region's meaning; empty where unknown.
    view_position : str
        ``PA``, ``AP``, ``FRONTAL``, ``LL``, … as in DICOM (0018,5101); empty where unknown.
    age_years : float or None
        Age at the study.
    for_processing : bool
        Raw detector data (PS3.3 C.8.11.1, Presentation Intent Type).
    n_frames : int
        1 for a radiograph.
    rows, columns : int
        Size in pixels as the file states it, before any rotation.
    identity_digest : str
        8 bits of a hash of birth date and sex: they notice 255 of 256 times that there are two people under one
        PatientID, and tell neither.
    """

    patient_key: PatientKey
    patient_id: str
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    modality: str = ""
    body_part: str = ""
    view_position: str = ""
    age_years: float | None = None
    for_processing: bool = False
    n_frames: int = 1
    rows: int = 0
    columns: int = 0
    identity_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CxrImage:
    """A decoded radiograph in presentation values.

    Attributes
    ----------
    pixels : ndarray of float32, shape (rows, columns)
        0 = black … 1 = white as a radiologist sees it (bone white), padding 0. No NaN, no infinity.
    extent : Box or None
        Where the full picture lies in `pixels`, if they are means over squares of its pixels
        (see `cxrbatch.resample.ReducedPicture`); None if they are its own.
    colourfulness : float
        Share of pixels that are clearly coloured, 0–1; 0 for monochrome files.
    """

    ref: ImageRef
    header: ImageHeader
    pixels: NDArray[np.float32]
    extent: Box | None = None
    colourfulness: float = 0.0
    flags: frozenset[Flag] = frozenset()

    @property
    def picture(self) -> NDArray[np.float32] | ReducedPicture:
        """What to preprocess: the pixels, with their extent where they have one."""
        return self.pixels if self.extent is None else ReducedPicture(self.pixels, self.extent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file that was not scored, and why.

    Attributes
    ----------
    name : str
        As in `ImageRef`.
    detail : str
        For the person who must act: what was found, what was expected. Never a patient's name or birth date.
    header : ImageHeader or None
        None where the header could not be read.
    skipped : bool
        True where nobody would have expected a radiograph (a text file, a DICOM report).
    thumbnail : bytes
        A small JPEG where the picture could be decoded and thumbnails were asked for.
    """

    name: str
    reason: Reason
    detail: str = ""
    header: ImageHeader | None = None
    skipped: bool = False
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What the network sees, with the key that must travel with it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        From `cxrbatch.preprocess.preprocess`.
    thumbnail : bytes
        A small JPEG for the report, empty where none was asked for.
    """

    name: str
    header: ImageHeader
    pixels: NDArray[np.uint8]
    flags: frozenset[Flag] = frozenset()
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """One scored image.

    Attributes
    ----------
    scores : tuple of float
        One per entry of `FINDINGS`, each 0–1, summing to 1. Scores, not probabilities.
    picture : str
        SHA-256 of what the network saw, hexadecimal: two images with the same one are the same picture.
    """

    name: str
    header: ImageHeader
    scores: tuple[float, float, float]
    picture: str
    flags: frozenset[Flag] = frozenset()
    thumbnail: bytes = b""


Outcome = ImageScore | Failure
"""What becomes of a file."""


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

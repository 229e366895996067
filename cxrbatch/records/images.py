"""Records of an image at each stage: reference, header, decoded pixels, input of the network."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.reasons import Flag
from cxrbatch.records.patient_key import PatientKey
from cxrbatch.records.places import ObjectKey
from cxrbatch.resample import Box, ReducedImage

ADULT_YEARS = 18
"""Younger patients are neither scored nor trained on."""


class FileKind(StrEnum):
    """Format of a file by its content, independent of its name."""

    DICOM = "dicom"
    """Also packed by gzip."""
    PNG = "png"
    JPEG = "jpeg"
    """Also lossless JPEG and JPEG-LS."""
    JPEG_2000 = "jpeg2000"
    """A codestream or a JP2 file."""
    TIFF = "tiff"
    WEBP = "webp"
    BMP = "bmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One file that contains an image.

    Attributes
    ----------
    path : Path
        Path to open; `NOWHERE` for an object that is not held in memory yet.
    name : str
        Path relative to the screened folder with ``/`` between its parts: the name of the file in reports.
    kind : FileKind
        Format by its first bytes.
    version : FileVersion
        Its version when it was found.
    object : ObjectKey or None
        Object of a store that the file is; None for a file on a disk.
    """

    path: Path
    name: str
    kind: FileKind
    version: FileVersion = FileVersion()
    object: ObjectKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """Header data of an image, without name and birth date.

    Attributes
    ----------
    patient_key : PatientKey
        The only key by which images are grouped (see `cxrbatch.triage`).
    patient_id, issuer_of_patient_id, accession_number : str
        As in the DICOM header; empty where unknown. ``patient_id`` is the text that a person searches for: where
        there is none it is the study or the file. Bytes that do not decode are lone surrogates (U+DC80 to U+DCFF).
    study_date : str
        ISO 8601 (``2026-11-22``), empty where unknown.
    modality, body_part : str
        As in DICOM (0008,0060) and (0018,0015), or the anatomic region; empty where nothing is said.
    view_position : str
        ``PA``, ``AP``, ``FRONTAL``, ``LL``, … as in DICOM (0018,5101); empty where unknown.
    view_conflict : str
        Which elements of the header contradict each other on the view; empty where none do.
    age_years : float or None
        Age at the study.
    for_processing : bool
        True for raw detector data (PS3.3 C.8.11.1, Presentation Intent Type).
    n_frames : int
        Number of frames; 1 for a radiograph.
    rows, columns : int
        Size in pixels as the file states it, before any rotation.
    identity_digest : str
        8 bits of a hash of birth date and sex: they detect 255 of 256 cases of two people under one PatientID, and
        reveal neither birth date nor sex.
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
    view_conflict: str = ""
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
        Position of the full image in `pixels`, if these are means over squares of its pixels
        (see `cxrbatch.resample.ReducedImage`); None if `pixels` is the full image.
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
    def grey_image(self) -> NDArray[np.float32] | ReducedImage:
        """Image to preprocess: the pixels, with their extent where there is one."""
        return self.pixels if self.extent is None else ReducedImage(self.pixels, self.extent)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """Input of the network for one image, with the name and header that belong to it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        From `cxrbatch.preprocess.preprocess`.
    thumbnail : bytes
        A small JPEG for the report, empty where none was requested.
    """

    name: str
    header: ImageHeader
    pixels: NDArray[np.uint8]
    flags: frozenset[Flag] = frozenset()
    thumbnail: bytes = b""

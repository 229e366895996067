"""Records of a file: found, failed or scored."""

from dataclasses import dataclass, field
from pathlib import Path

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records.images import ImageHeader
from cxrbatch.records.places import ObjectKey

FINDINGS = ("covid", "pneumonia", "normal")
"""Findings that the model scores, in the order of its outputs. ``pneumonia`` is pneumonia of another cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file, not opened yet.

    Attributes
    ----------
    name : str
        Path relative to the screened folder with ``/`` between its parts: the name of the file in reports.
    failure : Failure or None
        Failure of a file that is not worth opening.
    object : ObjectKey or None
        As in `ImageRef`.
    """

    path: Path
    name: str
    version: FileVersion = FileVersion()
    failure: "Failure | None" = None
    object: ObjectKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file that was not scored, and the reason.

    Attributes
    ----------
    name : str
        As in `ImageRef`.
    detail : str
        Detail for the person who must act: what was found, what was expected. Never a patient's name or birth date.
    header : ImageHeader or None
        None where the header could not be read.
    skipped : bool
        True where no radiograph was expected (a text file, a DICOM report).
    thumbnail : bytes
        A small JPEG where the image could be decoded and thumbnails were requested. Once it is stored it is only in
        the state: a run holds none of them.
    stored_id : int
        Number of its row in the state; 0 where it is in none.
    """

    name: str
    reason: Reason
    detail: str = ""
    header: ImageHeader | None = None
    skipped: bool = False
    thumbnail: bytes = b""
    stored_id: int = field(default=0, compare=False)

    @property
    def status(self) -> str:
        """``skipped`` or ``not_scored``, as tables state it."""
        return "skipped" if self.skipped else "not_scored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """One scored image.

    Attributes
    ----------
    scores : tuple of float
        One per entry of `FINDINGS`, each 0–1, summing to 1. Scores, not probabilities.
    pixels_sha256 : str
        SHA-256 of the network's input, hexadecimal: two images with the same value are the same image.
    thumbnail, stored_id : bytes, int
        As in `Failure`.
    """

    name: str
    header: ImageHeader
    scores: tuple[float, float, float]
    pixels_sha256: str
    flags: frozenset[Flag] = frozenset()
    thumbnail: bytes = b""
    stored_id: int = field(default=0, compare=False)

    @property
    def status(self) -> str:
        """``scored``, as tables state it."""
        return "scored"


Outcome = ImageScore | Failure
"""Outcome of a file."""

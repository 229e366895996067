"""What becomes of a file: found, failed or scored."""

from dataclasses import dataclass
from pathlib import Path

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records.images import ImageHeader

FINDINGS = ("covid", "pneumonia", "normal")
"""What the model scores, in the order of its outputs. ``pneumonia`` is pneumonia of another cause."""


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
        A small JPEG where the image could be decoded and thumbnails were asked for.
    """

    name: str
    reason: Reason
    detail: str = ""
    header: ImageHeader | None = None
    skipped: bool = False
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """One scored image.

    Attributes
    ----------
    scores : tuple of float
        One per entry of `FINDINGS`, each 0–1, summing to 1. Scores, not probabilities.
    pixels_sha256 : str
        SHA-256 of what the network saw, hexadecimal: two images with the same one are the same image.
    """

    name: str
    header: ImageHeader
    scores: tuple[float, float, float]
    pixels_sha256: str
    flags: frozenset[Flag] = frozenset()
    thumbnail: bytes = b""


Outcome = ImageScore | Failure
"""What becomes of a file."""

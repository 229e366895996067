"""Gate, first part: refuse files by size and by header; and call the pixel check.

Input: references, headers and images. Output: nothing, or a `Refusal` with its reason.
"""

from typing import Protocol

from cxrbatch._lib.text import as_code
from cxrbatch.limits import Limits
from cxrbatch.preprocess import GreyImage
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import ADULT_YEARS, FileKind, ImageHeader, ImageRef
from cxrbatch.terms import HeaderWords, Part, View, part_of, view_of

MIN_SIDE_PX = 128

_MODALITIES = frozenset(("CR", "DX", "RG"))


class PixelCheck(Protocol):
    """Check of the pixels of an image; see `cxrbatch.gate.ChestCheck`."""

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        """Return why the image is not a frontal chest radiograph; an empty text if it looks like one."""


def check_header(
    header: ImageHeader, kind: FileKind, limits: Limits = Limits(), added: HeaderWords = HeaderWords()
) -> None:
    """Refuse what the header alone rules out, before any pixel is decoded.

    A missing value is no ground for refusal: the image is scored with a flag. Only DICOM has a modality.

    Parameters
    ----------
    header : ImageHeader
    kind : FileKind
    limits : Limits
        Limits on the size in pixels.
    added : HeaderWords
        Words of the hospital for body parts and views.

    Raises
    ------
    Refusal
        With the first reason that applies, in the order of the code.
    """
    if kind is FileKind.DICOM and header.modality not in _MODALITIES:
        raise Refusal(Reason.WRONG_MODALITY, f"Modality {_code(header.modality)}, expected CR, DX or RG")
    if part_of(header.body_part, added) is Part.OTHER:
        raise Refusal(Reason.WRONG_BODY_PART, f"BodyPartExamined {_code(header.body_part)}, expected CHEST")
    if header.for_processing:
        raise Refusal(Reason.FOR_PROCESSING, "send the FOR PRESENTATION image instead")
    if header.n_frames > 1:
        raise Refusal(Reason.MULTI_FRAME, f"{header.n_frames} frames, expected 1")
    if header.view_conflict:
        raise Refusal(Reason.VIEW_CONFLICT, header.view_conflict)
    if view_of(header.view_position, added) is View.OTHER:
        raise Refusal(Reason.LATERAL_VIEW, f"view {_code(header.view_position)}, expected PA or AP")
    if header.age_years is not None and header.age_years < ADULT_YEARS:
        raise Refusal(
            Reason.PAEDIATRIC, f"{int(header.age_years)} years old; the model was trained on adults"
        )
    check_size(header, limits)


def check_file(ref: ImageRef, limits: Limits) -> None:
    """Refuse a file that is larger than any radiograph, before it is opened.

    Raises
    ------
    Refusal
        ``too_large``.
    """
    size = ref.version.size_bytes
    if size > limits.file_bytes:
        raise Refusal(Reason.TOO_LARGE, f"{size} bytes, limit {limits.file_bytes}")


def check_pixels(image: GreyImage, colourfulness: float, check: PixelCheck) -> None:
    """Refuse an image that is not a frontal chest radiograph.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns), or ReducedImage
        Presentation values, 0 = black … 1 = white, bone white.
    colourfulness : float
        Share of clearly coloured pixels, 0–1.

    Raises
    ------
    Refusal
        ``not_a_chest_radiograph``.
    """
    if rejection := check.rejection(image, colourfulness):
        raise Refusal(Reason.NOT_A_CHEST_RADIOGRAPH, rejection)


def check_size(header: ImageHeader, limits: Limits = Limits()) -> None:
    """Refuse images that are too small to show anything or too large to decode.

    Raises
    ------
    Refusal
        ``too_small`` or ``too_large``.
    """
    rows, columns = header.rows, header.columns
    if rows * columns > limits.pixels:
        raise Refusal(Reason.TOO_LARGE, f"{columns} × {rows} pixels, limit {limits.pixels / 1e6:g} million")
    if min(rows, columns) < MIN_SIDE_PX:
        raise Refusal(
            Reason.TOO_SMALL, f"{columns} × {rows} pixels, at least {MIN_SIDE_PX} on each side are needed"
        )


def _code(value: str) -> str:
    return as_code(value) or "(missing)"

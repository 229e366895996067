"""Open an image of any kind: read its header first, decode its pixels only if the header is acceptable.

Input: a reference to a file. Output: an `OpenImage`. Must not import TensorFlow: this runs in every worker process.
"""

from typing import Protocol

from cxrbatch.limits import Limits
from cxrbatch.read import raster
from cxrbatch.read.codestream_file import open_codestream
from cxrbatch.read.dicom.open import open_dicom
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef
from cxrbatch.terms import HeaderWords

_CODESTREAMS = (FileKind.JPEG, FileKind.JPEG_2000)


class OpenImage(Protocol):
    """An image whose header has been read and whose pixels have not been decoded."""

    @property
    def header(self) -> ImageHeader:
        """Header of the image."""

    def decode(self, least_px: int | None = None, *, as_displayed: bool = False) -> CxrImage:
        """Decode the pixels to presentation values.

        Parameters
        ----------
        least_px : int, optional
            Least number of pixels of the shorter side. Where the file allows it, both sides are halved several times
            as long as this many remain. By default all pixels are decoded.
        as_displayed : bool
            Map what the window of a DICOM header shows as black and white to 0 and 1, whatever is in the image, and
            not the darkest and brightest pixel; for all pixels only.

        Returns
        -------
        CxrImage
            Pixels are float32, shape (rows, columns), 0–1, bone white; laid as the file states (EXIF Orientation,
            PatientOrientation).

        Raises
        ------
        Refusal
            ``corrupt``, ``truncated``, ``too_large``, ``unsupported_transfer_syntax`` or ``unsupported_format``.
        OSError
            The file cannot be opened again.
        MemoryError
        """


def open_image(
    ref: ImageRef, patients: PatientRule, limits: Limits = Limits(), added: HeaderWords = HeaderWords()
) -> OpenImage:
    """Read the header of an image.

    Parameters
    ----------
    ref : ImageRef
    patients : PatientRule
        Rule for the patient of a file that is not DICOM.
    limits : Limits
        Limits on the size of the file and of its contents.
    added : HeaderWords
        Words of the hospital for body parts and views.

    Raises
    ------
    Refusal
        The file is damaged, exceeds the limits, or is no image.
    OSError
        The file cannot be opened.
    """
    if ref.kind is FileKind.DICOM:
        return open_dicom(ref, limits, added)
    if ref.kind in _CODESTREAMS and (found := open_codestream(ref, patients, limits)):
        return found
    return raster.open_raster(ref, patients)

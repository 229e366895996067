"""Reading radiographs right: header first, pixels only when the header is acceptable.

Must not import TensorFlow: this runs in every reader process.
"""

from typing import Protocol

from cxrbatch.limits import Limits
from cxrbatch.read import raster
from cxrbatch.read.dicom.open import open_dicom
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef


class OpenImage(Protocol):
    """An image whose header has been read and whose pixels have not been decoded."""

    @property
    def header(self) -> ImageHeader:
        """What the file says of itself."""

    def decode(self, least_px: int | None = None) -> CxrImage:
        """Decode the pixels to presentation values.

        Parameters
        ----------
        least_px : int, optional
            Where the file allows it, sides may be halved several times while the shorter keeps so many pixels. By
            default all pixels are decoded.

        Raises
        ------
        Refusal
            ``corrupt``, ``truncated``, ``too_large`` or ``unsupported_transfer_syntax``.
        OSError
            The file cannot be opened again.
        MemoryError
        """


def open_image(ref: ImageRef, patients: PatientRule, limits: Limits = Limits()) -> OpenImage:
    """Read the header of an image.

    Parameters
    ----------
    ref : ImageRef
    patients : PatientRule
        Who the patient of a PNG or JPEG is.
    limits : Limits
        What the file may ask of the machine.

    Raises
    ------
    Refusal
        The file is damaged, asks for more than the limits allow, or is no image.
    OSError
        The file cannot be opened.
    """
    if ref.kind is FileKind.DICOM:
        return open_dicom(ref, limits)
    return raster.open_raster(ref, patients)

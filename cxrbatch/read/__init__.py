"""Read radiographs: file in, header and presentation values out.

The header is read first; pixels are decoded only if the header is acceptable. Must not import TensorFlow: this runs
in every worker process.
"""

from cxrbatch.read.dicom.open import NotAnImage
from cxrbatch.read.dicom.shown import ShownHeader, read_shown
from cxrbatch.read.image import OpenImage, open_image
from cxrbatch.read.patient_rule import PatientRule

__all__ = [
    "READING_VERSION",
    "NotAnImage",
    "OpenImage",
    "PatientRule",
    "ShownHeader",
    "open_image",
    "read_shown",
]

READING_VERSION = 6
"""Raise it with every change of what is read of a file: pixels, header, patient, flags, reasons, pixel check.

Whatever a state remembers of another version is read again, if the file is still there."""

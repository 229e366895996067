"""Read radiographs right: the header first, pixels only when the header is acceptable.

Must not import TensorFlow: this runs in every worker process.
"""

from cxrbatch.read.dicom.open import NotAnImage
from cxrbatch.read.image import OpenImage, open_image
from cxrbatch.read.patient_rule import PatientRule

__all__ = ["NotAnImage", "OpenImage", "PatientRule", "open_image"]

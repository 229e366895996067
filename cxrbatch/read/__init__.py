"""Read radiographs: file in, header and presentation values out.

The header is read first; pixels are decoded only if the header is acceptable. Must not import TensorFlow: this runs
in every worker process.
"""

from cxrbatch.read.dicom.open import NotAnImage
from cxrbatch.read.image import OpenImage, open_image
from cxrbatch.read.patient_rule import PatientRule

__all__ = ["NotAnImage", "OpenImage", "PatientRule", "open_image"]

"""Gate: decide what is scored and what is refused, first by the header, then by the pixels."""

from cxrbatch.gate.header import PixelCheck, check_file, check_header, check_pixels, check_size
from cxrbatch.gate.pixel_check import N_FEATURES, ChestCheck, StoredCheck, extract_features

__all__ = [
    "N_FEATURES",
    "ChestCheck",
    "PixelCheck",
    "StoredCheck",
    "check_file",
    "check_header",
    "check_pixels",
    "check_size",
    "extract_features",
]

"""Say what is scored and what is refused: the header first, then the pixels."""

from cxrbatch.gate.header import PixelCheck, check_file, check_header, check_pixels, check_size

__all__ = ["PixelCheck", "check_file", "check_header", "check_pixels", "check_size"]

"""Make the image of a file that states nothing of age, view and body part: presentation values in, image out."""

from cxrbatch.read.greyscale import Presentation
from cxrbatch.reasons import Flag
from cxrbatch.records import CxrImage, ImageHeader, ImageRef

_UNKNOWN = frozenset((Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN))


def image_without_header(ref: ImageRef, header: ImageHeader, found: Presentation, *, lossy: bool) -> CxrImage:
    """Make the image of a file that is not DICOM, with the flags for what it does not state."""
    return CxrImage(
        ref=ref,
        header=header,
        pixels=found.pixels,
        extent=found.extent,
        colourfulness=found.colourfulness,
        flags=_UNKNOWN | {Flag.LOSSY} if lossy else _UNKNOWN,
    )

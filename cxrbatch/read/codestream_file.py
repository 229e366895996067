"""Read radiographs in the compressions of DICOM without DICOM: file in, header and presentation values out.

JPEG of 12 bits, lossless JPEG, JPEG-LS, JPEG 2000 and HTJ2K, as bare codestreams or in a JP2 file, whatever their
names. JPEG of 8 bits that is not lossless is left to `cxrbatch.read.raster`.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from pydicom import uid

from cxrbatch.limits import Limits
from cxrbatch.read.block_means import block_means, extent_in_blocks, halvings, strips
from cxrbatch.read.codecs import decode, frame_header, identify, jpeg2000
from cxrbatch.read.codecs.frame_header import FrameSize
from cxrbatch.read.codecs.reduced import Form, can_reduce, decode_reduced
from cxrbatch.read.greyscale import Presentation, Stored, Values, full_range, presentation_of_colours
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.read.without_header import image_without_header
from cxrbatch.read.wrapped import require_unwrapped
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, FileKind, ImageHeader, ImageRef
from cxrbatch.resample import Box, NotReducible

_HEAD_BYTES = 1 << 16
_DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
_EXIF = b"Exif\0\0"
_MOST_BITS = 16
_UPRIGHT = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}
"""Quarter turns to the left, and whether left and right are exchanged then, by Orientation (EXIF 2.32, 4.6.4 A)."""


@dataclass(frozen=True, slots=True)
class OpenCodestream:
    """A codestream that has not been decoded; see `cxrbatch.read.OpenImage`.

    Attributes
    ----------
    codestream : bytes
    syntax : str
        Transfer syntax in which DICOM would hold it.
    bits : int
        Per sample.
    orientation : int
        By EXIF; 1 is upright.
    """

    ref: ImageRef
    header: ImageHeader
    codestream: bytes
    syntax: str
    samples: int
    bits: int
    orientation: int

    def decode(self, least_px: int | None = None, *, as_displayed: bool = False) -> CxrImage:  # noqa: ARG002
        """Decode to presentation values: 0 is black, the largest value of so many bits is 1.

        Parameters, result and errors as in `cxrbatch.read.OpenImage`.
        """
        n_halvings = halvings(self.header.rows, self.header.columns, least_px)
        if self.orientation in _UPRIGHT:
            n_halvings = 0
        found = self._presented(*(self._reduced(n_halvings) or self._full(n_halvings)))
        return image_without_header(self.ref, self.header, found, lossy=decode.is_lossy(self.syntax))

    @property
    def _shape(self) -> tuple[int, ...]:
        size = (self.header.rows, self.header.columns)
        return size if self.samples == 1 else (*size, self.samples)

    def _reduced(self, n_halvings: int) -> tuple[Values, Box] | None:
        """Decode to means over squares of pixels; None where all pixels are needed."""
        if not n_halvings or not can_reduce(self.syntax):
            return None
        allocated = 8 if self.bits <= 8 else 16
        form = Form(
            shape=self._shape, allocated=allocated, stored=self.bits, high=self.bits - 1, signed=False
        )
        try:
            found = decode_reduced(self.codestream, self.syntax, form, n_halvings)
        except NotReducible:
            return None
        return found.pixels, found.extent

    def _full(self, n_halvings: int) -> tuple[Stored | Values, Box | None]:
        pixels = decode.decode(self.codestream, self.syntax, self._shape, self.bits, photometric="")
        if pixels.ndim == 2:
            require_unwrapped(pixels)
        if not n_halvings:
            return _upright(pixels, self.orientation), None
        block = 1 << n_halvings
        return block_means(strips(pixels, block), block), extent_in_blocks(pixels.shape, block)

    def _presented(self, pixels: Stored | Values, extent: Box | None) -> Presentation:
        highest = (1 << self.bits) - 1
        if pixels.ndim == 2:
            return Presentation(pixels=full_range(pixels, 0, highest), extent=extent)
        return presentation_of_colours(pixels, highest, extent)


def open_codestream(ref: ImageRef, patients: PatientRule, limits: Limits) -> OpenCodestream | None:
    """Read the header of a codestream; see `cxrbatch.read.open_image`.

    Returns
    -------
    OpenCodestream or None
        None for what is left to `cxrbatch.read.raster`.

    Raises
    ------
    Refusal
        ``unsupported_format``, ``too_large``, ``truncated`` or ``corrupt``.
    """
    is_jpeg = ref.kind is FileKind.JPEG
    with ref.path.open("rb") as stream:
        data = stream.read(_HEAD_BYTES)
        if is_jpeg and _is_plain_jpeg(data):
            return None
        data += stream.read()
    if is_jpeg and (_is_plain_jpeg(data) or not identify.syntax_of(data)):
        return None
    if not is_jpeg:
        _require_plain_jp2(data)
    return _opened(ref, patients, data, limits)


def _is_plain_jpeg(data: bytes) -> bool:
    syntax = identify.syntax_of(data)
    return syntax in _DCT and frame_header.size_of(data, syntax).bits == 8


def _opened(ref: ImageRef, patients: PatientRule, data: bytes, limits: Limits) -> OpenCodestream:
    codestream = jpeg2000.strip_jp2(data)
    if not (syntax := identify.syntax_of(codestream)):
        raise Refusal(Reason.CORRUPT, f"the {ref.kind} data is damaged")
    size = frame_header.size_of(codestream, syntax)
    _require_unsigned(codestream, size, syntax)
    patient_key, patient_id = patients.patient_of(ref.name)
    header = ImageHeader(patient_key=patient_key, patient_id=patient_id, rows=size.rows, columns=size.columns)
    # The size is for the gate first: it says by how much an image is too large.
    if size.rows * size.columns <= limits.pixels:
        codestream = decode.cut_at_end(codestream, syntax)
        n_bytes = size.rows * size.columns * size.samples * (1 if size.bits <= 8 else 2)
        frame_header.require_ratio(n_bytes, len(codestream), limits.ratio)
    return OpenCodestream(ref, header, codestream, syntax, size.samples, size.bits, _orientation(data))


def _require_unsigned(codestream: bytes, size: FrameSize, syntax: str) -> None:
    """Refuse values that have no one meaning as greys or as colours."""
    is_signed = syntax not in identify.OF_JPEG and jpeg2000.MainHeader.of(codestream).signed
    if is_signed or size.samples not in (1, 3) or not 1 < size.bits <= _MOST_BITS:
        raise Refusal(
            Reason.UNSUPPORTED_FORMAT,
            f"{size.samples} channels of {size.bits} bits{', signed' if is_signed else ''}; "
            "export it as DICOM, PNG or JPEG",
        )


def _require_plain_jp2(data: bytes) -> None:
    """Refuse JP2 files whose samples are not the greys or colours themselves, or that hold no or several images."""
    if (reason := jpeg2000.jp2_rejection(data)) is not None:
        raise Refusal(Reason.UNSUPPORTED_FORMAT, f"{reason}; export it as DICOM, PNG or JPEG")


def _orientation(data: bytes) -> int:
    """Read Orientation from a JPEG; 1 where nothing is stated."""
    try:
        _, end = frame_header.jpeg_frame_header(data)
    except LookupError:
        return 1
    begin = data.find(_EXIF, 0, end)
    if begin < 0 or not data.startswith(b"\xff\xd8"):
        return 1
    exif = Image.Exif()
    try:
        with warnings.catch_warnings(action="ignore"):  # they may repeat contents of the file
            exif.load(data[begin:end])
    except MemoryError:
        raise
    except Exception:  # damaged bytes can lead to any error
        return 1
    found = exif.get(ExifTags.Base.Orientation, 1)
    return found if isinstance(found, int) else 1


def _upright(pixels: Stored, orientation: int) -> NDArray[np.integer]:
    n_turns, is_mirrored = _UPRIGHT.get(orientation, (0, False))
    turned = np.rot90(pixels, n_turns)
    return np.ascontiguousarray(turned[:, ::-1] if is_mirrored else turned)

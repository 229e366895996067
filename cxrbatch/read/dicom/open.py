"""Open DICOM radiographs: file in, header first, then presentation values out."""

import logging
import warnings
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NoReturn

from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from cxrbatch.limits import Limits
from cxrbatch.read import block_means
from cxrbatch.read.codecs.decode import can_decode, is_lossy
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom import pixel_data
from cxrbatch.read.dicom.header import read_header
from cxrbatch.read.dicom.orientation import is_unusable, read_orientation
from cxrbatch.read.dicom.patient import patient_flag
from cxrbatch.read.dicom.pixel_data import frame_of_dataset, frame_of_source, is_encapsulated
from cxrbatch.read.dicom.presentation import presentation, reduced_presentation
from cxrbatch.read.dicom.sanity import LONGEST_READ_BYTES, check_structure, too_deep
from cxrbatch.read.dicom.source import Source, open_source, plain_bytes
from cxrbatch.read.dicom.stored_means import reduced_from_source, reduced_from_start
from cxrbatch.read.dicom.stored_values import correct_syntax, plain_frame, transfer_syntax
from cxrbatch.read.greyscale import Presentation
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import CxrImage, ImageHeader, ImageRef
from cxrbatch.terms import HeaderWords

# pydicom logs errors together with values from the file: they must not appear on stderr.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False


@dataclass(frozen=True, slots=True)
class OpenDicom:
    """A DICOM instance whose pixels have not been decoded; see `cxrbatch.read.OpenImage`.

    Attributes
    ----------
    source : Source
        What `dataset` was read from: the file, or its content if that was unpacked or relabelled.
    dataset : Dataset
        Elements before the pixels.
    pixels_begin : int
        Offset of the next element in the source, in bytes.
    limits : Limits
    """

    ref: ImageRef
    header: ImageHeader
    source: Source
    dataset: Dataset
    pixels_begin: int
    limits: Limits

    def decode(self, least_px: int | None = None, *, as_displayed: bool = False) -> CxrImage:
        """Decode to presentation values, inverted once if MONOCHROME1, and laid as PatientOrientation states.

        Parameters, result and errors as in `cxrbatch.read.OpenImage`.
        """
        halvings = block_means.halvings(self.header.rows, self.header.columns, least_px)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = (
                self._while_reading(halvings)
                or self._from_start(halvings)
                or self._after_reading(halvings, as_displayed=as_displayed)
            )
        found = read_orientation(self.dataset).lay(stored)
        return CxrImage(
            ref=self.ref,
            header=self.header,
            pixels=found.pixels,
            extent=found.extent,
            colourfulness=found.colourfulness,
            flags=found.flags | _header_flags(self.dataset, self.header),
        )

    def _while_reading(self, halvings: int) -> Presentation | None:
        """Reduce uncompressed pixels while they are read; None where that is not possible."""
        if not halvings:
            return None
        means = partial(reduced_from_source, self.dataset, self.source, self.pixels_begin, halvings)
        return reduced_presentation(self.dataset, means)

    def _from_start(self, halvings: int) -> Presentation | None:
        """Reduce JPEG 2000 of which only the first bytes are read; None where that is not possible."""
        if not halvings:
            return None
        place = self.source, self.pixels_begin
        return reduced_presentation(
            self.dataset, partial(reduced_from_start, self.dataset, *place, halvings, self.limits.ratio)
        )

    def _after_reading(self, halvings: int, *, as_displayed: bool) -> Presentation:
        frame = self._frame()
        correct_syntax(self.dataset, frame)
        if frame is not None:
            frame = plain_frame(self.dataset, frame, self.limits)
        return presentation(self.dataset, frame, halvings, as_displayed=as_displayed)

    def _frame(self) -> bytes | None:
        """Read the one compressed frame; None where PixelData is not encapsulated."""
        if can_decode(transfer_syntax(self.dataset)) and (
            frame := frame_of_source(self.source, self.pixels_begin)
        ):
            return frame
        self._read_pixel_data()
        return frame_of_dataset(self.dataset) if is_encapsulated(self.dataset) else None

    def _read_pixel_data(self) -> None:
        """Add the pixel data to the dataset."""
        if "PixelData" not in self.dataset:
            element = pixel_data.pixel_data(self.source, self.pixels_begin, self.dataset)
            self.dataset[element.tag] = element


def open_dicom(ref: ImageRef, limits: Limits, added: HeaderWords = HeaderWords()) -> OpenDicom:
    """Parse the header of a DICOM file; see `cxrbatch.read.open_image`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ref.path.open("rb") as stream:
            plain = plain_bytes(stream, limits)
            if plain is None:
                return _opened(ref, ref.path, stream, limits, added)
        return _opened(ref, plain, open_source(plain), limits, added)


def _opened(ref: ImageRef, source: Source, stream: BinaryIO, limits: Limits, added: HeaderWords) -> OpenDicom:
    dataset = _parse(stream, limits)
    check_structure(dataset, limits.nesting)
    header = read_header(dataset, ref.name, added)
    if "Rows" not in dataset or "Columns" not in dataset:
        _refuse_non_image(dataset)
    return OpenDicom(ref, header, source, dataset, stream.tell(), limits)


def _parse(stream: BinaryIO, limits: Limits) -> Dataset:
    """Parse a file up to its pixels; one that ends inside an element gives an empty dataset (pydicom only warns)."""
    try:
        return dcmread(stream, force=True, defer_size=LONGEST_READ_BYTES, stop_before_pixels=True)
    except MemoryError:
        raise
    except RecursionError as error:
        raise too_deep(limits.nesting) from error
    except EOFError as error:
        raise Refusal(Reason.TRUNCATED, "the file ends inside a DICOM element") from error
    except Exception as error:  # pydicom raises many types of exception on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refusal(Reason.CORRUPT, f"the DICOM data cannot be parsed ({type(error).__name__})") from error


def _refuse_non_image(dataset: Dataset) -> NoReturn:
    """Raise `NotAnImage` for a report, which needs no score, and `truncated` for an image with a cut-off header."""
    meta = getattr(dataset, "file_meta", Dataset())
    sop_class = el.text(dataset, "SOPClassUID") or el.text(meta, "MediaStorageSOPClassUID")
    if not sop_class or "Image Storage" in uid.UID(sop_class).name:
        raise Refusal(Reason.TRUNCATED, "the file ends before its header says how large the image is")
    raise NotAnImage


class NotAnImage(Refusal):
    """DICOM without pixels (a report, a presentation state, a DICOMDIR), for which no score is expected."""

    def __init__(self) -> None:
        super().__init__(Reason.NOT_AN_IMAGE, "DICOM without pixel data")


def _header_flags(dataset: Dataset, header: ImageHeader) -> frozenset[Flag]:
    lossy = is_lossy(transfer_syntax(dataset)) or el.text(dataset, "LossyImageCompression") == "01"
    patient = patient_flag(dataset)
    found = {
        Flag.AGE_UNKNOWN: header.age_years is None,
        Flag.VIEW_UNKNOWN: not header.view_position,
        Flag.BODY_PART_UNKNOWN: not header.body_part,
        Flag.NO_PATIENT_ID: patient is Flag.NO_PATIENT_ID,
        Flag.PLACEHOLDER_PATIENT_ID: patient is Flag.PLACEHOLDER_PATIENT_ID,
        Flag.LOSSY: lossy,
        Flag.ORIENTATION_IGNORED: is_unusable(dataset),
    }
    return frozenset(flag for flag, holds in found.items() if holds)

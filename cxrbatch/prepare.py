"""Prepare one file: `ImageRef` in, the network's input (`ModelInput`) or `Failure` out.

Read, gate, preprocess: the same for training, screening and single images. Runs in worker processes; must not import
TensorFlow.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch import gate, read
from cxrbatch._lib.safe_open import NotRegular, has_changed, hold_open
from cxrbatch.discover import classify
from cxrbatch.limits import Limits
from cxrbatch.objects import hold_object
from cxrbatch.preprocess import GreyImage, PreprocessSpec, content_box, full_box, preprocess
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, Failure, ImageHeader, ImageRef, ModelInput
from cxrbatch.terms import HeaderWords

_JPEG_QUALITY = 60
_DISPLAY_QUALITY = 80
_LEAST_SIDE_PX = 8

P = TypeVar("P", bound=ModelInput | Failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """Options of `prepare`.

    Attributes
    ----------
    spec : PreprocessSpec
        The preprocessing, from the bundle.
    pixel_check : PixelCheck or None
        Check that the image is a chest radiograph. None: no check (training reads labelled radiographs).
    patients : PatientRule
        Rule that finds the patient of a file that is not DICOM.
    header_words : HeaderWords
        Words of the hospital for body parts and views.
    thumbnail_px : int
        Long side of the JPEG thumbnail; 0 for none.
    display_px : int
        Long side of a JPEG with the image's own aspect ratio, in place of the thumbnail, to look at; 0 for none. Such
        an image is held to the limits, and not refused for what it shows.
    identify_files : bool
        Add the content of a file (SHA-256) to its patient key, where the file itself counts as the patient.
    full_size : bool
        Decode all pixels, and not only as many as the network needs.
    limits : Limits
        Limits on the file; `cxrbatch.engines.reader` enforces the time limit.
    from_store : bool
        The files are objects of a store: each reader starts a client of it, and then limits its memory.
    """

    spec: PreprocessSpec
    pixel_check: gate.PixelCheck | None = None
    patients: read.PatientRule = read.PatientRule()
    header_words: HeaderWords = HeaderWords()
    thumbnail_px: int = 0
    display_px: int = 0
    identify_files: bool = False
    full_size: bool = False
    limits: Limits = Limits()
    from_store: bool = False

    @property
    def least_px(self) -> int | None:
        """Fewest pixels of the shorter side after decoding; see `cxrbatch.read.OpenImage.decode`."""
        return None if self.full_size else self.spec.least_px


def prepare(ref: ImageRef, options: PrepareOptions) -> ModelInput | Failure:
    """Read, check and preprocess one file; every problem with it becomes a `Failure`, never an exception."""
    try:
        with held(ref, options.limits) as (place, is_changed):
            return _prepare_open_file(place, is_changed, options)
    except NotRegular:
        refusal = Refusal(Reason.STILL_CHANGING, "something else took its place")
    except Refusal as found:
        refusal = found
    except MemoryError:
        refusal = Refusal(Reason.TOO_LARGE, "not enough memory to hold it")
    except OSError as error:
        refusal = Refusal(Reason.UNREADABLE, error.strerror or type(error).__name__)
    return _failure(ref, options.patients.unread_header(ref.name, ref.kind), refusal)


@contextmanager
def held(ref: ImageRef, limits: Limits) -> Iterator[tuple[ImageRef, Callable[[], bool]]]:
    """Hold a file open, or an object in memory, so that every reader reads the same of it.

    Yields
    ------
    ImageRef
        With a path that is open.
    callable
        Tells whether the file was written to since it was found.

    Raises
    ------
    Refusal
        Of an object; see `cxrbatch.objects.hold_object`.
    NotRegular, OSError
        Of a file; see `cxrbatch._lib.safe_open.hold_open`.
    MemoryError
    """
    if ref.object:
        with hold_object(ref.object, ref.version, limits.file_bytes) as path:
            yield replace(ref, path=path), lambda: False  # what is in memory does not change
    else:
        with hold_open(ref.path, ref.version) as (path, descriptor):
            yield replace(ref, path=path), lambda: has_changed(ref.version, os.fstat(descriptor))


def _prepare_open_file(
    ref: ImageRef, is_changed: Callable[[], bool], options: PrepareOptions
) -> ModelInput | Failure:
    """Prepare an open file, unless it was written to since it was found."""
    prepared = _prepared(ref, options)
    if is_changed():
        refusal = Refusal(Reason.STILL_CHANGING, "it changed while it was read")
        return _failure(ref, prepared.header, refusal)
    return _identified(prepared, ref, options)


def with_header(failure: Failure, ref: ImageRef, options: PrepareOptions) -> Failure:
    """Add the header to the failure of a file that could not be decoded; unchanged where the header is unreadable."""
    try:
        with held(ref, options.limits) as (place, is_changed):
            header = _open(place, options).header
            known = _identified(replace(failure, header=header), place, options)
            return failure if is_changed() else known
    except Exception:  # the file has already ended a worker process
        return failure


def _prepared(ref: ImageRef, options: PrepareOptions) -> ModelInput | Failure:
    header = options.patients.unread_header(ref.name, ref.kind)
    try:
        gate.check_file(ref, options.limits)
        opened = _open(ref, options)
        header = opened.header
        if options.display_px:
            gate.check_size(header, options.limits)
        else:
            gate.check_header(header, ref.kind, options.limits, options.header_words)
        return _checked(opened.decode(options.least_px, as_displayed=options.spec.as_displayed), options)
    except Refusal as refusal:
        return _failure(ref, header, refusal)
    except OSError as error:
        return _failure(ref, header, Refusal(Reason.UNREADABLE, error.strerror or type(error).__name__))
    except MemoryError:
        return _failure(ref, header, Refusal(Reason.TOO_LARGE, "not enough memory to decode it"))
    except Exception as error:
        return _failure(ref, header, Refusal(Reason.CORRUPT, f"{type(error).__name__} while reading"))


def _open(ref: ImageRef, options: PrepareOptions) -> read.OpenImage:
    return read.open_image(ref, options.patients, options.limits, options.header_words)


def _identified(prepared: P, ref: ImageRef, options: PrepareOptions) -> P:
    """Add the content to the patient key where the file counts as the patient: names recur on other nights."""
    header = prepared.header
    if not options.identify_files or header is None or header.patient_key[0] != "file":
        return prepared
    if ref.version.size_bytes > options.limits.file_bytes:
        return prepared  # a file too large to be read is too large to be hashed
    try:
        with ref.path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return prepared
    return replace(prepared, header=replace(header, patient_key=(*header.patient_key, content)))


def _checked(image: CxrImage, options: PrepareOptions) -> ModelInput | Failure:
    """Preprocess and check the image; a refused one keeps its thumbnail, so that a person sees what it is."""
    grey = image.grey_image
    pixels = preprocess(grey, options.spec)
    if options.display_px:
        small = _to_display(grey, options)
    else:
        small = thumbnail(pixels, options.thumbnail_px) if options.thumbnail_px else b""
    try:
        if options.pixel_check:
            gate.check_pixels(grey, image.colourfulness, options.pixel_check)
    except Refusal as refusal:
        return replace(_failure(image.ref, image.header, refusal), thumbnail=small)
    return ModelInput(
        name=image.ref.name, header=image.header, pixels=pixels, flags=image.flags, thumbnail=small
    )


def _failure(ref: ImageRef, header: ImageHeader | None, refusal: Refusal) -> Failure:
    return Failure(
        name=ref.name,
        reason=refusal.reason,
        detail=refusal.detail,
        header=header,
        skipped=isinstance(refusal, read.NotAnImage),
    )


def decode_image(path: Path, check: Callable[[ImageHeader], None] | None = None) -> CxrImage:
    """Decode all pixels of one file, in this process and without the checks of screening.

    For commands that need the pixels of single, known files. Everything else goes through `prepare`.

    Parameters
    ----------
    path : Path
    check : callable, optional
        Raises `Refusal` because of the header, before any pixel is decoded, such as `cxrbatch.gate.check_size`.

    Raises
    ------
    Refusal
        The file is no image, or damaged.
    OSError
        The file cannot be opened.
    """
    found = classify(path, str(path))
    if isinstance(found, Failure):
        raise Refusal(found.reason, found.detail)
    opened = read.open_image(found, read.PatientRule())
    if check:
        check(opened.header)
    return opened.decode()


def _to_display(grey: GreyImage, options: PrepareOptions) -> bytes:
    """Make a JPEG of what the network gets of an image, in its own aspect ratio."""
    tolerance = options.spec.trim_tolerance
    left, upper, right, lower = content_box(grey, tolerance) if tolerance else full_box(grey)
    scale = options.display_px / max(right - left, lower - upper)
    height, width = (max(round(scale * side), _LEAST_SIDE_PX) for side in (lower - upper, right - left))
    spec = replace(options.spec, height=height, width=width)
    return thumbnail(preprocess(grey, spec), options.display_px, _DISPLAY_QUALITY)


def thumbnail(pixels: NDArray[np.uint8], long_side_px: int, quality: int = _JPEG_QUALITY) -> bytes:
    """Make a small JPEG of the network's input.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
    long_side_px : int
        Longest side of the JPEG in pixels.
    quality : int
        Of the JPEG, 1–95.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((long_side_px, long_side_px), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()

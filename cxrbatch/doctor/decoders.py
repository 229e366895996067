"""Check the decoders: store a generated image in every supported way, and read it again."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from cxrbatch.discover import classify
from cxrbatch.doctor.check import Observation, Setup, ok, problem, warning
from cxrbatch.engines import WorkerPool, default_workers
from cxrbatch.errors import WorkersFailed
from cxrbatch.limits import WORK_BYTES
from cxrbatch.prepare import PrepareOptions, decode_image
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Refusal
from cxrbatch.records import Failure, ImageRef

Stored = NDArray[np.uint8] | NDArray[np.uint16]
_INSTALL = "install imagecodecs, pydicom and pillow again, from their wheels"
_SIDE_PX = 32
_LOST = 4
"""Allowed error of a lossy compression, in grey values: 2, and 2 more if it changes the darkest or the brightest."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of storing pixels.

    Attributes
    ----------
    bits : int
        Bits per pixel.
    write : callable
        Writes a file, from its path and stored values of `bits` bits.
    tolerance : int
        Largest allowed error of a stored value; 0 for a lossless way.
    """

    bits: int
    write: Callable[[Path, Stored], None]
    tolerance: int = 0


def _native(syntax: uid.UID) -> Way:
    def write(path: Path, stored: Stored) -> None:
        order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
        _write_dicom(path, stored, syntax, stored.astype(f"{order}u2").tobytes(), bits=12)

    return Way(12, write)


def _encapsulated(
    syntax: uid.UID, encode: Callable[[Stored], bytes | bytearray], tolerance: int = 0, bits: int = 12
) -> Way:
    def write(path: Path, stored: Stored) -> None:
        _write_dicom(path, stored, syntax, encapsulate([bytes(encode(stored))]), bits=bits)

    return Way(bits, write, tolerance)


def _raster(bits: int, tolerance: int = 0, **options: Any) -> Way:
    return Way(bits, lambda path, stored: Image.fromarray(stored).save(path, **options), tolerance)


def _rle(stored: Stored) -> bytes:
    """Encode by RLE (PS3.5 annex G) without any run.

    The byte planes, most significant first, are written as literals of 128 bytes.
    """
    planes = stored.astype(">u2").view(np.uint8).reshape(-1, 2).T
    segments = [b"".join(b"\x7f" + part.tobytes() for part in plane.reshape(-1, 128)) for plane in planes]
    offsets = [64, 64 + len(segments[0])]
    return np.array([2, *offsets, *[0] * 13], "<u4").tobytes() + b"".join(segments)


_NATIVE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
_LOSSLESS: dict[uid.UID, Callable[[Stored], bytes | bytearray]] = {
    uid.RLELossless: _rle,
    uid.JPEGLossless: partial(imagecodecs.ljpeg_encode, bitspersample=12),
    uid.JPEGLosslessSV1: partial(imagecodecs.jpeg8_encode, lossless=True, bitspersample=12),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: partial(
        imagecodecs.jpeg2k_encode, codecformat="j2k", level=0, reversible=True, bitspersample=12
    ),
    uid.HTJ2KLossless: imagecodecs.htj2k_encode,
    uid.HTJ2KLosslessRPCL: imagecodecs.htj2k_encode,
}
_LOSSY: dict[uid.UID, Callable[[Stored], bytes | bytearray]] = {
    uid.JPEGExtended12Bit: partial(imagecodecs.jpeg8_encode, level=100, bitspersample=12),
    uid.JPEGLSNearLossless: partial(imagecodecs.jpegls_encode, level=2),
    uid.JPEG2000: partial(
        imagecodecs.jpeg2k_encode, codecformat="j2k", level=0, reversible=False, bitspersample=12
    ),
    uid.HTJ2K: partial(imagecodecs.htj2k_encode, reversible=False),
}
_JPEG_8_BITS = _encapsulated(
    uid.JPEGBaseline8Bit, partial(imagecodecs.jpeg8_encode, level=100), _LOST, bits=8
)
WAYS: dict[str, Way] = {
    **{f"DICOM {syntax.name}": _native(syntax) for syntax in _NATIVE},
    **{f"DICOM {syntax.name}": _encapsulated(syntax, encode) for syntax, encode in _LOSSLESS.items()},
    **{f"DICOM {syntax.name}": _encapsulated(syntax, encode, _LOST) for syntax, encode in _LOSSY.items()},
    f"DICOM {uid.JPEGBaseline8Bit.name}": _JPEG_8_BITS,
    "PNG, 8 bits": _raster(8, format="PNG"),
    "PNG, 16 bits": _raster(16, format="PNG"),
    "JPEG": _raster(8, tolerance=_LOST, format="JPEG", quality=100),
    "JPEG 2000, 16 bits": _raster(16, format="JPEG2000"),
    "TIFF, 16 bits": _raster(16, format="TIFF"),
    "WebP": _raster(8, format="WEBP", lossless=True),
    "BMP": _raster(8, format="BMP"),
}
"""All supported ways, by a name for people."""


def decoders(_: Setup) -> Iterator[Observation]:
    """Check for every way whether the pixels that are read are those that were stored."""
    with tempfile.TemporaryDirectory(prefix="cxrbatch-doctor-") as scratch:
        for name, way in WAYS.items():
            yield _observe(name, way, Path(scratch) / "picture")


def readers(setup: Setup) -> Iterator[Observation]:
    """Check whether worker processes start and return images."""
    n_workers = setup.options.engine.n_workers or default_workers()
    with tempfile.TemporaryDirectory(prefix="cxrbatch-doctor-") as scratch:
        path = Path(scratch) / "picture.png"
        Image.fromarray(np.full((256, 256), 128, np.uint8)).save(path)
        yield _read_by_all(classify(path, path.name), n_workers)


def _read_by_all(ref: ImageRef | Failure, n_workers: int) -> Observation:
    try:
        with WorkerPool(PrepareOptions(spec=PreprocessSpec()), n_workers, WORK_BYTES) as pool:
            results = (
                [result for _, result in pool.prepare([ref] * n_workers)] if isinstance(ref, ImageRef) else []
            )
    except WorkersFailed as failed:
        return problem("readers", str(failed), "install cxrbatch again; is there memory left?")
    if results and not any(isinstance(result, Failure) for result in results):
        return ok("readers", f"{n_workers} processes")
    return problem("readers", "a reader process read no image", "try --workers 1, or report this")


def make_image(bits: int) -> Stored:
    """Make an image of blocks of 8 × 8 pixels, with grey values evenly spaced from 0 to the highest.

    Returns
    -------
    ndarray of uint8 or uint16, shape (32, 32)
        uint8 if `bits` is 8; values 0 to 2**bits − 1.
    """
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX] // 8
    highest = 2**bits - 1
    grey = (4 * x + y) * highest // 15
    return grey.astype(np.uint8 if bits == 8 else np.uint16)


def largest_difference(path: Path, expected: Stored) -> int:
    """Read an image as a run does, and return its largest difference from the stored grey values.

    Parameters
    ----------
    path : Path
    expected : ndarray of uint8 or uint16
        Values that were stored.

    Raises
    ------
    Refusal
        The image cannot be read.
    """
    pixels = decode_image(path).pixels
    came_out = np.rint(pixels * expected.max()).astype(np.int64)
    return int(np.abs(came_out - expected).max())


def _observe(name: str, way: Way, path: Path) -> Observation:
    stored = make_image(way.bits)
    try:
        way.write(path, stored)
    except Exception as error:
        return warning("decoder", f"{name}: no image to try it on ({type(error).__name__})", _INSTALL)
    try:
        difference = largest_difference(path, stored)
    except Refusal as refusal:
        return problem("decoder", f"{name}: {refusal.detail}", _INSTALL)
    if difference > way.tolerance:
        return problem("decoder", f"{name}: grey values are wrong by up to {difference}", _INSTALL)
    return ok("decoder", f"{name}: {f'within {way.tolerance}' if way.tolerance else 'exact'}")


def _write_dicom(path: Path, stored: Stored, syntax: uid.UID, pixel_data: bytes, *, bits: int) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid.generate_uid(entropy_srcs=["cxrbatch doctor"])
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)

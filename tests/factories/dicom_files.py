"""Making DICOM files in every transfer syntax that is read, from stored values."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

Stored = NDArray[np.integer[Any]]


def _rle(stored: Stored) -> bytes:
    """PS3.5 annex G by hand: literal runs of the byte planes, most significant first."""
    big_endian = stored.astype(stored.dtype.newbyteorder(">"))
    planes = big_endian.view(np.uint8).reshape(-1, stored.dtype.itemsize).T
    segments = [_literal_runs(plane.tobytes()) for plane in planes]
    starts = 64 + np.concatenate([[0], np.cumsum([len(segment) for segment in segments])[:-1]])
    header = np.zeros(16, "<u4")
    header[0] = len(segments)
    header[1 : 1 + len(segments)] = starts
    return header.tobytes() + b"".join(segments)


def _literal_runs(data: bytes) -> bytes:
    runs = b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))
    return runs + b"\x80" * (len(runs) % 2)


def _htj2k(stored: Stored, bits: int) -> bytes:
    """Of this precision, which the encoder cannot be told: the header is changed, and the level shift with it.

    Signed values have no level shift (ISO/IEC 15444-1 G.1): they are coded like unsigned ones with the middle added.
    """
    is_signed = stored.dtype.kind == "i"
    container = stored.dtype.itemsize * 8
    shift = (1 << (container - 1)) - (0 if is_signed else 1 << (bits - 1))
    moved = (stored.astype(np.int64) + shift).astype(f"u{stored.dtype.itemsize}")
    codestream = bytearray(imagecodecs.htj2k_encode(moved))
    codestream[codestream.index(b"\xff\x51") + 40] = bits - 1 | is_signed << 7
    return bytes(codestream)


def _unsigned(stored: Stored) -> Stored:
    return stored.view(f"u{stored.dtype.itemsize}")


Encoder = Callable[[Stored, int], bytes | bytearray]
ENCODERS: dict[uid.UID, Encoder] = {
    uid.RLELossless: lambda a, _: _rle(a),
    uid.JPEGLossless: lambda a, bits: imagecodecs.ljpeg_encode(_unsigned(a), bitspersample=bits),
    uid.JPEGLosslessSV1: lambda a, bits: imagecodecs.jpeg8_encode(
        _unsigned(a), lossless=True, bitspersample=bits
    ),
    uid.JPEGLSLossless: lambda a, _: imagecodecs.jpegls_encode(_unsigned(a), out=2 * a.nbytes + 1024),
    uid.JPEG2000Lossless: lambda a, bits: imagecodecs.jpeg2k_encode(
        a, codecformat="j2k", level=0, reversible=True, bitspersample=bits
    ),
    uid.HTJ2KLossless: _htj2k,
    uid.JPEGBaseline8Bit: lambda a, _: imagecodecs.jpeg8_encode(a, level=95),
    uid.JPEGExtended12Bit: lambda a, _: imagecodecs.jpeg8_encode(a, level=98, bitspersample=12),
    uid.JPEGLSNearLossless: lambda a, _: imagecodecs.jpegls_encode(_unsigned(a), level=2),
    uid.JPEG2000: lambda a, bits: imagecodecs.jpeg2k_encode(
        a, codecformat="j2k", level=60, bitspersample=bits
    ),
}
NATIVE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
)
LOSSLESS = (*NATIVE, *(syntax for syntax in list(ENCODERS)[:6]))
LOSSY = tuple(list(ENCODERS)[6:])


def radiograph_header() -> Dataset:
    """A plain adult frontal chest radiograph, without pixels."""
    dataset = Dataset()
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid.generate_uid(entropy_srcs=["cxrbatch test"])
    dataset.StudyInstanceUID = uid.generate_uid(entropy_srcs=["cxrbatch test study"])
    dataset.PatientID = "TEST-1"
    dataset.PatientAge = "045Y"
    dataset.StudyDate = "20200401"
    dataset.AccessionNumber = "A1"
    dataset.Modality = "DX"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    return dataset


def write_dicom(
    path: Path,
    stored: Stored,
    *,
    syntax: str = uid.ExplicitVRLittleEndian,
    bits_stored: int | None = None,
    photometric: str = "MONOCHROME2",
    **elements: Any,
) -> Path:
    """Write stored values as one DICOM instance.

    Parameters
    ----------
    stored : ndarray of (u)int8 or (u)int16, shape (rows, columns) or (rows, columns, 3)
    elements
        DICOM keywords and values to set; a data element is written as it is, None deletes one.
    """
    header = radiograph_header()
    container = stored.dtype.itemsize * 8
    header.Rows, header.Columns = stored.shape[:2]
    header.SamplesPerPixel = stored.shape[2] if stored.ndim == 3 else 1
    if stored.ndim == 3:
        header.PlanarConfiguration = 0
    header.PhotometricInterpretation = photometric
    header.BitsAllocated = container
    header.BitsStored = bits_stored or container
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(stored.dtype.kind == "i")
    _set_pixels(header, stored, uid.UID(syntax))
    for keyword, value in elements.items():
        if value is None:
            delattr(header, keyword)
        elif isinstance(value, DataElement):
            header[value.tag] = value
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                setattr(header, keyword, value)
    _save(path, header, uid.UID(syntax))
    return path


def _set_pixels(header: Dataset, stored: Stored, syntax: uid.UID) -> None:
    if syntax in ENCODERS:
        header.PixelData = encapsulate([bytes(ENCODERS[syntax](stored, header.BitsStored))])
        header["PixelData"].VR = "OB"
        return
    order: Literal[">", "<"] = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    data = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    header.PixelData = data + b"\0" * (len(data) % 2)
    header["PixelData"].VR = "OW" if stored.dtype.itemsize == 2 else "OB"


def _save(path: Path, header: Dataset, syntax: uid.UID) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.get("SOPClassUID", "1.2.3")
    meta.MediaStorageSOPInstanceUID = header.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = syntax
    header.file_meta = meta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some headers are wrong on purpose
        header.save_as(path, enforce_file_format=True)

"""Write ``night/``, one night of invented studies as a PACS export drops them, and ``MANIFEST.csv``.

``python sample_data/generate.py`` makes the same bytes on every run with the same versions of its libraries.
With other versions the pictures stay the same up to rounding, where compressed bytes may not.
"""

import csv
import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from phantom import Extent, Picture, View, ct_slice, lateral, radiograph
from PIL import ExifTags, Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders import RLELosslessEncoder

HERE = Path(__file__).parent
NIGHT = HERE / "night"
MANIFEST = HERE / "MANIFEST.csv"
COLUMNS = ("file", "shows", "expected_status", "expected_reason", "patient_id", "sha256")

_ROWS, _COLS = 384, 320
_UID_ROOT = "1.2.826.0.1.3680043.8.498."  # pydicom's, free for use with its generate_uid
_README = "Invented radiographs, drawn by a program. They show nobody, and nobody took them.\n"

_LARGE: dict[str, Any] = {"rows": 640, "columns": 540}

Elements = dict[str, Any]
_CR: Elements = {"SOPClassUID": uid.ComputedRadiographyImageStorage, "Modality": "CR"}
_SECOND: Elements = {"InstanceNumber": 2}
_AP: Elements = {"ViewPosition": "AP"}
_LATERAL: Elements = {"InstanceNumber": 2, "ViewPosition": "LL", "PatientOrientation": ["P", "F"]}
_MONOCHROME1: Elements = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
_RESCALED: Elements = {
    "RescaleSlope": "0.25",
    "RescaleIntercept": "-200",
    "WindowCenter": "320",
    "WindowWidth": "960",
}
_LOSSY: Elements = {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_10918_1"}
_CHILD: Elements = {"PatientAge": "007Y", "PatientBirthDate": "20190315"}
_HTML: Elements = {"PatientName": "<script>alert(1)</script>", "PatientID": "<b>7</b>"}
_RAW: Elements = {
    "SOPClassUID": uid.DigitalXRayImageStorageForProcessing,
    "PresentationIntentType": "FOR PROCESSING",
    "PresentationLUTShape": None,
}
_CT: Elements = {
    "SOPClassUID": uid.CTImageStorage,
    "Modality": "CT",
    "PresentationIntentType": None,
    "PresentationLUTShape": None,
    "ViewPosition": None,
    "RescaleIntercept": "-1024",
    "RescaleType": "HU",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of the night.

    Attributes
    ----------
    file : str
        Path below ``night/`` with ``/`` between its parts.
    shows : str
        What a person should know about it.
    make : callable
        Returns the bytes of the file.
    status, reason : str
        ``scored``, ``not_scored`` or ``skipped``, and the code of `cxrbatch.reasons.Reason` unless scored.
    patient_id : str
        As in its header, empty where it has none.
    """

    file: str
    shows: str
    make: Callable[[], bytes]
    status: str = "scored"
    reason: str = ""
    patient_id: str = ""


def grey(picture: Picture, bits: int) -> NDArray[np.uint16]:
    """Quantise 0 to 1 to unsigned integers of this many bits."""
    return np.asarray(np.rint(picture * (2**bits - 1)), np.uint16)


def part10(dataset: Dataset) -> bytes:
    """Bytes of a DICOM file (PS3.10 7.1)."""
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def without_preamble(dataset: Dataset) -> bytes:
    """Only the data set in Implicit VR Little Endian, as before DICOM had a file format."""
    stream = io.BytesIO()
    bare = Dataset()
    bare.update(dataset)
    dcmwrite(stream, bare, implicit_vr=True, little_endian=True)
    return stream.getvalue()


def instance(number: int, picture: Picture, syntax: uid.UID, bits: int = 12, **elements: Any) -> Dataset:
    """Make one invented DICOM instance.

    Parameters
    ----------
    number : int
        Of the study and of its patient, ``SAMPLE-<number>``.
    picture : ndarray of float32, shape (rows, columns)
        0 to 1, bone white.
    syntax : UID
        Transfer syntax.
    bits : int
        BitsStored; more than 8 are stored in 16.
    **elements
        DICOM keywords with values that replace the usual ones; None removes one.
    """
    dataset = Dataset()
    image = elements.get("InstanceNumber", 1)
    for part in (_patient(number), _study(number, image), _image(number, image)):
        dataset.update(part)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    for keyword in [keyword for keyword, value in elements.items() if value is None]:
        delattr(dataset, keyword)
    stored = grey(picture, bits)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = (2**bits - 1) - stored
    dataset.file_meta = _file_meta(dataset, syntax)
    _put_pixels(dataset, stored, bits, syntax)
    return dataset


def _patient(number: int) -> Dataset:
    dataset = Dataset()
    dataset.PatientName = f"Sample^Phantom {number:03}"
    dataset.PatientID = f"SAMPLE-{number:03}"
    dataset.PatientBirthDate = f"{1941 + number}0{1 + number % 9}15"
    dataset.PatientSex = "FM"[number % 2]
    dataset.PatientAge = f"{85 - number:03}Y"
    return dataset


def _study(number: int, image: int) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StudyInstanceUID = _uid("study", number)
    dataset.SeriesInstanceUID = _uid("series", number)
    dataset.StudyID = str(number)
    dataset.SeriesNumber = 1
    dataset.AccessionNumber = f"ACC{number:05}"
    dataset.StudyDate = dataset.AcquisitionDate = dataset.ContentDate = "20261121"
    dataset.StudyTime = dataset.AcquisitionTime = dataset.ContentTime = f"{number % 24:02}{7 * image:02}00"
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer = "cxrbatch phantom"
    dataset.InstitutionName = "Sample Hospital (invented)"
    return dataset


def _image(number: int, image: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = _uid("image", number, image)
    dataset.InstanceNumber = image
    dataset.Modality = "DX"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    dataset.PatientOrientation = ["L", "F"]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    return dataset


def _file_meta(dataset: Dataset, syntax: uid.UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    # Not pydicom's, which would change with its version.
    meta.ImplementationClassUID = _uid("implementation")
    meta.ImplementationVersionName = "CXRBATCH_SAMPLE"
    return meta


def _put_pixels(dataset: Dataset, stored: NDArray[np.uint16], bits: int, syntax: uid.UID) -> None:
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    samples = stored.astype(np.uint8) if bits == 8 else stored
    if syntax in _ENCODERS:
        dataset.PixelData = encapsulate([_ENCODERS[syntax](samples, bits)])
        dataset["PixelData"].is_undefined_length = True
    elif syntax == uid.ExplicitVRBigEndian:
        dataset.PixelData = samples.astype(">u2").tobytes()
    else:
        dataset.PixelData = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 or syntax in _ENCODERS else "OW"


def _rle(samples: NDArray[np.unsignedinteger], bits: int) -> bytes:
    rows, columns = samples.shape
    return bytes(
        RLELosslessEncoder.encode(
            samples,
            encoding_plugin="pydicom",
            rows=rows,
            columns=columns,
            samples_per_pixel=1,
            bits_allocated=16,
            bits_stored=bits,
            pixel_representation=0,
            number_of_frames=1,
            photometric_interpretation="MONOCHROME2",
        )
    )


def _jpeg(samples: NDArray[np.unsignedinteger], _bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(samples, level=92))


def _jpeg_lossless(samples: NDArray[np.unsignedinteger], bits: int) -> bytes:
    return bytes(imagecodecs.ljpeg_encode(samples, bitspersample=bits))


def _jpeg_ls(samples: NDArray[np.unsignedinteger], _bits: int) -> bytes:
    stream = bytes(imagecodecs.jpegls_encode(samples))
    # Devices write no SPIFF header (ISO/IEC 14495-1 Annex D): leave out what is between SOI and SOF55.
    return stream[:2] + stream[stream.index(b"\xff\xf7") :]


def _jpeg_2000(samples: NDArray[np.unsignedinteger], bits: int) -> bytes:
    options: dict[str, Any] = {"level": 0, "reversible": True, "codecformat": "j2k", "bitspersample": bits}
    return bytes(imagecodecs.jpeg2k_encode(samples, **options))


_ENCODERS: dict[uid.UID, Callable[[NDArray[np.unsignedinteger], int], bytes]] = {
    uid.RLELossless: _rle,
    uid.JPEGBaseline8Bit: _jpeg,
    uid.JPEGLosslessSV1: _jpeg_lossless,
    uid.JPEGLSLossless: _jpeg_ls,
    uid.JPEG2000Lossless: _jpeg_2000,
}


def _uid(*names: object) -> str:
    return str(uid.generate_uid(prefix=_UID_ROOT, entropy_srcs=["cxrbatch sample", *map(str, names)]))


def film(
    seed: int, extent: Extent | None = None, view: View = "PA", rows: int = _ROWS, columns: int = _COLS
) -> Picture:
    """`phantom.radiograph` at the usual size of the night, with ground glass of an extent or with clear lungs."""
    if extent is None:
        return radiograph(rows, columns, seed=seed, view=view)
    return radiograph(rows, columns, seed=seed, opacities="peripheral", extent=extent, view=view)


def _ct(number: int) -> Dataset:
    hounsfield = ct_slice(256, 256, seed=number) * 1600 - 1000
    stored = ((hounsfield + 1024) / 4095).astype(np.float32)
    return instance(number, stored, uid.RLELossless, **_CT)


def _dicomdir() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = uid.MediaStorageDirectoryStorage
    dataset.SOPInstanceUID = _uid("dicomdir")
    dataset.file_meta = _file_meta(dataset, uid.ExplicitVRLittleEndian)
    del dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.FileSetID = "SAMPLE"
    dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.FileSetConsistencyFlag = 0
    dataset.DirectoryRecordSequence = []
    return dataset


def png(image: Image.Image) -> bytes:
    """Bytes of a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _eight_bit(seed: int, extent: Extent | None = None, **size: Any) -> Image.Image:
    return Image.fromarray(grey(film(seed, extent, **size), 8).astype(np.uint8))


def _palette(image: Image.Image) -> Image.Image:
    indexed = Image.fromarray(255 - np.asarray(image)).convert("P")
    indexed.putpalette([255 - index for index in range(256) for _ in "RGB"])
    return indexed


def _sideways_jpeg(image: Image.Image) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", quality=92, exif=exif)
    return stream.getvalue()


_NIGHT = (
    Sample(
        "emergency/SAMPLE-001/IM0001.dcm",
        "12 bit, Explicit VR Little Endian; severe ground glass",
        lambda: part10(instance(1, film(1, "severe"), uid.ExplicitVRLittleEndian)),
        patient_id="SAMPLE-001",
    ),
    Sample(
        "emergency/SAMPLE-002/IM0001.dcm",
        "16 bit, Implicit VR Little Endian, CR; clear lungs",
        lambda: part10(instance(2, film(2), uid.ImplicitVRLittleEndian, 16, **_CR)),
        patient_id="SAMPLE-002",
    ),
    Sample(
        "emergency/SAMPLE-003/IM0001.dcm",
        "12 bit, Deflated Explicit VR Little Endian; moderate ground glass",
        lambda: part10(instance(3, film(31, "moderate"), uid.DeflatedExplicitVRLittleEndian)),
        patient_id="SAMPLE-003",
    ),
    Sample(
        "emergency/SAMPLE-004/IM0001.dcm",
        "12 bit, RLE Lossless; moderate ground glass, AP",
        lambda: part10(instance(4, film(30, "moderate", "AP"), uid.RLELossless, **_AP)),
        patient_id="SAMPLE-004",
    ),
    Sample(
        "emergency/SAMPLE-005/IM0001.dcm",
        "8 bit, JPEG Baseline (lossy), CR; clear lungs",
        lambda: part10(instance(5, film(5, **_LARGE), uid.JPEGBaseline8Bit, 8, **_CR, **_LOSSY)),
        patient_id="SAMPLE-005",
    ),
    Sample(
        "radiology/20261121/ACC00006/1.dcm",
        "12 bit, JPEG Lossless SV1; moderate ground glass",
        lambda: part10(instance(6, film(6, "moderate"), uid.JPEGLosslessSV1)),
        patient_id="SAMPLE-006",
    ),
    Sample(
        "radiology/20261121/ACC00007/1.dcm",
        "16 bit, JPEG-LS Lossless; clear lungs",
        lambda: part10(instance(7, film(7), uid.JPEGLSLossless, 16)),
        patient_id="SAMPLE-007",
    ),
    Sample(
        "radiology/20261121/ACC00008/1.dcm",
        "12 bit, JPEG 2000 Lossless, wider than high; severe ground glass",
        lambda: part10(instance(8, film(8, "severe", rows=420, columns=512), uid.JPEG2000Lossless)),
        patient_id="SAMPLE-008",
    ),
    Sample(
        "radiology/20261121/ACC00009/1.dcm",
        "12 bit, Explicit VR Big Endian (retired); clear lungs",
        lambda: part10(instance(9, film(9), uid.ExplicitVRBigEndian)),
        patient_id="SAMPLE-009",
    ),
    Sample(
        "radiology/20261121/ACC00010/1.dcm",
        "12 bit, JPEG Lossless SV1, MONOCHROME1 with PresentationLUTShape INVERSE; clear lungs",
        lambda: part10(instance(10, film(10), uid.JPEGLosslessSV1, **_MONOCHROME1)),
        patient_id="SAMPLE-010",
    ),
    Sample(
        "radiology/20261121/ACC00011/1.dcm",
        "12 bit, JPEG 2000 Lossless, with RescaleSlope, RescaleIntercept and a window; severe ground glass",
        lambda: part10(instance(11, film(11, "severe"), uid.JPEG2000Lossless, **_RESCALED)),
        patient_id="SAMPLE-011",
    ),
    Sample(
        "radiology/20261121/ACC00012/1.dcm",
        "12 bit, JPEG 2000 Lossless, PA of a study of two views; clear lungs",
        lambda: part10(instance(12, film(12), uid.JPEG2000Lossless)),
        patient_id="SAMPLE-012",
    ),
    Sample(
        "radiology/20261121/ACC00012/2.dcm",
        "12 bit, JPEG 2000 Lossless, lateral (ViewPosition LL) of the same study",
        lambda: part10(instance(12, lateral(_ROWS, _COLS, seed=12), uid.JPEG2000Lossless, **_LATERAL)),
        "not_scored",
        "lateral_view",
        "SAMPLE-012",
    ),
    Sample(
        "radiology/20261121/ACC00013/1.dcm",
        "12 bit, JPEG Lossless SV1, first of two images of one patient; clear lungs",
        lambda: part10(instance(13, film(13), uid.JPEGLosslessSV1)),
        patient_id="SAMPLE-013",
    ),
    Sample(
        "radiology/20261121/ACC00013/2.dcm",
        "12 bit, JPEG Lossless SV1, second image of the patient, AP; severe ground glass",
        lambda: part10(instance(13, film(13, "severe", "AP"), uid.JPEGLosslessSV1, **_SECOND, **_AP)),
        patient_id="SAMPLE-013",
    ),
    Sample(
        "salle de réanimation/SAMPLE-014/IM0001.dcm",
        "a child of seven (PatientAge 007Y)",
        lambda: part10(instance(14, film(14), uid.JPEG2000Lossless, **_CHILD)),
        "not_scored",
        "paediatric",
        "SAMPLE-014",
    ),
    Sample(
        "salle de réanimation/SAMPLE-015/IM0001.dcm",
        "12 bit, Explicit VR Little Endian, cut off in the middle of its pixels",
        lambda: part10(instance(15, film(15), uid.ExplicitVRLittleEndian))[:120_000],
        "not_scored",
        "truncated",
        "SAMPLE-015",
    ),
    Sample(
        "salle de réanimation/SAMPLE-019/CT0001.dcm",
        "an axial CT slice",
        lambda: part10(_ct(19)),
        "not_scored",
        "wrong_modality",
        "SAMPLE-019",
    ),
    Sample(
        "salle de réanimation/SAMPLE-020/IM0001.dcm",
        "raw detector data (FOR PROCESSING)",
        lambda: part10(instance(20, 1 - film(20), uid.JPEG2000Lossless, **_RAW)),
        "not_scored",
        "for_processing",
        "SAMPLE-020",
    ),
    Sample(
        "salle de réanimation/SAMPLE-021.png",
        "a line of text whose name ends in .png",
        lambda: b"The radiograph of SAMPLE-021 is still on the portable unit.\n",
        "not_scored",
        "not_an_image",
    ),
    Sample(
        "salle de réanimation/SAMPLE-016/IM0001.dcm",
        "PatientName and PatientID are HTML tags; clear lungs",
        lambda: part10(instance(16, film(28), uid.JPEG2000Lossless, **_HTML)),
        patient_id="<b>7</b>",
    ),
    Sample(
        "portable/00000017",
        "12 bit, JPEG Lossless SV1, name without suffix, AP; clear lungs",
        lambda: part10(instance(17, film(17, view="AP"), uid.JPEGLosslessSV1, **_AP)),
        patient_id="SAMPLE-017",
    ),
    Sample(
        "portable/00000018",
        "12 bit, Implicit VR Little Endian without preamble and meta information, CR; moderate ground glass",
        lambda: without_preamble(instance(18, film(18, "moderate"), uid.ImplicitVRLittleEndian, **_CR)),
        patient_id="SAMPLE-018",
    ),
    Sample(
        "portable/00000022",
        "no PatientID; clear lungs",
        lambda: part10(instance(22, film(22), uid.JPEG2000Lossless, PatientID=None)),
    ),
    Sample(
        "zz resent/IM0001.dcm",
        "byte for byte the file of SAMPLE-001, sent twice",
        lambda: part10(instance(1, film(1, "severe"), uid.ExplicitVRLittleEndian)),
        "not_scored",
        "duplicate",
        "SAMPLE-001",
    ),
    Sample("pictures/SAMPLE-023.png", "PNG, 8 bit; clear lungs", lambda: png(_eight_bit(23))),
    Sample(
        "pictures/SAMPLE-024.png",
        "PNG, 16 bit; severe ground glass",
        lambda: png(Image.fromarray(grey(film(24, "severe"), 16))),
    ),
    Sample(
        "pictures/SAMPLE-025.png",
        "PNG with a palette in which index 0 is white; moderate ground glass",
        lambda: png(_palette(_eight_bit(25, "moderate"))),
    ),
    Sample(
        "pictures/SAMPLE-026.jpg",
        "JPEG (lossy) lying on its side, EXIF orientation 6; moderate ground glass",
        lambda: _sideways_jpeg(_eight_bit(26, "moderate", **_LARGE)),
    ),
    Sample("DICOMDIR", "directory of a DICOM medium", lambda: part10(_dicomdir()), "skipped", "not_an_image"),
    Sample("README.txt", "a text file", _README.encode, "skipped", "not_an_image"),
)


def samples() -> list[Sample]:
    """All files of the night, in the order of their paths."""
    return sorted(_NIGHT, key=lambda sample: [part.encode() for part in sample.file.split("/")])


def write(night: Path = NIGHT, manifest: Path = MANIFEST) -> None:
    """Replace `night` and `manifest` by freshly drawn ones."""
    shutil.rmtree(night, ignore_errors=True)
    rows = [_write_sample(night, sample) for sample in samples()]
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])


def _write_sample(night: Path, sample: Sample) -> tuple[str, ...]:
    content = sample.make()
    path = night / sample.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return sample.file, sample.shows, sample.status, sample.reason, sample.patient_id, digest


if __name__ == "__main__":
    write()

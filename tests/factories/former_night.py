"""A night of files whose patients commit 9847cd3 read otherwise, made of one file of the sample night."""

import io
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

STATED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain.dcm": (b"12", {}),
    "backslash-a.dcm": (b"12\\34", {}),
    "backslash-b.dcm": (b"12\\56", {}),
    "issuer.dcm": (b"77", {"universal": "1.2.40.1"}),
    "latin-a.dcm": (b"M\xd6LLER", {}),
    "latin-b.dcm": (b"M\xdcLLER", {}),
    "anonymous-a.dcm": (b"ANONYMOUS", {}),
    "anonymous-b.dcm": (b"ANONYMOUS", {}),
    "other.dcm": (b"OTHER1", {}),
    "gone.dcm": (b"88", {"universal": "1.2.40.1"}),
}
"""PatientID and more of each file. All declare UTF-8."""


def write_former_night(folder: Path, source: Path) -> Path:
    """Write the files; each is a study of its own, with the pixels of `source`."""
    folder.mkdir()
    for name, (patient_id, more) in STATED.items():
        (folder / name).write_bytes(_file(name, patient_id, source, **more))
    return folder


def _file(name: str, patient_id: bytes, source: Path, universal: str = "") -> bytes:
    dataset = pydicom.dcmread(source)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[name, "study"])
    dataset.AccessionNumber = name.removesuffix(".dcm").upper()
    even = patient_id + b" " * (len(patient_id) % 2)
    dataset.PatientID = "@" * len(even)  # replaced below: pydicom would write other bytes
    if universal:
        item = Dataset()
        item.UniversalEntityID, item.UniversalEntityIDType = universal, "ISO"
        dataset.IssuerOfPatientIDQualifiersSequence = [item]
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue().replace(b"@" * len(even), even, 1)

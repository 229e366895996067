"""Find the patient of a DICOM radiograph: dataset in, `Patient` out. Patients are never merged by guessing.

Issuer and PatientID identify a patient (PS3.3 C.7.1.1, table 10-18). Where PatientID is missing, or a placeholder
that stands for many patients, it is the study, else the file.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.identifiers import identifier, raw_bytes
from cxrbatch.reasons import Flag
from cxrbatch.records import PatientKey, dicom_key
from cxrbatch.terms import is_placeholder

_QUALIFIERS = "IssuerOfPatientIDQualifiersSequence"
_OF_THE_ISSUER = ("UniversalEntityID", "UniversalEntityIDType", "IdentifierTypeCode")
_CODED = ("AssigningJurisdictionCodeSequence", "AssigningAgencyOrDepartmentCodeSequence")
"""The assigning facility is left out: it is "not an inherent part of the identifier" (PS3.3 table 10-18)."""
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""First bytes of a sequence: the tag of an item, in both byte orders (PS3.5 7.5)."""
_CODE = ("CodingSchemeDesignator", "CodeValue", "LongCodeValue", "URNCodeValue")


@dataclass(frozen=True, slots=True)
class Patient:
    """Patient of an image.

    Attributes
    ----------
    key : PatientKey
    patient_id, issuer : str
        For the report: as in the header; the study or the file where there is no PatientID.
    """

    key: PatientKey
    patient_id: str
    issuer: str


def read_patient(dataset: Dataset, name: str) -> Patient:
    """Find the patient by issuer and PatientID, else by study, else by file.

    Parameters
    ----------
    dataset : Dataset
    name : str
        Relative path of the file.
    """
    stated = identifier(dataset, "PatientID")
    local, qualifiers = identifier(dataset, "IssuerOfPatientID"), _qualifiers(dataset)
    issuer = _issuer_text(local, dict(qualifiers))
    if not is_placeholder(stated):
        return Patient(dicom_key(stated, local, qualifiers), stated, issuer)
    study = identifier(dataset, "StudyInstanceUID")
    key = ("file", name) if is_placeholder(study) else ("study", study)
    return Patient(key, stated or key[1], issuer)


def patient_flag(dataset: Dataset) -> Flag | None:
    """Say why PatientID does not identify the patient; None where it does."""
    stated = identifier(dataset, "PatientID")
    if not is_placeholder(stated):
        return None
    return Flag.PLACEHOLDER_PATIENT_ID if stated else Flag.NO_PATIENT_ID


def _issuer_text(local: str, qualifiers: dict[str, str]) -> str:
    """Write the issuer as HL7 does where it is stated twice: ``namespace&universal ID&type`` (CX.4)."""
    universal = qualifiers.get("UniversalEntityID", "")
    if not (local and universal):
        return local or universal
    return "&".join(part for part in (local, universal, qualifiers.get("UniversalEntityIDType")) if part)


def _qualifiers(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Read what qualifies the issuer, as pairs of keyword and value; empty values are left out."""
    raw = raw_bytes(dataset, _QUALIFIERS)
    items = el.items(dataset, _QUALIFIERS)
    if raw and not (items and raw.startswith(_ITEMS)):
        return ((_QUALIFIERS, hashlib.sha256(raw).hexdigest()),)  # cannot be parsed, but distinguishes
    pairs: list[tuple[str, str]] = []
    for number, item in enumerate(items):  # only one is permitted
        start = f"{number}." if number else ""
        pairs += ((start + keyword, value) for keyword, value in _of_item(item, dataset) if value)
    return tuple(pairs)


def _of_item(item: Dataset, dataset: Dataset) -> Iterator[tuple[str, str]]:
    for keyword in _OF_THE_ISSUER:
        yield keyword, identifier(item, keyword, dataset)
    for sequence in _CODED:
        for number, code in enumerate(el.items(item, sequence)):
            for keyword in _CODE:
                yield f"{sequence}.{number}.{keyword}", identifier(code, keyword, dataset)

"""Key of a patient: what identifies a patient in, a tuple of texts out. Equal tuples are one patient.

``("dicom", issuer, PatientID, qualifier, …)``, where a qualifier is ``keyword=value``; ``("study", UID)``;
``("file", name)`` or ``("file", name, hash of the content)``; ``("named", text in the path)``.
"""

from collections.abc import Iterable

PatientKey = tuple[str, ...]
"""Starts with the kind of identifier (``dicom``, ``study``, ``file``, …), so that no two kinds collide."""

_UNIVERSAL = "UniversalEntityID="


def dicom_key(patient_id: str, issuer: str = "", qualifiers: Iterable[tuple[str, str]] = ()) -> PatientKey:
    """Make the key of a patient who has a PatientID.

    Parameters
    ----------
    patient_id, issuer : str
        PatientID and IssuerOfPatientID (PS3.3 C.7.1.1).
    qualifiers : iterable of (keyword, value)
        What else identifies the issuer (PS3.3 table 10-18).
    """
    return "dicom", issuer, patient_id, *(f"{keyword}={value}" for keyword, value in qualifiers)


def sortable(key: PatientKey) -> str:
    """Write a key as one text: texts sort as the keys do, and one text takes less memory than a tuple of several."""
    return "".join(part.replace("\0", "\0\1") + "\0\0" for part in key)


def has_patient_id(key: PatientKey, patient_id: str) -> bool:
    """Check whether a text identifies this patient: PatientID, or the study, file or name that stands in for it."""
    return key[2] == patient_id if key[0] == "dicom" else key[1] == patient_id


def has_issuer(key: PatientKey, issuer: str) -> bool:
    """Check whether a text is the IssuerOfPatientID or the UniversalEntityID of the issuer of this patient."""
    return key[0] == "dicom" and (key[1] == issuer or _UNIVERSAL + issuer in key[3:])

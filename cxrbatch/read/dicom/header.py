"""Read the header of a DICOM radiograph: dataset in, `ImageHeader` out, without name and birth date."""

import hashlib
import re

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.dates import age_on, parse_date
from cxrbatch.records import ImageHeader, PatientKey

_FRONTAL_WORD = re.compile(
    r"\b(pa|ap|p\.a\.|a\.p\.|frontal|postero-?anterior|antero-?posterior)\b", re.IGNORECASE
)
_LATERAL_WORD = re.compile(r"\b(lat|lateral|oblique|ll|rl)\b", re.IGNORECASE)
_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
_STUDY_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_DATES_FOR_AGE = (*_STUDY_DATES, "AcquisitionDateTime")


def read_header(dataset: Dataset, name: str) -> ImageHeader:
    """Collect the values that the gate and the report need.

    Parameters
    ----------
    dataset : Dataset
    name : str
        Relative path; it identifies the patient where the header does not.
    """
    patient_key, patient_id = _patient(dataset, name)
    studied = next((found for keyword in _STUDY_DATES if (found := el.date(dataset, keyword))), None)
    return ImageHeader(
        patient_key=patient_key,
        patient_id=patient_id,
        issuer_of_patient_id=el.text(dataset, "IssuerOfPatientID"),
        accession_number=el.text(dataset, "AccessionNumber"),
        study_date=studied.isoformat() if studied else "",
        study_instance_uid=el.text(dataset, "StudyInstanceUID"),
        sop_instance_uid=el.text(dataset, "SOPInstanceUID"),
        modality=el.text(dataset, "Modality").upper(),
        body_part=_body_part(dataset),
        view_position=_view_position(dataset),
        age_years=_age_years(dataset),
        for_processing=_is_for_processing(dataset),
        n_frames=el.integer(dataset, "NumberOfFrames", 1),
        rows=el.integer(dataset, "Rows", 0),
        columns=el.integer(dataset, "Columns", 0),
        identity_digest=_identity_digest(dataset),
    )


def _patient(dataset: Dataset, name: str) -> tuple[PatientKey, str]:
    if patient_id := el.text(dataset, "PatientID"):
        return ("dicom", el.text(dataset, "IssuerOfPatientID"), patient_id), patient_id
    if study := el.text(dataset, "StudyInstanceUID"):
        return ("study", study), study
    return ("file", name), name


def _age_years(dataset: Dataset) -> float | None:
    """Compute the age at the study: the smaller one by PatientAge and by birth date, so that no child is missed."""
    stated = el.age_years(el.text(dataset, "PatientAge"))
    computed = _age_by_dates(dataset)
    known = [age for age in (stated, computed) if age is not None]
    return min(known) if known else None


def _age_by_dates(dataset: Dataset) -> int | None:
    born = parse_date(el.text(dataset, "PatientBirthDate"))
    dates = (parse_date(el.text(dataset, keyword)) for keyword in _DATES_FOR_AGE)
    studied = next((found for found in dates if found), None)
    return age_on(born, studied) if born and studied else None


def _body_part(dataset: Dataset) -> str:
    if stated := el.text(dataset, "BodyPartExamined"):
        return stated.upper()
    regions = el.items(dataset, "AnatomicRegionSequence")
    return el.text(regions[0], "CodeMeaning").upper() if regions else ""


def _view_position(dataset: Dataset) -> str:
    """Read ViewPosition, else the view's code, else the orientation, else an unambiguous description."""
    if stated := el.text(dataset, "ViewPosition"):
        return stated.upper()
    codes = el.items(dataset, "ViewCodeSequence")
    meaning = el.text(codes[0], "CodeMeaning") if codes else ""
    return _view_in(meaning) or _view_by_orientation(dataset) or _view_in(_description(dataset))


def _description(dataset: Dataset) -> str:
    # Underscores count as letters for \b.
    return " ".join(el.text(dataset, keyword) for keyword in _DESCRIPTIONS).replace("_", " ")


def _view_in(words: str) -> str:
    """Find the view that a text names; empty where it names both, such as ``PA and lateral`` for a whole study."""
    frontal, lateral = _FRONTAL_WORD.search(words), _LATERAL_WORD.search(words)
    if bool(frontal) == bool(lateral):
        return ""
    return "FRONTAL" if frontal else "LATERAL"


def _view_by_orientation(dataset: Dataset) -> str:
    """Derive the view from PatientOrientation: rows from front to back mean a lateral (PS3.3 C.7.6.1.1.1)."""
    directions = el.texts(dataset, "PatientOrientation")
    if len(directions) != 2 or not directions[0]:
        return ""
    return {"L": "FRONTAL", "R": "FRONTAL", "A": "LATERAL", "P": "LATERAL"}.get(directions[0][0].upper(), "")


def _is_for_processing(dataset: Dataset) -> bool:
    intent = el.text(dataset, "PresentationIntentType").upper()
    return (
        intent == "FOR PROCESSING" or el.text(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    )


def _identity_digest(dataset: Dataset) -> str:
    born, sex = el.date(dataset, "PatientBirthDate"), el.text(dataset, "PatientSex").upper()
    if born is None and not sex:
        return ""
    # With two digits, hundreds of birth dates share a digest. A longer one could be searched through in a second.
    return hashlib.sha256(f"{born}|{sex}".encode()).hexdigest()[:2]

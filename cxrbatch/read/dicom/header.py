"""Read the header of a DICOM radiograph: dataset in, `ImageHeader` out, without name and birth date."""

import hashlib

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.dates import age_on, parse_date
from cxrbatch.read.dicom.identifiers import identifier
from cxrbatch.read.dicom.patient import read_patient
from cxrbatch.read.dicom.view import read_view
from cxrbatch.records import ImageHeader
from cxrbatch.terms import HeaderWords, Part, mend, part_of, part_of_code

_STUDY_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_DATES_FOR_AGE = (*_STUDY_DATES, "AcquisitionDateTime")


def read_header(dataset: Dataset, name: str, added: HeaderWords = HeaderWords()) -> ImageHeader:
    """Collect the values that the gate and the report need.

    Parameters
    ----------
    dataset : Dataset
    name : str
        Relative path; it identifies the patient where the header does not.
    added : HeaderWords
        Words of the hospital for body parts and views.
    """
    patient = read_patient(dataset, name)
    view_position, view_conflict = read_view(dataset, added)
    studied = next((found for keyword in _STUDY_DATES if (found := el.date(dataset, keyword))), None)
    return ImageHeader(
        patient_key=patient.key,
        patient_id=patient.patient_id,
        issuer_of_patient_id=patient.issuer,
        accession_number=identifier(dataset, "AccessionNumber"),
        study_date=studied.isoformat() if studied else "",
        study_instance_uid=identifier(dataset, "StudyInstanceUID"),
        sop_instance_uid=identifier(dataset, "SOPInstanceUID"),
        modality=el.text(dataset, "Modality").upper(),
        body_part=_body_part(dataset, added),
        view_position=view_position,
        view_conflict=view_conflict,
        age_years=_age_years(dataset),
        for_processing=_is_for_processing(dataset),
        n_frames=el.integer(dataset, "NumberOfFrames", 1),
        rows=el.integer(dataset, "Rows", 0),
        columns=el.integer(dataset, "Columns", 0),
        identity_digest=_identity_digest(dataset),
    )


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


def _body_part(dataset: Dataset, added: HeaderWords) -> str:
    """Read BodyPartExamined, else the code of the region, else its meaning; empty where none says anything."""
    stated = _capitals(dataset, "BodyPartExamined")
    if part_of(stated, added) is not Part.UNKNOWN:
        return stated
    regions = el.items(dataset, "AnatomicRegionSequence")
    found = (part_of_code(*el.code(regions[0])) or _capitals(regions[0], "CodeMeaning")) if regions else ""
    return "" if part_of(found, added) is Part.UNKNOWN else found


def _capitals(dataset: Dataset, keyword: str) -> str:
    return mend(el.text(dataset, keyword)).upper()


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

"""Read what the page of a report shows on request: reference to a file in, name, birth date, … as text out.

No record of an image holds any of it, so neither state nor tables nor logs can.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from cxrbatch.limits import Limits
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.open import open_dicom
from cxrbatch.records import FileKind, ImageRef, PatientKey

_LONGEST = 200
"""Characters shown of a value; a group of a name has 64 at most (PS3.5 6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHeader:
    """What the page shows of a header on request.

    Attributes
    ----------
    patient_key : PatientKey
        Key of the patient whom the file states now; empty where the format states none.
    values : mapping of str to str
        By the names of `cxrbatch._lib.ranges.SHOWABLE`; empty where nothing is stated.
    """

    patient_key: PatientKey = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_shown(ref: ImageRef, limits: Limits) -> ShownHeader:
    """Read name, birth date, sex, station and time of the study; of other files than DICOM nothing.

    Raises
    ------
    Refusal
        The file is damaged, exceeds the limits, or is no image.
    OSError
        The file cannot be opened.
    """
    if ref.kind is not FileKind.DICOM:
        return ShownHeader()
    opened = open_dicom(ref, limits)
    values = {
        "name": _name(el.text(opened.dataset, "PatientName")),
        "birth-date": _date(opened.dataset, "PatientBirthDate"),
        "sex": el.text(opened.dataset, "PatientSex"),
        "station": el.text(opened.dataset, "StationName"),
        "study-time": _time(el.text(opened.dataset, "StudyTime")),
    }
    return ShownHeader(
        patient_key=opened.header.patient_key,
        values={name: value[:_LONGEST] for name, value in values.items()},
    )


def _name(stated: str) -> str:
    """Write a PN value for people: family name first, further scripts after it (PS3.5 6.2.1)."""
    return " / ".join(filter(None, map(_group, stated.split("="))))


def _group(components: str) -> str:
    family, *others = (part.strip() for part in components.split("^"))
    return ", ".join(filter(None, (family, " ".join(filter(None, others)))))


def _date(dataset: Dataset, keyword: str) -> str:
    found = el.date(dataset, keyword)
    return found.isoformat() if found else el.text(dataset, keyword)


def _time(stated: str) -> str:
    """Write a TM value as hours and minutes; what is none stays as it is (PS3.5 6.2)."""
    try:
        return dt.datetime.strptime(stated.replace(":", "")[:4], "%H%M").strftime("%H:%M")
    except ValueError:
        return stated

"""Records that the stages pass on.

``ImageRef`` → ``CxrImage | Failure`` → ``ModelInput | Failure`` → ``ImageScore`` → ``PatientTriage`` → ``TriageRun``.
All are frozen: a stage makes a new record and never changes the one that it receives.
"""

from cxrbatch.records.capacity import CapacityYield, Expected, Reach
from cxrbatch.records.columns import (
    FILE_COLUMN_MEANING,
    FILE_COLUMNS,
    NUMBER_TYPES,
    PATIENT_COLUMN_MEANING,
    PATIENT_COLUMNS,
)
from cxrbatch.records.images import (
    ADULT_YEARS,
    CxrImage,
    FileKind,
    ImageHeader,
    ImageRef,
    ModelInput,
)
from cxrbatch.records.outcomes import FINDINGS, Failure, FoundFile, ImageScore, Outcome
from cxrbatch.records.patient_key import PatientKey, dicom_key, has_issuer, has_patient_id, sortable
from cxrbatch.records.patients import EarlierEntry, Evidence, PatientImage, PatientTriage, Priority
from cxrbatch.records.places import NOWHERE, ObjectKey, ObjectPrefix, Place, check_outside, place_of
from cxrbatch.records.rows import file_row, header_cells, patient_row
from cxrbatch.records.run import Provenance, TriageRun, table_frame

__all__ = [
    "ADULT_YEARS",
    "FILE_COLUMNS",
    "FILE_COLUMN_MEANING",
    "FINDINGS",
    "NOWHERE",
    "NUMBER_TYPES",
    "PATIENT_COLUMNS",
    "PATIENT_COLUMN_MEANING",
    "CapacityYield",
    "CxrImage",
    "EarlierEntry",
    "Evidence",
    "Expected",
    "Failure",
    "FileKind",
    "FoundFile",
    "ImageHeader",
    "ImageRef",
    "ImageScore",
    "ModelInput",
    "ObjectKey",
    "ObjectPrefix",
    "Outcome",
    "PatientImage",
    "PatientKey",
    "PatientTriage",
    "Place",
    "Priority",
    "Provenance",
    "Reach",
    "TriageRun",
    "check_outside",
    "dicom_key",
    "file_row",
    "has_issuer",
    "has_patient_id",
    "header_cells",
    "patient_row",
    "place_of",
    "sortable",
    "table_frame",
]

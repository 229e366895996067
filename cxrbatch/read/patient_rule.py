"""Derive the patient of a file that is not DICOM from its path: path in, patient key and PatientID out.

These files carry no PatientID, and two patients are never merged by guessing.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from cxrbatch.errors import UsageProblem
from cxrbatch.records import FileKind, ImageHeader, PatientKey

FROM_FILE = "file"
FROM_FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class PatientRule:
    """Rule that derives the patient from the path of a file.

    Attributes
    ----------
    rule : str
        ``file`` (every file is a patient), ``folder`` (the folder it lies in), or a regular expression searched in
        the relative path, whose group named ``patient``, else its first group, is the PatientID.
    """

    rule: str = FROM_FILE

    def __post_init__(self) -> None:
        if self.rule in (FROM_FILE, FROM_FOLDER):
            return
        try:
            pattern = re.compile(self.rule)
        except re.error as error:
            raise UsageProblem(f"--patient-from {self.rule!r}: not a regular expression: {error}") from error
        if not pattern.groups:
            raise UsageProblem(
                f"--patient-from {self.rule!r}: put the PatientID in a group, such as (?P<patient>[0-9]+)"
            )

    def patient_of(self, name: str) -> tuple[PatientKey, str]:
        """Return the key and the PatientID of a file; the file is its own patient where the rule does not match.

        Parameters
        ----------
        name : str
            Path relative to the screened folder.
        """
        patient_id = self._patient_id(name)
        return (("named", patient_id), patient_id) if patient_id else (("file", name), name)

    def unread_header(self, name: str, kind: FileKind | None = None) -> ImageHeader:
        """Make the header of a file whose own header could not be read; DICOM is never grouped by its name."""
        rule = PatientRule() if kind is FileKind.DICOM else self
        patient_key, patient_id = rule.patient_of(name)
        return ImageHeader(patient_key=patient_key, patient_id=patient_id)

    def _patient_id(self, name: str) -> str:
        if self.rule == FROM_FILE:
            return ""
        if self.rule == FROM_FOLDER:
            parent = str(PurePosixPath(name).parent)
            return "" if parent == "." else parent
        match = re.search(self.rule, name)
        if match is None:
            return ""
        return (match["patient"] if "patient" in match.re.groupindex else match[1]) or ""

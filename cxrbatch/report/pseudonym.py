"""Replace identifiers in a run by keyed hashes: `TriageRun` in, `TriageRun` out.

The report can then leave the hospital, and the hospital can trace it back to the patients.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Self

from cxrbatch._lib.packed import Packed
from cxrbatch.errors import UsageProblem
from cxrbatch.records import Failure, ImageHeader, ImageScore, PatientTriage, TriageRun

_MIN_KEY_BYTES = 16
_DIGITS = 16


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonymiser:
    """Replaces patient, accession, study and instance identifiers and file names by HMAC-SHA256, first 64 bits.

    Attributes
    ----------
    key : bytes
        Anyone who has the key can find the hash of a known PatientID.
    """

    key: bytes

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the key from a file.

        Raises
        ------
        UsageProblem
            The file is missing or too short to be a key.
        """
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise UsageProblem(f"--pseudonymise {path}: {error.strerror}") from error
        if len(key) < _MIN_KEY_BYTES:
            raise UsageProblem(
                f"--pseudonymise {path}: {len(key)} bytes are no key; make one with: openssl rand -hex 32 > {path}"
            )
        return cls(key)

    def __call__(self, run: TriageRun) -> TriageRun:
        """Replace the identifiers of all records by hashes; order and scores stay."""
        return replace(
            run,
            patients=Packed(map(self._patient, run.patients)),
            images=Packed(map(self._image, run.images)).ordered(attrgetter("name")),
            failures=Packed(map(self._failure, run.failures)).ordered(attrgetter("name")),
        )

    def _hash(self, value: str) -> str:
        if not value:
            return ""
        digest = hmac.new(self.key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return digest.hexdigest()[:_DIGITS]

    def _patient(self, patient: PatientTriage) -> PatientTriage:
        return replace(
            patient,
            patient_id=self._hash(patient.patient_id),
            issuer_of_patient_id=self._hash(patient.issuer_of_patient_id),
            accession_number=self._hash(patient.accession_number),
            study_instance_uid=self._hash(patient.study_instance_uid),
            top_image=self._hash(patient.top_image),
            detail="",
            images=tuple(replace(image, name=self._hash(image.name), detail="") for image in patient.images),
        )

    def _image(self, image: ImageScore) -> ImageScore:
        return replace(image, name=self._hash(image.name), header=self._header(image.header))

    def _failure(self, failure: Failure) -> Failure:
        header = failure.header and self._header(failure.header)
        return replace(failure, name=self._hash(failure.name), header=header, detail="")

    def _header(self, header: ImageHeader) -> ImageHeader:
        return replace(
            header,
            patient_key=tuple(self._hash(part) for part in header.patient_key),
            patient_id=self._hash(header.patient_id),
            issuer_of_patient_id=self._hash(header.issuer_of_patient_id),
            accession_number=self._hash(header.accession_number),
            study_instance_uid=self._hash(header.study_instance_uid),
            sop_instance_uid=self._hash(header.sop_instance_uid),
        )

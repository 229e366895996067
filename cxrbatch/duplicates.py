"""The same image twice in one export is scored once; two images that only share a name are both scored."""

import hashlib
from dataclasses import dataclass, field, replace

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ModelInput, PatientKey


@dataclass(frozen=True, slots=True)
class _Seen:
    name: str
    patient_key: PatientKey
    picture: bytes


@dataclass(slots=True)
class DuplicateFilter:
    """Remembers the images of one run.

    DICOM instances are the same if SOPInstanceUID, patient and picture are; where only the UID is, somebody copied a
    header: both are scored, the later one flagged. Files without a UID are the same if the picture is: the later one
    is not scored, so that a person notices when it stands for another patient.
    """

    _seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)

    def __call__(self, image: ModelInput) -> ModelInput | Failure:
        """Return the image, flagged if its UID was used before, or the refusal of a second copy."""
        picture = hashlib.sha256(image.pixels.tobytes()).digest()
        uid = image.header.sop_instance_uid
        this = _Seen(image.name, image.header.patient_key, picture)
        first = self._seen.setdefault(("uid", uid) if uid else ("picture", picture.hex()), this)
        if first is this:
            return image
        if uid and (first.picture, first.patient_key) != (picture, image.header.patient_key):
            return replace(image, flags=image.flags | {Flag.UID_CONFLICT})
        return Failure(
            name=image.name,
            reason=Reason.DUPLICATE,
            detail=f"the same image as {first.name}",
            header=image.header,
            thumbnail=image.thumbnail,
        )

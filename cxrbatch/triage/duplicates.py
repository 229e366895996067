"""Find second copies: scored images in, images or refusals out.

The same image twice in one export counts once. Two different images that only have the same UID both count.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, Outcome, PatientKey
from cxrbatch.triage.repeated import hashes_of, is_repeated

_Sameness = tuple[str, str, PatientKey]


class DuplicateFinder:
    """Finds second copies among the images of a run.

    DICOM instances are the same if SOPInstanceUID, patient and image are the same. If only the UID is the same, a
    header was copied: both images count, and the later one is flagged. Files without a UID are the same if the image
    is the same: the later one does not count, so that a person notices if it belongs to another patient.

    Parameters
    ----------
    outcomes : iterable of ImageScore and Failure
        All outcomes of the run. Only the hashes of what occurs more than once are kept of them.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        hashes = hashes_of(_compared(outcomes))
        self._repeated = frozenset(hashes[is_repeated(hashes)].tolist())
        self._first: dict[_Sameness, str] = {}
        self._uids: set[str] = set()

    def judge(self, image: ImageScore) -> tuple[ImageScore | Failure, str]:
        """Refuse an image that is a second copy; call it for all of them, the first that came in first.

        Returns
        -------
        ImageScore or Failure
            The image itself, the image with a flag, or its refusal.
        str
            Name of the file of which it is a second copy; empty if it is none.
        """
        sameness, uid = _sameness(image), image.header.sop_instance_uid
        if hash(sameness) in self._repeated:
            same = self._first.setdefault(sameness, image.name)
            if same != image.name:
                return second_copy(image, same), same
        if not uid or hash(uid) not in self._repeated:
            return image, ""
        if uid in self._uids:
            return replace(image, flags=image.flags | {Flag.UID_CONFLICT}), ""
        self._uids.add(uid)
        return image, ""


def _compared(outcomes: Iterable[Outcome]) -> Iterator[Hashable]:
    """Yield what makes images the same, and UIDs."""
    for outcome in outcomes:
        if isinstance(outcome, ImageScore):
            yield _sameness(outcome)
            yield outcome.header.sop_instance_uid


def _sameness(image: ImageScore) -> _Sameness:
    uid = image.header.sop_instance_uid
    return uid, image.pixels_sha256, image.header.patient_key if uid else ()


def second_copy(image: ImageScore, first: str) -> Failure:
    """Make the refusal of an image that is also in the file named `first`."""
    return Failure(
        name=image.name,
        reason=Reason.DUPLICATE,
        detail=f"the same image as {first}",
        header=image.header,
        stored_id=image.stored_id,
    )

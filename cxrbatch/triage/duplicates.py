"""Find second copies: scored images in, images or refusals out.

The same image twice in one export counts once. Two different images that only have the same UID both count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientKey

_Sameness = tuple[str, str, PatientKey]


def without_duplicates(images: Iterable[ImageScore]) -> Iterator[tuple[ImageScore | Failure, str]]:
    """Refuse second copies.

    DICOM instances are the same if SOPInstanceUID, patient and image are the same. If only the UID is the same, a
    header was copied: both images count, and the later one is flagged. Files without a UID are the same if the image
    is the same: the later one does not count, so that a person notices if it belongs to another patient.

    Parameters
    ----------
    images : iterable of ImageScore
        Sorted by the time at which they came in.

    Yields
    ------
    ImageScore or Failure
        The image, or its refusal as a second copy; in the same order.
    str
        Name of the file of which it is a second copy; empty if it is none.
    """
    first: dict[_Sameness, str] = {}
    uids: set[str] = set()
    for image in images:
        uid = image.header.sop_instance_uid
        same = first.setdefault(_sameness(image), image.name)
        if same != image.name:
            yield second_copy(image, same), same
        elif uid and uid in uids:
            yield replace(image, flags=image.flags | {Flag.UID_CONFLICT}), ""
        else:
            uids.add(uid)
            yield image, ""


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

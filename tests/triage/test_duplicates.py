"""The same image twice, and two images that only share a name."""

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore
from cxrbatch.triage.duplicates import DuplicateFinder
from tests.factories.records import image_score


def scored(name: str, picture: str, patient: str = "P", uid: str = "") -> ImageScore:
    return image_score(name, 0.5, patient, picture=picture, sop_instance_uid=uid)


def judged(*images: ImageScore) -> list[tuple[ImageScore | Failure, str]]:
    return list(map(DuplicateFinder(images).judge, images))


def outcomes(*images: ImageScore) -> list[str]:
    return [
        item.reason.value if isinstance(item, Failure) else ";".join(sorted(item.flags)) or "scored"
        for item, _ in judged(*images)
    ]


def test_second_copy_of_an_instance() -> None:
    first = scored("a", "1", uid="1.2")
    (kept, none), (second, same) = judged(first, scored("b", "1", uid="1.2"))
    assert kept is first
    assert (none, same) == ("", "a")
    assert isinstance(second, Failure)
    assert (second.reason, second.detail, second.name) == (Reason.DUPLICATE, "the same image as a", "b")


def test_same_uid_but_another_picture_or_patient() -> None:
    first = scored("a", "1", "P", "1.2")
    assert outcomes(first, scored("b", "2", "P", "1.2")) == ["scored", Flag.UID_CONFLICT]
    assert outcomes(first, scored("b", "1", "Q", "1.2")) == ["scored", Flag.UID_CONFLICT]


def test_a_copy_of_the_image_in_conflict_is_a_copy() -> None:
    images = scored("a", "1", "P", "1.2"), scored("b", "2", "P", "1.2"), scored("c", "2", "P", "1.2")
    assert outcomes(*images) == ["scored", Flag.UID_CONFLICT, Reason.DUPLICATE]


def test_same_picture_under_two_uids_is_two_images() -> None:
    assert outcomes(scored("a", "1", uid="1.2"), scored("b", "1", uid="1.3")) == ["scored", "scored"]


def test_same_picture_without_uid() -> None:
    assert outcomes(scored("a.png", "1"), scored("b.png", "1"), scored("c.png", "2")) == [
        "scored",
        "duplicate",
        "scored",
    ]

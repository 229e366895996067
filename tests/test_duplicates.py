"""The same image twice, and two images that only share a name."""

from cxrbatch.duplicates import DuplicateFilter
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ModelInput
from tests.records_made import model_input


def outcomes(*images: ModelInput) -> list[str]:
    seen = DuplicateFilter()
    results = [seen(image) for image in images]
    return [
        item.reason.value if isinstance(item, Failure) else ";".join(sorted(item.flags)) or "scored"
        for item in results
    ]


def test_second_copy_of_an_instance() -> None:
    seen = DuplicateFilter()
    first = model_input("a", 1, sop_instance_uid="1.2")
    assert seen(first) is first
    second = seen(model_input("b", 1, sop_instance_uid="1.2"))
    assert isinstance(second, Failure)
    assert (second.reason, second.detail, second.name) == (Reason.DUPLICATE, "the same image as a", "b")


def test_same_uid_but_another_picture_or_patient() -> None:
    first = model_input("a", 1, "P", sop_instance_uid="1.2")
    assert outcomes(first, model_input("b", 2, "P", sop_instance_uid="1.2")) == ["scored", Flag.UID_CONFLICT]
    assert outcomes(first, model_input("b", 1, "Q", sop_instance_uid="1.2")) == ["scored", Flag.UID_CONFLICT]


def test_same_picture_under_two_uids_is_two_images() -> None:
    assert outcomes(
        model_input("a", 1, sop_instance_uid="1.2"), model_input("b", 1, sop_instance_uid="1.3")
    ) == ["scored", "scored"]


def test_same_picture_without_uid() -> None:
    assert outcomes(model_input("a.png", 1), model_input("b.png", 1), model_input("c.png", 2)) == [
        "scored",
        "duplicate",
        "scored",
    ]

"""From images to a ranked list of patients."""

import itertools
from dataclasses import replace

import pytest

from cxrbatch.bundle.bundle import OperatingPoints
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientTriage, Priority
from cxrbatch.triage.aggregate import aggregate_patients
from tests.factories.records import failure, image_score

POINTS = OperatingPoints(urgent=0.6, high=0.3)


def run(
    *images: ImageScore, failures: tuple[Failure, ...] = (), rule: str = "mean"
) -> tuple[PatientTriage, ...]:
    return tuple(aggregate_patients([*images, *failures], rule, POINTS))


def test_one_row_per_patient_by_falling_score() -> None:
    rows = run(image_score("1", 0.2, "A"), image_score("2", 0.9, "B"), image_score("3", 0.4, "C"))
    assert [(row.rank, row.patient_id, row.score, row.priority) for row in rows] == [
        (1, "B", 0.9, Priority.URGENT),
        (2, "C", 0.4, Priority.HIGH),
        (3, "A", 0.2, Priority.ROUTINE),
    ]


def test_without_operating_points_there_is_an_order_and_no_priority() -> None:
    rows = aggregate_patients([image_score("1", 0.2, "A"), image_score("2", 0.9, "B")], "mean", None)
    assert [(row.rank, row.patient_id, row.priority) for row in rows] == [(1, "B", None), (2, "A", None)]


@pytest.mark.parametrize(("rule", "expected"), [("mean", (0.5, 0.25, 0.25)), ("max", (0.8, 0.1, 0.1))])
def test_several_images(rule: str, expected: tuple[float, float, float]) -> None:
    (row,) = run(image_score("1", 0.8), image_score("2", 0.2), rule=rule)
    assert row.scores == expected
    assert (row.n_images, row.top_image) == (2, "1")


def test_rank_does_not_depend_on_the_order_of_images() -> None:
    images = [
        image_score(str(i), score, patient)
        for i, (score, patient) in enumerate(zip([0.5, 0.5, 0.1, 0.5], "DABC", strict=True))
    ]
    orders = {run(*order) for order in itertools.permutations(images)}
    assert len(orders) == 1
    assert [row.patient_id for row in orders.pop()] == ["A", "C", "D", "B"]


def test_a_difference_below_the_printed_digits_is_a_tie() -> None:
    rows = run(image_score("1", 0.50000004, "B"), image_score("2", 0.5, "A"))
    assert [(row.patient_id, row.score) for row in rows] == [("A", 0.5), ("B", 0.5)]


def test_the_same_id_from_two_issuers_is_two_patients() -> None:
    rows = run(
        image_score("1", 0.5, "7", patient_key=("dicom", "A", "7")),
        image_score("2", 0.5, "7", patient_key=("dicom", "B", "7")),
    )
    assert [row.n_images for row in rows] == [1, 1]


def test_not_scored_patients_have_a_reason_and_no_rank() -> None:
    rows = run(
        image_score("1", 0.1, "A"),
        failures=(
            failure("2", Reason.LATERAL_VIEW, "Z"),
            failure("3", Reason.CORRUPT, "Y"),
            failure("4", Reason.CORRUPT),
        ),
    )
    assert [(row.rank, row.patient_id, row.reason) for row in rows] == [
        (1, "A", None),
        (None, "Y", Reason.CORRUPT),
        (None, "Z", Reason.LATERAL_VIEW),
        (None, "4", Reason.CORRUPT),
    ]


def test_a_refused_image_leads_to_its_picture() -> None:
    refused = replace(failure("1", Reason.NOT_A_CHEST_RADIOGRAPH, "P"), stored_id=7)
    assert run(failures=(refused,))[0].stored_id == 7


def test_skipped_files_are_nobodys_images() -> None:
    assert run(failures=(failure("README", Reason.NOT_AN_IMAGE, skipped=True),)) == ()


def test_a_patient_with_a_score_is_ranked_whatever_else_failed() -> None:
    (row,) = run(image_score("1", 0.1), failures=(failure("2", Reason.LATERAL_VIEW, "P"),))
    assert row.is_ranked
    assert row.flags == (Flag.SOME_IMAGES_NOT_SCORED,)


def test_a_second_copy_is_no_missing_image() -> None:
    (row,) = run(image_score("1", 0.1), failures=(failure("2", Reason.DUPLICATE, "P"),))
    assert row.flags == ()


def test_flags_of_all_images_are_on_the_patient() -> None:
    images = image_score("1", 0.1, flags=[Flag.LOSSY]), image_score("2", 0.2, flags=[Flag.AGE_UNKNOWN])
    assert run(*images)[0].flags == (Flag.AGE_UNKNOWN, Flag.LOSSY)


def test_two_people_under_one_id_are_noticed() -> None:
    one, other = image_score("1", 0.1, identity_digest="a"), image_score("2", 0.1, identity_digest="b")
    unknown = image_score("3", 0.1)
    assert run(one, other)[0].flags == (Flag.IDENTITY_CONFLICT,)
    assert run(one, unknown)[0].flags == ()


@pytest.mark.parametrize(
    ("score", "priority"),
    [(0.6, Priority.URGENT), (0.599999, Priority.HIGH), (0.3, Priority.HIGH), (0.299999, Priority.ROUTINE)],
)
def test_bands_include_their_lower_bound(score: float, priority: Priority) -> None:
    assert run(image_score("1", score))[0].priority is priority


def test_operating_points_in_the_wrong_order() -> None:
    with pytest.raises(ValueError, match="high ≤ urgent"):
        OperatingPoints(urgent=0.2, high=0.3)

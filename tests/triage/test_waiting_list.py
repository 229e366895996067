"""Each rule of docs/nightly.md by an example; test_state_machine.py puts them together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.bundle.bundle import OperatingPoints
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientTriage, Priority
from cxrbatch.state.records import StoredImage
from cxrbatch.triage.aggregate import aggregate_patients
from cxrbatch.triage.waiting_list import Days, ListRules, make_waiting_list
from tests.factories.records import failure, image_score
from tests.factories.stored import BUNDLE, OTHER_BUNDLE, moment, night, stored_image

POINTS = OperatingPoints(urgent=0.6, high=0.3)


def listed(
    *items: StoredImage,
    tonight: int = 0,
    found: tuple[int, ...] = (),
    results: Days | None = None,
    swabs: Days | None = None,
    expire: int = 14,
    max_nights: int | None = None,
) -> tuple[PatientTriage, ...]:
    rules = ListRules(
        tonight=night(tonight),
        expire_nights=expire,
        max_nights=max_nights,
        pending_days=3,
        bundle_sha256=BUNDLE,
        aggregation="mean",
        operating_points=POINTS,
    )
    return tuple(make_waiting_list(items, frozenset(found), results or {}, swabs or {}, rules))


def key(patient: str) -> tuple[str, ...]:
    return ("dicom", "", patient)


def nights_waiting(*items: StoredImage, tonight: int, expire: int = 14) -> list[int]:
    return [patient.nights_waiting for patient in listed(*items, tonight=tonight, expire=expire)]


patients = st.sampled_from("ABC")
scores = st.integers(0, 1000).map(lambda n: n / 1000)
drawn_images = st.lists(st.tuples(scores, patients), max_size=8).map(
    lambda drawn: [image_score(str(i), score, patient) for i, (score, patient) in enumerate(drawn)]
)
drawn_failures = st.lists(
    st.tuples(st.sampled_from([reason for reason in Reason if reason is not Reason.OTHER_BUNDLE]), patients),
    max_size=4,
).map(lambda drawn: [failure(str(100 + i), reason, patient) for i, (reason, patient) in enumerate(drawn)])


@given(images=drawn_images, failures=drawn_failures)
def test_the_first_night_is_as_without_a_state(images: list[ImageScore], failures: list[Failure]) -> None:
    ids = range(len(images) + len(failures))
    outcomes: list[ImageScore | Failure] = [*images, *failures]
    items = [stored_image(outcome, 0, id=i) for i, outcome in zip(ids, outcomes, strict=True)]
    expected = aggregate_patients(outcomes, "mean", POINTS)
    assert listed(*items, found=tuple(ids)) == expected


def test_1_the_same_image_is_one_and_came_in_when_it_first_did() -> None:
    first = image_score("1", 0.5, picture="x", sop_instance_uid="1.2")
    again = image_score("2", 0.5, picture="x", sop_instance_uid="1.2")
    (patient,) = listed(stored_image(first, 0), stored_image(again, 3), tonight=3, found=(2,))
    assert (patient.n_images, patient.nights_waiting, patient.top_image) == (1, 3, "2")


def test_1_tonights_bundle_scores_an_image_that_another_one_scored_before() -> None:
    before = image_score("1", 0.75, picture="x", sop_instance_uid="1.2")
    again = image_score("2", 0.25, picture="x", sop_instance_uid="1.2")
    items = (stored_image(before, 0, bundle_sha256=OTHER_BUNDLE), stored_image(again, 1))
    (patient,) = listed(*items, tonight=1, found=(1,))
    assert (patient.score, patient.nights_waiting, patient.reason) == (0.25, 1, None)


def test_1_a_copy_that_is_sent_again_does_not_prolong_the_wait() -> None:
    first = stored_image(image_score("1", 0.5, picture="x", sop_instance_uid="1.2"), 0)
    again = stored_image(image_score("2", 0.5, picture="x", sop_instance_uid="1.2"), 5, duplicate_of="1")
    assert listed(first, again, tonight=6, expire=7, found=(1, 2)) != ()
    assert listed(first, again, tonight=7, expire=7, found=(1, 2)) == ()


def test_2_a_second_copy_stands_for_a_patient_of_its_own() -> None:
    items = (
        stored_image(image_score("1", 0.5, "A"), 0),
        stored_image(image_score("2", 0.5, "B"), 0, duplicate_of="1"),
    )
    ranked, second = listed(*items, tonight=1)
    assert (ranked.patient_id, ranked.flags) == ("A", ())
    assert (second.patient_id, second.reason, second.detail) == ("B", Reason.DUPLICATE, "the same image as 1")


def test_3_the_film_of_another_patient_after_a_correction() -> None:
    wrong = stored_image(image_score("1", 0.5, "A", picture="x", sop_instance_uid="1.2"), 0)
    right = stored_image(image_score("2", 0.5, "B", picture="x", sop_instance_uid="1.2"), 1)
    (patient,) = listed(wrong, right, tonight=1, found=(2,))
    assert (patient.patient_id, patient.flags) == ("B", (Flag.PATIENT_CHANGED,))


@pytest.mark.parametrize("change", ["still there", "another picture", "no UID", "the same run"])
def test_3_nobody_is_lost_by_what_is_no_correction(change: str) -> None:
    uid = "" if change == "no UID" else "1.2"
    wrong = image_score("1", 0.5, "A", picture="x", sop_instance_uid=uid)
    picture = "y" if change == "another picture" else "x"
    right = image_score("2", 0.5, "B", picture=picture, sop_instance_uid=uid)
    second = 0 if change == "the same run" else 1
    found = (1, 2) if change == "still there" else (2,)
    both = listed(stored_image(wrong, 0), stored_image(right, second), tonight=1, found=found)
    assert {patient.patient_id for patient in both} == {"A", "B"}
    assert not any(patient.flags for patient in both)


def test_3_what_another_bundle_scored_has_no_flag() -> None:
    wrong = stored_image(image_score("1", 0.5, "A", picture="x", sop_instance_uid="1.2"), 0)
    right = image_score("2", 0.5, "B", picture="x", sop_instance_uid="1.2")
    (patient,) = listed(wrong, stored_image(right, 1, bundle_sha256=OTHER_BUNDLE), tonight=1, found=(2,))
    assert (patient.patient_id, patient.reason, patient.flags) == ("B", Reason.OTHER_BUNDLE, ())


@pytest.mark.parametrize(("day", "flags"), [(0, (Flag.PATIENT_CHANGED,)), (-1, ())])
def test_3_a_result_of_the_patient_before_is_said(day: int, flags: tuple[Flag, ...]) -> None:
    image = stored_image(image_score("1", 0.5, "B"), 0, former_key=key("A"))
    (patient,) = listed(image, tonight=1, results={key("A"): [night(day)]})
    assert (patient.patient_id, patient.flags) == ("B", flags)


def test_images_are_described_with_their_night_and_whether_they_are_here() -> None:
    old, new = image_score("2", 0.5, "A"), image_score("1", 0.25, "A", picture="y")
    items = (
        stored_image(old, 0),
        stored_image(new, 2),
        stored_image(failure("3", Reason.TRUNCATED, "A"), 2),
    )
    (patient,) = listed(*items, tonight=2, found=(1,))
    described = [(one.name, one.scores, one.reason, one.night, one.is_here) for one in patient.images]
    assert described == [
        ("2", old.scores, None, night(0), False),
        ("1", new.scores, None, None, True),
        ("3", None, Reason.TRUNCATED, None, False),
    ]


def test_4_what_was_cut_off_and_is_complete_now() -> None:
    broken = stored_image(failure("1", Reason.TRUNCATED, "A"), 0)
    hour_ns = 3600 * 10**9
    seen_ns = int(moment(0).timestamp()) * 10**9
    for mtime_ns, n_patients in ((seen_ns + hour_ns, 1), (seen_ns + hour_ns + 1, 2)):
        whole = stored_image(image_score("1", 0.5, "B"), 1, id=2, mtime_ns=mtime_ns)
        assert len(listed(broken, whole, tonight=1, found=(2,))) == n_patients


@pytest.mark.parametrize("name", ["a.dcm.part", "a.dcm.TMP", "a.dcm.lock"])
def test_4_a_temporary_file_counts_while_it_is_there(name: str) -> None:
    item = stored_image(failure(name, Reason.STILL_CHANGING, "A"), 0, id=7)
    assert len(listed(item, tonight=1, found=(7,))) == 1
    assert listed(item, tonight=1) == ()


def test_4_any_other_that_vanished_stays() -> None:
    item = stored_image(failure("a.dcm", Reason.STILL_CHANGING, "A"), 0, id=7)
    (patient,) = listed(item, tonight=3)
    assert (patient.reason, patient.nights_waiting) == (Reason.STILL_CHANGING, 3)


@pytest.mark.parametrize(
    ("study_date", "swab", "is_listed"),
    [
        ("", 1, True),  # it came in on night 2
        ("", 2, False),
        ("2026-03-02", 1, False),  # taken on the day of night 1
        ("2026-03-02", 0, True),
        ("2027-01-01", 2, False),  # the clock of the modality is wrong
    ],
)
def test_5_a_result_ends_the_wait_for_what_was_taken_by_then(
    study_date: str, swab: int, is_listed: bool
) -> None:
    item = stored_image(image_score("1", 0.5, "A", study_date=study_date), 2)
    results = {key("A"): [night(swab)], key("B"): [night(9)]}
    assert bool(listed(item, tonight=3, results=results)) is is_listed


def test_5_a_later_image_begins_a_new_wait() -> None:
    items = stored_image(image_score("1", 0.9, "A"), 0), stored_image(image_score("2", 0.4, "A"), 5)
    (patient,) = listed(*items, tonight=6, results={key("A"): [night(2)]})
    assert (patient.score, patient.nights_waiting, patient.n_images) == (0.4, 1, 1)


def test_6_expiry_counts_from_the_last_image() -> None:
    first, second = stored_image(image_score("1", 0.5), 0), stored_image(image_score("2", 0.5), 6)
    assert nights_waiting(first, tonight=6, expire=7) == [6]
    assert nights_waiting(first, tonight=7, expire=7) == []
    assert nights_waiting(first, second, tonight=12, expire=7) == [12]
    assert nights_waiting(first, second, tonight=13, expire=7) == []


def test_6_after_a_gap_a_new_wait_begins() -> None:
    first, second = stored_image(image_score("1", 0.9), 0), stored_image(image_score("2", 0.4), 7)
    (patient,) = listed(first, second, tonight=8, expire=7)
    assert (patient.score, patient.nights_waiting) == (0.4, 1)


def test_8_a_later_image_raises_a_score_and_never_lowers_it() -> None:
    first = [stored_image(image_score("1", 0.6), 0), stored_image(image_score("2", 0.2), 0)]
    assert [patient.score for patient in listed(*first)] == [0.4]
    lower = stored_image(image_score("3", 0.1), 1)
    (patient,) = listed(*first, lower, tonight=1)
    assert (patient.score, patient.top_image, patient.n_images) == (0.4, "1", 3)
    higher = stored_image(image_score("3", 0.5), 1)
    (patient,) = listed(*first, higher, tonight=1)
    assert (patient.score, patient.top_image) == (0.5, "3")


def test_9_scores_of_two_bundles_are_not_compared() -> None:
    old = stored_image(image_score("1", 0.9, "A"), 0, bundle_sha256=OTHER_BUNDLE)
    new = stored_image(image_score("2", 0.4, "B"), 1)
    ranked, other = listed(old, new, tonight=1, found=(2,))
    assert (ranked.patient_id, ranked.rank) == ("B", 1)
    assert (other.patient_id, other.reason, other.score, other.nights_waiting) == (
        "A",
        Reason.OTHER_BUNDLE,
        None,
        1,
    )


def test_9_what_else_was_not_scored_gives_the_reason() -> None:
    old = stored_image(image_score("1", 0.9, "A"), 0, bundle_sha256=OTHER_BUNDLE)
    late = stored_image(failure("2", Reason.CORRUPT, "A"), 1)
    (patient,) = listed(old, late, tonight=1)
    assert (patient.reason, patient.n_images) == (Reason.CORRUPT, 2)


def test_9_a_ranked_patient_with_more_is_flagged() -> None:
    scored = stored_image(image_score("1", 0.5, "A"), 1)
    for other in (
        stored_image(image_score("2", 0.9, "A"), 0, bundle_sha256=OTHER_BUNDLE),
        stored_image(failure("2", Reason.CORRUPT, "A"), 0),
    ):
        (patient,) = listed(scored, other, tonight=1)
        assert (patient.score, patient.flags) == (0.5, (Flag.SOME_IMAGES_NOT_SCORED,))


def test_9_a_broken_file_of_an_image_that_was_scored_is_no_further_image() -> None:
    header = image_score("1", 0.5, sop_instance_uid="1.2").header
    broken = Failure(name="1", reason=Reason.TRUNCATED, header=header)
    whole = image_score("2", 0.5, sop_instance_uid="1.2")
    (patient,) = listed(stored_image(broken, 0), stored_image(whole, 1), tonight=1, found=(2,))
    assert (patient.flags, patient.nights_waiting) == ((), 1)


def test_11_one_night_of_waiting_may_be_enough() -> None:
    waited = stored_image(image_score("1", 0.1, "A"), 0)
    items = (waited, stored_image(image_score("2", 0.9, "B", picture="y"), 1))
    assert [patient.patient_id for patient in listed(*items, tonight=1, max_nights=1)] == ["A", "B"]


def test_11_who_has_waited_longest_comes_first() -> None:
    items = [
        stored_image(image_score("1", 0.1, "A"), 0),
        stored_image(image_score("2", 0.2, "B"), 1),
        stored_image(image_score("3", 0.05, "C"), 1),
        stored_image(image_score("4", 0.9, "D"), 4),
        stored_image(failure("5", Reason.CORRUPT, "E"), 0),
    ]
    rows = listed(*items, tonight=4, max_nights=3)
    assert [(row.rank, row.patient_id, row.nights_waiting, row.priority, row.flags) for row in rows] == [
        (1, "A", 4, Priority.URGENT, (Flag.MAX_WAIT,)),
        (2, "B", 3, Priority.URGENT, (Flag.MAX_WAIT,)),
        (3, "C", 3, Priority.URGENT, (Flag.MAX_WAIT,)),
        (4, "D", 0, Priority.URGENT, ()),
        (None, "E", 4, None, (Flag.MAX_WAIT,)),
    ]
    assert [row.patient_id for row in listed(*items, tonight=4)] == ["D", "B", "A", "C", "E"]


@pytest.mark.parametrize(
    ("swab", "tonight", "result", "status"),
    [
        (0, 0, None, "swabbed"),
        (1, 3, None, "swabbed"),
        (1, 4, None, "overdue"),
        (1, 0, None, "swabbed"),  # after midnight of night 0
        (1, 3, 1, "off"),
        (1, 3, 2, "off"),
        (1, 3, -1, "swabbed"),  # the result of an earlier swab
        (-1, 1, None, "ranked"),  # before the radiograph: its result would not end the wait
    ],
)
def test_10_whoever_was_swabbed_waits_for_the_result(
    swab: int, tonight: int, result: int | None, status: str
) -> None:
    items = stored_image(image_score("1", 0.5, "A"), 0), stored_image(image_score("2", 0.4, "B"), 0)
    results = {} if result is None else {key("A"): [night(result)]}
    swabs = {key("A"): [night(-9), night(swab)]}
    by_patient = {p.patient_id: p for p in listed(*items, tonight=tonight, results=results, swabs=swabs)}
    assert (by_patient["B"].rank, by_patient["B"].swabbed) == (1 if status in ("swabbed", "off") else 2, None)
    if status == "off":
        assert "A" not in by_patient
        return
    of_a = by_patient["A"]
    assert of_a.status == ("swabbed" if status == "swabbed" else "ranked")
    assert (Flag.RESULT_OVERDUE in of_a.flags) == (status == "overdue")
    assert of_a.swabbed == (None if status == "ranked" else night(swab))


def test_10_a_new_radiograph_does_not_end_the_waiting_and_nobody_is_put_first() -> None:
    items = (
        stored_image(image_score("1", 0.5, "A"), 0),
        stored_image(image_score("2", 0.9, "A"), 3),
        stored_image(failure("3", Reason.CORRUPT, "B"), 0),
        stored_image(image_score("4", 0.1, "C"), 0),
    )
    swabs = {key("A"): [night(2)], key("B"): [night(1)]}
    rows = listed(*items, tonight=3, max_nights=3, swabs=swabs)
    assert [(row.patient_id, row.status, row.rank, row.flags) for row in rows] == [
        ("C", "ranked", 1, (Flag.MAX_WAIT,)),
        ("B", "swabbed", None, ()),
        ("A", "swabbed", None, ()),
    ]
    assert (rows[2].score, rows[2].nights_waiting) == (0.9, 3)


def test_skipped_files_are_nobodys_image() -> None:
    item = stored_image(failure("README", Reason.NOT_AN_IMAGE, "A", skipped=True), 0)
    assert listed(item) == ()

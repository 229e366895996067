"""Figures of an audit against closed forms and other people's programs."""

import datetime as dt
import itertools
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cxrbatch.audit.calibration import calibration, scored_by
from cxrbatch.audit.drift import (
    ENOUGH_IMAGES,
    Reference,
    bundle_reference,
    counted_images,
    drift,
    own_reference,
)
from cxrbatch.audit.episodes import Episode, waiting
from cxrbatch.audit.estimate import AuditEstimate, difference, week_of, wilson
from cxrbatch.audit.gain import at_k, gain, gain_curves, verification
from cxrbatch.audit.threshold import threshold
from cxrbatch.reasons import Reason
from cxrbatch.state.records import ImageSummary
from cxrbatch.stats.ranking import threshold_at_sensitivity
from tests.factories.audits import a_bundle, day, key
from tests.factories.stored import BUNDLE, OTHER_BUNDLE

NOON = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)


def episode(
    number: int, score: float | None, positive: bool | None, night: int = 0, **fields: object
) -> Episode:
    made = Episode(
        patient_key=key(str(number)),
        first_night=day(night),
        last_night=day(night),
        since=day(night),
        arrived=NOON,
        position=1,
        score=score,
        bundle_sha256=BUNDLE,
        is_open=False,
        reached_max_wait=False,
        is_positive=positive,
        swabbed=None if positive is None else day(night + 1),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def waits_of(positive: Iterable[float], negative: Iterable[float], night: int = 0) -> list[Episode]:
    scores = [*((score, True) for score in positive), *((score, False) for score in negative)]
    return [episode(1000 * night + i, *pair, night) for i, pair in enumerate(scores)]


def by_name(estimates: Iterable[AuditEstimate], week: str = "all") -> dict[str, AuditEstimate]:
    return {one.name: one for one in estimates if one.week == week}


def value(estimate: AuditEstimate) -> float:
    assert estimate.value is not None
    return estimate.value


# --- shares


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_newcombe_1998_prints_it(k: int, n: int, low: float, high: float) -> None:
    found = wilson(k, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_difference_as_newcombe_1998_prints_it(
    a: tuple[int, int], b: tuple[int, int], low: float, high: float
) -> None:
    found = difference(wilson(*a), wilson(*b))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("date", "week"), [((2026, 12, 31), "2026-W53"), ((2027, 1, 3), "2026-W53"), ((2027, 1, 4), "2027-W01")]
)
def test_weeks_are_those_of_iso_8601(date: tuple[int, int, int], week: str) -> None:
    assert week_of(dt.date(*date)) == week


# --- the first K


def test_at_k_counts_who_stood_there_on_the_first_night() -> None:
    places = [(1, True), (2, True), (3, False), (4, True), (5, False), (6, True), (7, False), (8, True)]
    episodes = [episode(place, 0.5, positive, position=place) for place, positive in places]
    episodes.append(episode(9, None, True, position=1))  # not scored: not among the first, and missed
    found = by_name(at_k(episodes, 5))
    assert value(found["ppv"]) == 3 / 5
    assert value(found["sensitivity"]) == 3 / 6
    assert value(found["prevalence"]) == 6 / 9
    assert [found[name].n for name in ("ppv", "sensitivity", "prevalence")] == [5, 6, 9]


def test_fewer_than_five_give_no_figure() -> None:
    found = by_name(at_k([episode(i, 0.5, i < 4, position=1 + i) for i in range(10)], 4))
    assert (found["ppv"].value, found["ppv"].n) == (None, 4)
    assert (found["sensitivity"].value, found["sensitivity"].n) == (None, 4)


def test_verification_is_told_apart_inside_and_outside() -> None:
    inside = [episode(i, 0.5, True, position=1) for i in range(10)]
    outside = [episode(10 + i, 0.5, True if i < 5 else None, position=9) for i in range(20)]
    found = by_name(verification([*inside, *outside], 3))
    assert [value(found[f"with_result_{part}"]) for part in ("first_k", "others")] == [1.0, 0.25]
    assert value(found["first_k_minus_others"]) == 0.75
    assert value(found["with_result"]) == 0.5
    assert set(by_name(verification(inside, None))) == {"with_result"}


# --- gain


def test_a_perfect_order_gains_1_and_a_reversed_one_loses_1() -> None:
    right = by_name(gain(waits_of([0.9, 0.8, 0.7, 0.6, 0.5], [0.4, 0.3, 0.2, 0.1, 0.05])))
    assert [right["gain_list"].value, right["gain_list"].low, right["gain_list"].high] == [1, 1, 1]
    # of ten patients the first 10, 20, 30, 50 % are 1, 2, 3, 5 of the 5 positive ones
    found = [value(right[f"found_list_{share}"]) for share in (10, 20, 30, 50)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 1.0])
    wrong = by_name(gain(waits_of([0.05, 0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8, 0.9])))
    assert wrong["gain_list"].value == -1
    assert [value(wrong[f"found_list_{share}"]) for share in (10, 50)] == [0, 0]


def test_constant_scores_are_random_order() -> None:
    found = by_name(gain(waits_of([0.5] * 6, [0.5] * 9)))
    assert [found["gain_list"].value, found["gain_list"].low, found["gain_list"].high] == [0, 0, 0]
    for share in (10, 20, 30, 50):
        assert value(found[f"found_list_{share}"]) == pytest.approx(share / 100)
    for curve in gain_curves(waits_of([0.5] * 6, [0.5] * 9)).values():
        assert [y for _, y in curve] == pytest.approx([x for x, _ in curve])


def test_one_run_a_night_is_no_order_of_arrival() -> None:
    found = by_name(gain(waits_of([0.9] * 5, [0.1] * 5)))
    assert found["gain_arrival"].value == 0
    assert found["gain_list_minus_arrival"].value == 1


def test_who_arrives_first_is_first() -> None:
    episodes = [
        replace(each, arrived=NOON + dt.timedelta(hours=index))
        for index, each in enumerate(waits_of([0.1] * 5, [0.9] * 5))
    ]
    found = by_name(gain(episodes))
    assert [found[f"gain_{order}"].value for order in ("list", "arrival")] == [-1, 1]
    assert found["gain_list_minus_arrival"].value == -2


scores = st.sampled_from([0.1, 0.2, 0.3, 0.4])
nights = st.lists(
    st.tuples(st.lists(scores, min_size=2, max_size=4), st.lists(scores, min_size=2, max_size=4)),
    min_size=3,
    max_size=4,
)


@given(nights)
@settings(max_examples=15, deadline=None)
def test_gain_is_the_weighted_auroc_of_the_nights(made: list[tuple[list[float], list[float]]]) -> None:
    episodes = [each for number, night in enumerate(made) for each in waits_of(*night, number)]
    weights = [len(ill) * len(well) / (len(ill) + len(well)) for ill, well in made]
    areas = [roc_auc_score([1] * len(ill) + [0] * len(well), ill + well) for ill, well in made]
    found = by_name(gain(episodes))
    assert value(found["gain_list"]) == pytest.approx(np.average(2 * np.array(areas) - 1, weights=weights))


@given(nights)
@settings(max_examples=15, deadline=None)
def test_ties_count_as_the_mean_over_all_their_orders(made: list[tuple[list[float], list[float]]]) -> None:
    episodes = [each for number, night in enumerate(made) for each in waits_of(*night, number)]
    n_positive = sum(len(ill) for ill, _ in made)
    expected = sum(_found_by_hand(ill, well, 0.3) for ill, well in made) / n_positive
    assert value(by_name(gain(episodes))["found_list_30"]) == pytest.approx(expected)


def _found_by_hand(ill: list[float], well: list[float], share: float) -> float:
    """Mean over the orders of patients with equal scores; the last one tested may count by a part."""
    marked = [(score, 1.0) for score in ill] + [(score, 0.0) for score in well]
    groups = [
        [mark for score, mark in marked if score == level]
        for level in sorted({s for s, _ in marked}, reverse=True)
    ]
    n = share * len(marked)
    taken = np.clip(n - np.arange(len(marked)), 0, 1)
    orders = itertools.product(*(set(itertools.permutations(group)) for group in groups))
    return float(np.mean([np.concatenate(order) @ taken for order in orders]))


def test_nights_are_not_compared_with_each_other() -> None:
    """High scores in one night and low ones in another say nothing of the order within either."""
    apart = [*waits_of([0.9] * 5, [0.9] * 5, 0), *waits_of([0.1], [0.1] * 20, 1)]
    found = by_name(gain(apart))
    assert found["gain_list"].value == 0


def test_too_few_positives_give_no_gain() -> None:
    found = by_name(gain(waits_of([0.9] * 4, [0.1] * 50)))
    assert {one.value for one in found.values()} == {None}
    assert gain_curves(waits_of([0.9] * 4, [0.1] * 50)) == {}


def test_not_scored_and_untested_are_left_out_of_the_gain() -> None:
    episodes = waits_of([0.9] * 5, [0.1] * 5)
    more = [*episodes, episode(90, None, True), episode(91, 0.95, None)]
    assert list(gain(more)) == list(gain(episodes))


# --- waiting


def test_waiting_times() -> None:
    episodes = [episode(i, 0.5, True, swabbed=day(i)) for i in range(1, 21)]
    found = by_name(waiting(episodes))
    assert [value(found[f"{name}_pcr_positive"]) for name in ("mean", "p95", "max")] == [10.5, 19, 20]
    assert found["mean_still_waiting"].value is None


def test_groups_of_waiting() -> None:
    episodes = [
        episode(0, 0.5, True),
        episode(1, 0.5, False),
        episode(2, 0.5, None, is_open=True),
        episode(3, None, None),
        episode(4, 0.5, None, is_open=True, reached_max_wait=True),
    ]
    found = by_name(waiting(episodes))
    counts = {name[2:]: one.n for name, one in found.items() if name.startswith("n_")}
    assert counts == {
        "all": 5,
        "pcr_positive": 1,
        "pcr_negative": 1,
        "left_without_result": 1,
        "still_waiting": 2,
        "not_scored": 1,
        "max_wait": 1,
    }


def test_a_swab_before_the_first_night_is_no_negative_wait() -> None:
    assert episode(0, 0.5, True, swabbed=day(-1)).nights == 0


# --- calibration


def drawn(n: int, seed: int = 0) -> list[Episode]:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.02, 0.98, n)
    positive = rng.random(n) < 1 / (1 + np.exp(1 - 0.7 * np.log(score / (1 - score))))
    return [episode(i, float(score[i]), bool(positive[i])) for i in range(n)]


def test_auroc_and_line_agree_with_scikit_learn() -> None:
    episodes = drawn(400)
    scored = scored_by(episodes, BUNDLE)
    found = by_name(calibration(scored))
    assert value(found["auroc"]) == pytest.approx(roc_auc_score(scored.y_true, scored.y_score))
    logit = np.log(scored.y_score / (1 - scored.y_score))[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit, scored.y_true)
    assert value(found["slope"]) == pytest.approx(oracle.coef_[0, 0], abs=1e-5)
    assert value(found["intercept"]) == pytest.approx(oracle.intercept_[0], abs=1e-5)


def test_the_interval_of_the_slope_holds_the_truth_as_often_as_it_says() -> None:
    found = [by_name(calibration(scored_by(drawn(200, seed), BUNDLE)))["slope"] for seed in range(60)]
    held = sum(one.low <= 0.7 <= one.high for one in found if one.low is not None and one.high is not None)
    assert 52 <= held <= 60  # 57 expected


def test_waits_of_one_patient_are_no_new_evidence() -> None:
    once = drawn(100)
    found, again = (by_name(calibration(scored_by(episodes, BUNDLE))) for episodes in (once, once * 2))
    assert (again["slope"].low, again["slope"].high) == pytest.approx(
        (found["slope"].low, found["slope"].high)
    )
    assert (again["auroc"].low, again["auroc"].high) == pytest.approx(
        (found["auroc"].low, found["auroc"].high)
    )


def test_parted_wholly_there_is_no_slope() -> None:
    found = by_name(calibration(scored_by(waits_of([0.9] * 5, [0.1] * 5), BUNDLE)))
    assert (found["auroc"].value, found["slope"].value, found["intercept"].value) == (1, None, None)


def test_quintiles_hold_equal_parts() -> None:
    episodes = [episode(i, (i + 1) / 100, i % 20 >= 10) for i in range(50)]
    found = by_name(calibration(scored_by(episodes, BUNDLE)))
    assert [found[f"quintile_{part}_score"].n for part in range(1, 6)] == [10] * 5
    means = [value(found[f"quintile_{part}_score"]) for part in range(1, 6)]
    assert means == pytest.approx([0.055, 0.155, 0.255, 0.355, 0.455])
    assert [value(found[f"quintile_{part}_positive"]) for part in range(1, 6)] == [0, 1, 0, 1, 0]


def test_scores_of_other_bundles_do_not_count() -> None:
    episodes = drawn(50)
    others = [episode(100 + i, 0.99, False, bundle_sha256=OTHER_BUNDLE) for i in range(50)]
    assert list(calibration(scored_by([*episodes, *others], BUNDLE))) == list(
        calibration(scored_by(episodes, BUNDLE))
    )


# --- threshold


def test_threshold_is_the_highest_score_that_finds_the_share() -> None:
    episodes = waits_of([i / 100 for i in range(41, 91)], [i / 100 for i in range(1, 51)])
    found = by_name(threshold(scored_by(episodes, BUNDLE), 0.9))
    ill = np.array([i / 100 for i in range(41, 91)])
    assert value(found["urgent"]) == threshold_at_sensitivity(ill, 0.9) == 0.46  # 45 of 50 score 0.46 or more
    assert value(found["high"]) == threshold_at_sensitivity(ill, 0.95) == 0.43  # 48 of 50: 47.5 are asked for
    assert value(found["urgent_specificity"]) == pytest.approx(45 / 50)
    assert value(found["high_specificity"]) == pytest.approx(42 / 50)
    assert found["urgent"].low is not None
    assert 0.41 <= found["urgent"].low < 0.46 < (found["urgent"].high or 0) < 0.6


@pytest.mark.parametrize(("n_positive", "n_negative"), [(49, 500), (500, 49), (0, 0)])
def test_too_few_results_recommend_nothing(n_positive: int, n_negative: int) -> None:
    episodes = waits_of([0.9] * n_positive, [0.1] * n_negative)
    found = by_name(threshold(scored_by(episodes, BUNDLE), 0.9))
    missing = [found[f"missing_{side}"].n for side in ("positive", "negative")]
    assert missing == [max(0, 50 - n_positive), max(0, 50 - n_negative)]
    assert {found[name].value for name in ("urgent", "high", "urgent_specificity")} == {None}


# --- drift


def image(score: float | None, night: int = 0, **fields: object) -> ImageSummary:
    made = ImageSummary(
        first_night=day(night),
        first_seen=NOON,
        written=None,
        patient_key=key("P"),
        study_date="",
        bundle_sha256=BUNDLE,
        status="not_scored" if score is None else "scored",
        reason=Reason.CORRUPT.value if score is None else "",
        score_covid=score,
        duplicate_of="",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


TENTHS = Reference(np.arange(1, 10) / 10, np.full(10, 0.1), 10**9, "made up")


def test_index_of_the_same_distribution_is_0_and_of_another_as_the_formula_says() -> None:
    even = (np.arange(100_000) + 0.5) / 100_000
    assert TENTHS.psi(even) == pytest.approx(0, abs=1e-9)
    lower = even / 2  # all in the lower five parts, with twice the share
    half_an_image = 0.5 / (lower.size + 5)
    expected = 5 * 0.1 * math.log(2) + 5 * 0.1 * math.log(0.1 / half_an_image)
    assert TENTHS.psi(lower) == pytest.approx(expected, rel=1e-3)


def test_index_by_chance_is_what_chance_makes() -> None:
    rng = np.random.default_rng(1)
    edges = np.arange(1, 10) / 10
    drawn_ones = []
    for _ in range(400):
        counts = np.bincount(np.searchsorted(edges, rng.random(500)), minlength=10)
        reference = Reference(edges, counts / 500, 500, "")
        drawn_ones.append(reference.psi(rng.random(1000)))
    assert np.mean(drawn_ones) == pytest.approx(reference.by_chance(1000), rel=0.1)
    assert reference.by_chance(1000) == pytest.approx(9 * (1 / 1000 + 1 / 500))


def test_weekly_drift() -> None:
    """Ten images in the first week, one not scored; in the second ten, of which half."""
    first = [*(image(score) for score in [0.7] * 3 + [0.1] * 6), image(None)]
    second = [*(image(0.7, 7) for _ in range(5)), *(image(None, 7) for _ in range(5))]
    found = list(drift([*first, *second], a_bundle()))
    early, late = by_name(found, "2026-W45"), by_name(found, "2026-W46")
    assert [value(week["urgent"]) for week in (early, late)] == [pytest.approx(3 / 9), 1.0]
    assert [value(week["not_scored"]) for week in (early, late)] == [0.1, 0.5]
    assert [week["not_scored_corrupt"].n for week in (early, late)] == [1, 5]
    assert value(by_name(found)["not_scored_last_week_minus_before"]) == pytest.approx(0.4)


def test_second_copies_and_unfinished_files_do_not_count() -> None:
    kept = [image(0.7), image(None)]
    dropped = [
        image(0.7, duplicate_of="a.dcm"),
        image(None, reason=Reason.DUPLICATE.value),
        image(None, reason=Reason.STILL_CHANGING.value),
    ]
    assert counted_images([*kept, *dropped]) == kept


def test_own_reference_needs_four_weeks_with_enough_images() -> None:
    weeks = {f"2026-W{10 + i}": np.linspace(0, 1, ENOUGH_IMAGES - (i == 1)) for i in range(5)}
    reference, chosen = own_reference(weeks)
    assert chosen == {"2026-W10", "2026-W12", "2026-W13", "2026-W14"}
    assert reference is not None
    assert reference.n == 4 * ENOUGH_IMAGES
    assert reference.edges == pytest.approx(np.arange(1, 10) / 10, abs=0.01)
    assert own_reference(dict(list(weeks.items())[:4])) == (None, set())


def test_indices_are_those_of_later_weeks_and_of_the_bundle() -> None:
    images = [
        image(float(score), 7 * week)
        for week in range(6)
        for score in np.linspace(0, 1 if week < 5 else 0.4, 200)
    ]
    stored = {"measured_on": "m", "n": 1000, "edges": [i / 10 for i in range(1, 10)], "shares": [0.1] * 10}
    found = list(drift(images, a_bundle(evaluation={"reference": stored})))
    own = {one.week: value(one) for one in found if one.name == "psi_to_first_weeks"}
    assert list(own) == ["2026-W49", "2026-W50"]
    assert own["2026-W49"] < 0.01
    assert own["2026-W50"] > 0.25
    assert len([one for one in found if one.name == "psi_to_bundle"]) == 6
    assert not [one for one in drift(images, a_bundle()) if one.name == "psi_to_bundle"]
    assert bundle_reference(a_bundle()) is None


def test_a_week_with_few_images_has_no_index() -> None:
    stored = {"measured_on": "m", "n": 1000, "edges": [i / 10 for i in range(1, 10)], "shares": [0.1] * 10}
    found = drift([image(0.5)] * (ENOUGH_IMAGES - 1), a_bundle(evaluation={"reference": stored}))
    (index,) = [one for one in found if one.name == "psi_to_bundle"]
    assert (index.value, index.n) == (None, ENOUGH_IMAGES - 1)


def test_without_operating_points_nothing_is_urgent_or_not() -> None:
    assert "urgent" not in {one.name for one in drift([image(0.5)], a_bundle(operating_points=None))}

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import CapacityYield, Expected, PatientTriage, Reach
from cxrbatch.triage.capacity import ListCurve, capacity_note, capacity_yield, max_wait_warning, sums_note

GRID = np.linspace(0, 1, 51)
NORMAL = NormalDist()


def evaluation(tpr: Any = GRID, low: Any = None, high: Any = None) -> Mapping[str, Any]:
    """A bundle's, with its curve as it stands in JSON."""
    rows = {"tpr": tpr, "low": tpr if low is None else low, "high": tpr if high is None else high}
    return {
        "list_curve": {
            "measured_on": "30 patients with COVID-19 and 20 without",
            "fpr": GRID.tolist(),
            **{name: np.asarray(row).tolist() for name, row in rows.items()},
        }
    }


def binormal(distance: float) -> list[float]:
    """ROC curve of normal scores whose means lie this many standard deviations apart."""
    inner = [1 - NormalDist(distance).cdf(NORMAL.inv_cdf(1 - fpr)) for fpr in GRID[1:-1].tolist()]
    return [0.0, *inner, 1.0]


def night(n_ranked: int, n_max_wait: int = 0, n_not_scored: int = 0) -> list[PatientTriage]:
    ranked = [patient(rank, rank <= n_max_wait) for rank in range(1, n_ranked + 1)]
    return [*ranked, *[patient(None, True)] * n_not_scored]


def patient(rank: int | None, has_waited: bool) -> PatientTriage:
    return PatientTriage(
        rank=rank,
        priority=None,
        patient_id="P",
        accession_number="",
        study_date="",
        score=rank and 0.5,
        scores=(0.5, 0.3, 0.2) if rank else None,
        n_images=1,
        top_image="a.dcm",
        flags=(Flag.MAX_WAIT,) if has_waited else (),
        reason=None if rank else Reason.CORRUPT,
    )


def from_top(found: CapacityYield) -> Reach:
    assert found.from_top is not None
    return found.from_top


def share(n_swabs: int, n: int, curve: Mapping[str, Any], prevalence: float, waited: int = 0) -> Expected:
    return from_top(capacity_yield(n_swabs, night(n, waited), curve, prevalence)).share


curves = st.lists(st.floats(0, 1), min_size=49, max_size=49).map(lambda inner: [0.0, *sorted(inner), 1.0])
prevalences = st.floats(0.001, 0.999)
lists = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n + 5), st.integers(0, n)))


def same(expected: float) -> Any:
    return pytest.approx((expected, expected, expected), rel=1e-9, abs=1e-9)


def three(found: Expected) -> tuple[float, float, float]:
    return found.value, found.low, found.high


@given(lists, prevalences)
def test_a_score_that_tells_nothing_is_random_order(night_: tuple[int, int, int], prevalence: float) -> None:
    n, n_swabs, waited = night_
    found = capacity_yield(n_swabs, night(n, waited), evaluation(), prevalence)
    n_tested = min(n, n_swabs)
    assert three(from_top(found).share) == same(n_tested / n)
    assert three(from_top(found).positives) == same(n_tested * prevalence)
    assert three(from_top(found).tests_per_positive) == same(1 / prevalence)
    assert found.at_random is not None
    assert three(found.at_random.share) == same(n_tested / n)
    assert three(found.at_random.tests_per_positive) == same(1 / prevalence)


@given(lists, prevalences)
def test_a_perfect_list_begins_with_all_who_are_ill(night_: tuple[int, int, int], prevalence: float) -> None:
    """Straight up to (1/50, 1), as near as the grid comes to it."""
    n, n_swabs, _ = night_
    tested = min(1.0, n_swabs / n)
    reached = share(n_swabs, n, evaluation([0.0, *[1.0] * 50]), prevalence).value
    assert reached == pytest.approx(min(1.0, tested / (prevalence + (1 - prevalence) / 50)))


def test_closed_form_between_two_nodes() -> None:
    """TPR = 3·FPR to begin with: share tested s = p·3f + (1 − p)·f, so that the share reached is 3s / (1 + 2p)."""
    curve = evaluation(np.minimum(1, 3 * GRID))
    for prevalence in (0.01, 0.1, 0.5):
        expected = 3 * 0.2 / (1 + 2 * prevalence)
        found = capacity_yield(20, night(100), curve, prevalence)
        assert three(from_top(found).share) == same(expected)
        assert three(from_top(found).positives) == same(100 * prevalence * expected)
        assert three(from_top(found).tests_per_positive) == same(20 / (100 * prevalence * expected))


def test_the_interval_is_that_of_the_band_and_turned_round_for_the_tests() -> None:
    curve = evaluation(np.minimum(1, 3 * GRID), low=np.minimum(1, 2 * GRID), high=np.minimum(1, 4 * GRID))
    found = from_top(capacity_yield(20, night(100), curve, 0.1))
    low, value, high = (slope * 0.2 / (1 + (slope - 1) * 0.1) for slope in (2, 3, 4))
    assert three(found.share) == pytest.approx((value, low, high))
    assert three(found.positives) == pytest.approx((10 * value, 10 * low, 10 * high))
    assert three(found.tests_per_positive) == pytest.approx((2 / value, 2 / high, 2 / low))


def test_who_has_waited_longest_counts_as_random_order() -> None:
    """5 of 25 stand at the top and hold 1/5; the other 5 swabs go to the first quarter of the other 20."""
    curve = evaluation(np.minimum(1, 3 * GRID))
    quarter = 3 * 0.25 / (1 + 2 * 0.1)
    assert three(share(10, 25, curve, 0.1, waited=5)) == same(0.2 + 0.8 * quarter)
    assert three(share(3, 25, curve, 0.1, waited=5)) == same(3 / 25)
    assert three(share(5, 25, curve, 0.1, waited=5)) == same(5 / 25)


@given(lists, curves, prevalences)
def test_bounds(night_: tuple[int, int, int], tpr: list[float], prevalence: float) -> None:
    n, n_swabs, waited = night_
    found = from_top(
        capacity_yield(n_swabs, night(n, waited), evaluation(tpr, GRID**3, GRID**0.3), prevalence)
    )
    for reached in three(found.share):
        assert -1e-12 <= reached <= 1 + 1e-12
    for positives in three(found.positives):  # no more than there are, nor than swabs
        assert -1e-12 <= positives <= min(n * prevalence, n, n_swabs) + 1e-9
    for tests in three(found.tests_per_positive):
        assert tests >= 1 - 1e-9


@given(st.integers(1, 60), curves, prevalences, st.data())
def test_more_swabs_never_reach_fewer(
    n: int, tpr: list[float], prevalence: float, data: st.DataObject
) -> None:
    waited = data.draw(st.integers(0, n))
    reached = [share(k, n, evaluation(tpr), prevalence, waited).value for k in range(1, n + 1)]
    assert np.all(np.diff(reached) >= -1e-12)
    assert reached[-1] == 1


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.integers(1, 100), st.floats(0.1, 3))
def test_the_more_are_ill_the_smaller_the_share_and_the_fewer_the_tests(
    one: float, other: float, n_swabs: int, distance: float
) -> None:
    """Of a list that is better than random order all along its curve, which then is concave."""
    curve = evaluation(binormal(distance))
    rare, common = (capacity_yield(n_swabs, night(100), curve, p) for p in sorted((one, other)))
    assert from_top(common).share.value <= from_top(rare).share.value + 1e-9
    assert from_top(common).positives.value >= from_top(rare).positives.value - 1e-9
    assert from_top(common).tests_per_positive.value <= from_top(rare).tests_per_positive.value * (1 + 1e-9)


@pytest.mark.parametrize("waited", [0, 30])
@pytest.mark.parametrize(("n_swabs", "prevalence"), [(40, 0.05), (80, 0.2), (200, 0.5)])
def test_simulated_nights(n_swabs: int, prevalence: float, waited: int) -> None:
    """400 patients with normal scores; whoever waited stands at the top whatever the score."""
    n, n_nights, distance = 400, 3000, 1.2
    rng = np.random.default_rng(n_swabs + waited)
    ill = rng.uniform(size=(n_nights, n)) < prevalence
    score = rng.normal(size=ill.shape) + distance * ill
    score[:, :waited] = np.inf
    order = np.argsort(-score, axis=1, kind="stable")[:, :n_swabs]
    found = np.take_along_axis(ill, order, axis=1).sum(axis=1)
    expected = from_top(capacity_yield(n_swabs, night(n, waited), evaluation(binormal(distance)), prevalence))
    error = found.std() / math.sqrt(n_nights)
    straight = 0.01 * expected.positives.value  # the curve is straight between its 51 points
    assert abs(found.mean() - expected.positives.value) < 3 * error + straight


@pytest.mark.parametrize(
    ("curve", "prevalence", "said"),
    [
        (evaluation(), None, "cannot be said without a prevalence"),
        ({}, None, "The bundle has no measured curve"),
        ({}, 0.1, "The bundle has no measured curve"),
        ({"list_curve": None}, 0.1, "The bundle has no measured curve"),
    ],
)
def test_what_cannot_be_said_is_said_to_be_so(
    curve: Mapping[str, Any], prevalence: float | None, said: str
) -> None:
    found = capacity_yield(3, night(10, n_not_scored=2), curve, prevalence)
    assert (found.from_top, found.at_random) == (None, None)
    assert (found.n_swabs, found.n_ranked, found.n_max_wait) == (3, 10, 0)
    assert capacity_note(found).startswith(
        "3 swabs: what the first 3 of 10 ranked patients hold cannot be said"
    )
    assert said in capacity_note(found)
    assert "%" not in capacity_note(found)


@pytest.mark.parametrize("prevalence", [None, 0.1])
@pytest.mark.parametrize("n_ranked", [0, 1, 3])
def test_swabs_enough_for_everybody(n_ranked: int, prevalence: float | None) -> None:
    found = capacity_yield(3, night(n_ranked, n_not_scored=1), evaluation(), prevalence)
    assert (
        capacity_note(found)
        == f"3 swabs, {n_ranked} ranked: there is one for each of them, in whatever order."
    )
    assert (found.from_top is None) == (prevalence is None or n_ranked == 0)


def test_the_words() -> None:
    curve = evaluation(np.minimum(1, 3 * GRID), low=np.minimum(1, 2 * GRID), high=np.minimum(1, 5 * GRID))
    note = capacity_note(capacity_yield(20, night(100), curve, 0.1))
    assert note.startswith(
        "20 swabs: the first 20 of 100 ranked patients are expected to hold 50 % (36 % to 71 %) of all who are "
        "PCR-positive: 5.0 (3.6 to 7.1), 4.0 (2.8 to 5.5) swabs for each. In random order as many swabs reach 20 %: "
        "2.0, 10.0 swabs for each. The prevalence of 10 % was stated and not measured. "
    )
    assert "measured on 30 patients with COVID-19 and 20 without" in note
    assert "which nobody has checked" in note


def test_small_shares_are_not_rounded_to_nothing() -> None:
    note = capacity_note(capacity_yield(4, night(1000), evaluation(), 0.1))
    assert (
        "hold 0.4 % (0.4 % to 0.4 %) of all who are PCR-positive: 0.4 (0.4 to 0.4), 10.0 (10.0 to 10.0)"
        in note
    )
    assert "reach 0.4 %" in note


@pytest.mark.parametrize(
    ("waited", "said"),
    [
        (0, ""),
        (1, "1 patient comes first because of the wait, whatever the score, and counts as random order."),
        (7, "7 patients come first because of the wait, whatever the score, and count as random order."),
    ],
)
def test_the_wait_is_said(waited: int, said: str) -> None:
    note = capacity_note(capacity_yield(20, night(100, waited), evaluation(), 0.1))
    assert said in note
    assert ("because of the wait" in note) == bool(said)


@pytest.mark.parametrize(
    ("waited", "swabs", "begins"),
    [
        (4, None, ""),
        (3, 4, ""),
        (4, 4, "4 patients come first because of the wait (--max-nights), and there are 4 swabs: "),
        (1, 1, "1 patient comes first because of the wait (--max-nights), and there is 1 swab: "),
        (2, 1, "2 patients come first because of the wait (--max-nights), and there is 1 swab: "),
    ],
)
def test_a_warning_when_the_wait_needs_all_swabs(waited: int, swabs: int | None, begins: str) -> None:
    warning = max_wait_warning(waited, swabs)
    assert warning.startswith(begins)
    assert bool(warning) == bool(begins)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.5, 2.0, "the list may be no better"), (0.3, 0.8, "Random order would be better"), (2.0, 4.0, "")],
)
def test_random_order_is_named_where_it_may_be_as_good(low: float, high: float, said: str) -> None:
    rows = (np.where(GRID < 1, np.minimum(1, slope * GRID), 1.0) for slope in ((low + high) / 2, low, high))
    note = capacity_note(capacity_yield(20, night(100), evaluation(*rows), 0.1))
    assert said in note
    assert ("andom order: the list" in note or "would be better" in note) == bool(said)


def test_a_band_that_reaches_down_to_nothing_sets_no_limit_to_the_tests() -> None:
    nothing = np.where(GRID < 1, 0.0, 1.0)
    found = capacity_yield(1, night(10), evaluation(GRID, low=nothing), 0.1)
    assert from_top(found).tests_per_positive.high == math.inf
    assert capacity_note(found).startswith("1 swab: the first 1 of 10 ranked patients are expected")
    assert "(10.0 to no limit) swabs for each" in capacity_note(found)


def test_a_curve_as_the_shipped_bundle_has_it() -> None:
    from cxrbatch.bundle.bundle import load_bundle

    curve = ListCurve.of(load_bundle().evaluation)
    assert curve is not None
    assert curve.measured_on.startswith(load_bundle().require_calibration().measured_on.split(" without")[0])
    for row in (curve.fpr, curve.tpr, curve.low, curve.high):
        assert (row[0], row[-1], row.size) == (0, 1, 51)
        assert np.all(np.diff(row) >= 0)
    assert np.all((curve.low <= curve.tpr) & (curve.tpr <= curve.high))


def test_sums_that_differ_from_the_expected_yield_are_explained() -> None:
    """Ten ranked, four swabs, prevalence 30 %: a curve on the diagonal expects 4/10 of 3.0, that is 1.2."""
    found = capacity_yield(4, night(10), evaluation(), 0.3)
    assert sums_note(found, [0.3] * 10) == ""
    note = sums_note(found, [0.9, 0.8, 0.5, 0.4, *[0.25] * 6])
    assert note.startswith(
        "The probabilities of the first 4 add up to 2.6, where 1.2 are expected, and those of all 10 to 4.1, where "
        "30 % is 3.0: "
    )
    assert sums_note(found, [0.9, 0.3, *[0.0] * 6, 0.9, 0.9]) == ""


def test_no_sums_without_a_prevalence_or_with_a_swab_for_each() -> None:
    assert sums_note(capacity_yield(4, night(10), evaluation(), None), [0.9] * 10) == ""
    assert sums_note(capacity_yield(10, night(10), evaluation(), 0.3), [0.9] * 10) == ""

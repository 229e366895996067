"""What the simulation of waiting counts can be counted by hand, and its order is that of the program's list."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from benchmarks import waiting
from benchmarks.waiting import AT_RANDOM, FIRST_COME, SCORE, Order, Ward, Wave, with_max_wait
from cxrbatch.state.connection import open_state
from cxrbatch.triage.capacity import ListCurve
from cxrbatch.triage.waiting_list import ListRules, make_waiting_list
from tests.factories.records import image_score
from tests.factories.stored import BUNDLE, context, night, stored_image

ORDERS = (FIRST_COME, AT_RANDOM, SCORE, with_max_wait(2), with_max_wait(3, by_nights=False))
NEVER = 1000


def wave_of(arrivals: list[int], swabs: list[int]) -> Wave:
    n = sum(arrivals)
    return Wave(
        night=np.repeat(np.arange(len(arrivals)), arrivals),
        positive=np.zeros(n, np.bool_),
        place=np.zeros(n),
        swabs=np.array(swabs),
    )


def waited(wave: Wave, scores: list[float], order: Order = SCORE, expire: int = NEVER) -> list[int]:
    return waiting.nights_waited(wave, np.array(scores), order, expire).tolist()


# --- by hand: A 0.9, B 0.1 on night 0; C 0.8 on night 1; D 0.5 on night 2; E 0.7 on night 3; one swab a day

FIVE = wave_of([2, 1, 1, 1, 0], swabs=[1] * 5), [0.9, 0.1, 0.8, 0.5, 0.7]


def test_by_score_alone_the_lowest_waits_until_nobody_else_is_left() -> None:
    assert waited(*FIVE) == [0, 4, 0, 0, 0]


def test_after_two_nights_the_lowest_comes_first_and_the_others_wait_for_it() -> None:
    assert waited(*FIVE, with_max_wait(2)) == [0, 2, 0, 2, 0]


def test_who_is_not_swabbed_before_the_last_night_counts_with_all_of_them() -> None:
    assert waited(*FIVE, expire=3) == [0, 3, 0, 0, 0]
    assert waited(wave_of([1], [0]), [0.5], expire=14) == [14]


def test_first_come_first_served_serves_each_night_before_the_next() -> None:
    found = waited(wave_of([2, 2, 0, 0], [1] * 4), [0.1, 0.2, 0.9, 0.8], FIRST_COME)
    assert sorted(found[:2]) == [0, 1]
    assert sorted(found[2:]) == [1, 2]


def test_those_who_come_first_are_sorted_by_nights_or_all_by_score() -> None:
    numbers, nights, values = [1, 2, 3, 4], [0, 2, 3, 5], [0.9, 0.8, 0.7, 0.1]
    assert waiting.listed(numbers, nights, values, SCORE) == [1, 2, 3, 4]
    assert waiting.listed(numbers, nights, values, with_max_wait(3)) == [4, 3, 1, 2]
    assert waiting.listed(numbers, nights, values, with_max_wait(3, by_nights=False)) == [3, 4, 1, 2]


def test_order_is_that_of_the_list_across_nights() -> None:
    source = np.random.default_rng(5)
    nights, values = source.integers(0, 9, 60).tolist(), source.permutation(60) / 100
    seen = [
        stored_image(image_score(str(number), value, patient=f"{number:08}"), -n_nights)
        for number, (n_nights, value) in enumerate(zip(nights, values, strict=True))
    ]
    rules = ListRules(
        tonight=night(0),
        expire_nights=14,
        max_nights=3,
        pending_days=3,
        bundle_sha256=BUNDLE,
        aggregation="mean",
        operating_points=None,
    )
    program = [int(patient.patient_id) for patient in make_waiting_list(seen, set(), {}, {}, rules)]
    assert waiting.listed(range(60), nights, values.tolist(), with_max_wait(3)) == program


# --- laws


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_with_a_swab_for_everybody_nobody_waits(order: Order) -> None:
    assert waited(wave_of([3, 0, 2], [3, 0, 2]), [0.1, 0.9, 0.5, 0.3, 0.2], order) == [0] * 5


def test_without_expiry_all_orders_have_one_sum_of_nights_whatever_the_score() -> None:
    """Every day takes off as many as there are swabs: how many are left does not depend on who."""
    ward = Ward(arrivals=10, load=1.0, nights=30, expire_nights=NEVER)
    wave = waiting.draw(Ward(arrivals=10, load=1.0, nights=30), 3)
    swabs = wave.swabs.copy()
    swabs[-1] = wave.night.size  # all are served in the end
    wave = Wave(night=wave.night, positive=wave.positive, place=wave.place, swabs=swabs)
    sums = {
        int(waiting.nights_waited(wave, waiting.scores(wave, curve), order, ward.expire_nights).sum())
        for curve in (waiting.binormal(0.5), waiting.binormal(0.9))
        for order in ORDERS
    }
    left, total = 0, 0
    for arrived, swabbed in zip(np.bincount(wave.night, minlength=swabs.size), swabs, strict=True):
        left = max(left + int(arrived) - int(swabbed), 0)
        total += left
    assert sums == {total}
    assert total > 0


def test_a_useless_score_serves_positives_as_first_come_and_random_do() -> None:
    ward = Ward(arrivals=8, load=1.0, prevalence=0.5, nights=20, expire_nights=20)
    found = waiting.over_seeds(ward, waiting.binormal(0.5), ORDERS, range(12))
    means = found[:, :, 0, 0]
    apart = means - means[0]  # the same waves: by pairs
    error = apart[1:].std(axis=1, ddof=1) / np.sqrt(12)
    assert (np.abs(apart[1:].mean(axis=1)) < 4 * error).all()
    assert means.mean() > 0.5


def test_a_good_score_lets_positives_wait_less_than_the_others() -> None:
    ward = Ward(arrivals=10, load=0.9, nights=40, expire_nights=14)
    found = waiting.over_seeds(ward, waiting.binormal(0.9), [FIRST_COME, SCORE], range(4)).mean(axis=1)
    (first, first_others), (score, score_others) = found[..., 0]
    assert score < first / 3
    assert score < score_others
    assert first == pytest.approx(first_others, rel=0.2)


def test_equal_seeds_give_equal_figures_and_other_seeds_other_ones() -> None:
    ward = Ward(arrivals=6, nights=20)
    one, again = (waiting.over_seeds(ward, waiting.binormal(0.7), ORDERS, range(2)) for _ in range(2))
    assert np.array_equal(one, again, equal_nan=True)
    assert not np.array_equal(one[:, 0], one[:, 1])


# --- scores and figures


@pytest.mark.parametrize("auroc", [0.5, 0.7, 0.85])
def test_scores_have_the_auroc_that_was_asked_for(auroc: float) -> None:
    wave = waiting.draw(Ward(arrivals=400, nights=60, prevalence=0.5), 1)
    scores = waiting.scores(wave, waiting.binormal(auroc))
    order = np.argsort(np.argsort(scores)) + 1
    n, m = wave.positive.sum(), (~wave.positive).sum()
    found = (order[wave.positive].sum() - n * (n + 1) / 2) / (n * m)
    assert found == pytest.approx(auroc, abs=4 * 0.5 / np.sqrt(min(n, m)) / np.sqrt(3))


def test_scores_of_a_measured_curve_are_found_at_its_rates() -> None:
    fpr, tpr = np.array([0, 0.2, 1]), np.array([0, 0.6, 1])
    curve = ListCurve(fpr, tpr, low=tpr, high=tpr)
    wave = waiting.draw(Ward(arrivals=400, nights=60, prevalence=0.5), 2)
    scores = waiting.scores(wave, waiting.measured(curve))
    assert (scores[~wave.positive] > 0.8).mean() == pytest.approx(0.2, abs=0.02)
    assert (scores[wave.positive] > 0.8).mean() == pytest.approx(0.6, abs=0.02)


def test_figures_are_mean_95th_percentile_maximum_and_share_never_swabbed() -> None:
    assert waiting.figures(np.array([0] * 19 + [14]), 14).tolist() == [0.7, pytest.approx(0.7), 14, 0.05]
    assert np.isnan(waiting.figures(np.array([], np.int64), 14)).all()


def test_mean_and_standard_error_stand_in_the_table() -> None:
    found = np.zeros((1, 2, 2, 4))
    found[0, 0, 0], found[0, 1, 0] = (1, 2, 3, 0.1), (3, 4, 5, 0.3)
    (line,) = waiting.lines("0.70", [SCORE], found)
    assert line.startswith(
        "| 0.70 | score | 2.00 ± 1.00 | 3.00 ± 1.00 | 4.00 ± 1.00 | 20.0% ± 10.0% | 0.00 ± 0.00 |"
    )


def test_a_past_of_40_nights_began_40_nights_ago_and_ended_yesterday() -> None:
    from benchmarks.remembered import Past

    past = Past(n_images=1000, n_nights=40, tested=0.5)
    assert [past.nights_ago(number) for number in (0, 24, 25, 999)] == [40, 40, 39, 1]
    assert dt.timedelta(days=past.nights_ago(999)) == dt.timedelta(days=1)


def test_a_large_state_has_so_many_patients_that_all_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.large_state import add, fill, multiply, scattered
    from benchmarks.remembered import Past

    assert len({scattered(number) for number in range(0, 10**8, 997)}) == len(range(0, 10**8, 997))
    path, tonight = tmp_path / "state", context(0)
    past = Past(n_images=200, n_nights=10, tested=1.0)
    with open_state(path) as state:
        fill(state, path, past, [], tonight)
    multiply(path, 3)
    with open_state(path) as state:
        add(state, path, past, 100, 600, tonight)
        assert (state.n_images(), state.problems()) == (700, [])
        assert {image.first_night for image in state.images()} == {night(-ago) for ago in range(1, 11)}
        found = state.removal._all_keys()
        assert len(set(found)) == 700
        assert not list(state.stored_images(night(-99)))  # all have a result
    assert "| 700 |" in capsys.readouterr().out

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrbatch.stats import auroc_within_strata, right_within_patients, share_interval


def names(n: int) -> NDArray[np.str_]:
    return np.arange(n).astype(str)


def test_pairs_of_two_strata_are_not_compared() -> None:
    y_true = np.array([True, False, True, False])
    y_score = np.array([0.2, 0.1, 0.8, 0.9])
    strata = np.array(["a", "a", "b", "b"])
    assert auroc_within_strata(y_true, y_score, strata, names(4), bootstraps=0).value == 0.5
    one = auroc_within_strata(y_true, y_score, np.repeat("a", 4), names(4), bootstraps=0)
    assert one.value == 0.5  # of four pairs two are right


def test_strata_weigh_by_their_pairs_as_scikit_learn_counts_them() -> None:
    rng = np.random.default_rng(0)
    y_true, strata = rng.random(200) < 0.4, rng.choice(["a", "b", "c"], 200, p=[0.6, 0.3, 0.1])
    y_score = np.round(rng.normal(size=200) + y_true + (strata == "b") * 5, 1)
    areas, weights = [], []
    for stratum in "abc":
        here = strata == stratum
        areas.append(roc_auc_score(y_true[here], y_score[here]))
        weights.append(y_true[here].sum() * (~y_true[here]).sum())
    found = auroc_within_strata(y_true, y_score, strata, names(200), bootstraps=200)
    assert found.value == pytest.approx(np.average(areas, weights=weights))
    assert found.low < found.value < found.high
    moved = y_score + (strata == "a") * 100  # an offset per stratum changes nothing
    assert auroc_within_strata(y_true, moved, strata, names(200), bootstraps=200) == found


def test_copies_of_a_patient_in_a_stratum_change_nothing() -> None:
    y_true = np.array([True, True, False, False])
    y_score = np.array([0.3, 0.9, 0.5, 0.1])
    once = auroc_within_strata(y_true, y_score, np.repeat("a", 4), names(4), bootstraps=50)
    twice = np.array([0, 0, 1, 2, 3])
    copied = auroc_within_strata(
        y_true[twice], y_score[twice], np.repeat("a", 5), names(4)[twice], bootstraps=50
    )
    assert copied == once


@pytest.mark.parametrize("y_true", [[], [True, True], [True, False]])
def test_nothing_to_compare_has_no_figure(y_true: list[bool]) -> None:
    n = len(y_true)
    found = auroc_within_strata(np.array(y_true, bool), np.zeros(n), names(n), names(n), bootstraps=5)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_two_films_of_one_person_are_compared_with_each_other_only() -> None:
    y_true = np.array([True, False, True, False, False, True, False])
    y_score = np.array([0.9, 0.1, 0.5, 0.5, 0.8, 1.0, 0.0])
    patients = np.array(["a", "a", "b", "b", "b", "c", "d"])  # c and d have one side only
    mean, share, n_patients, n_pairs = right_within_patients(y_true, y_score, patients, bootstraps=100)
    assert (n_patients, n_pairs) == (2, 3)
    assert mean.value == pytest.approx((1 + 0.25) / 2)
    assert share.value == pytest.approx(1.5 / 3)
    assert (mean.low, mean.high) == (0.25, 1.0)


def test_without_a_person_on_both_sides_there_is_no_figure() -> None:
    mean, share, *counts = right_within_patients(np.array([True]), np.array([0.5]), names(1), bootstraps=9)
    assert np.isnan([mean.value, share.value]).all()
    assert counts == [0, 0]


@pytest.mark.parametrize(
    ("n_found", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_shares_have_the_interval_of_wilson(n_found: int, n: int, low: float, high: float) -> None:
    found = share_interval(n_found, n)
    assert (found.value, found.low, found.high) == pytest.approx((n_found / n, low, high), abs=1e-4)
    assert np.isnan(share_interval(0, 0).low)

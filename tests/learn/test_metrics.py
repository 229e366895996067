import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cxrbatch.learn.metrics import auroc, auroc_interval, prevalence_score, threshold_at_sensitivity, wins


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60))
def test_auroc_equals_that_of_scikit_learn_with_ties(rows: list[tuple[bool, int]]) -> None:
    y_true = np.array([row[0] for row in rows])
    y_score = np.array([row[1] for row in rows], float)
    if 0 < y_true.sum() < y_true.size:
        assert auroc(y_true, y_score) == pytest.approx(roc_auc_score(y_true, y_score))
    else:
        assert np.isnan(auroc(y_true, y_score))


def test_known_answers() -> None:
    y_true = np.array([True, True, False, False, False])
    assert auroc(y_true, np.zeros(5)) == 0.5
    assert auroc(y_true, y_true.astype(float)) == 1.0
    assert auroc(y_true, 1.0 - y_true) == 0.0
    assert wins(y_true, np.array([2.0, 1.0, 1.0, 0.0, 3.0])).tolist() == [[1.0, 1.0, 0.0], [0.5, 1.0, 0.0]]


def test_interval_of_a_perfect_and_of_a_constant_score_has_no_width() -> None:
    y_true = np.arange(40) % 2 == 0
    patients = np.arange(40).astype(str)
    perfect = auroc_interval(y_true, y_true.astype(float), patients, bootstraps=200)
    constant = auroc_interval(y_true, np.ones(40), patients, bootstraps=200)
    assert (perfect.low, perfect.value, perfect.high) == (1.0, 1.0, 1.0)
    assert (constant.low, constant.value, constant.high) == (0.5, 0.5, 0.5)


def test_interval_covers_the_closed_form() -> None:
    # Hanley and McNeil 1982: standard error of the area for normal scores one standard deviation apart.
    rng = np.random.default_rng(0)
    y_true = np.arange(400) < 200
    score = rng.normal(size=400) + y_true
    area = auroc(y_true, score)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + 199 * (q1 - area**2) + 199 * (q2 - area**2)) / 200**2)
    found = auroc_interval(y_true, score, np.arange(400).astype(str), bootstraps=4000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_copies_of_patients_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(1)
    y_true = np.arange(60) < 30
    score = rng.normal(size=60) + y_true
    patients = np.arange(60).astype(str)
    once = auroc_interval(y_true, score, patients, bootstraps=2000)
    fourfold = auroc_interval(np.tile(y_true, 4), np.tile(score, 4), np.tile(patients, 4), bootstraps=2000)
    assert fourfold.value == pytest.approx(once.value)
    assert fourfold.high - fourfold.low == pytest.approx(once.high - once.low, rel=0.05)


@pytest.mark.parametrize(("sensitivity", "expected"), [(0.9, 2.0), (0.95, 1.0), (1.0, 1.0), (0.5, 6.0)])
def test_threshold_finds_at_least_that_share(sensitivity: float, expected: float) -> None:
    scores = np.arange(1.0, 11.0)
    threshold = threshold_at_sensitivity(scores, sensitivity)
    assert threshold == expected
    assert (scores >= threshold).mean() >= sensitivity


def test_a_source_only_score_is_perfect_where_the_class_is_the_source() -> None:
    y_true = np.array([True, True, False, False])
    assert auroc(y_true, prevalence_score(y_true, np.array(["a", "a", "b", "b"]))) == 1.0
    assert auroc(y_true, prevalence_score(y_true, np.array(["a", "b", "a", "b"]))) == 0.5

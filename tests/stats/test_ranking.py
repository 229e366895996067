from itertools import permutations
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from cxrbatch.stats.calibration import (
    balanced_weights,
    brier,
    calibration_line,
    expected_calibration_error,
    reliability,
)
from cxrbatch.stats.logistic import fit_logistic, sigmoid
from cxrbatch.stats.ranking import (
    Ranking,
    auprc,
    auroc,
    estimates,
    gain_points,
    histogram_points,
    precision_recall_points,
    prevalence_score,
    rank,
    roc_points,
    sensitivity,
    specificity,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    top_of_list,
)

Y_TRUE = np.array([True, True, False, False, False])
AUROC = {"auroc": Ranking.auroc}
NORMAL = NormalDist()


def names(n: int) -> np.ndarray:
    return np.arange(n).astype(str)


def drawn(both: bool = True) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Truth and scores with many ties."""
    rows = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60)
    columns = rows.map(lambda found: (np.array([y for y, _ in found]), np.array([s / 9 for _, s in found])))
    return columns.filter(lambda pair: not both or 0 < pair[0].sum() < pair[0].size)


def binormal(distance: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of two normal distributions one standard deviation wide: no chance in them."""
    quantiles = np.array([NORMAL.inv_cdf((i + 0.5) / n) for i in range(n)])
    return np.arange(2 * n) < n, np.concatenate([quantiles + distance, quantiles])


@given(drawn())
def test_figures_equal_those_of_scikit_learn_with_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y_true, y_score = pair
    assert auroc(y_true, y_score) == pytest.approx(roc_auc_score(y_true, y_score))
    assert auprc(y_true, y_score) == pytest.approx(average_precision_score(y_true, y_score))
    weights = balanced_weights(y_true)
    expected = brier_score_loss(y_true, y_score, sample_weight=weights)
    assert brier(y_true, y_score) == pytest.approx(expected)


@given(drawn())
def test_curves_equal_those_of_scikit_learn_with_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    false_rate, true_rate, thresholds = roc_curve(*pair, drop_intermediate=False)
    assert np.array(roc_points(*pair)) == pytest.approx(np.array([false_rate, true_rate]))
    precision, recall, _ = precision_recall_curve(*pair)
    found_recall, found_precision = precision_recall_points(*pair)
    assert found_recall[::-1] == pytest.approx(recall[:-1])
    assert found_precision[::-1] == pytest.approx(precision[:-1])
    for threshold, false, true in zip(thresholds[1:], false_rate[1:], true_rate[1:], strict=True):
        assert sensitivity(*pair, threshold) == pytest.approx(true)
        assert specificity(*pair, threshold) == pytest.approx(1 - false)
    for share in (0.5, 0.9, 0.95, 1.0):
        best = 1 - false_rate[true_rate >= share - 1e-9].min()
        assert specificity_at_sensitivity(*pair, share) == pytest.approx(best)


@given(drawn(both=False))
def test_a_weight_is_as_many_units(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y_true, y_score = pair
    counts = np.random.default_rng(y_true.size).integers(0, 4, size=y_true.size)
    weighted = rank(y_true, y_score, counts[None].astype(float))
    if 0 < (counts * y_true).sum() < counts.sum():
        again = rank(np.repeat(y_true, counts), np.repeat(y_score, counts))
        for measure in (Ranking.auroc, Ranking.auprc, lambda r: r.specificity_at_sensitivity(0.9)):
            assert measure(weighted) == pytest.approx(measure(again))
    else:
        assert np.isnan(weighted.auroc()[0])


@given(drawn(both=False))
def test_no_figure_where_a_class_is_missing(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y_true, y_score = pair
    for one_class in (np.zeros_like(y_true), np.ones_like(y_true)):
        for figure in (auroc, auprc, brier, expected_calibration_error):
            assert np.isnan(figure(one_class, y_score))
        assert np.isnan(specificity_at_sensitivity(one_class, y_score, 0.9))
        assert np.isnan(calibration_line(one_class, y_score)).all()
    assert np.isnan(auroc(y_true[:0], y_score[:0]))
    assert np.isnan(sensitivity(np.zeros_like(y_true), y_score, 0.5))
    assert np.isnan(specificity(np.ones_like(y_true), y_score, 0.5))


def test_constant_perfect_and_reversed_scores() -> None:
    constant, perfect = np.zeros(5), Y_TRUE.astype(float)
    assert (auroc(Y_TRUE, constant), auroc(Y_TRUE, perfect), auroc(Y_TRUE, 1 - perfect)) == (0.5, 1.0, 0.0)
    assert (auprc(Y_TRUE, constant), auprc(Y_TRUE, perfect)) == (0.4, 1.0)
    assert specificity_at_sensitivity(Y_TRUE, constant, 0.9) == 0.0
    assert specificity_at_sensitivity(Y_TRUE, perfect, 0.9) == 1.0
    assert np.array(gain_points(Y_TRUE, constant)).tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert np.array(gain_points(Y_TRUE, perfect)).tolist() == [[0.0, 0.4, 1.0], [0.0, 1.0, 1.0]]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        auroc(Y_TRUE, np.array([0.1, np.nan, 0.2, 0.3, 0.4]))


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.5])
def test_closed_forms_of_two_normal_distributions(distance: float) -> None:
    y_true, x = binormal(distance)
    assert auroc(y_true, x) == pytest.approx(NORMAL.cdf(distance / np.sqrt(2)), abs=1e-3)
    # 90 % of the positives lie above `distance` − 1.28.
    expected = NORMAL.cdf(distance - NORMAL.inv_cdf(0.9))
    assert specificity_at_sensitivity(y_true, x, 0.9) == pytest.approx(expected, abs=1e-3)


def test_calibration_of_a_score_whose_log_odds_are_known() -> None:
    y_true, x = binormal(1.5)
    log_odds = 1.5 * x - 1.5**2 / 2
    slope, intercept = calibration_line(y_true, sigmoid(log_odds))
    assert (slope, intercept) == pytest.approx((1.0, 0.0), abs=0.01)
    assert expected_calibration_error(y_true, sigmoid(log_odds)) < 0.002
    assert calibration_line(y_true, sigmoid(2 * log_odds))[0] == pytest.approx(slope / 2)
    assert calibration_line(y_true, sigmoid(log_odds + 1))[1] == pytest.approx(intercept - 1)


def test_calibration_asks_for_no_prevalence() -> None:
    y_true, x = binormal(1.0, n=300)
    log_odds = x - 0.5
    rare = np.concatenate([np.flatnonzero(y_true), np.tile(np.flatnonzero(~y_true), 9)])
    common, scarce = (calibration_line(y_true[i], sigmoid(log_odds[i])) for i in (np.arange(600), rare))
    assert scarce == pytest.approx(common)
    assert brier(y_true[rare], sigmoid(log_odds[rare])) == pytest.approx(brier(y_true, sigmoid(log_odds)))


def test_calibration_equals_an_unpenalised_logistic_regression_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y_true = rng.random(300) < 0.2
    score = sigmoid(rng.normal(size=300) + y_true)
    logit = np.log(score / (1 - score))[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    oracle.fit(logit, y_true, 300 * balanced_weights(y_true))
    assert calibration_line(y_true, score)[0] == pytest.approx(oracle.coef_[0, 0], abs=1e-4)


def test_no_slope_where_the_score_parts_the_classes_or_is_constant() -> None:
    parted = np.where(Y_TRUE, 0.9, 0.1)
    for score in (parted, 1 - parted, np.full(5, 0.5), Y_TRUE.astype(float)):
        slope, intercept = calibration_line(Y_TRUE, score)
        assert np.isnan(slope)
        assert np.isfinite(intercept)
    assert calibration_line(Y_TRUE, np.full(5, 0.5))[1] == pytest.approx(0.0)


def test_calibration_of_saturated_scores_is_found() -> None:
    """The likelihood is so flat there that a whole Newton step would lead nowhere."""
    y_true = np.arange(10) % 2 == 0
    most = np.log((1 - 1e-7) / 1e-7)
    for score, expected in ((np.ones(10), -most), (np.zeros(10), most)):
        assert calibration_line(y_true, score)[1] == pytest.approx(expected, abs=1e-3)


def test_ridge_regression_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    design, weight = rng.normal(size=(80, 4)), rng.random(80)
    y_true = rng.random(80) < sigmoid(3 * design[:, 0])
    oracle = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=1000).fit(
        design, y_true, weight
    )
    assert fit_logistic(design, y_true, weight, ridge=2.0) == pytest.approx(oracle.coef_[0], abs=1e-5)


@given(drawn(), st.integers(1, 100))
def test_the_top_of_the_list_is_the_mean_over_all_orders_of_the_ties(
    pair: tuple[np.ndarray, np.ndarray], percent: int
) -> None:
    y_true, y_score = pair
    top = top_of_list(y_true, y_score, percent / 100)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        order = np.lexsort([rng.random(y_true.size), -y_score])
        found.append(y_true[order][: top.n_tested].sum() / y_true.sum())
    assert top.found == pytest.approx(np.mean(found), abs=0.15)
    assert top.n_tested == -(-percent * y_true.size // 100)


def test_the_top_of_a_short_list_exactly() -> None:
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    exact = np.mean([Y_TRUE[list(order)][1] for order in permutations((1, 2, 3)) for order in [(0, *order)]])
    top = top_of_list(Y_TRUE, score, 0.4)
    assert top.found == pytest.approx((1 + exact) / 2)


def test_number_needed_to_test_is_one_over_the_predictive_value() -> None:
    y_true, x = binormal(1.0, n=500)
    for share in (0.1, 0.3, 1.0):
        top = top_of_list(y_true, x, share)
        value = y_true[np.argsort(-x)][: top.n_tested].mean()
        assert top.number_needed_to_test == pytest.approx(1 / value)
        assert top.lift == pytest.approx(value / 0.5)
    assert top_of_list(Y_TRUE, 1.0 - Y_TRUE, 0.5).number_needed_to_test == float("inf")
    constant = top_of_list(Y_TRUE, np.zeros(5), 0.3)
    assert (constant.lift, constant.number_needed_to_test) == pytest.approx((1.0, 2.5))


def test_reliability_of_constant_scores() -> None:
    for score, error, loss in ((0.5, 0.0, 0.25), (0.9, 0.4, 0.41), (0.0, 0.5, 0.5)):
        constant = np.full(5, score)
        assert expected_calibration_error(Y_TRUE, constant) == pytest.approx(error)
        assert brier(Y_TRUE, constant) == pytest.approx(loss)
        found = reliability(Y_TRUE, constant)
        assert found.n.tolist() == [5]
        assert (found.share[0], found.score[0]) == (pytest.approx(0.5), pytest.approx(score))


@given(drawn())
def test_reliability_never_parts_equal_scores(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y_true, y_score = pair
    found = reliability(y_true, y_score)
    assert found.n.sum() == y_true.size
    assert found.weight.sum() == pytest.approx(1.0)
    assert (np.diff(found.score) > 0).all()
    counts = np.unique(y_score, return_counts=True)[1]
    ends = set(np.cumsum(counts).tolist())
    assert set(np.cumsum(found.n).tolist()) <= ends


def test_reliability_bins_hold_equal_counts() -> None:
    y_true, x = binormal(1.0, n=50)
    score = sigmoid(x + 1e-6 * np.arange(100))
    assert reliability(y_true, score).n.tolist() == [10] * 10


def test_histogram_is_of_shares() -> None:
    edges, share = histogram_points(np.array([0.0, 0.04, 0.5, 1.0]), bins=10)
    assert edges == pytest.approx(np.linspace(0, 1, 11))
    assert share.tolist() == [0.5, 0, 0, 0, 0, 0.25, 0, 0, 0, 0.25]
    assert histogram_points(np.array([]))[1].sum() == 0.0


def test_interval_of_a_perfect_and_of_a_constant_score_has_no_width() -> None:
    y_true = np.arange(40) % 2 == 0
    for score, expected in ((y_true.astype(float), 1.0), (np.ones(40), 0.5)):
        found = estimates(AUROC, y_true, score, names(40), bootstraps=200)["auroc"]
        assert (found.low, found.value, found.high) == (expected, expected, expected)


def test_interval_covers_the_closed_form() -> None:
    # Hanley and McNeil 1982: standard error of the area for normal scores one standard deviation apart.
    rng = np.random.default_rng(0)
    y_true = np.arange(400) < 200
    score = rng.normal(size=400) + y_true
    area = auroc(y_true, score)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + 199 * (q1 - area**2) + 199 * (q2 - area**2)) / 200**2)
    found = estimates(AUROC, y_true, score, names(400), bootstraps=4000)["auroc"]
    assert found.value == pytest.approx(area)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_interval_of_a_share_is_that_of_the_binomial_distribution() -> None:
    y_true = np.arange(800) < 400
    score = np.where(np.arange(800) % 10 < 3, 0.9, 0.1)
    measures = {"sensitivity": lambda r: r.sensitivity(0.5), "specificity": lambda r: r.specificity(0.5)}
    found = estimates(measures, y_true, score, names(800), bootstraps=4000)
    assert (found["sensitivity"].value, found["specificity"].value) == (0.3, 0.7)
    for estimate in found.values():
        width = 2 * 1.96 * np.sqrt(0.3 * 0.7 / 400)
        assert estimate.high - estimate.low == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize("copied", [np.arange(60), np.arange(0, 60, 7)])
def test_copies_of_units_change_no_figure_and_no_interval(copied: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    y_true = np.arange(60) < 30
    score = rng.normal(size=60) + y_true
    measures = {"auroc": Ranking.auroc, "auprc": Ranking.auprc, "at": lambda r: r.sensitivity(0.5)}
    index = np.concatenate([np.arange(60), copied, copied])
    once = estimates(measures, y_true, score, names(60), bootstraps=500)
    copies = estimates(measures, y_true[index], score[index], names(60)[index], bootstraps=500)
    for name, estimate in once.items():
        again = copies[name]
        expected = (estimate.value, estimate.low, estimate.high)
        assert (again.value, again.low, again.high) == pytest.approx(expected)


def test_units_of_one_patient_come_and_go_together() -> None:
    rng = np.random.default_rng(2)
    y_true = np.tile([True, False], 10).repeat(10)
    score = (rng.normal(size=20) + np.tile([1.0, 0.0], 10)).repeat(10) + 0.01 * rng.normal(size=200)
    apart = estimates(AUROC, y_true, score, names(200), bootstraps=1000)["auroc"]
    together = estimates(AUROC, y_true, score, names(20).repeat(10), bootstraps=1000)["auroc"]
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_resamples_without_a_class_are_left_out_of_the_interval() -> None:
    y_true = np.array([True, False])
    found = estimates(AUROC, y_true, np.array([0.9, 0.1]), names(2), bootstraps=50)["auroc"]
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)
    only_ill = estimates(AUROC, y_true[:1], np.array([0.9]), names(1), bootstraps=50)["auroc"]
    nobody = estimates(AUROC, y_true[:0], np.array([]), names(0), bootstraps=50)["auroc"]
    for none in (only_ill, nobody):
        assert np.isnan([none.low, none.value, none.high]).all()


def test_chunks_of_resamples_are_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    y_true, x = binormal(1.0, n=40)
    whole = estimates(AUROC, y_true, x, names(80), bootstraps=300)
    monkeypatch.setattr("cxrbatch.stats.ranking.CHUNK", 80 * 7)
    assert estimates(AUROC, y_true, x, names(80), bootstraps=300) == whole


@pytest.mark.parametrize(("share", "expected"), [(0.9, 2.0), (0.95, 1.0), (1.0, 1.0), (0.5, 6.0)])
def test_threshold_finds_at_least_that_share(share: float, expected: float) -> None:
    scores = np.arange(1.0, 11.0)
    threshold = threshold_at_sensitivity(scores, share)
    assert threshold == expected
    assert (scores >= threshold).mean() >= share


def test_a_source_only_score_is_perfect_where_the_class_is_the_source() -> None:
    y_true = np.array([True, True, False, False])
    assert auroc(y_true, prevalence_score(y_true, np.array(["a", "a", "b", "b"]))) == 1.0
    assert auroc(y_true, prevalence_score(y_true, np.array(["a", "b", "a", "b"]))) == 0.5

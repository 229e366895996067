import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.training.calibration import fit_score_calibration

Floats = NDArray[np.float64]


def logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def site(
    n: int, middle: float, distance: float, prevalence: float, seed: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores whose logits are two normals of variance 1, `distance` apart around `middle`.

    Their log likelihood ratio is distance · (logit − middle), whatever the prevalence.
    """
    rng = np.random.default_rng(seed)
    y_true = rng.random(n) < prevalence
    return logistic(middle + distance * (y_true - 0.5) + rng.normal(size=n)), y_true


def fitted(
    scores: Floats, y_true: NDArray[np.bool_], domains: list[str] | NDArray[np.str_]
) -> ScoreCalibration:
    patients = np.arange(len(scores)).astype(str)
    return fit_score_calibration(scores, y_true, np.asarray(domains), patients)


@pytest.mark.parametrize("prevalences", [(0.5, 0.5), (0.9, 0.05)])
def test_known_answer_at_any_prevalence(prevalences: tuple[float, float]) -> None:
    """Middles −1 and 2, 1.5 apart: slope 1.5, intercepts 1.5 and −3, of which the bundle gets −0.75."""
    sites = [
        site(20000, middle, 1.5, p, i) for i, (middle, p) in enumerate(zip((-1, 2), prevalences, strict=True))
    ]
    line = fitted(
        np.concatenate([scores for scores, _ in sites]),
        np.concatenate([y_true for _, y_true in sites]),
        np.repeat(["a", "b"], 20000),
    )
    assert line.slope == pytest.approx(1.5, abs=0.05)
    assert line.intercept == pytest.approx(-0.75, abs=0.08)


def test_probabilities_are_those_of_the_simulation() -> None:
    """Of new patients at another prevalence, in five groups by probability, as many are ill as was said."""
    line = fitted(*site(40000, 0.5, 2.0, 0.5, 0), np.repeat("a", 40000))
    scores, y_true = site(40000, 0.5, 2.0, 0.1, 1)
    said = np.array([line.probability(score, 0.1) for score in scores])
    for group in np.array_split(np.argsort(said), 5):
        assert y_true[group].mean() == pytest.approx(said[group].mean(), abs=0.012)


def test_the_same_as_scikit_learn() -> None:
    scores, y_true = site(300, 0.3, 1.0, 0.2, 3)
    line = fitted(scores, y_true, np.repeat("a", 300))
    logits = np.log(scores / (1 - scores))[:, np.newaxis]
    oracle = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-10).fit(logits, y_true)
    assert line.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert line.intercept == pytest.approx(oracle.intercept_[0], rel=1e-3, abs=1e-3)


def test_a_domain_with_one_answer_says_nothing() -> None:
    scores, y_true = site(500, 0.0, 1.0, 0.5, 0)
    alone = fitted(scores, y_true, np.repeat("a", 500))
    more = fitted(
        np.concatenate([scores, np.full(300, 0.99)]),
        np.concatenate([y_true, np.ones(300, bool)]),
        np.repeat(["a", "covid ward"], [500, 300]),
    )
    assert more == alone


def test_a_patient_weighs_the_same_whatever_the_number_of_images() -> None:
    scores, y_true = site(200, 0.0, 1.0, 0.5, 0)
    again = np.concatenate([np.arange(200), np.repeat(np.arange(20), 5)])
    names, domains = np.arange(200).astype(str), np.repeat("a", 300)
    twice = fit_score_calibration(scores[again], y_true[again], domains, names[again])
    once = fitted(scores, y_true, domains[:200])
    assert (twice.slope, twice.intercept) == pytest.approx((once.slope, once.intercept), rel=1e-6)
    assert twice.measured_on == once.measured_on


def test_says_on_whom() -> None:
    line = fitted(np.array([0.1, 0.7, 0.4, 0.6]), np.array([False, True, True, False]), ["a", "a", "b", "b"])
    assert line.measured_on == "2 patients with COVID-19 and 2 without, of a, b"


def test_a_score_that_misleads_is_no_evidence() -> None:
    scores, y_true = site(500, 1.0, -1.0, 0.5, 0)
    line = fitted(scores, y_true, np.repeat("a", 500))
    assert (line.slope, line.intercept) == (0, 0)
    assert line.probability(0.9, 0.05) == pytest.approx(0.05)


def test_perfect_and_saturated_scores_stay_finite() -> None:
    y_true = np.repeat([False, True], 20)
    line = fitted(y_true.astype(float), y_true, np.repeat("a", 40))
    assert 0 < line.slope < 10
    assert line.intercept == pytest.approx(0, abs=1e-6)


def test_no_domain_with_both_answers() -> None:
    with pytest.raises(ValueError, match="with COVID-19 and without"):
        fitted(np.array([0.1, 0.9]), np.array([False, True]), ["a", "b"])

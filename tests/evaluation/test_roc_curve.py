import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.patients import PatientScores, to_patient_scores
from cxrbatch.evaluation.roc_curve import GRID, list_curve, smoothed_roc
from cxrbatch.stats.ranking import rank
from tests.factories.collections import case
from tests.factories.scores import three

Floats = NDArray[np.float64]


def smoothed(y_true: NDArray[np.bool_], y_score: Floats) -> Floats:
    ranking = rank(y_true, y_score)
    return smoothed_roc(
        ranking.positives[0], ranking.negatives[0], np.diff(ranking.negatives[0], prepend=0.0)
    )


def scored(*groups: tuple[str, str, list[float]]) -> PatientScores:
    """Patients of publishers of one source: (publisher, label, COVID-19 scores)."""
    cases: list[LabelledImage] = []
    scores: list[float] = []
    for publisher, label, values in groups:
        cases += [case(f"{publisher}/{label}{i}", label, "ieee8023", publisher) for i in range(len(values))]
        scores += values
    return to_patient_scores(cases, three(scores), "mean")


@pytest.mark.parametrize("m", [1, 4, 9, 49])
def test_a_perfect_score_loses_what_one_more_negative_would_take(m: int) -> None:
    """Straight from (0, 0) to (1 / (m + 1), 1)."""
    y_true = np.arange(m + 3) < 3
    found = smoothed(y_true, y_true.astype(np.float64))
    assert found == pytest.approx(np.minimum(1, GRID * (m + 1)))
    assert smoothed(y_true, -y_true.astype(np.float64)) == pytest.approx(
        np.maximum(0, 1 - (1 - GRID) * (m + 1))
    )


def test_a_constant_score_gives_the_diagonal() -> None:
    assert smoothed(np.arange(7) < 3, np.full(7, 0.3)) == pytest.approx(GRID)


def test_by_hand() -> None:
    """Positives 0.9 and 0.5, negatives 0.7, 0.5 and 0.1: nodes (1/4, 1/2), (1/2, 3/4), (3/4, 1)."""
    y_true = np.array([True, False, True, False, False])
    found = smoothed(y_true, np.array([0.9, 0.7, 0.5, 0.5, 0.1]))
    assert found == pytest.approx(np.interp(GRID, [0, 0.25, 0.5, 0.75, 1], [0, 0.5, 0.75, 1, 1]))


def test_a_useless_score_is_on_the_diagonal_on_average_even_with_two_negatives() -> None:
    """The plain empirical curve begins at 1/3 there."""
    rng = np.random.default_rng(0)
    y_true = np.arange(8) < 6
    curves = np.array([smoothed(y_true, rng.normal(size=8)) for _ in range(4000)])
    error = curves.std(axis=0) / np.sqrt(4000)
    assert np.all(np.abs(curves.mean(axis=0) - GRID) <= 4 * error + 1e-12)


@given(
    positive=st.lists(st.integers(0, 999), min_size=1, max_size=30),
    negative=st.lists(st.integers(0, 999), min_size=49, max_size=49, unique=True),
)
def test_area_and_points_against_scikit_learn(positive: list[int], negative: list[int]) -> None:
    """49 negatives stand on every point of the grid, so that the trapezia of the grid are the area itself."""
    y_true = np.arange(len(positive) + 49) < len(positive)
    y_score = np.array([*positive, *negative], np.float64)
    found = smoothed(y_true, y_score)
    area = (49 * roc_auc_score(y_true, y_score) + 0.5) / 50
    assert np.trapezoid(found, GRID) == pytest.approx(area)
    if not set(positive) & set(negative):
        fpr, tpr, _ = roc_curve(y_true, y_score, drop_intermediate=False)
        at_each = [tpr[fpr >= k / 49 - 1e-9].min() for k in range(1, 50)]  # where the k-th negative comes in
        assert found[1:-1] == pytest.approx(at_each)


@given(ill=st.lists(st.integers(0, 5), min_size=1), well=st.lists(st.integers(0, 5), min_size=1))
def test_rises_from_0_to_1(ill: list[int], well: list[int]) -> None:
    found = smoothed(np.arange(len(ill) + len(well)) < len(ill), np.array([*ill, *well], np.float64))
    assert (found[0], found[-1]) == (0, 1)
    assert np.all(np.diff(found) >= -1e-12)


def test_one_domain_is_its_own_mean() -> None:
    ill, well = [0.9, 0.6, 0.5], [0.8, 0.4, 0.3, 0.2]
    found = list_curve(scored(("a.org", "covid", ill), ("a.org", "pneumonia", well)), 50)
    assert found is not None
    own = smoothed(np.arange(7) < 3, np.array([*ill, *well]))
    assert found["tpr"] == pytest.approx(own.tolist(), abs=1e-6)
    assert found["fpr"] == pytest.approx(GRID.tolist())
    assert found["measured_on"] == "3 patients with COVID-19 and 4 without (4 pneumonia), of ieee8023/a.org"


def test_domains_weigh_by_how_much_they_tell() -> None:
    """2 against 3 in a perfect order, 4 against 1 in the worst: weights 6/6 and 4/6."""
    found = list_curve(
        scored(
            ("a.org", "covid", [0.9, 0.8]),
            ("a.org", "normal", [0.1, 0.2, 0.3]),
            ("b.org", "covid", [0.1, 0.2, 0.3, 0.4]),
            ("b.org", "pneumonia", [0.9]),
        ),
        20,
    )
    assert found is not None
    best, worst = np.minimum(1, 4 * GRID), np.maximum(0, 2 * GRID - 1)
    assert found["tpr"] == pytest.approx((0.6 * best + 0.4 * worst).tolist(), abs=1e-6)
    assert found["domains"] == {
        "ieee8023/a.org": {"n_positive": 2, "n_negative": 3},
        "ieee8023/b.org": {"n_positive": 4, "n_negative": 1},
    }
    assert (found["n_positive"], found["n_negative"]) == (6, 4)


def test_only_pairs_within_a_domain_count() -> None:
    """Scores that tell the domains apart and nothing else: the diagonal, where pooling would give 3/4 at once."""
    found = list_curve(
        scored(
            ("a.org", "covid", [0.9] * 9),
            ("a.org", "normal", [0.9] * 3),
            ("b.org", "covid", [0.1] * 3),
            ("b.org", "normal", [0.1] * 9),
        ),
        20,
    )
    assert found is not None
    assert found["tpr"] == pytest.approx(GRID.tolist(), abs=1e-6)


def test_domains_with_one_answer_say_nothing() -> None:
    alone = scored(("a.org", "covid", [0.5, 0.6]), ("b.org", "normal", [0.1]))
    assert list_curve(alone, 20) is None
    both = scored(("c.org", "covid", [0.9]), ("c.org", "normal", [0.2]), ("a.org", "covid", [0.0, 0.1]))
    found = list_curve(both, 20)
    assert found is not None
    assert list(found["domains"]) == ["ieee8023/c.org"]


def test_a_copy_of_a_patient_changes_nothing() -> None:
    """The same patient as pneumonia and as normal, with one score: half a negative each."""
    rng = np.random.default_rng(1)
    ill, well = rng.uniform(size=20).tolist(), rng.uniform(size=10).tolist()
    once = scored(("a.org", "covid", ill), ("a.org", "normal", well))
    cases = [
        *once.cases.tolist(),
        *(case(f"a.org/normal{i}", "pneumonia", "ieee8023", "a.org") for i in range(10)),
    ]
    twice = to_patient_scores(cases, np.concatenate([once.scores, once.scores[20:]]), "mean")
    first, second = list_curve(once, 30), list_curve(twice, 30)
    assert first is not None
    assert second is not None
    assert second["n_negative"] == 10
    for row in ("tpr", "low", "high"):
        assert second[row] == pytest.approx(first[row], abs=2e-6)


@pytest.mark.parametrize("n", [30, 120])
def test_the_band_holds_the_true_curve_as_often_as_it_says(n: int) -> None:
    """Normal scores one standard deviation apart, half as many in each of two domains; at FPR 0.2."""
    from statistics import NormalDist

    truth = 1 - NormalDist(1).cdf(NormalDist().inv_cdf(0.8))
    rng = np.random.default_rng(2)
    n_held = 0
    for _ in range(60):
        groups = [
            (place, label, (1 / (1 + np.exp(-rng.normal(mean, size=n // 2)))).tolist())
            for place in ("a.org", "b.org")
            for label, mean in (("covid", 1.0), ("normal", 0.0))
        ]
        found = list_curve(scored(*groups), 200)
        assert found is not None
        n_held += found["low"][10] <= truth <= found["high"][10]
    assert n_held >= 51  # 95 % of 60 are 57; fewer than 51 happen once in 200 times

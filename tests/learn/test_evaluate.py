import numpy as np
import pytest

from cxrbatch.bundle import OperatingPoints
from cxrbatch.learn.aggregation import choose_rule, compare_rules
from cxrbatch.learn.calibration import Calibration, Line
from cxrbatch.learn.evaluate import caveats, left_out_once, operating_points, pooled, shares, within_sites
from cxrbatch.learn.folds import FoldScores, calibrate
from cxrbatch.learn.sources import Case
from cxrbatch.learn.units import Units, to_units
from tests.learn.made_up import case

PLAIN = Calibration(abnormal=Line(), covid_given_abnormal=Line())


def units(*rows: tuple[str, str, float]) -> Units:
    """Units of (patient, label, COVID-19 score)."""
    cases = [case(patient, label, patient.split("/")[0]) for patient, label, _ in rows]
    scores = np.array([[score, 0.0, 1 - score] for _, _, score in rows])
    return to_units(cases, scores, "mean")


def fold(left_out: str, cases: list[Case], logits: list[tuple[float, float]]) -> FoldScores:
    return FoldScores((left_out,), tuple(cases), np.array([logits], np.float32))


def test_images_become_patients_by_the_rule_of_the_report() -> None:
    cases = [case("a/1", "covid", "a"), case("a/2", "normal", "a"), case("a/1", "covid", "a")]
    scores = np.array([[0.2, 0.3, 0.5], [0.1, 0.0, 0.9], [0.6, 0.1, 0.3]])
    assert to_units(cases, scores, "mean").scores == pytest.approx(
        np.array([[0.4, 0.2, 0.4], [0.1, 0.0, 0.9]])
    )
    assert to_units(cases, scores, "max").scores[0].tolist() == [0.6, 0.1, 0.3]


def test_operating_points_find_their_share_of_the_patients() -> None:
    left_out = units(*((f"a/{i}", "covid", i / 100) for i in range(100)), ("a/well", "normal", 0.99))
    points = operating_points(left_out)
    assert points == OperatingPoints(urgent=0.1, high=0.05)
    covid, normal = shares(left_out, points)
    assert (covid["n"], covid["urgent"], covid["urgent_or_high"]) == (100, 0.9, 0.95)
    assert normal["urgent"] == 1.0


def test_the_confound_floor_is_one_where_the_class_is_the_source() -> None:
    rows = [(f"a/{i}", "covid", 0.5) for i in range(5)] + [(f"b/{i}", "normal", 0.5) for i in range(5)]
    result = pooled(units(*rows), bootstraps=20)
    assert result is not None
    assert result["auroc"]["value"] == 0.5
    assert result["auroc_of_the_source_alone"] == 1.0
    assert pooled(units(*rows[:5]), bootstraps=20) is None


def test_each_patient_counts_once_by_the_finer_fold() -> None:
    ill = case("s/1", "covid", "s", "p")
    coarse = fold("s", [ill, case("s/2", "normal", "s", "q")], [(0.0, 0.0), (0.0, 0.0)])
    fine = fold("s/p", [ill], [(9.0, 9.0)])
    once = left_out_once([coarse, fine], PLAIN, "mean")
    assert sorted(once.patients) == ["s/1", "s/2"]
    assert once.scores[list(once.patients).index("s/1"), 0] > 0.99


def test_a_site_is_judged_by_itself_and_not_on_fewer_than_five() -> None:
    labels = ["pneumonia"] * 5 + ["normal"] * 6
    cases = [case(f"s/{i}", label, "s") for i, label in enumerate(labels)]
    perfect = fold("s", cases, [(1.0 if each.label == "pneumonia" else -1.0, 0.0) for each in cases])
    (row,) = within_sites([perfect], PLAIN, "mean", bootstraps=20)
    assert (row["site"], row["question"], row["n_positive"], row["n_negative"]) == (
        "s",
        "pneumonia against normal",
        5,
        6,
    )
    assert row["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    few = fold("s", cases[1:], [(0.0, 0.0)] * (len(cases) - 1))
    assert list(within_sites([few], PLAIN, "mean", bootstraps=20)) == []


def test_a_question_that_nobody_taught_gets_no_figure() -> None:
    cases = [case(f"s/{i}", ("covid", "pneumonia")[i % 2], "s") for i in range(12)]
    untaught = fold("s", cases, [(float(value), 0.0) for value in np.random.default_rng(0).normal(size=12)])
    (row,) = within_sites([untaught], PLAIN, "mean", bootstraps=20)
    assert row["ranked_by"] == "covid"


def test_the_maximum_profits_from_counts_and_is_not_chosen_for_it() -> None:
    random = np.random.default_rng(0)
    cases = [
        case(f"a/{label}{i}", label, "a")
        for label, n_images in (("covid", 6), ("normal", 2))
        for i in range(30)
        for _ in range(n_images)
    ]
    noise = fold("a", cases, [(float(value), 0.0) for value in random.normal(size=len(cases))])
    comparison = compare_rules([noise], [PLAIN.scores(noise.mean_logits)])
    alone = {row["rule"]: row["auroc_from_counts_alone"] for row in comparison}
    assert alone["mean"] == pytest.approx(0.5, abs=0.03)
    assert alone["max"] > 0.7
    assert choose_rule(comparison) == "mean"


def test_an_untaught_question_takes_no_part_in_the_calibration() -> None:
    cases = [case(f"a/{i}", ("covid", "pneumonia", "normal")[i % 3], "a") for i in range(60)]
    logits = [(float(each.label != "normal") + 0.5 * (i % 2), 0.0) for i, each in enumerate(cases)]
    calibration = calibrate([fold("a", cases, logits)])
    assert calibration.covid_given_abnormal == Line()
    assert calibration.abnormal.slope > 1


def test_a_band_that_calls_the_healthy_urgent_is_warned_of() -> None:
    def row(label: str, urgent: float) -> dict[str, object]:
        return {"source": "rsna", "label": label, "n": 50, "urgent": urgent, "urgent_or_high": 1.0}

    assert list(caveats([row("covid", 0.9), row("normal", 0.1)])) == []
    (line,) = caveats([row("normal", 0.124)])
    assert "12.4% of 50 healthy adults of RSNA" in line

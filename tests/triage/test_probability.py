"""Bayes' rule, by hand."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.errors import UsageProblem
from cxrbatch.reasons import Reason
from cxrbatch.records import Outcome
from cxrbatch.triage.aggregate import aggregate_patients
from cxrbatch.triage.probability import parse_prevalence, prevalence_note, state_percent, with_probabilities
from tests.factories.records import failure, image_score

AS_IS = ScoreCalibration(slope=1.0, intercept=0.0)
SHARES = st.floats(1e-6, 1 - 1e-6)


@pytest.mark.parametrize(
    ("calibration", "score", "prevalence", "expected"),
    [
        (AS_IS, 0.8, 0.5, 0.8),  # LR 4, odds 1 → 4
        (AS_IS, 0.8, 0.05, 4 / 23),  # odds 1/19 → 4/19
        (AS_IS, 0.5, 0.05, 0.05),  # a score that says nothing leaves the prevalence
        (ScoreCalibration(slope=0.5, intercept=0.0), 0.8, 0.05, 2 / 21),  # LR 2
        (ScoreCalibration(slope=2.0, intercept=math.log(3)), 0.8, 0.2, 48 / 52),  # LR 48, odds 1/4 → 12
        (ScoreCalibration(slope=0.0, intercept=0.0), 0.999, 0.05, 0.05),
        (AS_IS, 1.0, 0.5, 1 - 1e-6),
        (AS_IS, 0.0, 0.5, 1e-6),
        (AS_IS, 0.0, 0.05, 1 / (1 + 19 * 999999)),
    ],
)
def test_bayes_by_hand(
    calibration: ScoreCalibration, score: float, prevalence: float, expected: float
) -> None:
    assert calibration.probability(score, prevalence) == pytest.approx(expected, rel=1e-9)


def test_a_steep_calibration_stays_within_0_and_1() -> None:
    steep = ScoreCalibration(slope=1e6, intercept=-1e6)
    assert steep.probability(0.0, 0.5) == 0
    assert steep.probability(1.0, 0.5) == 1


@given(low=SHARES, high=SHARES, prevalence=SHARES, slope=st.floats(0, 20), intercept=st.floats(-20, 20))
def test_a_higher_score_never_gets_a_lower_probability(
    low: float, high: float, prevalence: float, slope: float, intercept: float
) -> None:
    low, high = sorted((low, high))
    calibration = ScoreCalibration(slope=slope, intercept=intercept)
    assert (
        0
        <= calibration.probability(low, prevalence)
        <= calibration.probability(high, prevalence) + 1e-15
        <= 1 + 1e-15
    )


@given(score=SHARES, low=SHARES, high=SHARES)
def test_a_higher_prevalence_never_gets_a_lower_probability(score: float, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert AS_IS.probability(score, low) <= AS_IS.probability(score, high) + 1e-15


def test_mean_probability_is_the_prevalence_where_the_scores_are_calibrated() -> None:
    """Of a balanced set 8 of 10 are ill at the score 0.8, and 2 of 10 at 0.2; then at a prevalence of 10 %."""
    share_of_08 = 0.1 * 0.8 + 0.9 * 0.2
    mean = share_of_08 * AS_IS.probability(0.8, 0.1) + (1 - share_of_08) * AS_IS.probability(0.2, 0.1)
    assert mean == pytest.approx(0.1)


@pytest.mark.parametrize(("slope", "temperature"), [(0.5, 2.0), (1.0, 1.0), (4.0, 0.25), (0.0, math.inf)])
def test_temperature_is_one_over_the_slope(slope: float, temperature: float) -> None:
    assert ScoreCalibration(slope=slope, intercept=0.0).temperature == temperature


@pytest.mark.parametrize(
    ("slope", "intercept"), [(-0.1, 0.0), (math.nan, 0.0), (math.inf, 0.0), (1.0, math.inf)]
)
def test_a_calibration_that_is_none(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="slope"):
        ScoreCalibration(slope=slope, intercept=intercept)


@pytest.mark.parametrize(
    ("text", "share"), [("0.05", 0.05), ("5%", 0.05), (" 5 % ", 0.05), ("0.5%", 0.005), ("1e-3", 0.001)]
)
def test_prevalence_as_people_write_it(text: str, share: float) -> None:
    assert parse_prevalence(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "1", "5", "100%", "0%", "-5%", "nan", "inf", "five", "", "%", "5%%"])
def test_prevalence_that_is_none(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"such as 0\.05 or 5%"):
        parse_prevalence(text)


@pytest.mark.parametrize(
    ("share", "text"), [(0.05, "5 %"), (0.07, "7 %"), (0.0025, "0.25 %"), (1 / 3, "33.3333 %")]
)
def test_percent(share: float, text: str) -> None:
    assert state_percent(share) == text


def test_patients_keep_everything_but_get_a_probability() -> None:
    outcomes: list[Outcome] = [
        image_score("1", 0.2, "A"),
        image_score("2", 0.8, "B"),
        failure("3", Reason.CORRUPT, "C"),
    ]
    before = aggregate_patients(outcomes, "mean", None)
    after = with_probabilities(before, AS_IS, 0.05)
    assert [patient.probability for patient in after] == [
        pytest.approx(4 / 23),
        pytest.approx(1 / 77),
        None,
    ]
    assert tuple(dataclasses.replace(patient, probability=None) for patient in after) == before


def test_the_note_says_what_and_where() -> None:
    note = prevalence_note(
        ScoreCalibration(slope=1.0, intercept=0.0, measured_on="12 patients of Bergen"), 0.05
    )
    assert "a prevalence of 5 %" in note
    assert "measured on 12 patients of Bergen" in note
    assert "not measured" in note
    assert "data that the bundle does not name" in prevalence_note(AS_IS, 0.05)

import numpy as np
import pytest

from cxrbatch.training.calibration import Answers, Calibration, Line, fit_line


def site(n: int, offset: float, slope: float, prevalence: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a site whose true log-odds are slope · (logit − offset)."""
    rng = np.random.default_rng(seed)
    y_true = rng.random(n) < prevalence
    return offset + rng.normal(size=n) + slope * (y_true - 0.5), y_true


def answers(logits: np.ndarray, y_true: np.ndarray, domains: np.ndarray) -> Answers:
    return Answers(logits=logits, y_true=y_true, domains=domains, patients=np.arange(len(logits)).astype(str))


def test_finds_the_common_slope_whatever_offset_and_prevalence_the_sites_have() -> None:
    # Two normals one unit of variance wide and `slope` apart have log-odds slope · logit.
    sites = [site(4000, 2.0, 1.5, 0.5, 0), site(4000, -1.0, 1.5, 0.1, 1)]
    line = fit_line(
        answers(
            np.concatenate([logits for logits, _ in sites]),
            np.concatenate([y_true for _, y_true in sites]),
            np.repeat(["a", "b"], 4000),
        )
    )
    assert line.slope == pytest.approx(1.5, abs=0.1)
    # The middle of a site counts by its rarer answer: 2,000 and 400 images.
    assert line.intercept == pytest.approx(-1.5 * (2.0 * 2000 - 1.0 * 400) / 2400, abs=0.1)


def test_an_answer_that_the_site_alone_explains_gets_no_slope() -> None:
    rng = np.random.default_rng(0)
    domains = np.repeat(["a", "b"], 2000)
    y_true = np.concatenate([rng.random(2000) < 0.9, rng.random(2000) < 0.1])
    logits = np.where(domains == "a", 5.0, -5.0) + rng.normal(size=4000)
    assert fit_line(answers(logits, y_true, domains)).slope == pytest.approx(0.0, abs=0.1)


def test_a_misleading_question_is_not_asked_backwards() -> None:
    logits, y_true = site(1000, 1.0, -2.0, 0.5, 0)
    misleading = answers(logits, y_true, np.repeat("a", 1000))
    assert fit_line(misleading) == Line(slope=0.0, intercept=0.0)
    floor = fit_line(misleading, least_slope=0.1)
    assert floor.slope == 0.1
    assert floor.intercept == pytest.approx(-0.1, abs=0.02)


def test_few_patients_get_less_slope_than_many_and_pure_chance_gets_none_half_of_the_time() -> None:
    few = [fit_line(answers(*site(30, 0.0, 1.0, 0.5, seed), np.repeat("a", 30))).slope for seed in range(40)]
    many = [
        fit_line(answers(*site(3000, 0.0, 1.0, 0.5, seed), np.repeat("a", 3000))).slope for seed in range(5)
    ]
    chance = [
        fit_line(answers(*site(60, 0.0, 0.0, 0.5, seed), np.repeat("a", 60))).slope for seed in range(40)
    ]
    assert np.median(few) < np.median(many)
    assert np.mean(np.array(chance) == 0) > 0.6


def test_a_patient_weighs_the_same_whatever_the_number_of_images() -> None:
    logits, y_true = site(200, 0.0, 1.0, 0.5, 0)
    names = np.arange(200).astype(str)
    once = fit_line(Answers(logits=logits, y_true=y_true, domains=np.repeat("a", 200), patients=names))
    twice = np.concatenate([np.arange(200), np.repeat(np.arange(20), 5)])
    again = Answers(
        logits=logits[twice], y_true=y_true[twice], domains=np.repeat("a", 300), patients=names[twice]
    )
    assert fit_line(again).slope == pytest.approx(once.slope)
    assert fit_line(again).intercept == pytest.approx(once.intercept)


def test_scores_sum_to_one_and_follow_their_definition() -> None:
    calibration = Calibration(abnormal=Line(slope=2.0, intercept=0.0), covid_given_abnormal=Line(slope=0.0))
    scores = calibration.scores(np.array([[0.0, 7.0], [np.log(3) / 2, -7.0]]))
    assert scores == pytest.approx(np.array([[0.25, 0.25, 0.5], [0.375, 0.375, 0.25]]))

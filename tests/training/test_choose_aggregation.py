import numpy as np
import pytest

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.choose_aggregation import choose_rule, compare_rules
from cxrbatch.training.leave_one_out import FoldScores, calibrate
from tests.factories.collections import case

PLAIN = Calibration(abnormal=Line(), covid_given_abnormal=Line())


def fold(left_out: str, cases: list[LabelledImage], logits: list[tuple[float, float]]) -> FoldScores:
    return FoldScores((left_out,), tuple(cases), np.array([logits], np.float32))


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

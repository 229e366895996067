import numpy as np
import pytest

from cxrbatch.evaluation.drift_reference import score_reference
from cxrbatch.evaluation.evaluate import reference
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.site_scores import Exposure, SiteScores
from tests.factories.collections import case
from tests.factories.scores import site, three


def scored(name: str, scores: list[float], exposure: Exposure) -> SiteScores:
    cases = [case(f"{name}/{i}", "normal", name) for i in range(len(scores))]
    return site(name, cases, three(scores), exposure)


def test_deciles() -> None:
    """0.00, 0.01 … 1.00: the edges are 0.1 … 0.9; whoever is on one belongs above it."""
    found = reference([scored("rsna", [i / 100 for i in range(101)], Exposure.NOT_TRAINED_ON)], "mean")
    assert found is not None
    assert found["edges"] == pytest.approx(np.arange(1, 10) / 10)
    assert found["shares"] == pytest.approx([10 / 101] * 9 + [11 / 101])
    assert found["n"] == 101
    assert found["measured_on"] == "101 patients of rsna, scored by the network of the bundle"


def test_equal_scores_are_in_one_part() -> None:
    found = reference([scored("rsna", [0.25] * 7, Exposure.NOT_TRAINED_ON)], "mean")
    assert found is not None
    assert found["edges"] == [0.25] * 9
    assert found["shares"] == [0.0] * 9 + [1.0]


def test_sources_that_never_taught_go_before_those_that_were_left_out() -> None:
    """The left-out ones were scored by other networks than the one that is shipped."""
    sites = [
        scored("nih", [0.9] * 5, Exposure.LEFT_OUT),
        scored("kaggle", [0.8] * 5, Exposure.HELD_OUT),
        scored("rsna", [0.1] * 5, Exposure.NOT_TRAINED_ON),
        scored("bimcv", [0.2] * 6, Exposure.NOT_TRAINED_ON),
    ]
    found = reference(sites, "mean")
    assert found is not None
    assert found["measured_on"] == "11 patients of bimcv, rsna, scored by the network of the bundle"
    assert set(found["edges"]) == {0.1, 0.2}
    left_out = reference(sites[:2], "mean")
    assert left_out is not None
    assert left_out["measured_on"] == (
        "5 patients of nih, scored by networks of the same recipe that were trained without them"
    )
    assert reference(sites[1:2], "mean") is None


def test_a_patient_counts_once() -> None:
    cases = [
        case("rsna/1", "normal", "rsna"),
        case("rsna/1", "normal", "rsna"),
        case("rsna/2", "normal", "rsna"),
    ]
    found = score_reference(to_patient_scores(cases, three([0.1, 0.3, 0.6]), "mean"), "somebody")
    assert found is not None
    assert found["n"] == 2
    assert (found["edges"][0], found["edges"][4], found["edges"][8]) == (0.24, 0.4, 0.56)

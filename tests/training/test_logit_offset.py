import numpy as np
import pytest

from cxrbatch.evaluation.network_outputs import compute_outputs
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.logit_offset import anchor_logits, middle, spread
from cxrbatch.training.network import build_logits
from cxrbatch.training.recipe import NetworkSpec
from tests.factories.collections import case, collection

CASES = [
    case("a/1", "covid", "a"),
    case("a/2", "normal", "a"),
    case("a/3", "normal", "a"),
    case("b/1", "pneumonia", "b"),
    case("b/2", "pneumonia", "b"),
    case("b/3", "normal", "b"),
    case("b/4", "normal", "b"),
    case("c/1", "normal", "c"),
]
LOGITS = np.array([4.0, 1.0, 3.0, 10.0, 12.0, 0.0, 2.0, 99.0])


def test_the_middle_of_the_domains_weighs_them_by_their_rarer_answer() -> None:
    # a: halfway between 4 and 2 is 3, one image; b: halfway between 11 and 1 is 6, two; c has one answer only.
    assert middle(LOGITS, CASES, 0) == pytest.approx((3 * 1 + 6 * 2) / 3)


def test_the_spread_is_that_within_domain_and_answer() -> None:
    # Deviations: a −1, 1 (the only ill one has none); b −1, 1 and −1, 1.
    assert spread(LOGITS, CASES, 0) == pytest.approx(1.0)
    assert spread(LOGITS, CASES, 1) == 1.0
    assert spread(np.zeros(8), CASES, 0) == 1.0


def test_a_question_that_nobody_answers_stays_where_it_is() -> None:
    assert middle(LOGITS, CASES, 1) == 0.0


def test_whatever_zero_and_scale_were_they_become_the_same() -> None:
    data = collection(3)
    network = build_logits(PreprocessSpec(height=32, width=32), NetworkSpec(widths=(4, 4), reduce=2))
    random = np.random.default_rng(0)
    kernel, bias = (random.normal(size=weight.shape) for weight in network.layers[-1].get_weights())
    anchored = []
    for shift, scale in ((0.0, 1.0), (7.0, 3.0)):
        network.layers[-1].set_weights([scale * kernel, scale * bias + shift])
        before = compute_outputs(network, data.images)
        anchor_logits(network, data.images, data.cases)
        anchored.append(compute_outputs(network, data.images))
        for question in (0, 1):
            assert np.corrcoef(before[:, question], anchored[-1][:, question])[0, 1] == pytest.approx(1)
            assert spread(anchored[-1][:, question], data.cases, question) == pytest.approx(1, abs=1e-4)
    assert anchored[0] == pytest.approx(anchored[1], abs=1e-3)
    assert [middle(anchored[0][:, question], data.cases, question) for question in (0, 1)] == pytest.approx(
        [0, 0], abs=1e-5
    )

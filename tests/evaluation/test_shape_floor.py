import dataclasses

import numpy as np
import pytest

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.contrasts import CONTRASTS
from cxrbatch.evaluation.evaluate import publishers
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.evaluation.page import evaluation_html
from cxrbatch.evaluation.shape_floor import shape_floor
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.stats import Floats, auroc
from tests.factories.collections import case
from tests.factories.evaluations import evaluated, made_bundle, scored_site
from tests.factories.scores import by_label, site, three

COVID = CONTRASTS[0]
N = 120


def cases(n: int = N) -> list[LabelledImage]:
    return [case(f"s/{label}{i}", label, "s") for label in ("covid", "normal") for i in range(n)]


def is_ill(of: list[LabelledImage]) -> Floats:
    return np.array([each.label == "covid" for each in of], np.float64)


def shaped(shape: Floats, score: Floats) -> SiteScores:
    """A site whose score is a function of what it is given."""
    found = site("s", cases(len(shape) // 2), three(1 / (1 + np.exp(-score))))
    return dataclasses.replace(found, lung_shape=np.stack([shape, np.full(shape.shape, 7.0)], axis=1))


def floor(of: SiteScores, *, by_domain: bool = False) -> tuple[float, float]:
    found = shape_floor(of, COVID, "mean", 0, by_domain=by_domain)
    return found["shape_alone"], found["within_shape_fifths"]["auroc"]["value"]


def test_a_score_that_reads_the_shape_falls_within_fifths_of_it() -> None:
    rng = np.random.default_rng(0)
    shape = 2 * is_ill(cases()) + rng.normal(size=2 * N)
    alone, within = floor(shaped(shape, -shape))
    assert alone == pytest.approx(auroc(is_ill(cases()) > 0, shape), abs=0.02)
    assert alone > 0.9
    # The score is the shape, the wrong way round: within a fifth too it is below chance, but nearer to it.
    assert 0.35 < within < 0.45
    alone, within = floor(shaped(shape, shape))
    assert 0.55 < within < 0.65


def test_a_score_that_sees_more_than_the_shape_keeps_it() -> None:
    rng = np.random.default_rng(0)
    shape = is_ill(cases()) + rng.normal(size=2 * N)
    alone, within = floor(shaped(shape, 10 * is_ill(cases()) + rng.normal(size=2 * N)))
    assert alone == pytest.approx(auroc(is_ill(cases()) > 0, shape), abs=0.02)
    assert within == 1.0


def test_a_shape_that_tells_nothing_is_worth_one_half_and_costs_nothing() -> None:
    rng = np.random.default_rng(0)
    score = is_ill(cases()) + rng.normal(size=2 * N)
    alone = []
    for _ in range(6):
        unrelated, within = floor(shaped(rng.normal(size=2 * N), score))
        alone.append(unrelated)
        assert within == pytest.approx(auroc(is_ill(cases()) > 0, score), abs=0.05)
    assert np.mean(alone) == pytest.approx(0.5, abs=0.04)
    constant, within = floor(shaped(np.ones(2 * N), score))
    assert constant == 0.5
    assert within == pytest.approx(auroc(is_ill(cases()) > 0, score))


def test_the_fifths_are_those_of_the_shape() -> None:
    """The score ranks by the fifth, the wrong way round, and by the truth within it."""
    ill = is_ill(cases())
    shape = 60 * ill + np.concatenate([np.arange(0, 2 * N, 2), np.arange(1, 2 * N, 2)])
    fifth = np.searchsorted(np.quantile(shape, [0.2, 0.4, 0.6, 0.8]), shape)
    of = shaped(shape, ill - 2.0 * fifth)
    assert auroc(ill > 0, of.scores[:, 0]) < 0.5
    found = shape_floor(of, COVID, "mean", 20, by_domain=False)["within_shape_fifths"]
    assert found["auroc"]["value"] > 0.95
    assert found["auroc"]["low"] <= found["auroc"]["value"] <= found["auroc"]["high"]
    assert N - 50 < found["n_positive"] <= N


def test_where_the_view_tells_it_only_pairs_of_one_view_count() -> None:
    rng = np.random.default_rng(0)
    ill = is_ill(cases())
    portable = rng.random(2 * N) < np.where(ill > 0, 0.9, 0.1)
    of = [
        dataclasses.replace(each, view="AP" if ap else "PA")
        for each, ap in zip(cases(), portable, strict=True)
    ]
    shape = 5.0 * portable + rng.normal(size=2 * N)
    found = dataclasses.replace(shaped(shape, ill), cases=tuple(of))
    pooled, _ = floor(found)
    matched, within = floor(found, by_domain=True)
    assert pooled > 0.85
    assert matched == pytest.approx(0.5, abs=0.12)
    assert within == 1.0


def test_a_patient_with_several_images_has_their_mean_shape() -> None:
    rng = np.random.default_rng(0)
    shape = 2 * is_ill(cases()) + rng.normal(size=2 * N)
    whole = shaped(shape, shape)
    assert whole.lung_shape is not None
    apart = rng.normal(size=2 * N) * 100
    twice = dataclasses.replace(
        whole,
        cases=whole.cases * 2,
        scores=np.concatenate([whole.scores] * 2),
        lung_shape=np.concatenate([whole.lung_shape + sign * apart[:, None] for sign in (1, -1)]),
    )
    assert floor(twice) == pytest.approx(floor(whole), abs=1e-6)


def test_what_the_shape_tells_stands_beside_the_score_and_is_said() -> None:
    rng = np.random.default_rng(0)
    of = scored_site("web", {"covid": 40, "normal": 40}, 1.0, publishers=("x.org", "y.org"))
    ill = np.array([each.label == "covid" for each in of.cases])
    shapes = (3 * ill + rng.normal(size=80))[:, None]
    found = dataclasses.replace(of, lung_shape=shapes)
    evaluation = evaluated([found])
    assert {row["site"] for row in evaluation["within_site"]} == {"web", "web/x.org", "web/y.org"}
    assert all(row["shape_alone"] > 0.9 for row in evaluation["within_site"])
    said = "The shape of the lungs alone, without a look into them, is as good as the score: "
    assert any(line.startswith(said) for line in evaluation["verdict"])
    card, page = model_card(made_bundle(), evaluation), evaluation_html(made_bundle(), evaluation)
    for text in (card, page):
        assert "lung shape alone" in text
        assert "AUROC within fifths of it (95 % CI)" in text
        assert f"{evaluation['within_site'][0]['shape_alone']:.3f}" in text
    (part, _) = publishers([found])
    assert part.lung_shape is not None
    assert (part.lung_shape == shapes[::2]).all()


def test_without_lung_masks_nothing_is_said_of_shape() -> None:
    evaluation = evaluated([by_label("s", cases(8))])
    (row,) = evaluation["within_site"]
    assert (row["shape_alone"], row["within_shape_fifths"]) == (None, None)
    assert not any("shape" in line for line in evaluation["verdict"])
    assert "shape" not in model_card(made_bundle(), evaluation)


def test_too_few_patients_within_a_fifth_give_no_figure() -> None:
    """Six of either side whom the shape tells apart perfectly: at most one fifth has both."""
    ill = is_ill(cases(6))
    found = shape_floor(shaped(ill, ill), COVID, "mean", 0, by_domain=False)
    assert found == {"shape_alone": 1.0, "within_shape_fifths": None}

import dataclasses

import numpy as np
import pytest

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.datasets.measures import TrivialMeasures, fine_noise, measure
from cxrbatch.evaluation.contrasts import CONTRASTS
from cxrbatch.evaluation.matched import area_of, within_domain, within_patient
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.evaluation.page import evaluation_html
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.score_sections import confound_floor
from cxrbatch.evaluation.trivial_measures import ALL_DOMAINS, trivial_measures
from tests.factories.collections import case
from tests.factories.evaluations import evaluated, made_bundle
from tests.factories.scores import site, three

COVID = CONTRASTS[0]
ANY = next(contrast for contrast in CONTRASTS if len(contrast.positive) > 1)


def seen(patient: str, label: str, view: str = "", file_bytes: int = 0) -> LabelledImage:
    measures = TrivialMeasures(file_bytes=file_bytes, mean=1.0, spread=1.0, noise=1.0)
    return dataclasses.replace(case(f"a/{patient}", label, "a"), view=view, measures=measures)


def by_view() -> tuple[list[LabelledImage], list[float]]:
    """AP scores higher and is mostly ill: splendid over all, chance within a view."""
    cells = (("AP", "covid", 18), ("AP", "normal", 6), ("PA", "covid", 6), ("PA", "normal", 18))
    cases = [seen(f"{view}{label}{i}", label, view) for view, label, n in cells for i in range(n)]
    return cases, [0.8 if one.view == "AP" else 0.2 for one in cases]


def test_a_score_of_the_view_is_worth_nothing_within_a_domain() -> None:
    cases, covid = by_view()
    found = within_domain(site("a", cases, three(covid)), COVID, "mean", 20)
    assert found is not None
    assert found["auroc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert (found["n_domains"], found["n_positive"], found["n_negative"]) == (2, 24, 24)
    evaluation = evaluated([site("a", cases, three(covid))])
    row = evaluation["within_site"][0]
    assert row["auroc"]["value"] == 0.75
    assert area_of(row) == evaluation["headline"]["auroc"]["value"] == 0.5
    card = model_card(made_bundle(), evaluation)
    assert "## Headline\n\n**AUROC 0.500" in card
    assert "AUROC 0.500" in evaluation_html(made_bundle(), evaluation)


def test_one_domain_needs_no_figure_of_its_own() -> None:
    cases = [seen(f"{label}{i}", label, "PA") for label in ("covid", "normal") for i in range(9)]
    assert within_domain(site("a", cases, three(np.linspace(0, 1, 18))), COVID, "mean", 0) is None


@pytest.mark.parametrize(("right", "sentence"), [(9, "Good: of two films"), (3, "Of two films")])
def test_two_films_of_one_person_are_the_first_figure(right: int, sentence: str) -> None:
    cases = [seen(f"{i}", label) for i in range(30) for label in ("covid", "normal")]
    covid = [score for i in range(30) for score in ((0.7, 0.3) if i < 3 * right else (0.3, 0.7))]
    evaluation = evaluated([site("a", cases, three(covid))])
    found = evaluation["within_site"][0]["within_patient"]
    assert found["patient_mean"]["value"] == found["share_of_pairs"]["value"] == pytest.approx(right / 10)
    assert (found["n_patients"], found["n_pairs"]) == (30, 30)
    assert evaluation["verdict"][0].startswith(sentence)
    titles = [line for line in model_card(made_bundle(), evaluation).splitlines() if line.startswith("## ")]
    assert titles.index("## Two films of one person") == titles.index("## Headline") + 1


def test_fewer_than_thirty_persons_with_both_give_no_figure() -> None:
    cases = [seen(f"{i}", label) for i in range(29) for label in ("covid", "normal")]
    assert within_patient(site("a", cases, three([0.5] * 58)), COVID, 0) is None


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (0.0, 0.5)])
def test_lung_shape_alone_stands_beside_two_films_of_one_person(sign: float, expected: float) -> None:
    """The lungs of the ill film are smaller than those of the same person's other film, or of the same size."""
    cases = [seen(f"{i}", label) for i in range(40) for label in ("covid", "normal")]
    person = np.repeat(np.random.default_rng(0).normal(size=40), 2)
    area = person - sign * np.tile([1.0, 0.0], 40)
    shaped = dataclasses.replace(site("a", cases, three([0.5] * 80)), lung_shape=area[:, None])
    found = within_patient(shaped, COVID, 20)
    assert found is not None
    assert found["shape_alone"]["value"] == expected
    assert found["patient_mean"]["value"] == 0.5
    assert within_patient(site("a", cases, three([0.5] * 80)), COVID, 0)["shape_alone"] is None  # type: ignore[index]


def test_all_pneumonia_is_asked_only_where_it_is_more_than_another_question() -> None:
    cases = [seen(f"{label}{i}", label) for label in ("covid", "normal") for i in range(6)]
    unstated = [seen(f"x{i}", "indeterminate") for i in range(6)]
    some, all_of = (
        to_patient_scores(part, three([0.5] * len(part)), "mean") for part in (cases, cases + unstated)
    )
    assert not ANY.is_answered(some)
    assert ANY.is_answered(all_of)
    assert ANY.sample(all_of).y_true.sum() == 12
    rows = evaluated([site("a", cases + unstated, three([0.5] * 18))])
    assert [row["question"] for row in rows["within_site"]] == [COVID.text, ANY.text]
    assert {row["label"] for row in rows["shares"]} == {"covid", "normal", "indeterminate"}


def test_a_trap_is_found_within_a_domain_and_said() -> None:
    rng = np.random.default_rng(0)
    cases = [
        seen(f"{view}{label}{i}", label, view, int(rng.integers(100)) + 1000 * (label == "normal"))
        for view in ("AP", "PA")
        for label in ("covid", "normal")
        for i in range(20)
    ]
    cases += [seen("few", "covid", "", 7)]
    scored = to_patient_scores(cases, three([0.5] * len(cases)), "mean", by_domain=True)
    rows = list(trivial_measures(scored))
    assert [(row["domain"], row["n_positive"], row["n_negative"]) for row in rows] == [
        (ALL_DOMAINS, 40, 40),
        ("a AP", 20, 20),
        ("a PA", 20, 20),
    ]
    assert all(row["auroc"] == {"file size": 1.0} for row in rows)  # all else is equal or unknown
    evaluation = evaluated([site("a", cases, three([0.5] * len(cases)))])
    who = f"file size alone, {COVID.text} at a, {ALL_DOMAINS}"
    assert (who, "1.000") in confound_floor(evaluation)
    assert any(line.startswith("The two sides were collected differently") for line in evaluation["verdict"])
    assert "What trivial measures tell" in model_card(made_bundle(), evaluation)


def test_noise_is_estimated_whatever_lies_below() -> None:
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(200) / 2, np.arange(200) / 2)
    noisy = np.rint(ramp + rng.normal(0, 4, ramp.shape) + 20).clip(0, 255).astype(np.uint8)
    assert fine_noise(noisy) == pytest.approx(4, rel=0.05)
    flat = np.full((9, 9), 7, np.uint8)
    assert measure(flat, 12) == TrivialMeasures(file_bytes=12, mean=7.0, spread=0.0, noise=0.0)

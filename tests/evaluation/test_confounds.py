import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.datasets.collections import LOADERS
from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.confounds import (
    domain_alone,
    matrix,
    metadata_alone,
    place_alone,
    pooled,
    source_alone,
)
from cxrbatch.evaluation.contrasts import CONTRASTS
from cxrbatch.evaluation.patients import PatientScores, to_patient_scores
from cxrbatch.evaluation.subgroups import age_band, strata
from tests.factories.collections import case
from tests.factories.scores import three

ILL = next(contrast for contrast in CONTRASTS if contrast.text == "pneumonia against normal")
KIND = next(contrast for contrast in CONTRASTS if contrast.negative == "pneumonia")


def scored(*cases: LabelledImage, covid: list[float] | None = None) -> PatientScores:
    return to_patient_scores(cases, three(covid or [0.5] * len(cases)), "mean")


def many(source: str, n: int, label: str, publisher: str = "") -> list[LabelledImage]:
    return [case(f"{source}/{publisher}{label}{i}", label, source, publisher) for i in range(n)]


def ill_and_well(n: int, **of: Sequence[object]) -> list[LabelledImage]:
    """`n` ill and `n` well patients of one site, with what is known of each."""
    cases = [*many("s", n, "pneumonia"), *many("s", n, "normal")]
    return [
        dataclasses.replace(each, **{key: values[index] for key, values in of.items()})  # type: ignore[arg-type]
        for index, each in enumerate(cases)
    ]


def test_the_floor_is_one_where_the_class_is_the_source() -> None:
    apart = scored(*many("a", 5, "covid"), *many("b", 5, "normal"))
    assert source_alone(apart) == 1.0
    found = pooled(apart, bootstraps=20)
    assert found is not None
    assert (found["auroc"]["value"], found["auprc"]["value"]) == (0.5, 0.5)
    assert (found["n_positive"], found["n_negative"]) == (5, 5)


def test_the_floor_of_mixed_sources_in_closed_form() -> None:
    # 8 of 10 ill in one, 2 of 10 in the other: (8·8 + (8·2 + 2·8) / 2) / (10·10)
    mixed = scored(
        *many("a", 8, "covid"), *many("a", 2, "normal"), *many("b", 2, "covid"), *many("b", 8, "normal")
    )
    assert source_alone(mixed) == pytest.approx(0.8)


def test_no_floor_without_both_sides() -> None:
    for one_sided in (scored(*many("a", 5, "covid")), scored(*many("a", 5, "normal")), scored()):
        assert source_alone(one_sided) is None
        assert pooled(one_sided, bootstraps=20) is None


def test_publishers_that_have_one_label_each_give_it_away() -> None:
    cases = [*many("web", 20, "covid", "x.org"), *many("web", 20, "pneumonia", "y.org")]
    assert domain_alone(scored(*cases)) == {"web": 1.0}
    assert place_alone(scored(*cases), KIND) == 1.0
    assert place_alone(scored(*cases), ILL) is None
    assert domain_alone(scored(*many("one", 9, "covid"), *many("one", 9, "normal"))) == {}
    assert domain_alone(scored(*cases[:4], *cases[20:])) == {}


def test_a_publisher_of_one_patient_tells_nothing_of_the_others() -> None:
    cases = [
        case(f"web/{label}{i}", label, "web", f"{label}{i}.org")
        for label in ("covid", "normal")
        for i in range(20)
    ]
    assert domain_alone(scored(*cases)) == {"web": pytest.approx(0.5)}


def test_metadata_that_settle_the_label_reach_one() -> None:
    year = ill_and_well(20, year=[2020] * 20 + [2015] * 20)
    assert metadata_alone(scored(*year), ILL) == {"auroc": 1.0, "fields": ["year"]}
    size = ill_and_well(20, rows=[1000 + i for i in range(20)] + [2000 + i for i in range(20)])
    found = metadata_alone(scored(*size), ILL)
    assert found is not None
    assert found["fields"] == ["rows"]
    assert found["auroc"] > 0.95
    unknown = ill_and_well(20, view=["PA"] * 20 + [""] * 20)
    assert metadata_alone(scored(*unknown), ILL) == {"auroc": 1.0, "fields": ["view"]}


def test_metadata_that_say_nothing_reach_one_half() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        cases = ill_and_well(
            60,
            view=rng.choice(["PA", "AP", ""], 120).tolist(),
            sex=rng.choice(["F", "M"], 120).tolist(),
            age_years=rng.uniform(20, 90, 120).tolist(),
        )
        row = metadata_alone(scored(*cases), ILL)
        assert row is not None
        assert row["fields"] == ["view", "sex", "age"]
        found.append(row["auroc"])
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_what_marks_a_single_patient_foretells_no_other() -> None:
    """With copies of each image in both halves of a split by image, this would reach 1."""
    cases = ill_and_well(30, year=list(range(1950, 2010)))
    assert metadata_alone(scored(*cases, *cases), ILL) == {"auroc": pytest.approx(0.5), "fields": ["year"]}


def test_a_patient_who_was_ill_and_well_is_wholly_in_one_fold() -> None:
    """Else the year of the one image would foretell the opposite of the other's label."""
    cases = [
        dataclasses.replace(case(f"s/{i}", label, "s"), year=1950 + i)
        for label in ("pneumonia", "normal")
        for i in range(30)
    ]
    assert metadata_alone(scored(*cases), ILL) == {"auroc": pytest.approx(0.5), "fields": ["year"]}


def test_no_metadata_no_figure() -> None:
    assert metadata_alone(scored(*ill_and_well(20)), ILL) is None


def test_the_matrix_sets_the_ill_of_each_source_against_the_healthy_of_each() -> None:
    cases = [
        *many("a", 5, "covid"),
        *many("a", 5, "normal"),
        *many("b", 6, "pneumonia"),
        *many("b", 6, "normal"),
        *many("c", 4, "covid"),
    ]
    scores = {("a", "covid"): 0.5, ("a", "normal"): 0.4, ("b", "pneumonia"): 0.4, ("b", "normal"): 0.6}
    found = list(matrix(scored(*cases, covid=[scores.get((c.source, c.label), 0.9) for c in cases])))
    assert [(row["positives"], row["negatives"], row["auroc"]) for row in found] == [
        ("a", "a", 1.0),
        ("a", "b", 0.0),
        ("b", "a", 0.5),
        ("b", "b", 0.0),
    ]
    assert [row["question"] for row in found[1:3]] == ["COVID-19 against normal", "pneumonia against normal"]
    assert (found[2]["n_positive"], found[2]["n_negative"]) == (6, 5)


@pytest.mark.parametrize(
    ("age", "band"),
    [(None, "unknown"), (3.0, "under 18"), (18.0, "18-39"), (39.9, "18-39"), (40.0, "40-59"), (80.0, "80+")],
)
def test_age_bands(age: float | None, band: str) -> None:
    assert age_band(dataclasses.replace(case("s/1", "covid", "s"), age_years=age)) == band


def test_a_stratum_in_which_the_score_is_reversed_is_shown() -> None:
    cases = ill_and_well(
        12, view=(["PA"] * 6 + ["AP"] * 6) * 2, sex=["F"] * 24, age_years=[30.0] * 20 + [None] * 4
    )
    covid = [0.9 if (each.label == "pneumonia") == (each.view == "PA") else 0.1 for each in cases]
    found = list(strata(scored(*cases, covid=covid), ILL, bootstraps=50))
    assert [row["stratum"] for row in found] == ["view AP", "view PA", "age 18-39"]
    by_name = {row["stratum"]: row for row in found}
    assert by_name["view AP"]["auroc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert by_name["view PA"]["auroc"]["value"] == 1.0
    assert (by_name["age 18-39"]["n_positive"], by_name["age 18-39"]["n_negative"]) == (12, 8)
    assert "unknown age" not in by_name


@pytest.mark.real
def test_the_year_of_a_published_case_tells_its_label(real_data: Path) -> None:
    """Known of this collection: no picture is needed to tell COVID-19 from what was published before it."""
    rows = LOADERS["ieee8023"](real_data / "covid-chestxray-dataset")
    published = scored(*(row for row in rows if isinstance(row, LabelledImage)))
    found = metadata_alone(published, KIND)
    assert found is not None
    assert "year" in found["fields"]
    assert found["auroc"] > 0.95
    assert 0.7 < domain_alone(published)["ieee8023"] < 0.9

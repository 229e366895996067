import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cxrbatch.bundle.bundle import OperatingPoints
from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.bands import broken_at, operating_points, shares
from cxrbatch.evaluation.evaluate import evaluate_sites, headline, jsonable, publishers
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.site_scores import Exposure, SiteScores, one_row_per_patient
from tests.factories.collections import case
from tests.factories.scores import by_label, site, three

POINTS = OperatingPoints(urgent=0.6, high=0.4)
HALF = dict.fromkeys(("covid", "pneumonia", "normal"), 0.5)


def patients(source: str, publisher: str = "", **n_of: int) -> list[LabelledImage]:
    return [
        case(f"{source}/{publisher}{label}{i}", label, source, publisher)
        for label, n in n_of.items()
        for i in range(n)
    ]


def measured(
    sites: Sequence[SiteScores], points: OperatingPoints | None = POINTS, rule: str = "mean"
) -> dict[str, Any]:
    """What is written into a bundle: it has to survive JSON."""
    found = evaluate_sites(sites, rule, points, bootstraps=50)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def noisy(
    name: str, cases: Sequence[LabelledImage], seed: int, exposure: Exposure = Exposure.LEFT_OUT
) -> SiteScores:
    rng = np.random.default_rng(seed)
    raw = np.exp(rng.normal(size=(len(cases), 3)))
    return site(name, cases, raw / raw.sum(axis=1, keepdims=True), exposure)


def test_images_become_patients_by_the_rule_of_the_report() -> None:
    cases = [case("a/1", "covid", "a"), case("a/2", "normal", "a"), case("a/1", "covid", "a")]
    scores = np.array([[0.2, 0.3, 0.5], [0.1, 0.0, 0.9], [0.6, 0.1, 0.3]])
    assert to_patient_scores(cases, scores, "mean").scores == pytest.approx(
        np.array([[0.4, 0.2, 0.4], [0.1, 0.0, 0.9]])
    )
    scored = to_patient_scores(cases, scores, "max")
    assert scored.scores[0].tolist() == [0.6, 0.1, 0.3]
    assert scored.cases.tolist() == cases[:2]


def test_a_constant_score_is_worth_nothing_in_every_figure() -> None:
    found = measured([by_label("s", patients("s", covid=8, normal=24), covid=HALF)])
    (row,) = found["within_site"]
    nothing = {"value": 0.5, "low": 0.5, "high": 0.5}
    assert (row["n_positive"], row["n_negative"], row["prevalence"]) == (8, 24, 0.25)
    assert row["auroc"] == nothing
    assert row["auprc"]["value"] == 0.25
    assert row["specificity_at_sensitivity"]["0.90"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert row["calibration"] == {
        "slope": None,
        "intercept": pytest.approx(0.0),
        "brier": pytest.approx(0.25),
        "ece": pytest.approx(0.0),
    }
    assert [top["tested"] for top in row["list"]] == [0.1, 0.2, 0.3, 0.5]
    for top in row["list"]:
        assert (top["lift"], top["number_needed_to_test"]) == pytest.approx((1.0, 4.0))
    assert found["pooled"]["auroc"] == nothing
    assert found["headline"]["auroc"] == nothing


def test_a_perfect_score_is_perfect_in_every_figure() -> None:
    found = measured([by_label("s", patients("s", covid=10, normal=10))])
    (row,) = found["within_site"]
    perfect = {"value": 1.0, "low": 1.0, "high": 1.0}
    assert row["auroc"] == row["auprc"] == perfect
    assert row["specificity_at_sensitivity"] == {"0.90": perfect, "0.95": perfect}
    assert row["operating_points"] == {
        name: {"sensitivity": perfect, "specificity": perfect} for name in ("urgent", "high")
    }
    assert row["auroc_of_each_network"] == [1.0]
    tested = [(top["n_tested"], top["found"], top["number_needed_to_test"]) for top in row["list"]]
    assert tested == [(2, 0.2, 1.0), (4, 0.4, 1.0), (6, 0.6, 1.0), (10, 1.0, 1.0)]


def test_a_score_of_the_source_is_splendid_pooled_and_worth_nothing_within() -> None:
    of_source = [
        by_label("a", patients("a", covid=20), covid=dict.fromkeys(HALF, 0.9)),
        by_label("b", patients("b", pneumonia=20, normal=20), covid=dict.fromkeys(HALF, 0.1)),
    ]
    found = measured(of_source)
    assert found["pooled"]["auroc"]["value"] == 1.0
    assert found["confound_floor"]["source_alone"] == 1.0
    assert found["headline"]["auroc"]["value"] == 0.5
    assert (found["headline"]["site"], found["headline"]["question"]) == ("b", "pneumonia against normal")
    assert "tells sources apart, not patients" in found["verdict"][0]


def test_what_a_source_gives_away_is_counted_once() -> None:
    """It is measured with networks that had not seen the source, and again on patients held out from others."""
    cases = [
        dataclasses.replace(each, view=("PA", "AP")[index % 2], age_years=20.0 + index)
        for index, each in enumerate(patients("s", "x.org", covid=12, pneumonia=12, normal=12))
    ]
    held_out = noisy("s", cases, seed=1, exposure=Exposure.HELD_OUT)
    left_out = noisy("s", cases, seed=0)
    both, alone = measured([held_out, left_out]), measured([left_out])
    assert both["strata"] == alone["strata"] != []
    assert both["confound_floor"]["metadata_alone"] == alone["confound_floor"]["metadata_alone"] != []
    assert both["confound_floor"]["trivial_measures"] == alone["confound_floor"]["trivial_measures"]
    assert len(both["within_site"]) == 2 * len(alone["within_site"])


@pytest.mark.parametrize("rule", ["mean", "max"])
def test_copies_of_images_change_nothing(rule: str) -> None:
    cases = [
        dataclasses.replace(each, view=("PA", "AP")[index % 2], age_years=20.0 + index)
        for index, each in enumerate(patients("s", "x.org", covid=12, pneumonia=12, normal=12))
    ]
    once_each = noisy("s", cases, seed=0)
    index = [*range(36), *range(0, 36, 5), *range(0, 36, 5)]
    copies = dataclasses.replace(
        once_each,
        cases=tuple(cases[i] for i in index),
        scores=once_each.scores[index],
        networks=once_each.networks[:, index],
    )
    original, copied = measured([once_each], rule=rule), measured([copies], rule=rule)
    assert _close(copied, original)


def _close(found: Any, expected: Any) -> bool:
    """Equal but for the rounding of means over copies."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_close(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_close, found, expected))
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) < 1e-9
    return bool(found == expected)


def test_sensitivity_and_specificity_are_those_at_the_operating_points() -> None:
    covid = [0.9] * 6 + [0.5] * 3 + [0.1] + [0.7] * 2 + [0.5] * 3 + [0.1] * 5
    (row,) = measured([site("s", patients("s", covid=10, normal=10), three(covid))])["within_site"]
    found = {
        (name, key): estimate["value"]
        for name, both in row["operating_points"].items()
        for key, estimate in both.items()
    }
    assert found == pytest.approx(
        {
            ("urgent", "sensitivity"): 0.6,
            ("urgent", "specificity"): 0.8,
            ("high", "sensitivity"): 0.9,
            ("high", "specificity"): 0.5,
        }
    )
    assert row["specificity_at_sensitivity"]["0.90"]["value"] == 0.5


def test_operating_points_belong_to_the_covid_score_alone() -> None:
    rows = measured([noisy("s", patients("s", covid=9, pneumonia=9, normal=9), seed=1)])["within_site"]
    assert {row["ranked_by"]: row["operating_points"] is not None for row in rows} == {
        "covid": True,
        "covid / (covid + pneumonia)": False,
        "1 − normal": False,
    }
    assert len(rows) == 5


def test_a_bundle_without_operating_points_has_no_shares() -> None:
    found = measured([by_label("s", patients("s", covid=9, normal=9))], points=None)
    assert found["within_site"][0]["operating_points"] is None
    assert found["shares"] == []


def test_urgent_is_the_largest_90th_percentile_of_the_patients_without_pneumonia() -> None:
    def left_out(name: str, n: int, scale: float, covid: int = 0) -> SiteScores:
        cases = patients(name, normal=n, covid=covid)
        return site(name, cases, three([*scale * np.arange(n) / n, *np.linspace(0.9, 0.0, len(cases) - n)]))

    low, top, small = left_out("a", 100, 0.4, covid=10), left_out("b", 50, 0.8), left_out("c", 49, 1.0)
    held_out = dataclasses.replace(left_out("d", 100, 1.0), exposure=Exposure.HELD_OUT)
    children = left_out("kaggle", 100, 1.0)
    untaught = dataclasses.replace(left_out("e", 60, 0.6), exposure=Exposure.NOT_TRAINED_ON)
    points = operating_points([low, top, small, held_out, children, untaught], "mean")
    assert points is not None
    assert points.urgent == pytest.approx(0.8 * 45 / 50)
    assert points.high == pytest.approx(0.1)  # nine of ten score that or more
    well, *_ = (row for row in shares([top], "mean", points) if row["label"] == "normal")
    assert well["urgent"] == 0.1
    broken = broken_at([low, top, small, held_out, children, untaught], "mean", points)
    assert [row["site"] for row in broken] == ["c"]
    assert broken_at([low, top], "mean", points) == []
    assert operating_points([held_out], "mean") is operating_points([top], "mean") is None


def test_high_is_never_above_urgent_and_a_constant_score_breaks_the_bands() -> None:
    cases = patients("a", covid=10, normal=60)
    splendid = site("a", cases, three([0.9] * 10 + [0.1] * 60))
    points = operating_points([splendid], "mean")
    assert points == OperatingPoints(urgent=0.1, high=0.1)
    (found,) = broken_at([splendid], "mean", points)
    assert (found["site"], found["n"], found["urgent"]["value"]) == ("a", 60, 1.0)


def test_each_patient_counts_once_by_the_finest_site_that_was_left_out() -> None:
    ill, well = patients("s", "p", covid=1), patients("s", "q", normal=1)
    coarse = by_label("s", [*ill, *well], covid=HALF)
    fine = by_label("s/p", ill, covid={"covid": 0.9})
    trained_on = by_label("own split", ill, Exposure.HELD_OUT, covid={"covid": 1.0})
    for sites in ([coarse, fine, trained_on], [trained_on, fine, coarse]):
        scored = one_row_per_patient(sites, "mean")
        assert sorted(scored.patients) == ["s/pcovid0", "s/qnormal0"]
        assert scored.scores[scored.labelled("covid"), 0] == pytest.approx(0.9)
    assert one_row_per_patient([], "mean").patients.size == 0


def test_no_question_is_answered_by_fewer_than_five() -> None:
    assert len(measured([by_label("s", patients("s", covid=5, normal=5))])["within_site"]) == 1
    found = measured([by_label("s", patients("s", covid=5, normal=4))])
    assert (found["within_site"], found["headline"]) == ([], None)


def test_a_question_that_nobody_taught_gets_no_figure() -> None:
    """A share of COVID-19 that is the same for all but for single precision, or undefined, ranks nobody."""
    abnormal = np.append(np.random.default_rng(0).random(11), 1e-9).astype(np.float32)
    share = np.float32(0.3)
    scores = np.stack([abnormal * share, abnormal * (1 - share), 1 - abnormal], axis=-1)
    assert np.unique(scores[:, 0].astype(np.float64) / scores[:, :2].sum(axis=1, dtype=np.float64)).size > 1
    cases = patients("s", covid=6, pneumonia=6)
    rows = measured([site("s", cases, scores.astype(np.float64))])["within_site"]
    assert [row["ranked_by"] for row in rows] == ["covid"]
    two_classes = measured([by_label("s", cases, covid={"covid": 0.0, "pneumonia": 0.5})])["within_site"]
    assert [row["ranked_by"] for row in two_classes] == ["covid"]


def test_saturated_scores_give_figures_that_json_can_hold() -> None:
    wrong = {"covid": 0.0, "pneumonia": 0.0, "normal": 1.0}
    (row,) = measured([by_label("s", patients("s", covid=8, normal=8), covid=wrong)])["within_site"]
    assert row["auroc"]["value"] == 0.0
    assert row["list"][0]["number_needed_to_test"] is None
    assert row["list"][0]["found"] == 0.0


def test_nothing_to_measure() -> None:
    found = measured([])
    assert (found["headline"], found["pooled"], found["within_site"], found["matrix"]) == (None, None, [], [])
    assert found["confound_floor"] == {
        "source_alone": None,
        "domain_alone": {},
        "metadata_alone": [],
        "trivial_measures": [],
    }


def test_the_headline_is_the_worst_site_of_which_nothing_was_seen() -> None:
    def row(name: str, exposure: Exposure, value: float) -> dict[str, Any]:
        (found,) = measured([by_label(name, patients(name, covid=6, normal=6), exposure)])["within_site"]
        return {**found, "auroc": {"value": value, "low": value, "high": value}}

    rows = [
        row("own split", Exposure.HELD_OUT, 0.3),
        row("a", Exposure.LEFT_OUT, 0.9),
        row("b", Exposure.NOT_TRAINED_ON, 0.7),
        row("c", Exposure.UNKNOWN, 0.2),
    ]
    found = headline(rows)
    assert found is not None
    assert (found["site"], found["exposure"], found["auroc"]["value"]) == ("b", "never taught", 0.7)
    other = headline([rows[0], rows[3]])
    assert other is not None
    assert other["site"] == "c"
    assert headline([]) is None


def test_large_publishers_are_sites_of_their_own_unless_they_are_already() -> None:
    large = patients("web", "x.org", covid=10, pneumonia=10)
    named = patients("web", "y.org", covid=10, pneumonia=10)
    small = patients("web", "z.org", covid=30, pneumonia=9)
    whole = noisy("web", [*large, *named, *small], seed=3, exposure=Exposure.NOT_TRAINED_ON)
    whole = dataclasses.replace(whole, perturbed={"mirrored": whole.scores[::-1]})
    (part,) = publishers([whole, noisy("web/y.org", named, seed=4)])
    assert (part.site, part.exposure, part.cases) == ("web/x.org", Exposure.NOT_TRAINED_ON, tuple(large))
    assert part.scores.tolist() == whole.scores[:20].tolist()
    assert part.networks.tolist() == whole.networks[:, :20].tolist()
    assert part.perturbed["mirrored"].tolist() == whole.scores[::-1][:20].tolist()
    assert list(publishers([by_label("own split", [*large, *patients("b", normal=20)])])) == []


def test_audits_are_ranked_by_the_changed_scores() -> None:
    reverse = {"covid": 0.1, "normal": 0.9}
    changed = by_label("s", patients("s", covid=6, normal=6), perturbed={"marker L": reverse})
    (row,) = measured([changed])["within_site"]
    assert row["audits"] == {"marker L": {"auroc": 0.0, "median_rank_shift": 0.5}}


def test_each_network_is_judged_by_itself() -> None:
    perfect = by_label("s", patients("s", covid=6, normal=6))
    two = dataclasses.replace(perfect, networks=np.stack([perfect.scores, perfect.scores[::-1]]))
    assert measured([two])["within_site"][0]["auroc_of_each_network"] == [1.0, 0.0]


def test_pooled_figures_are_of_unseen_sites_where_these_suffice() -> None:
    trained_on = by_label("own split", patients("t", covid=40, normal=40), Exposure.HELD_OUT)
    unseen = [
        by_label("a", patients("a", covid=6), Exposure.NOT_TRAINED_ON, HALF),
        by_label("b", patients("b", normal=7), covid=HALF),
    ]
    found = measured([trained_on, *unseen])["pooled"]
    assert (found["n_positive"], found["n_negative"], found["auroc"]["value"]) == (6, 7, 0.5)
    assert measured([trained_on, unseen[0]])["pooled"]["n_positive"] == 46


def test_shares_are_told_by_source_exposure_and_label() -> None:
    cases = [*patients("a", covid=2), *patients("b", normal=2)]
    rows = list(
        shares(
            [by_label("own split", cases, Exposure.HELD_OUT), by_label("b", cases[2:], Exposure.LEFT_OUT)],
            "mean",
            POINTS,
        )
    )
    assert [(row["source"], row["exposure"], row["label"], row["urgent"]) for row in rows] == [
        ("b", "left out", "normal", 0.0),
        ("a", "held out", "covid", 1.0),
        ("b", "held out", "normal", 0.0),
    ]


def test_strata_and_metadata_name_their_site_and_question() -> None:
    cases = [
        dataclasses.replace(each, sex="FM"[index % 2])
        for index, each in enumerate(patients("s", pneumonia=20, normal=20))
    ]
    found = measured([by_label("s", cases)])
    assert [(row["site"], row["question"], row["ranked_by"], row["stratum"]) for row in found["strata"]] == [
        ("s", "pneumonia against normal", "1 − normal", "sex F"),
        ("s", "pneumonia against normal", "1 − normal", "sex M"),
    ]
    (row,) = found["confound_floor"]["metadata_alone"]
    assert (row["site"], row["question"], row["fields"]) == ("s", "pneumonia against normal", ["sex"])


def test_metadata_are_asked_once_whatever_ranks_the_patients() -> None:
    cases = [
        dataclasses.replace(each, sex="FM"[index % 2])
        for index, each in enumerate(patients("s", covid=20, pneumonia=20))
    ]
    found = measured([noisy("s", cases, seed=5)])
    assert [row["question"] for row in found["within_site"]] == ["COVID-19 against other pneumonia"] * 2
    assert len(found["confound_floor"]["metadata_alone"]) == 1


def test_what_was_measured_elsewhere_is_taken_over() -> None:
    probe = {"accuracy": np.float32(1.0), "chance": 0.25, "n": np.int64(40), "sources": ("a", "b", "c", "d")}
    found = evaluate_sites([], "mean", None, 10, source_probe=probe)
    assert found["source_probe"] == {
        "accuracy": 1.0,
        "chance": 0.25,
        "n": 40,
        "sources": ["a", "b", "c", "d"],
    }
    assert any("tells the source" in line for line in found["verdict"])


def test_jsonable() -> None:
    value = {
        "a": float("nan"),
        "b": [np.float64("inf"), np.int64(3), True],
        "c": (None, "x", np.float32(0.5)),
    }
    assert jsonable(value) == {"a": None, "b": [None, 3, True], "c": [None, "x", 0.5]}

import copy
from typing import Any

import pytest

from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.evaluation.targets import (
    ANY,
    COVID,
    KIND,
    MARKER_SHIFT,
    URGENT_HEALTHY,
    USEFUL_AUROC,
    WITHOUT_LUNGS,
    Limit,
    targets,
)
from cxrbatch.pages.wording import figure, interval, percent


def row(
    site: str, area: float | None, exposure: Exposure = Exposure.LEFT_OUT, perturbed: Any = None
) -> dict[str, Any]:
    return {
        "site": site,
        "exposure": exposure,
        "question": "pneumonia against normal",
        "ranked_by": "1 − normal",
        "auroc": {"value": area, "low": 0.5, "high": 0.9},
        "audits": perturbed or {},
    }


def share(source: str, label: str, urgent: float, exposure: Exposure = Exposure.LEFT_OUT) -> dict[str, Any]:
    return {"source": source, "exposure": exposure, "label": label, "n": 50, "urgent": urgent}


@pytest.mark.parametrize(
    ("limit", "value", "mark"),
    [
        (USEFUL_AUROC, 0.80, ""),
        (USEFUL_AUROC, 0.7999, "below 0.80"),
        (USEFUL_AUROC, None, ""),
        (WITHOUT_LUNGS, 0.60, ""),
        (WITHOUT_LUNGS, 0.6001, "above 0.60"),
        (MARKER_SHIFT, 0.02, ""),
        (MARKER_SHIFT, 0.021, "above 2%"),
        (URGENT_HEALTHY, 0.101, "above 10%"),
    ],
)
def test_a_figure_on_the_wrong_side_is_marked_in_words(limit: Limit, value: float | None, mark: str) -> None:
    assert limit.mark(value) == mark
    assert limit.fails(value) == bool(mark)


def test_limits_say_which_side_is_right() -> None:
    assert [str(limit) for limit in (USEFUL_AUROC, WITHOUT_LUNGS, MARKER_SHIFT)] == [
        "at least 0.80",
        "at most 0.60",
        "at most 2%",
    ]


def test_nothing_measured_is_neither_reached_nor_missed() -> None:
    judged = targets({})
    assert {target.outcome for target in judged} == {"not measured"}
    assert not any(target.missed for target in judged)
    assert [str(target.limit) for target in judged] == [
        *("at least 0.80", "at least 0.92", "at least 0.80", "at least 0.70", "at least 0.70"),
        *("at least 0.76", "at least 0.92", "at least 0.78", "at least 0.85", "at least 0.75"),
        *("at most 0.60", "at most 2%", "at most 10%"),
    ]


def test_missed_ones_come_first_then_what_was_not_measured() -> None:
    judged = targets({"within_site": [row("nih", 0.9), row("kaggle", 0.91)], "shares": []})
    assert [target.outcome for target in judged][:2] == ["not reached", "not measured"]
    assert judged[0].text == "AUROC, pneumonia against normal at kaggle, ranked by 1 − normal"
    assert (judged[0].figure, str(judged[0].limit)) == ("0.910 (0.500–0.900)", "at least 0.92")
    assert judged[-1].outcome == "reached"


def test_patients_held_out_of_a_site_that_taught_prove_nothing() -> None:
    found = targets(
        {
            "within_site": [row("nih", 0.99, Exposure.HELD_OUT)],
            "shares": [share("nih", "normal", 0.9, Exposure.HELD_OUT)],
        }
    )
    assert {target.outcome for target in found} == {"not measured"}


def test_patients_held_out_are_compared_with_the_targets_that_ask_for_them() -> None:
    covid = row("siim", 0.91, Exposure.HELD_OUT) | {"question": COVID, "ranked_by": "covid"}
    covid["within_patient"] = {"patient_mean": {"value": 0.86, "low": 0.8, "high": 0.9}}
    any_ill = row("siim", 0.99, Exposure.HELD_OUT) | {"question": ANY, "within_patient": None}
    kind = row("siim", 0.99, Exposure.LEFT_OUT) | {"question": KIND}
    found = {
        target.text: target for target in targets({"within_site": [covid, any_ill, kind]}) if target.value
    }
    assert {text: (target.outcome, target.figure) for text, target in found.items()} == {
        "AUROC of patients held out, COVID-19 against normal at siim, ranked by covid": (
            "not reached",
            "0.910 (0.500–0.900)",
        ),
        "Share of persons held out whose film with the finding has the higher score, COVID-19 against normal at "
        "siim, ranked by covid": ("reached", "0.860 (0.800–0.900)"),
    }


def test_of_an_unknown_bundle_a_reached_target_is_doubted_and_a_missed_one_is_not() -> None:
    reached, missed = (targets({"within_site": [row("nih", area, Exposure.UNKNOWN)]}) for area in (0.95, 0.5))
    assert reached[-1].outcome == "reached, if the bundle was not taught there"
    assert missed[0].outcome == "not reached"


def test_the_worst_of_several_markers_counts_at_each_site() -> None:
    shifts = {"marker L": 0.01, "marker arrows": 0.03, "mirrored": 0.5}
    perturbed = {name: {"auroc": 0.9, "median_rank_shift": shift} for name, shift in shifts.items()}
    perturbed["lungs blacked out"] = {"auroc": 0.61, "median_rank_shift": 0.3}
    missed = [
        target for target in targets({"within_site": [row("nih", 0.9, perturbed=perturbed)]}) if target.missed
    ]
    assert [(target.text, target.figure) for target in missed] == [
        ("AUROC with the lungs blacked out, pneumonia against normal at nih, ranked by 1 − normal", "0.610"),
        (
            "Median move in the list with marker arrows, pneumonia against normal at nih, ranked by 1 − normal",
            "3.0%",
        ),
    ]


def test_only_healthy_adults_may_not_be_called_urgent() -> None:
    shares = [share("nih", "normal", 0.11), share("nih", "covid", 0.9), share("kaggle", "normal", 0.9)]
    missed = [target for target in targets({"shares": shares}) if target.missed]
    assert [(target.text, target.figure) for target in missed] == [
        ("Healthy adults of nih called urgent (50 patients)", "11.0%")
    ]


def test_only_contrasts_with_a_target_are_judged() -> None:
    perturbed = {"lungs blacked out": {"auroc": 0.9, "median_rank_shift": 0.0}}
    other = row("elsewhere", 0.5, perturbed=perturbed)
    assert {target.outcome for target in targets({"within_site": [other]})} == {"not measured"}


def test_judging_changes_nothing() -> None:
    evaluation = {"within_site": [row("nih", 0.5)], "shares": [share("rsna", "normal", 0.5)]}
    before = copy.deepcopy(evaluation)
    targets(evaluation)
    assert evaluation == before


def test_figures_are_written_alike_everywhere() -> None:
    assert (figure(0.70249), figure(0.70249, 2), figure(None)) == ("0.702", "0.70", "–")
    assert (percent(0.6894), percent(None)) == ("68.9%", "–")
    assert interval({"value": 0.5, "low": None, "high": 1.0}) == "0.500"
    assert interval({"value": None, "low": None, "high": None}) == "–"

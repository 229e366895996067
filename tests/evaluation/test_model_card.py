import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.bundle.worth import state_worth
from cxrbatch.datasets.licences import IMAGENET, weights_licence
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.evaluation.plain_words import HOW_GOOD, plain_words
from cxrbatch.evaluation.targets import targets
from cxrbatch.pages.wording import interval
from tests.factories.evaluations import evaluated, made_bundle, scored_site, scored_sites


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    return evaluated()


@pytest.fixture(scope="module")
def card(evaluation: dict[str, Any]) -> str:
    return model_card(made_bundle(), evaluation)


def part(card: str, title: str) -> str:
    """What stands under a heading."""
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of a table's body."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def test_the_card_opens_in_plain_words_with_what_the_bundle_is_worth(
    card: str, evaluation: dict[str, Any]
) -> None:
    lines = part(card, "In plain words").splitlines()
    assert lines[1] == f"**{state_worth(evaluation)}**"
    answers = plain_words(made_bundle(), evaluation)
    figures = [f"* {sentence}" for sentence in answers.pop(HOW_GOOD)]
    assert [line for line in lines[2:] if line.startswith("**")] == [f"**{heading}.**" for heading in answers]
    assert [line for line in lines if line.startswith("* ")] == [
        f"* {sentence}" for answer in answers.values() for sentence in answer
    ]
    assert [line for line in part(card, HOW_GOOD).splitlines() if line] == figures


def test_the_card_of_the_shipped_bundle_opens_with_half_a_page() -> None:
    shown = part(model_card(load_bundle()), "In plain words")
    assert len(shown.split()) <= 300


def test_weaknesses_come_before_tables_and_missed_targets_before_all_else(
    card: str, evaluation: dict[str, Any]
) -> None:
    assert re.findall(r"^## (.*)$", card, re.M)[:2] == ["In plain words", "Weaknesses first"]
    points = [line for line in part(card, "Weaknesses first").splitlines() if line.startswith("* ")]
    missed = [target for target in targets(evaluation) if target.missed]
    assert len(missed) >= 3
    for point, target in zip(points, missed, strict=False):
        assert point == f"* **Not reached: {target.text}: {target.figure}, target {target.limit}.**"
    assert not any("Not reached" in point for point in points[len(missed) :])


def test_a_reached_target_is_no_weakness_but_is_listed(card: str, evaluation: dict[str, Any]) -> None:
    reached = [target for target in targets(evaluation) if target.outcome == "reached"]
    assert reached
    listed = {row[0]: row for row in rows(part(card, "What it was meant to reach"))}
    for target in reached:
        assert f"Not reached: {target.text}:" not in part(card, "Weaknesses first")
        assert listed[target.text] == [target.text, str(target.limit), target.figure, "reached"]


def test_the_verdict_is_said_and_what_is_good_is_not_among_the_weaknesses(evaluation: dict[str, Any]) -> None:
    said = {**evaluation, "verdict": ["It is bad.", "Good: it is cheap."], "caveats": ["It is bad."]}
    card = model_card(made_bundle(), said)
    assert card.count("It is bad.") == 1
    assert "* **It is bad.**" in part(card, "Weaknesses first")
    assert "Good: it is cheap." in part(card, "Headline")
    assert "Good:" not in part(card, "Weaknesses first")


def test_every_row_within_a_site_appears_with_its_figure(card: str, evaluation: dict[str, Any]) -> None:
    shown = rows(part(card, "Within a site"))
    assert len(shown) == len(evaluation["within_site"]) > 5
    for cells, row in zip(shown, evaluation["within_site"], strict=True):
        weak = row["auroc"]["value"] < 0.8
        figure = f"**{interval(row['auroc'])}, below 0.80**" if weak else interval(row["auroc"])
        patients = f"{row['n_positive']}/{row['n_negative']}"
        expected = [row["site"], row["exposure"], row["question"], row["ranked_by"], patients]
        assert cells[:5] == expected
        assert cells[6] == figure
        matched = row["within_domain"]
        assert (interval(matched["auroc"]) if matched else "–") in cells[5]


def test_the_headline_has_the_confound_floor_beside_it(card: str, evaluation: dict[str, Any]) -> None:
    headline = evaluation["headline"]
    text = part(card, "Headline")
    assert (
        f"**AUROC {interval(headline['auroc'])}** within the worst site that took no part in training" in text
    )
    assert f"{headline['question']} at {headline['site']}" in text
    assert f"the source alone: {evaluation['confound_floor']['source_alone']:.3f}" in text


def test_the_matrix_has_a_row_for_the_ill_and_a_column_for_the_healthy(
    card: str, evaluation: dict[str, Any]
) -> None:
    header = next(line for line in part(card, "Source against source").splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in header.split("|")[1:-1]]
    shown = {
        (line[0], column.removeprefix("against ")): cell
        for line in rows(part(card, "Source against source"))
        for column, cell in zip(columns[2:], line[2:], strict=True)
        if cell != "–"
    }
    assert len(shown) == len(evaluation["matrix"])
    for entry in evaluation["matrix"]:
        cell = shown[entry["positives"], entry["negatives"]]
        within = "same source, " if entry["positives"] == entry["negatives"] else ""
        assert cell == f"{entry['auroc']:.2f} ({within}{entry['n_positive']}/{entry['n_negative']})"


def test_the_same_figures_give_the_same_card(card: str, evaluation: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(evaluation))
    assert model_card(made_bundle(evaluation=stored)) == card
    assert "nan" not in card.lower().split()


def test_a_bundle_that_was_never_evaluated_says_so() -> None:
    imported = {"origin": "imported from corona.h5; what it was taught with is not known", "parameters": 5}
    card = model_card(made_bundle(training=imported, operating_points=None))
    first = part(card, "Weaknesses first").splitlines()[1]
    assert first.startswith(
        "* **This bundle has no evaluation: nothing is known of what its scores are worth"
    )
    assert re.findall(r"^## (.*)$", card, re.M) == [
        "In plain words",
        "Weaknesses first",
        "How it was trained",
    ]
    assert "imported from corona.h5" in part(card, "How it was trained")
    assert "AUROC" not in card


def test_a_bundle_of_unknown_training_can_be_evaluated(evaluation: dict[str, Any]) -> None:
    card = model_card(made_bundle(training={}, operating_points=None), evaluation)
    assert "how it was trained is not known" in part(card, "How it was trained")
    assert "This bundle has none: its list has an order and no bands." in part(card, "Operating points")


def test_the_way_it_was_taught_is_told_apart() -> None:
    plain = made_bundle(
        training={**made_bundle().training, "recipe": {"name": "classic", "fit": {"method": "classes"}}}
    )
    assert "Matched pairs" in part(model_card(made_bundle()), "How it was trained")
    assert "Matched pairs" not in model_card(plain)
    assert "Plain cross-entropy" in part(model_card(plain), "How it was trained")


def test_hostile_names_stay_text_and_in_their_cell() -> None:
    name = "a|b<script>alert(1)</script>`*_\n[x](http://evil.example)\u202e"
    site = dataclasses.replace(scored_site("x", {"pneumonia": 9, "normal": 9}, 1.0), site=name)
    card = model_card(made_bundle(name="`x` <b>"), evaluated([site]))
    assert "<script" not in card.replace("\\<", "")
    assert "<b>" not in re.sub("`.*?`", "", card)  # between backticks it is text
    assert "](http" not in card.replace("\\]", "")
    assert "\u202e" not in card
    (row,) = rows(part(card, "Within a site"))
    assert len(row) == 11
    assert row[0] == (r"a\|b\<script\>alert(1)\</script\>\`\*_\\n\[x\](http://evil.example)\\u202e")


def test_the_items_that_fail_come_first_and_the_smallest_group_is_counted(
    card: str, evaluation: dict[str, Any]
) -> None:
    items = rows(part(card, "Reporting items and risk of bias"))
    answers = [item[1] for item in items]
    assert answers[0] == "no"
    assert answers == sorted(answers, key=["no", "unclear", "partly", "yes", "not applicable"].index)
    (size,) = [item for item in items if item[0].startswith("PROBAST 4.1")]
    smallest = min(min(row["n_positive"], row["n_negative"]) for row in evaluation["within_site"])
    assert f"The smallest group is {smallest} patients" in size[2]


def test_the_images_are_those_that_were_evaluated_where_the_evaluation_says_so(
    card: str, evaluation: dict[str, Any]
) -> None:
    assert rows(part(card, "Images used")) == [["nih", "normal", "50", "40"]]
    assert rows(part(card, "Left out, and why")) == [["nih", "duplicate", "7"]]
    other = {
        **evaluation,
        "images": {"a": {"covid": {"images": 3, "patients": 2}}},
        "excluded": {"a": {"CT": 1}},
    }
    assert rows(part(model_card(made_bundle(), other), "Images used")) == [["a", "covid", "3", "2"]]
    assert rows(part(model_card(made_bundle(), other), "Left out, and why")) == [["a", "CT", "1"]]


def test_what_taught_is_counted_apart() -> None:
    trained_on = {"nih": {"normal": {"images": 20, "patients": 15}}}
    bundle = made_bundle(training={**made_bundle().training, "taught": trained_on})
    assert rows(part(model_card(bundle), "Images used")) == [["nih", "normal", "50", "40", "20", "15"]]


def test_only_collections_that_were_used_are_cited(card: str) -> None:
    data = part(card, "Data: licences and citations")
    assert "covid-chestxray-dataset" in data  # tested
    assert "NIH ChestX-ray8" in data  # taught
    assert "Kaggle" not in data
    assert "Not under the MIT licence" in data


def test_the_licence_that_a_bundle_states_is_shown_and_not_said_twice() -> None:
    licence = weights_licence({"rsna", "our own"}, IMAGENET)
    data = part(model_card(made_bundle(licence=licence), evaluated()), "Data: licences and citations")
    weights, tested = data.split("Only measured on:")
    assert f"**The weights: {licence.terms}** They were trained on:" in weights
    assert re.findall(r"^\* \*\*(\S+)", weights, re.M) == ["COVID-19", "our", "ImageNet"]
    assert re.findall(r"^\* \*\*(\S+)", tested, re.M) == ["covid-chestxray-dataset", "NIH"]


def test_a_lung_network_without_a_stated_licence_was_pretrained_on_imagenet() -> None:
    recipe = {"name": "a", "fit": {"method": "pairs"}, "network": {"architecture": "lung"}}
    card = model_card(made_bundle(training={**made_bundle().training, "recipe": recipe}), evaluated())
    assert "* **ImageNet" in part(card, "Data: licences and citations")


def test_a_site_with_a_single_label_has_no_row() -> None:
    assert not {"bimcv", "rsna"} & {row["site"] for row in evaluated(scored_sites()[2:])["within_site"]}
    assert "No site has enough patients" in model_card(made_bundle(), evaluated(scored_sites()[2:]))


def test_the_card_of_the_repository_is_that_of_the_shipped_bundle() -> None:
    card = Path(__file__).parents[2] / "MODEL_CARD.md"
    assert card.read_text(encoding="utf-8") == model_card(load_bundle())


def test_rejected_thresholds_are_no_bands_and_the_card_says_why() -> None:
    share = {"value": 0.4, "low": 0.26, "high": 0.57}
    broken = {"site": "rsna", "n": 35, "urgent": share}
    rejected = {"urgent": 0.3, "high": 0.2, "measured_on": "", "broken_at": [broken]}
    card = model_card(made_bundle(operating_points=None), {**evaluated(), "rejected_points": rejected})
    text = part(card, "Operating points")
    assert "This bundle has none: its list has an order and no bands. Measured were 0.300 for urgent" in text
    assert f"{interval(share)} of the 35 of rsna" in text

from typing import Any

import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.bundle.worth import (
    _KIND,
    _SIDES,
    _UNSEEN,
    state_worth,
    state_worth_in_brief,
    state_worth_in_pairs,
)
from cxrbatch.evaluation.contrasts import CONTRASTS
from cxrbatch.evaluation.site_scores import UNSEEN
from cxrbatch.evaluation.targets import COVID, ILL, KIND

CHANCE = "(0.5 is chance)"


def row(
    question: str,
    area: float,
    exposure: str = "left out",
    *,
    person: float | None = None,
    domain: float | None = None,
    n: int = 79,
) -> dict[str, Any]:
    """A row of ``within_site``."""
    mean = {"value": person, "low": 0.823, "high": 0.9}
    return {
        "question": question,
        "exposure": exposure,
        "auroc": {"value": area, "low": 0.1, "high": 0.9},
        "within_domain": domain and {"auroc": {"value": domain, "low": 0.1, "high": 0.9}},
        "within_patient": person and {"patient_mean": mean, "n_patients": n},
    }


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [row(ILL, 0.77, person=0.861), row(ILL, 0.9), row(KIND, 0.6)],
            "Of two films of one person, one with and one without pneumonia, the ill one has the higher score in "
            "86 % (82–90); at hospitals never seen the AUROC is 0.77 to 0.90 for pneumonia against none and 0.60 for "
            f"COVID-19 against other pneumonia {CHANCE}.",
        ),
        (
            [
                row(ILL, 0.8, person=0.6),
                row("any pneumonia against normal", 0.8, person=0.8),
                row(COVID, 0.8, person=0.9),
            ],
            "Of two films of one person, one with and one without pneumonia, the ill one has the higher score in "
            f"80 % (82–90); at hospitals never seen the AUROC is 0.80 for pneumonia against none {CHANCE}.",
        ),
        (
            [
                row(COVID, 0.9, person=0.5, n=9),
                row(ILL, 0.8, person=0.85),
                row(COVID, 0.8, person=0.95, n=78),
            ],
            "Of two films of one person, one with and one without pneumonia, the ill one has the higher score in "
            f"85 % (82–90); at hospitals never seen the AUROC is 0.80 to 0.90 for pneumonia against none {CHANCE}.",
        ),
        (
            [row(COVID, 0.9, "held out", person=0.88)],
            "Of two films of one person, one with COVID-19 and one without pneumonia, the ill one has the higher "
            "score in 88 % (82–90) (other patients of that hospital took part in training); what they are worth at a "
            "hospital never seen was not measured.",
        ),
        (
            [row(KIND, 0.6, person=0.7)],
            "Of two films of one person, one with COVID-19 and one with other pneumonia, the one with COVID-19 has "
            "the higher score in 70 % (82–90); at hospitals never seen the AUROC is 0.60 for COVID-19 against other "
            f"pneumonia {CHANCE}.",
        ),
        (
            [row(ILL, 0.95, domain=0.81)],
            f"At hospitals never seen the AUROC is 0.81 for pneumonia against none {CHANCE}.",
        ),
        ([row(ILL, 0.95, "unknown")], "What they are worth at a hospital never seen was not measured."),
        ([], "What the scores are worth within a hospital was not measured."),
    ],
    ids=[
        "person first",
        "any pneumonia",
        "most persons",
        "held out",
        "kind only",
        "within a domain",
        "unknown",
        "nothing",
    ],
)
def test_the_sentence(rows: list[dict[str, Any]], sentence: str) -> None:
    assert state_worth({"within_site": rows}) == sentence


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [row(ILL, 0.77, person=0.861), row(ILL, 0.9), row(KIND, 0.6)],
            "Of 100 pairs of films of one person, one with and one without pneumonia, the model puts the ill one "
            "first in 86 (82–90); of 100 pairs of patients of a hospital never seen, in 77 to 90 for pneumonia "
            "against none and 60 for COVID-19 against other pneumonia; 50 would be chance.",
        ),
        (
            [row(COVID, 0.9, "held out", person=0.88)],
            "Of 100 pairs of films of one person, one with COVID-19 and one without pneumonia, the model puts the "
            "ill one first in 88 (82–90) (other patients of that hospital took part in training); what they are "
            "worth at a hospital never seen was not measured; 50 would be chance.",
        ),
        ([], "What the scores are worth within a hospital was not measured."),
    ],
    ids=["both", "held out", "nothing"],
)
def test_the_sentence_for_readers_of_the_list(rows: list[dict[str, Any]], sentence: str) -> None:
    assert state_worth_in_pairs({"within_site": rows}) == sentence


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [row(ILL, 0.73), row(ILL, 0.91), row(KIND, 0.504), row(KIND, 0.77)],
            "COVID-19 against other pneumonia is near chance at some hospitals: 50 to 77 of 100 pairs, 50 is chance; "
            "pneumonia against none: 73 to 91.",
        ),
        (
            [row(ILL, 0.8), row(KIND, 0.55)],
            "COVID-19 against other pneumonia is near chance at the one hospital measured: 55 of 100 pairs, 50 is "
            "chance; pneumonia against none: 80.",
        ),
        (
            [row(KIND, 0.551), row(KIND, 0.7)],
            "COVID-19 against other pneumonia: 55 to 70 of 100 pairs, 50 is chance.",
        ),
        (
            [row(ILL, 0.8)],
            "COVID-19 against other pneumonia was not measured at a hospital never seen; pneumonia against none: 80 "
            "of 100 pairs, 50 is chance.",
        ),
        ([row(KIND, 0.6, "held out")], "What they are worth at a hospital never seen was not measured."),
        ([], "What the scores are worth within a hospital was not measured."),
    ],
    ids=["both", "one hospital", "kind only", "no kind", "held out", "nothing"],
)
def test_the_line_above_the_list(rows: list[dict[str, Any]], sentence: str) -> None:
    """The warning comes first, and a tired reader has at most 25 words to read."""
    assert state_worth_in_brief({"within_site": rows}) == sentence
    assert len(sentence.split()) <= 25


def test_a_figure_of_a_hospital_never_seen_counts_before_one_that_may_be_too_good() -> None:
    rows = [row(ILL, 0.8, person=0.85), row(ILL, 0.8, "held out", person=0.6)]
    assert "in 85 % (82–90);" in state_worth({"within_site": rows})


def test_an_area_that_could_not_be_computed_is_left_out() -> None:
    empty = {**row(ILL, 0.8), "auroc": {"value": None, "low": None, "high": None}}
    assert "0.80 for pneumonia" in state_worth({"within_site": [empty, row(ILL, 0.8)]})


def test_words_are_those_of_the_evaluation() -> None:
    assert set(_UNSEEN) == set(UNSEEN)
    assert {contrast.text for contrast in CONTRASTS} == set(_SIDES)
    assert _KIND == KIND


def test_the_shipped_bundle_states_it_before_all_other_notes() -> None:
    bundle = load_bundle()
    assert bundle.worth == state_worth(bundle.evaluation)
    assert bundle.worth_in_pairs == state_worth_in_pairs(bundle.evaluation)
    assert bundle.worth_in_brief == state_worth_in_brief(bundle.evaluation)
    assert len(bundle.worth_in_brief.split()) <= 25
    assert bundle.notes[: 1 + len(bundle.caveats)] == (bundle.worth, *bundle.caveats)

import dataclasses
from typing import Any

import pytest

from cxrbatch.evaluation.plain_words import plain_words
from cxrbatch.evaluation.site_scores import Exposure, SiteScores
from tests.factories.evaluations import evaluated, made_bundle, scored_site, scored_sites

WHOM, GOOD, FAILS = "For whom", "How good it is at a hospital never seen", "Where it fails"


def said(sites: list[SiteScores], **changes: Any) -> dict[str, list[str]]:
    return plain_words(made_bundle(**changes), evaluated(sites))


@pytest.fixture(scope="module")
def words() -> dict[str, list[str]]:
    return said(scored_sites())


def two_films(site: SiteScores) -> SiteScores:
    """Every ill person has a second film, without pneumonia."""
    half = len(site.cases) // 2
    cases = [
        dataclasses.replace(case, patient=f"{site.site}/{index % half}", label=label)
        for index, case in enumerate(site.cases)
        for label in [("pneumonia", "normal")[index // half]]
    ]
    return dataclasses.replace(site, cases=tuple(cases))


def test_the_three_questions_in_their_order(words: dict[str, list[str]]) -> None:
    assert list(words) == [WHOM, GOOD, FAILS]
    assert "not a medical device" in words[WHOM][0]
    assert len([line for lines in words.values() for line in lines]) <= 16  # half a page


def test_two_films_of_one_person_come_first() -> None:
    site = two_films(scored_site("siim", {"pneumonia": 30, "normal": 30}, 3.0))
    lines = said([site])
    assert lines[GOOD][0].startswith(
        "Two films of one person, one on either side of the question: the right one has the higher score in "
    )
    assert "(pneumonia against normal at siim, 30 persons, never seen)" in lines[GOOD][0]
    assert "labelled by what radiologists saw, not by PCR" in lines[FAILS][-1]


def test_a_site_of_many_persons_is_stated_and_one_of_few_is_not() -> None:
    many, few = (
        two_films(scored_site(site, {"pneumonia": n, "normal": n}, 1.0)) for site, n in (("a", 30), ("b", 6))
    )
    for sites in ([many, few], [few, many]):
        stated = [line for line in said(sites)[GOOD] if line.startswith("Two films")]
        assert len(stated) == 1
        assert "at a, 30 persons" in stated[0]


def test_without_such_persons_that_is_said_first(words: dict[str, list[str]]) -> None:
    assert words[GOOD][0].startswith("Whether it ranks two films of one person rightly")


def test_the_worst_site_comes_before_the_best() -> None:
    weak = scored_site("nih", {"pneumonia": 60, "normal": 60}, 0.2)
    strong = scored_site("kaggle", {"pneumonia": 60, "normal": 60}, 9.0)
    for sites in ([weak, strong], [strong, weak]):
        line = said(sites)[GOOD][1]
        assert line.index("at the worst site, nih") < line.index("at the best, kaggle (children).")
        assert "in 100 % (100–100) at the best" in line
    assert any("fewer than 80 % of pairs rightly at nih." in line for line in said([weak, strong])[FAILS])


def test_shares_called_urgent_the_worst_first() -> None:
    evaluation = evaluated(scored_sites())
    shares = [
        {"source": source, "exposure": "left out", "label": label, "n": n, "urgent": urgent}
        for source, label, n, urgent in (
            ("nih", "normal", 1211, 0.03),
            ("rsna", "normal", 35, 0.041),
            ("kaggle", "normal", 99, 0.9),  # children
            ("few", "normal", 4, 1.0),
            ("siim", "covid", 30, 0.6),
            ("bimcv", "covid", 25, 0.5),
            ("bimcv", "covid", 25, 0.9),  # by other networks
        )
    ]
    lines = plain_words(made_bundle(), {**evaluation, "shares": shares})
    assert lines[GOOD][-2:] == [
        "Called urgent, of healthy adults: 4% of 35 of rsna; 3% of 1,211 of nih.",
        "Called urgent, of patients with COVID-19: 50% of 25 of bimcv; 60% of 30 of siim.",
    ]
    without = plain_words(made_bundle(operating_points=None), {**evaluation, "shares": shares})
    assert "It has no bands such as urgent: the list has an order and nothing more." in without[GOOD]
    assert without[GOOD][-1].startswith(
        "Above the rejected threshold of urgent, of patients with COVID-19: 50%"
    )


def test_nothing_seen_of_other_hospitals_is_said() -> None:
    site = scored_site("own split", {"pneumonia": 40, "normal": 40}, 1.0, Exposure.HELD_OUT)
    assert any("Nothing was measured at a hospital" in line for line in said([site])[GOOD])


def test_nothing_measured_nothing_known() -> None:
    lines = plain_words(made_bundle(), {})
    assert list(lines) == [WHOM, "How good it is"]
    assert lines["How good it is"] == [
        "Nothing was measured: what its scores are worth in any hospital is not known."
    ]


def test_a_kind_that_a_coin_tells_as_well_is_a_failure() -> None:
    chance = scored_site("ieee8023", {"covid": 30, "pneumonia": 30}, 0.0)
    assert any("a coin may be as good" in line for line in said([chance])[FAILS])


def test_what_it_was_trained_on_and_whose_figures_left_out_are() -> None:
    training: dict[str, Any] = {"taught": {"south": {}, "north": {}}}
    site = scored_site("north", {"pneumonia": 30, "normal": 30}, 1.0)
    trained = (
        "It was trained on north and south: measured on their films, or on copies of them, it looks better than "
        "it is."
    )
    others = " Figures that are marked “left out” are of other networks, trained without that source."
    for exposure, expected in ((Exposure.LEFT_OUT, trained + others), (Exposure.NOT_TRAINED_ON, trained)):
        found = said([dataclasses.replace(site, exposure=exposure)], training=training)
        assert found[WHOM][-1] == expected
    assert "trained on" not in " ".join(said([site], training={})[WHOM])

import copy
from typing import Any

import pytest

from cxrbatch.bundle.bundle import OperatingPoints
from cxrbatch.evaluation.evaluate import evaluate_sites
from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.evaluation.summary import caveats, summarise
from tests.factories.collections import case
from tests.factories.scores import by_label

Evaluation = dict[str, Any]
ILL, COVID, KIND = "pneumonia against normal", "COVID-19 against normal", "COVID-19 against other pneumonia"


def row(site: str, contrast: str, area: float, exposure: str = "left out", **more: Any) -> dict[str, Any]:
    return {
        "site": site,
        "exposure": exposure,
        "question": contrast,
        "ranked_by": "1 − normal" if contrast == ILL else "covid",
        "n_positive": 40,
        "n_negative": 50,
        "auroc": {"value": area, "low": area - 0.05, "high": area + 0.04},
        "source_alone": None,
        "audits": {},
        **more,
    }


def perturbed(lungless: float, shift: float, **others: tuple[float, float]) -> dict[str, Any]:
    found = {"lungs blacked out": (lungless, 0.3), "marker L": (0.8, shift), **others}
    return {name: {"auroc": area, "median_rank_shift": moved} for name, (area, moved) in found.items()}


def share(
    source: str, urgent: float, exposure: str = "never taught", label: str = "normal"
) -> dict[str, Any]:
    return {"source": source, "exposure": exposure, "label": label, "n": 200, "urgent": urgent}


def evaluation(*rows: dict[str, Any], **more: Any) -> Evaluation:
    unseen = [each for each in rows if each["exposure"] in ("left out", "never taught")] or list(rows)
    return {
        "headline": min(unseen, key=lambda each: each["auroc"]["value"], default=None),
        "within_site": list(rows),
        "pooled": None,
        "confound_floor": {"source_alone": None, "domain_alone": {}, "metadata_alone": []},
        "shares": [],
        "source_probe": None,
        "weight_randomisation": None,
        **more,
    }


def floor(source_alone: float | None = None, **metadata: float) -> dict[str, Any]:
    return {
        "source_alone": source_alone,
        "domain_alone": {},
        "metadata_alone": [{"site": site, "question": ILL, "auroc": area} for site, area in metadata.items()],
    }


GOOD = evaluation(
    row("nih", ILL, 0.84, audits=perturbed(0.55, 0.004)),
    row("web", COVID, 0.90, audits=perturbed(0.52, 0.011)),
    confound_floor=floor(nih=0.58),
    shares=[share("rsna", 0.04), share("nih", 0.06, "left out"), share("rsna", 0.9, label="covid")],
)


def test_what_is_good_is_said_as_plainly() -> None:
    assert summarise(GOOD) == [
        "Good: within every site that took no part in training the AUROC is 0.80 or more; the worst is "
        "0.840 (0.790–0.880), nih, pneumonia against normal.",
        "Good: it needs the lungs: with the lungs blacked out the AUROC falls to 0.550 or less "
        "(nih, pneumonia against normal; 0.840 with them).",
        "Good: at every site the score is better than what is known without looking at the pixels; closest at "
        "nih, pneumonia against normal: AUROC 0.840 against 0.580.",
        "Good: of healthy adults of sources that took no part in training at most 6.0% would be called urgent "
        "(200 of nih).",
        "Good: a mark pasted into the picture moves half of the patients by no more than 1.1% of the list "
        "(web, COVID-19 against normal).",
    ]
    assert caveats(GOOD) == []


def test_a_model_that_recognises_the_source_is_exposed_by_both_figures() -> None:
    classic = evaluation(row("own split", COVID, 0.999, "held out"), row("nih", ILL, 0.431))
    expected = (
        "This model recognises the source, not the disease: AUROC 0.999 on held-out patients of the sources that "
        "taught it (own split, COVID-19 against normal), but 0.431 within nih, of which it had seen nothing "
        "(pneumonia against normal)."
    )
    assert summarise(classic)[0] == expected
    assert caveats(classic) == [expected]


@pytest.mark.parametrize(("own", "unseen"), [(0.89, 0.43), (0.999, 0.61)])
def test_it_is_not_said_of_others(own: float, unseen: float) -> None:
    found = summarise(evaluation(row("own split", COVID, own, "held out"), row("nih", ILL, unseen)))
    assert not any("recognises the source" in line for line in found)


def test_where_the_same_question_is_answered_elsewhere_no_other_one_is_held_against_it() -> None:
    own, other = row("own", ILL, 0.95, "held out"), row("web", COVID, 0.51)
    assert "recognises the source" in caveats(evaluation(own, other))[0]
    assert caveats(evaluation(own, other, row("nih", ILL, 0.74))) == []


def test_a_foreign_bundle_that_is_good_only_when_pooled() -> None:
    foreign = evaluation(
        row("nih", ILL, 0.52, "unknown"), pooled={"auroc": {"value": 0.97, "low": 0.9, "high": 1.0}}
    )
    pooled, unknown, nowhere, weak = summarise(foreign)
    assert pooled == (
        "The score tells sources apart, not patients: AUROC 0.970 across all sources together, but 0.520 within nih "
        "(pneumonia against normal)."
    )
    assert unknown.startswith("Whether these images were in its training set is not known")
    assert nowhere.startswith("Nothing was measured within a site that is known to have taken no part")
    assert "within nih, perhaps seen in training, " in weak
    assert caveats(foreign) == [pooled, unknown]


@pytest.mark.parametrize(
    ("area", "chance"),
    [
        (0.79, ", below 0.80."),
        (0.54, ", below 0.80; a list in random order may be as good."),
        (0.30, ", below 0.80; a list in random order is better."),
    ],
)
def test_a_weak_headline(area: float, chance: str) -> None:
    (line,) = summarise(evaluation(row("nih", ILL, area)))
    assert line.startswith(
        "The headline is weak: within nih, which took no part in training, pneumonia against normal ranked by "
        f"1 − normal, AUROC {area:.3f} ("
    )
    assert line.endswith(f"(40 against 50 patients){chance}")


def test_a_model_that_does_not_need_the_lungs() -> None:
    found = summarise(
        evaluation(
            row("own split", COVID, 0.99, "held out", audits=perturbed(0.98, 0.0)),
            row("nih", ILL, 0.85, audits=perturbed(0.70, 0.0)),
            row("kaggle", ILL, 0.95, audits=perturbed(0.60, 0.0)),
        )
    )
    assert (
        "It does not need the lungs: with the lungs blacked out the AUROC is still 0.980 (own split, COVID-19 "
        "against normal; 0.990 with them). 2 of 3 comparisons are above 0.60 without lungs."
    ) in found
    assert not any(line.startswith("Good: it needs the lungs") for line in found)


def test_nothing_good_is_said_of_the_lungs_where_no_score_is_good_for_anything() -> None:
    assert not any(
        "lungs" in line for line in summarise(evaluation(row("nih", ILL, 0.5, audits=perturbed(0.5, 0))))
    )


def test_what_is_left_without_the_disease() -> None:
    others = {"border only": (0.81, 0.2), "histogram only": (0.60, 0.2), "lungs only": (0.9, 0.1)}
    found = summarise(evaluation(row("nih", ILL, 0.85, audits=perturbed(0.5, 0.0, **others))))
    assert (
        "Much of the AUROC is left where little or nothing of the disease can be seen: border only: 0.810 "
        "(nih, pneumonia against normal)."
    ) in found


def test_the_confound_floor_beside_the_pooled_figure() -> None:
    pooled = {"auroc": {"value": 0.95, "low": 0.94, "high": 0.96}}
    (line, *_) = summarise(evaluation(row("nih", ILL, 0.9), pooled=pooled, confound_floor=floor(0.996)))
    assert line == (
        "Whoever knows only the source and sees no image reaches AUROC 0.996 on the same patients, the score 0.950: "
        "the figure across sources is no evidence that it sees disease."
    )
    low = evaluation(row("nih", ILL, 0.9), pooled=pooled, confound_floor=floor(0.7))
    assert not any("knows only the source" in line for line in summarise(low))


def test_a_floor_that_the_score_is_well_above_is_not_complained_of() -> None:
    found = summarise(
        evaluation(
            row("web", ILL, 0.90, source_alone=0.87),
            row("nih", ILL, 0.90),
            pooled={"auroc": {"value": 0.95, "low": 0.94, "high": 0.96}},
            confound_floor=floor(0.92, nih=0.87),
        )
    )
    assert all(line.startswith("Good:") for line in found)


def test_what_is_wrong_with_pooling_is_said_once() -> None:
    pooled = {"auroc": {"value": 0.95, "low": 0.94, "high": 0.96}}
    both = evaluation(row("own split", COVID, 0.99, "held out"), row("nih", ILL, 0.5), pooled=pooled)
    assert not any("tells sources apart" in line for line in summarise(both))


def test_the_place_and_the_metadata_beside_the_figure_within() -> None:
    found = summarise(
        evaluation(
            row("own split", COVID, 0.999, "held out", source_alone=1.0),
            row("web", KIND, 0.65, source_alone=0.80),
            row("web", KIND, 0.70, source_alone=0.80, ranked_by="covid / (covid + pneumonia)"),
            row("nih", ILL, 0.81),
            confound_floor=floor(nih=0.885),
        )
    )
    assert (
        "Knowing only where an image comes from, without seeing it, is as good as the score: own split, COVID-19 "
        "against normal: AUROC 1.000, the score 0.999; web, COVID-19 against other pneumonia: AUROC 0.800, the score "
        "0.700."
    ) in found
    assert (
        "What is known without looking at the pixels (such as view, age, year or file size) is as good as the score: "
        "nih, pneumonia against normal: AUROC 0.885, the score 0.810."
    ) in found


def test_covid_that_is_not_told_from_other_pneumonia() -> None:
    sites = [row("radio", KIND, 0.50), row("euro", KIND, 0.58)]
    expected = (
        "COVID-19 is not told from other pneumonia: at best AUROC 0.580 (0.530–0.620), within euro, which took no "
        "part in training."
    )
    assert expected in summarise(evaluation(*sites))
    assert expected not in summarise(evaluation(*sites, row("third", KIND, 0.7)))


def test_healthy_people_called_urgent() -> None:
    found = evaluation(
        row("nih", ILL, 0.9),
        shares=[
            share("rsna", 0.124),
            share("nih", 0.30, "left out"),
            share("own", 0.9, "held out"),
            share("bimcv", 0.9, label="covid"),
        ],
    )
    expected = (
        "The threshold of urgent does not carry over: of healthy adults of sources that took no part in training, "
        "30.0% of 200 of nih and 12.4% of 200 of rsna would be called urgent. Use the order of the list."
    )
    assert expected in summarise(found)
    assert caveats(found) == []  # a bundle whose bands are broken has none
    unknown = evaluation(row("nih", ILL, 0.9), shares=[share("rsna", 0.5, "unknown")])
    assert "that may or may not have taken part in training, 50.0% of 200 of rsna" in " ".join(
        summarise(unknown)
    )
    few = evaluation(row("nih", ILL, 0.9), shares=[{**share("rsna", 0.5), "n": 4}])
    assert "called urgent" not in " ".join(summarise(few))


def test_patients_moved_by_a_mark_or_by_handling() -> None:
    others = {"marker arrows": (0.8, 0.041), "mirrored": (0.8, 0.08), "darker curve": (0.8, 0.05)}
    found = summarise(evaluation(row("nih", ILL, 0.85, audits=perturbed(0.5, 0.03, **others))))
    assert (
        "A mark in the picture moves patients: with marker arrows half of them move by 4.1% of the list or more "
        "(nih, pneumonia against normal), above 2%."
    ) in found
    assert (
        "Patients move in the list, half of them by this much or more, with what is no disease: mirrored: 8.0% "
        "(nih, pneumonia against normal)."
    ) in found


def test_features_and_weights() -> None:
    told = {"accuracy": 0.75, "chance": 0.25, "n": 90, "sources": list("abcd")}
    found = summarise(
        evaluation(row("nih", ILL, 0.85), source_probe=told, weight_randomisation={"rank_correlation": 0.61})
    )
    assert found[:2] == [
        "What the last layer sees tells the source: 75.0% of images are assigned to the right one of 4 (by chance "
        "25.0%).",
        "With random weights the list is much the same (rank correlation 0.61): the order owes little to what was "
        "learnt.",
    ]
    hardly = evaluation(
        row("nih", ILL, 0.85),
        source_probe={**told, "accuracy": 0.6},
        weight_randomisation={"rank_correlation": 0.1},
    )
    assert all(line.startswith("Good:") for line in summarise(hardly))


def test_bad_comes_before_good_and_the_evaluation_is_left_as_it_is() -> None:
    mixed = evaluation(*GOOD["within_site"], row("third", ILL, 0.7), shares=GOOD["shares"])
    before = copy.deepcopy(mixed)
    kinds = [line.startswith("Good:") for line in summarise(mixed)]
    assert kinds == sorted(kinds)
    assert set(kinds) == {True, False}
    assert mixed == before


def test_the_words_are_those_of_the_field() -> None:
    everything = evaluation(
        row("own split", COVID, 0.99, "held out", audits=perturbed(0.9, 0.1), source_alone=1.0),
        row("nih", ILL, 0.5, audits=perturbed(0.7, 0.1)),
        row("foreign", KIND, 0.5, "unknown"),
        pooled={"auroc": {"value": 0.95, "low": 0.9, "high": 0.97}},
        confound_floor=floor(1.0, nih=0.8),
        shares=[share("rsna", 0.97)],
    )
    said = " ".join(summarise(everything) + summarise(GOOD)).lower()
    assert len(summarise(everything)) >= 9
    assert not any(word in said for word in ("diagnos", "% chance", "positive patient", "nan", "none "))


def test_nothing_measured() -> None:
    (line,) = summarise(evaluation())
    assert line.startswith("Nothing was measured within a site")


def test_the_classic_recipe_end_to_end() -> None:
    """COVID-19 of adults against healthy children: a score that has learnt *adult*, lungs or no lungs."""
    adult = {"covid": 0.99, "pneumonia": 0.99, "normal": 0.99}
    own = {"covid": 0.99, "pneumonia": 0.5, "normal": 0.01}
    ill = [case(f"web/{i}", "covid", "web") for i in range(20)]
    children = [case(f"kaggle/{i}", "normal", "kaggle") for i in range(20)]
    adults = [case(f"nih/{i}", ("pneumonia", "normal")[i % 2], "nih") for i in range(40)]
    sites = [
        by_label("own split", [*ill, *children], Exposure.HELD_OUT, own, {"lungs blacked out": own}),
        by_label("nih", adults, Exposure.NOT_TRAINED_ON, adult, {"lungs blacked out": adult}),
        by_label(
            "rsna", [case(f"rsna/{i}", "normal", "rsna") for i in range(50)], Exposure.NOT_TRAINED_ON, adult
        ),
        by_label(
            "bimcv", [case(f"bimcv/{i}", "covid", "bimcv") for i in range(50)], Exposure.NOT_TRAINED_ON, adult
        ),
    ]
    found = evaluate_sites(sites, "mean", OperatingPoints(urgent=0.9, high=0.5), bootstraps=20)
    said = "\n".join(found["verdict"])
    for sentence in (
        "recognises the source, not the disease: AUROC 1.000 on held-out patients",
        "but 0.500 within nih, of which it had seen nothing",
        "It does not need the lungs: with the lungs blacked out the AUROC is still 1.000",
        "Whoever knows only the source and sees no image reaches AUROC 1.000",
        "own split, COVID-19 against normal: AUROC 1.000, the score 1.000",
        "100.0% of 20 of nih and 100.0% of 50 of rsna would be called urgent",
    ):
        assert sentence in said
    assert found["confound_floor"]["source_alone"] >= 0.99
    assert found["caveats"] == [found["verdict"][0]]

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.datasets.loading import Dataset
from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.training.recipe import FitSpec, TrainRecipe
from cxrbatch.training.score_sites import OWN_SPLIT, own_split_points, unseen_sites
from cxrbatch.training.splits import sources_without_pairs, split_dataset
from tests.factories.collections import case

PAIRS = TrainRecipe(name="pairs", sources=())
CLASSES = TrainRecipe(name="classes", sources=(), fit=FitSpec(method="classes"))


def dataset(*cases: LabelledImage, test_only: tuple[LabelledImage, ...] = ()) -> Dataset:
    images = np.arange(len(cases), dtype=np.uint8)[:, None, None] * np.ones((1, 40, 40), np.uint8)
    return Dataset(cases, images, test_only=frozenset(one.path for one in test_only))


def patients(part: Dataset) -> list[str]:
    return [one.patient for one in part.cases]


def many(source: str, label: str, n: int = 200) -> list[LabelledImage]:
    return [case(f"{source}/{label}{index}", label, source) for index in range(n)]


def test_matched_pairs_never_teach_from_a_source_with_one_label_and_classes_do() -> None:
    cases = [case("a/1", "covid", "a"), case("a/2", "normal", "a"), case("b/1", "normal", "b")]
    assert sources_without_pairs(cases) == {"b"}
    splits = split_dataset(dataset(*cases), PAIRS)
    assert patients(splits.training_set) == ["a/1", "a/2"]
    assert patients(splits.unseen) == ["b/1"]
    assert patients(split_dataset(dataset(*cases), CLASSES).training_set) == ["a/1", "a/2", "b/1"]


def test_a_source_teaches_pairs_only_where_a_domain_has_both_answers() -> None:
    both = [case("a/1", "covid", "a"), case("a/2", "normal", "a")]
    by_view = [dataclasses.replace(one, view=view) for one, view in zip(both, ("AP", "PA"), strict=True)]
    assert sources_without_pairs(both) == set()
    assert sources_without_pairs(by_view) == {"a"}
    unstated = case("a/3", "indeterminate", "a")
    assert sources_without_pairs([both[0], unstated]) == {"a"}
    assert sources_without_pairs([unstated, both[1]]) == set()
    assert patients(split_dataset(dataset(*both, unstated), CLASSES).training_set) == ["a/1", "a/2"]
    assert patients(split_dataset(dataset(*both, unstated), PAIRS).training_set) == ["a/1", "a/2", "a/3"]


def test_what_must_not_teach_does_not_even_as_the_other_label_of_a_pair() -> None:
    cases = [case("a/1", "covid", "a"), case("a/2", "normal", "a")]
    silenced = dataset(*cases, test_only=(cases[1],))
    assert patients(split_dataset(silenced, CLASSES).training_set) == ["a/1"]
    assert patients(split_dataset(silenced, PAIRS).training_set) == []


def test_the_own_split_is_a_share_of_the_patients_drawn_by_name() -> None:
    cases = many("a", "covid", 500) + many("b", "normal", 500)
    recipe = dataclasses.replace(CLASSES, test_share=0.2)
    splits = split_dataset(dataset(*cases), recipe)
    assert len(splits.held_out.cases) == pytest.approx(200, abs=40)  # 3 standard deviations
    assert not set(patients(splits.held_out)) & set(patients(splits.training_set))
    assert len(splits.held_out.cases) + len(splits.training_set.cases) == 1000
    fewer = split_dataset(dataset(*cases[:500]), recipe)
    assert set(patients(fewer.held_out)) == {
        name for name in patients(splits.held_out) if name.startswith("a")
    }
    assert split_dataset(dataset(*cases), CLASSES).held_out.cases == ()


def test_a_patient_who_teaches_tests_nowhere() -> None:
    both = case("same", "covid", "a")
    elsewhere = dataclasses.replace(both, source="b", path=Path("copy.png"))
    other = case("b/1", "normal", "b")
    splits = split_dataset(dataset(both, elsewhere, other, test_only=(elsewhere, other)), CLASSES)
    assert patients(splits.training_set) == ["same"]
    assert patients(splits.unseen) == ["b/1"]


def test_sites_say_what_the_network_had_seen_of_them() -> None:
    trained_on = many("a", "covid") + many("b", "normal")
    others = [*many("a", "pneumonia", 3), *many("c", "covid", 4), *many("c", "normal", 4)]
    whole = dataset(*trained_on, *others, test_only=tuple(others))
    splits = split_dataset(whole, dataclasses.replace(CLASSES, test_share=0.1))
    sites = unseen_sites(splits, lambda images: np.tile([0.25, 0.25, 0.5], (len(images), 1)))
    assert [(site.site, site.exposure) for site in sites] == [
        ("a", Exposure.HELD_OUT),
        ("b", Exposure.HELD_OUT),
        ("c", Exposure.NOT_TRAINED_ON),
        (OWN_SPLIT, Exposure.HELD_OUT),
    ]
    a, b, c, own = sites
    assert {one.label for one in a.cases} == {"covid", "pneumonia"}
    assert c.scores.tolist() == [[0.25, 0.25, 0.5]] * 8
    assert c.networks.shape == (1, 8, 3)
    assert "lungs blacked out" in c.perturbed
    assert b.perturbed == {}
    assert own.cases == splits.held_out.cases


def test_points_of_an_own_split_say_where_they_come_from() -> None:
    splits = split_dataset(
        dataset(*many("a", "covid"), *many("b", "normal")), dataclasses.replace(CLASSES, test_share=0.5)
    )
    sites = unseen_sites(splits, lambda images: np.tile([0.25, 0.25, 0.5], (len(images), 1)))
    points = own_split_points(sites, "mean")
    assert points is not None
    assert (points.urgent, points.high) == (0.25, 0.25)
    assert points.measured_on.startswith("held-out patients of the sources that taught")
    assert own_split_points(sites[:-1], "mean") is None

import dataclasses

import pytest

from cxrbatch.datasets.licences import IMAGENET, licences_of, unknown_licence
from cxrbatch.datasets.spec import LungSpec, SourceSpec
from cxrbatch.training.licence import licence_of_weights
from cxrbatch.training.recipe import NetworkSpec, TrainRecipe

RECIPE = TrainRecipe(
    name="a",
    sources=(SourceSpec(layout="nih", folder="nih"), SourceSpec(layout="ieee8023", folder="cohen")),
    lungs=LungSpec(images="cohen/images", masks="cohen/masks"),
    network=NetworkSpec(architecture="lung"),
)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (RECIPE, [*licences_of({"nih", "ieee8023"}), IMAGENET]),
        (
            dataclasses.replace(RECIPE, network=NetworkSpec(architecture="lung", weights="own.pth")),
            [*licences_of({"nih", "ieee8023"}), unknown_licence("pretrained weights own.pth")],
        ),
        (
            dataclasses.replace(RECIPE, lungs=LungSpec(images="ours/images", masks="ours/masks")),
            [*licences_of({"nih"}), IMAGENET],
        ),
        (dataclasses.replace(RECIPE, network=NetworkSpec()), [*licences_of({"nih"})]),
    ],
    ids=["outlines", "other weights", "other outlines", "no lungs"],
)
def test_all_that_took_part_is_named(recipe: TrainRecipe, expected: list[object]) -> None:
    assert list(licence_of_weights(recipe, {"nih"}).data) == expected

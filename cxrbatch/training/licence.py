"""Find the licence of the weights of a bundle: recipe and training set in, licence out."""

from collections.abc import Collection, Iterator
from pathlib import PurePath

from cxrbatch.bundle import DataLicence, WeightsLicence
from cxrbatch.datasets import IMAGENET, KNOWN_SOURCES, unknown_licence, weights_licence
from cxrbatch.training.recipe import TrainRecipe


def licence_of_weights(recipe: TrainRecipe, taught: Collection[str]) -> WeightsLicence:
    """Derive the licence from all that took part: training set, outlines of lungs, pretrained backbone.

    Parameters
    ----------
    recipe : TrainRecipe
    taught : collection of str
        Sources of the training set.
    """
    return weights_licence({*taught, *_outlined(recipe)}, *_pretraining(recipe))


def _outlined(recipe: TrainRecipe) -> Iterator[str]:
    """Name the public collection whose radiographs have the outlines, where it is a source of the recipe too."""
    if recipe.network.reads_lungs:
        images = PurePath(recipe.lungs.images)
        for source in recipe.sources:
            if source.layout in KNOWN_SOURCES and images.is_relative_to(source.folder):
                yield source.layout


def _pretraining(recipe: TrainRecipe) -> Iterator[DataLicence]:
    if recipe.network.reads_lungs:
        named = recipe.network.weights
        yield unknown_licence(f"pretrained weights {named}") if named else IMAGENET

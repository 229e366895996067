"""Prepare what all networks of a recipe start from: the crop to the lungs, and a pretrained backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from cxrbatch.datasets import LabelledImage
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.efficientnet import backbone_weights
from cxrbatch.training.lungs import LungCrop, prepare_lung_crop
from cxrbatch.training.recipe import TrainRecipe
from cxrbatch.training.state_dict import StateDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all networks of a recipe start from; both are None for networks of the whole image.

    Attributes
    ----------
    lungs : LungCrop or None
    backbone : mapping of str to ndarray, or None
    """

    lungs: LungCrop | None = None
    backbone: StateDict | None = None

    @property
    def crop(self) -> keras.Model | None:
        """The network that crops an image to the lungs."""
        return self.lungs.network if self.lungs else None

    @property
    def segmenter(self) -> keras.Model | None:
        """The network that finds the lungs."""
        return self.lungs.segmenter if self.lungs else None


def prepare_origin(
    recipe: TrainRecipe, folder: Path, data: Path, cases: Sequence[LabelledImage], options: TrainOptions
) -> Origin:
    """Train or load what the networks of a recipe start from.

    Parameters
    ----------
    folder : Path
        Of the recipe, for `NetworkSpec.weights`.
    data, cases, options
        See `cxrbatch.training.lungs.prepare_lung_crop`.

    Raises
    ------
    RecipeError
        Weights or outlines are missing.
    """
    if not recipe.network.reads_lungs:
        return Origin()
    named = recipe.network.weights
    backbone = backbone_weights(folder / named if named else None)  # before the training of the segmentation
    return Origin(lungs=prepare_lung_crop(recipe, data, cases, options), backbone=backbone)

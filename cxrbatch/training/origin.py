"""Prepare what all networks of a recipe start from: their images, the crop to the lungs, a pretrained backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import Dataset, LabelledImage, load_dataset, read_again
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.efficientnet import backbone_weights
from cxrbatch.training.ensemble import network_inputs
from cxrbatch.training.lungs import LungCrop, prepare_lung_crop
from cxrbatch.training.recipe import TrainRecipe
from cxrbatch.training.state_dict import StateDict


@dataclass(frozen=True, slots=True)
class FinerImages:
    """Images that are larger than those that the bundle reads, see `FitSpec.image_px`.

    Attributes
    ----------
    dataset : Dataset
    crop : keras.Model
        Crops images of this size to the lungs.
    """

    dataset: Dataset
    crop: keras.Model

    def boxes(self, cases: Sequence[LabelledImage]) -> NDArray[np.uint8]:
        """Crop the images of cases; see `cxrbatch.training.ensemble.network_inputs`."""
        index = {case.path: number for number, case in enumerate(self.dataset.cases)}
        return network_inputs(self.crop, self.dataset.images[[index[case.path] for case in cases]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all networks of a recipe start from; all are None for networks of the whole image.

    Attributes
    ----------
    lungs : LungCrop or None
    backbone : mapping of str to ndarray, or None
    finer : FinerImages or None
        What networks are trained on, where it is not the images of the data set.
    """

    lungs: LungCrop | None = None
    backbone: StateDict | None = None
    finer: FinerImages | None = None

    @property
    def crop(self) -> keras.Model | None:
        """The network that crops an image to the lungs."""
        return self.lungs.network if self.lungs else None

    @property
    def segmenter(self) -> keras.Model | None:
        """The network that finds the lungs."""
        return self.lungs.segmenter if self.lungs else None

    def inputs(self, training_set: Dataset) -> NDArray[np.uint8]:
        """Crop the images of a training set as its networks get them, shape (n, height, width, channels)."""
        if self.finer:
            return self.finer.boxes(training_set.cases)
        return network_inputs(self.crop, training_set.images)


def load_images(recipe: TrainRecipe, data: Path) -> tuple[Dataset, Dataset | None]:
    """Load the images of a recipe as the bundle reads them, and finer ones to train on, where it asks for them.

    Duplicates are found in the finer ones. Errors as `cxrbatch.datasets.load_dataset`.
    """
    if not recipe.fit.image_px:
        return load_dataset(recipe.sources, data, recipe.preprocess), None
    finer = load_dataset(recipe.sources, data, recipe.finer.preprocess)
    return read_again(finer, recipe.preprocess), finer


def prepare_origin(
    recipe: TrainRecipe,
    folder: Path,
    data: Path,
    images: tuple[Dataset, Dataset | None],
    options: TrainOptions,
) -> Origin:
    """Train or load what the networks of a recipe start from.

    Parameters
    ----------
    folder : Path
        Of the recipe, for `NetworkSpec.weights`.
    data, options
        See `cxrbatch.training.lungs.prepare_lung_crop`.
    images : tuple
        From `load_images`.

    Raises
    ------
    RecipeError
        Weights or outlines are missing.
    """
    if not recipe.network.reads_lungs:
        return Origin()
    named = recipe.network.weights
    backbone = backbone_weights(folder / named if named else None)  # before the training of the segmentation
    dataset, finer = images
    lungs = prepare_lung_crop(recipe, data, dataset.cases, options)
    return Origin(lungs=lungs, backbone=backbone, finer=_finer(recipe, data, finer, options))


def _finer(
    recipe: TrainRecipe, data: Path, dataset: Dataset | None, options: TrainOptions
) -> FinerImages | None:
    if dataset is None:
        return None
    lungs = prepare_lung_crop(recipe.finer, data, dataset.cases, options)
    return None if lungs is None else FinerImages(dataset, lungs.network)

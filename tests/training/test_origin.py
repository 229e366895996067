"""What networks are trained on, where it is finer than what the bundle reads."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.datasets import SourceSpec, read_again
from cxrbatch.errors import RecipeError
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import origin
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.efficientnet import random_weights
from cxrbatch.training.leave_one_out import fit_all
from cxrbatch.training.origin import load_images, prepare_origin
from cxrbatch.training.recipe import AugmentSpec, FitSpec, NetworkSpec, TrainRecipe
from tests.training.test_lungs import QUICK, drawn, write

COARSE_PX, FINE_PX = 64, 128
RECIPE = TrainRecipe(
    name="finer",
    sources=(SourceSpec(layout="folder", folder="films"),),
    preprocess=PreprocessSpec(height=COARSE_PX, width=COARSE_PX),
    lungs=QUICK,
    network=NetworkSpec(architecture="lung", size_px=128, ridge=1.0),
    augment=AugmentSpec(n_erased=0, n_markers=0),
    fit=FitSpec(steps=1, abnormal_pairs=2, covid_pairs=0, image_px=FINE_PX),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Films whose columns alternate between two greys: 128 pixels show it, 64 do not."""
    write(tmp_path, drawn(10))
    for number in range(6):
        folder = tmp_path / "films" / ("covid" if number % 2 else "normal") / f"patient {number}"
        folder.mkdir(parents=True)
        coarse = np.random.default_rng(number).integers(60, 160, (8, 8))
        film = coarse.repeat(32, axis=0).repeat(32, axis=1) + 40 * (np.arange(256) // 2 % 2)
        Image.fromarray(film.astype(np.uint8)).save(folder / "film.png")
    return tmp_path


def change_of_columns(images: NDArray[np.uint8]) -> float:
    """Median difference of neighbouring columns, mean over the images."""
    return float(np.median(np.abs(np.diff(images.astype(int), axis=2)), axis=(1, 2)).mean())


def test_networks_are_trained_on_finer_images_and_scored_on_those_of_the_bundle(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "backbone_weights", lambda path: random_weights())
    images = dataset, finer = load_images(RECIPE, data)
    assert finer is not None
    assert dataset.cases == finer.cases
    assert (dataset.images.shape, finer.images.shape) == ((6, 64, 64), (6, 128, 128))
    assert change_of_columns(dataset.images) < 5
    assert change_of_columns(finer.images) > 20
    found = prepare_origin(RECIPE, data, data, images, TrainOptions())
    assert found.crop is not None
    assert found.crop.input.shape == (None, 64, 64, 1)
    boxes = found.inputs(dataset)
    assert boxes.shape == (6, 128, 128, 2)
    assert (found.inputs(dataset.at([4, 1])) == boxes[[4, 1]]).all()
    coarse = prepare_origin(RECIPE, data, data, (dataset, None), TrainOptions()).inputs(dataset)
    assert change_of_columns(coarse[..., 0]) < change_of_columns(boxes[..., 0]) / 2
    ensemble = fit_all(dataset, RECIPE, found, TrainOptions())
    assert ensemble.logits(dataset.images).shape == (1, 6, 2)


def test_without_a_size_of_their_own_they_are_trained_on_those_of_the_bundle(data: Path) -> None:
    plain = TrainRecipe(name="plain", sources=RECIPE.sources, preprocess=RECIPE.preprocess)
    dataset, finer = load_images(plain, data)
    assert finer is None
    assert dataset.images.shape == (6, 64, 64)


def test_a_file_that_is_gone_when_it_is_read_again_is_named(data: Path) -> None:
    dataset, _ = load_images(RECIPE, data)
    dataset.cases[2].path.unlink()
    with pytest.raises(RecipeError, match=r"film\.png was read, and is unreadable now"):
        read_again(dataset, RECIPE.preprocess)

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.datasets.lung_masks import MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.datasets.spec import LungSpec
from cxrbatch.errors import RecipeError
from cxrbatch.evaluation.network_outputs import compute_outputs
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.ensemble import network_inputs
from cxrbatch.training.lung_crop import CELL_PX, lung_crop, onto_image
from cxrbatch.training.lungs import (
    build_segmenter,
    fit_segmenter,
    mean_dice,
    prepare_lung_crop,
    with_mirror_image,
)
from cxrbatch.training.recipe import NetworkSpec, TrainRecipe
from tests.factories.collections import case

SMALL = PreprocessSpec(height=64, width=64)
QUICK = LungSpec(images="images", masks="masks", width=4, steps=60, batch_size=8)


def bright_is_lung(size: int = 64) -> keras.Model:
    """A segmenter that takes every cell brighter than half for lung."""
    radiograph = layers.Input((size, size, 1))
    cells = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(radiograph))
    return keras.Model(radiograph, layers.Rescaling(1000.0, offset=-500.0)(cells))


def box(rows: slice, columns: slice, size: int = 64) -> NDArray[np.uint8]:
    picture = np.zeros((1, size, size), np.uint8)
    picture[0, rows, columns] = 255
    return picture


def drawn(n: int, seed: int = 0) -> MaskedLungs:
    """Two dark ellipses at a random place and size on a bright ground, and where they are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] / 64
    masks = []
    for _ in range(n):
        centre, radius = rng.uniform(0.45, 0.55, 2), rng.uniform(0.09, 0.13)
        either = [
            ((x - centre[0] - side * 0.2) / radius) ** 2 + ((y - centre[1]) / 0.3) ** 2 for side in (-1, 1)
        ]
        masks.append(np.minimum(*either) < 1)
    shapes = np.array(masks)
    images = np.where(shapes, 60, 190) + rng.normal(0, 8, shapes.shape)
    names = tuple(f"{index}.png" for index in range(n))
    return MaskedLungs(names, images.clip(0, 255).astype(np.uint8), shapes.astype(np.uint8) * 255)


def cropped(image: NDArray[np.uint8], margin: float, size_px: int = 64) -> dict[str, NDArray[np.float32]]:
    found = lung_crop(bright_is_lung(), margin, size_px)(image[..., None].astype(np.float32))
    return {name: tensor.numpy() for name, tensor in found.items()}


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(16, 48), slice(8, 56)), (slice(0, 64), slice(0, 64)), (slice(24, 44), slice(4, 24))],
)
def test_the_crop_is_the_box_around_the_lungs_with_its_margin(rows: slice, columns: slice) -> None:
    found = cropped(box(rows, columns), margin=0.0)
    # One hundredth of the lungs is left out on each side: the frame holds lung and nothing else.
    assert found["box"].shape == (1, 64, 64, 2)
    assert found["box"][..., 0].min() > 127
    for name, side in (("rows", rows), ("columns", columns)):
        start, length = found[name][0]
        assert start == pytest.approx(side.start, abs=1.0)
        assert start + length == pytest.approx(side.stop, abs=1.0)
    wide = cropped(box(rows, columns), margin=0.5)["box"]
    inside = wide[0, 32, :, 0] > 127
    if columns == slice(8, 56):  # 48 of 96 pixels, less what lies beyond the image
        assert inside.mean() == pytest.approx(0.5, abs=0.04)
        assert np.flatnonzero(inside)[0] == pytest.approx(16, abs=2)


@pytest.mark.parametrize("size_px", [32, 96])
def test_the_box_is_enlarged_or_reduced_to_the_size_of_the_network(size_px: int) -> None:
    rng = np.random.default_rng(0)
    image = box(slice(8, 56), slice(8, 56))
    image[0, 8:56, 8:56] = 140 + np.kron(rng.integers(0, 100, (6, 6)), np.ones((8, 8)))
    found = cropped(image, margin=0.0, size_px=size_px)
    (top, height), (left, width) = found["rows"][0], found["columns"][0]
    region = (left, top, left + width, top + height)
    expected = Image.fromarray(image[0].astype(np.float32)).resize(
        (size_px, size_px), Image.Resampling.BILINEAR, box=region
    )
    # Away from the edge, where Pillow and the crop treat what lies beyond the box differently.
    difference = np.abs(found["box"][0, ..., 0] - np.asarray(expected))[4:-4, 4:-4]
    assert difference.max() < 2.0


def test_the_crop_of_a_moved_and_scaled_image_is_the_same() -> None:
    rng = np.random.default_rng(0)
    texture = 140 + 100 * rng.random((16, 16)).repeat(2, 0).repeat(2, 1)
    images = np.zeros((2, 64, 64), np.float32)
    images[0, 16:48, 16:48] = texture
    images[1, 4:36, 28:60] = texture
    first, second = lung_crop(bright_is_lung(), 0.1, 64)(images[..., None])["box"].numpy()
    assert np.abs(first - second)[8:-8, 8:-8].max() < 1.0


def test_without_any_lung_nearly_the_whole_image_is_kept() -> None:
    ramp = np.tile(np.linspace(0, 100, 64), (1, 64, 1))
    grey = cropped(ramp.astype(np.uint8), margin=0.08)["box"][..., 0]
    assert grey.min() == pytest.approx(0, abs=0.5)
    assert grey.max() == pytest.approx(100, abs=0.5)
    assert grey[0, 32, 32] == pytest.approx(50, abs=2)


def test_values_of_the_box_are_moved_to_where_they_are_in_the_image() -> None:
    places = np.zeros((1, 4, 4, 1), np.float32)
    places[0, 0, 0] = 6.0  # rows 16–24, columns 8–20
    places[0, 3, 3] = 2.0  # rows 40–48, columns 44–56
    rows, columns = np.array([[16.0, 32.0]], np.float32), np.array([[8.0, 48.0]], np.float32)
    moved = keras.ops.convert_to_numpy(onto_image(places, rows, columns, 8, 64))[0, ..., 0]
    expected = np.zeros((8, 8))
    expected[2, 1], expected[2, 2] = 4.0, 2.0
    expected[5, 5], expected[5, 6] = 2 / 3, 4 / 3
    assert moved == pytest.approx(expected, abs=1e-5)


def test_what_lies_beyond_the_image_counts_for_its_edge() -> None:
    places = np.ones((1, 4, 4, 2), np.float32)
    beyond = np.array([[-32.0, 128.0]], np.float32)
    moved = keras.ops.convert_to_numpy(onto_image(places, beyond, beyond, 8, 64))
    assert moved.sum(axis=(1, 2)) == pytest.approx(np.full((1, 2), 16.0))
    assert moved[0, 0, 0, 0] > 1


def test_learns_where_the_lungs_are_and_repeats_itself() -> None:
    examples, unseen = drawn(24), drawn(8, seed=1)
    spec = LungSpec(width=4, steps=150, batch_size=8)
    segmenter = fit_segmenter(examples, SMALL, spec)
    untrained = build_segmenter(SMALL, 4)
    assert mean_dice(segmenter, unseen) > 0.8 > mean_dice(untrained, unseen)
    assert not segmenter.trainable_weights
    cells = compute_outputs(segmenter, unseen.images)[..., 0] >= 0
    masks = np.kron(cells, np.ones((CELL_PX, CELL_PX), bool))
    assert masks.shape == unseen.images.shape
    assert (masks == (unseen.masks > 0)).mean() > 0.9


def test_same_seed_same_segmenter() -> None:
    spec = LungSpec(width=4, steps=4, batch_size=4)
    first, second = (fit_segmenter(drawn(6), SMALL, spec).get_weights() for _ in range(2))
    assert all((one == two).all() for one, two in zip(first, second, strict=True))


def test_an_image_and_its_mirror_image_have_the_same_lungs_mirrored() -> None:
    images = drawn(3).images.astype(np.float32)[..., None]
    mirror_images = images[:, :, ::-1]
    plain = build_segmenter(SMALL, 4)
    both = with_mirror_image(plain, 4)
    one_way, other_way = (plain(given).numpy() for given in (images, mirror_images))
    assert np.abs(one_way - other_way[:, :, ::-1]).max() > 1e-3
    found = both(images).numpy()
    assert np.abs(found - (one_way + other_way[:, :, ::-1]) / 2).max() < 1e-5
    assert np.abs(found - both(mirror_images).numpy()[:, :, ::-1]).max() < 1e-5
    assert not both.trainable_weights


def write(folder: Path, examples: MaskedLungs) -> None:
    for name, image, mask in zip(examples.names, examples.images, examples.masks, strict=True):
        for kind, array, file in (("images", image, name), ("masks", mask, f"{Path(name).stem}_mask.png")):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(array).resize((256, 256), Image.Resampling.NEAREST).save(folder / kind / file)


def test_masks_are_matched_by_name_and_follow_the_preprocessing(tmp_path: Path) -> None:
    examples = drawn(3)
    write(tmp_path, examples)
    (tmp_path / "images" / "0.png").unlink()
    (tmp_path / "masks" / "2_mask.png").write_bytes(b"no picture")
    found = load_masked_lungs(QUICK, tmp_path, SMALL)
    assert found.names == ("1.png",)
    assert (found.masks == examples.masks[1]).mean() > 0.97
    with pytest.raises(RecipeError, match="no mask"):
        load_masked_lungs(LungSpec(images="masks", masks="images"), tmp_path, SMALL)


def test_no_patient_teaches_and_measures() -> None:
    examples = drawn(9)
    patients = {f"{index}.png": f"p{index // 3}" for index in range(9)}
    training, held_out = part_by_patient(examples, patients, every=2)
    assert held_out.names == ("0.png", "1.png", "2.png", "6.png", "7.png", "8.png")
    assert training.names == ("3.png", "4.png", "5.png")


def test_the_crop_is_taken_from_the_work_folder(tmp_path: Path) -> None:
    write(tmp_path, drawn(10))
    recipe = TrainRecipe(
        name="t",
        sources=(),
        preprocess=SMALL,
        lungs=QUICK,
        network=NetworkSpec(architecture="lung", size_px=32),
    )
    said: list[str] = []
    options = TrainOptions(work=tmp_path / "work", on_progress=said.append)
    cases = [case("anybody", "covid", "a")]
    first, second = (prepare_lung_crop(recipe, tmp_path, cases, options) for _ in range(2))
    assert [line.split()[1] for line in said] == ["trained", "taken"]
    assert first is not None
    assert second is not None
    assert first.dice == second.dice
    assert (first.n_masks, first.n_held_out) == (8, 2)
    images = drawn(4, seed=2).images
    inputs = network_inputs(first.network, images)
    assert inputs.shape == (4, 32, 32, 2)
    assert (inputs == network_inputs(second.network, images)).all()
    assert (network_inputs(None, images)[..., 0] == images).all()
    assert prepare_lung_crop(TrainRecipe(name="t", sources=()), tmp_path, cases, options) is None
    both_ways = dataclasses.replace(recipe, lungs=dataclasses.replace(QUICK, mirrored=True))
    mirrored = prepare_lung_crop(both_ways, tmp_path, cases, options)
    assert mirrored is not None
    box, of_mirror_image = (network_inputs(mirrored.network, each) for each in (images, images[:, :, ::-1]))
    assert np.abs(box.astype(int) - of_mirror_image[:, :, ::-1]).max() <= 1
    assert (inputs != box).any()

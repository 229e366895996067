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
from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.checkpoint import TrainOptions
from cxrbatch.training.ensemble import Ensemble, shown
from cxrbatch.training.export import export_scores
from cxrbatch.training.lungs import (
    _CELL_PX,
    build_segmenter,
    fit_segmenter,
    lung_crop,
    mean_dice,
    prepare_input_regions,
)
from cxrbatch.training.network import build_logits
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


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(16, 48), slice(8, 56)), (slice(0, 64), slice(0, 64)), (slice(24, 44), slice(4, 24))],
)
def test_the_crop_is_the_box_around_the_lungs_with_its_margin(rows: slice, columns: slice) -> None:
    crop = lung_crop(bright_is_lung(), margin=0.0)(box(rows, columns)[..., None].astype(np.float32)).numpy()
    # One hundredth of the lungs is left out on each side: the frame shows lung and nothing else.
    assert crop.shape == (1, 64, 64, 1)
    assert crop.min() > 127
    wide = lung_crop(bright_is_lung(), margin=0.5)(box(rows, columns)[..., None].astype(np.float32)).numpy()
    inside = wide[0, 32, :, 0] > 127
    if columns == slice(8, 56):  # 48 of 96 pixels, less what lies beyond the picture
        assert inside.mean() == pytest.approx(0.5, abs=0.04)
        assert np.flatnonzero(inside)[0] == pytest.approx(16, abs=2)


def test_the_crop_of_a_moved_and_scaled_picture_is_the_same() -> None:
    rng = np.random.default_rng(0)
    texture = 140 + 100 * rng.random((16, 16)).repeat(2, 0).repeat(2, 1)
    pictures = np.zeros((2, 64, 64), np.float32)
    pictures[0, 16:48, 16:48] = texture
    pictures[1, 4:36, 28:60] = texture
    first, second = lung_crop(bright_is_lung(), margin=0.1)(pictures[..., None]).numpy()[..., 0]
    assert np.abs(first - second)[8:-8, 8:-8].max() < 1.0


def test_without_any_lung_nearly_the_whole_picture_is_kept() -> None:
    ramp = np.tile(np.linspace(0, 100, 64, dtype=np.float32), (1, 64, 1))[..., None]
    crop = lung_crop(bright_is_lung(), margin=0.08)(ramp).numpy()
    assert crop.min() == 0
    assert crop.max() == 100
    assert crop[0, 32, 32, 0] == pytest.approx(50, abs=2)


def test_learns_where_the_lungs_are_and_repeats_itself() -> None:
    examples, unseen = drawn(24), drawn(8, seed=1)
    spec = LungSpec(width=4, steps=150, batch_size=8)
    segmenter = fit_segmenter(examples, SMALL, spec)
    untrained = build_segmenter(SMALL, 4)
    assert mean_dice(segmenter, unseen) > 0.8 > mean_dice(untrained, unseen)
    assert not segmenter.trainable_weights
    cells = compute_outputs(segmenter, unseen.images)[..., 0] >= 0
    masks = np.kron(cells, np.ones((_CELL_PX, _CELL_PX), bool))
    assert masks.shape == unseen.images.shape
    assert (masks == (unseen.masks > 0)).mean() > 0.9


def test_same_seed_same_segmenter() -> None:
    spec = LungSpec(width=4, steps=4, batch_size=4)
    first, second = (fit_segmenter(drawn(6), SMALL, spec).get_weights() for _ in range(2))
    assert all((one == two).all() for one, two in zip(first, second, strict=True))


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


def test_looks_are_taken_from_the_work_folder(tmp_path: Path) -> None:
    write(tmp_path, drawn(10))
    recipe = TrainRecipe(
        name="t", sources=(), preprocess=SMALL, lungs=QUICK, network=NetworkSpec(looks=("whole", "lungs"))
    )
    said: list[str] = []
    options = TrainOptions(work=tmp_path / "work", on_progress=said.append)
    cases = [case("anybody", "covid", "a")]
    first, second = (prepare_input_regions(recipe, tmp_path, cases, options) for _ in range(2))
    assert [line.split()[1] for line in said] == ["trained", "taken"]
    assert first.dice == second.dice
    assert (first.n_masks, first.n_held_out) == (8, 2)
    images = drawn(4, seed=2).images
    assert (shown(first.crops, "lungs", images) == shown(second.crops, "lungs", images)).all()
    assert (shown(first.crops, "whole", images) == images).all()
    assert not prepare_input_regions(TrainRecipe(name="t", sources=()), tmp_path, cases, options).crops


def test_a_committee_is_exported_as_it_decides_and_loads_safely(tmp_path: Path) -> None:
    crops = {"lungs": lung_crop(bright_is_lung(), margin=0.1)}
    rng = np.random.default_rng(0)
    networks = [build_logits(SMALL, NetworkSpec(widths=(4, 4))) for _ in range(4)]
    for network in networks:
        network.layers[-1].set_weights([rng.normal(size=w.shape) for w in network.layers[-1].get_weights()])
    members = ({"whole": networks[0], "lungs": networks[1]}, {"whole": networks[2], "lungs": networks[3]})
    ensemble = Ensemble(crops=crops, input_regions=("whole", "lungs"), members=members)
    images = (
        box(slice(16, 40), slice(8, 56)).repeat(3, axis=0) // np.array([1, 2, 4], np.uint8)[:, None, None]
    )
    logits = ensemble.logits(images)
    assert logits.shape == (2, 3, 2)
    cropped = crops["lungs"](images[..., None].astype(np.float32))
    assert logits[0, :, 0] == pytest.approx(networks[0](images[..., None]).numpy()[:, 0], abs=1e-6)
    assert logits[1, :, 1] == pytest.approx(networks[3](cropped).numpy()[:, 1], abs=1e-6)
    calibration = Calibration(abnormal=Line(slope=2.0), covid_given_abnormal=Line(slope=0.5, intercept=0.1))
    export_scores(ensemble, calibration).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    expected = calibration.scores(logits.mean(axis=0))
    assert loaded(images[..., None].astype(np.float32)).numpy() == pytest.approx(expected, abs=1e-6)

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.evaluation import perturbations
from cxrbatch.evaluation.markers import ap_portable, arrows, letter_l, letter_r
from cxrbatch.evaluation.perturbations import (
    EXPECTATIONS,
    PERTURBATIONS,
    Expectation,
    perturb,
    rank_shift,
)

IMAGES = np.random.default_rng(0).integers(1, 256, (3, 40, 80)).astype(np.uint8)
PERTURBATION_BY_NAME = {each.name: each.change for each in PERTURBATIONS if not each.by_mask}
MARKERS = {"marker L", "marker R", "marker AP PORTABLE", "marker arrows"}


def black(height: int, width: int) -> NDArray[np.uint8]:
    return np.zeros((1, height, width), np.uint8)


def test_lungs_and_the_rest_make_the_whole() -> None:
    without, only = perturbations.lungs_blacked_out(IMAGES), perturbations.lungs_only(IMAGES)
    assert (without + only == IMAGES).all()
    assert (only[0] > 0).sum() == (32 - 6) * (72 - 8)
    assert (only[0] > 0)[6:32, 8:72].all()


def test_masks_take_out_exactly_the_lungs() -> None:
    masks = np.random.default_rng(1).random(IMAGES.shape) < 0.3
    without = perturbations.lungs_blacked_out(IMAGES, masks)
    assert (without[masks] == 0).all()
    assert (without[~masks] == IMAGES[~masks]).all()
    assert (without + perturbations.lungs_only(IMAGES, masks) == IMAGES).all()


def test_where_a_mask_is_empty_the_lungs_are_where_they_mostly_are() -> None:
    masks = np.random.default_rng(1).random(IMAGES.shape) < 0.3
    masks[1] = False
    without = perturbations.lungs_blacked_out(IMAGES, masks)
    assert (without[1] == perturbations.lungs_blacked_out(IMAGES)[1]).all()
    assert (without[::2] == perturbations.lungs_blacked_out(IMAGES[::2], masks[::2])).all()


def test_with_masks_those_by_mask_take_the_place_of_the_others() -> None:
    masks = np.random.default_rng(1).random(IMAGES.shape) < 0.3
    with_masks, without = dict(perturb(IMAGES, masks)), dict(perturb(IMAGES))
    assert list(without) == list(PERTURBATION_BY_NAME)
    assert list(with_masks) == [
        f"{name} by mask" if name.startswith("lungs") else name for name in PERTURBATION_BY_NAME
    ]
    assert (with_masks["lungs only by mask"] == np.where(masks, IMAGES, 0)).all()
    assert all((with_masks[name] == without[name]).all() for name in without.keys() & with_masks.keys())


def test_masks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"masks of shape \(40, 80\) for images of shape \(3, 40, 80\)"):
        perturbations.lungs_blacked_out(IMAGES, np.zeros((40, 80), bool))


def test_border_only_keeps_a_frame() -> None:
    left = perturbations.border_only(np.full((1, 25, 50), 9, np.uint8))[0]
    expected = np.full((25, 50), 9)
    expected[3:22, 6:44] = 0
    assert (left == expected).all()


def test_eight_by_eight_keeps_blocks_means_and_forgets_what_is_within_a_block() -> None:
    blocks = np.random.default_rng(2).integers(0, 256, (8, 8))
    image = np.kron(blocks, np.ones((20, 20), np.int64))
    noise = np.random.default_rng(3).integers(-5, 6, (8, 20, 8, 20))
    noise -= np.rint(noise.mean(axis=(1, 3), keepdims=True)).astype(np.int64)
    coarse = perturbations.eight_by_eight(image[None].astype(np.uint8))[0]
    assert (coarse[10::20, 10::20].astype(int) - blocks).max() <= 7  # the middles of the blocks
    flat = np.full((1, 16, 24), 100) + np.tile([[-20, 20], [20, -20]], (8, 12))
    assert (perturbations.eight_by_eight(flat.astype(np.uint8)) == 100).all()


def test_half_resolution_forgets_single_pixels_and_keeps_flat_ones() -> None:
    chequered = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (128, 150))[None]
    assert (perturbations.half_resolution(chequered) == 100).all()
    assert (perturbations.half_resolution(np.full((2, 333, 341), 77, np.uint8)) == 77).all()


@pytest.mark.parametrize("size", [1, 40, 128])
def test_a_file_of_half_the_resolution_still_has_all_pixels_of_a_small_input(size: int) -> None:
    image = np.random.default_rng(6).integers(0, 256, (1, size, size), np.uint8)
    assert (perturbations.half_resolution(image) == image).all()


def test_an_input_between_128_and_256_pixels_keeps_what_128_show() -> None:
    image = np.random.default_rng(7).integers(0, 256, (1, 160, 160), np.uint8)
    small = Image.fromarray(image[0].astype(np.float32)).resize((128, 128), Image.Resampling.BOX)
    expected = np.rint(np.asarray(small.resize((160, 160), Image.Resampling.BILINEAR)))
    assert (perturbations.half_resolution(image)[0] == expected).all()


def test_histogram_only_sorts_and_keeps_the_histogram() -> None:
    image = np.array([[[3, 1], [2, 3]]], np.uint8)
    assert perturbations.histogram_only(image).tolist() == [[[1, 2], [3, 3]]]
    shuffled = np.random.default_rng(4).permuted(IMAGES.reshape(3, -1), axis=1).reshape(IMAGES.shape)
    assert (perturbations.histogram_only(shuffled) == perturbations.histogram_only(IMAGES)).all()


def test_jpeg_is_pillows_at_quality_30_of_a_large_input() -> None:
    image = np.kron(IMAGES[1], np.ones((7, 4))).astype(np.uint8)  # 280 × 320 pixels
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=30)
    assert (perturbations.jpeg(image[None])[0] == np.asarray(Image.open(stream))).all()


def test_jpeg_of_a_small_input_is_that_of_a_file_of_256_pixels() -> None:
    image = np.random.default_rng(8).integers(0, 256, (1, 128, 128), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image[0]).resize((256, 256)).save(stream, "JPEG", quality=30)
    means = np.asarray(Image.open(stream), float).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.abs(perturbations.jpeg(image)[0] - means).max() <= 0.5


def test_mirrored_and_darker_curve() -> None:
    image = np.array([[[0, 64, 128, 255]]], np.uint8)
    assert perturbations.mirrored(image).tolist() == [[[255, 128, 64, 0]]]
    # 255 · (64/255)^1.5 = 32.06, 255 · (128/255)^1.5 = 90.69
    assert perturbations.darker_curve(image).tolist() == [[[0, 32, 91, 255]]]
    assert (perturbations.mirrored(perturbations.mirrored(IMAGES)) == IMAGES).all()


def test_letters_as_they_are_drawn() -> None:
    # One pixel of the image for each dot of a letter: 8 of the canvas's 512 pixels.
    left = letter_l(black(64, 64))[0]
    assert ["".join(".#"[int(dot > 0)] for dot in row) for row in left[3:10, 56:61]] == [
        "#....",
        "#....",
        "#....",
        "#....",
        "#....",
        "#....",
        "#####",
    ]
    assert np.count_nonzero(left) == 11
    right = letter_r(black(64, 64))[0]
    assert ["".join(".#"[int(dot > 0)] for dot in row) for row in right[3:10, 3:8]] == [
        "####.",
        "#...#",
        "#...#",
        "####.",
        "#.#..",
        "#..#.",
        "#...#",
    ]
    assert set(np.unique(right)) == {0, 255}


def test_words_as_they_are_drawn() -> None:
    words = ap_portable(black(128, 128))[0] > 0
    rows, columns = np.nonzero(words)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 12, 31, 95)
    assert ["".join(".#"[int(dot)] for dot in row) for row in words[6:13, 31:42]] == [
        ".###..####.",
        "#...#.#...#",
        "#...#.#...#",
        "#####.####.",
        "#...#.#....",
        "#...#.#....",
        "#...#.#....",
    ]


def test_arrows_point_at_the_lungs() -> None:
    drawn = arrows(black(512, 512))[0]
    assert set(np.unique(drawn)) == {0, 255}
    for (x, y), is_white in {(62, 201): True, (105, 230): True, (150, 260): True, (165, 270): False}.items():
        assert (drawn[y, x] == 255) == is_white
    assert drawn[329, 467] == drawn[300, 370] == 255
    assert drawn[:, 200:340].max() == 0


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (160, 160), (224, 224), (512, 512), (700, 600)])
@pytest.mark.parametrize("name", sorted(MARKERS))
def test_markers_survive_every_size(name: str, size: tuple[int, int]) -> None:
    drawn = PERTURBATION_BY_NAME[name](black(*size))[0] / 255.0
    at_512 = PERTURBATION_BY_NAME[name](black(512, 512))[0] / 255.0
    assert drawn.max() > 0.45
    assert drawn.mean() == pytest.approx(at_512.mean(), rel=0.05)  # the same share of the picture
    grey = np.full((1, *size), 100, np.uint8)
    assert (PERTURBATION_BY_NAME[name](grey)[0] >= 100).all()
    assert (PERTURBATION_BY_NAME[name](grey)[0][drawn == 0] == 100).all()
    assert (PERTURBATION_BY_NAME[name](np.full((1, *size), 255, np.uint8)) == 255).all()


@pytest.mark.parametrize("name", PERTURBATION_BY_NAME)
def test_audits_keep_shape_type_and_the_original(name: str) -> None:
    before = IMAGES.copy()
    changed = PERTURBATION_BY_NAME[name](IMAGES)
    assert changed.shape == IMAGES.shape
    assert changed.dtype == np.dtype(np.uint8)
    assert (changed != before).any() or name == "half resolution"  # of a file that is larger than these
    assert (before == IMAGES).all()
    changed[:] = 0
    assert (before == IMAGES).all()


@pytest.mark.parametrize("name", PERTURBATION_BY_NAME)
@pytest.mark.parametrize("size", [32, 200])
def test_each_image_is_changed_by_itself_and_always_alike(name: str, size: int) -> None:
    images = np.random.default_rng(5).integers(0, 256, (3, size, size)).astype(np.uint8)
    one_by_one = np.concatenate([PERTURBATION_BY_NAME[name](images[index : index + 1]) for index in range(3)])
    assert (PERTURBATION_BY_NAME[name](images) == one_by_one).all()


def test_names_are_unique_and_say_what_is_expected() -> None:
    assert len(EXPECTATIONS) == len(PERTURBATIONS) == 15
    assert {name for name, said in EXPECTATIONS.items() if said is Expectation.MUST_LOSE} == {
        "lungs blacked out",
        "lungs blacked out by mask",
        "border only",
        "8 × 8 pixels",
        "histogram only",
    }
    assert {name for name, said in EXPECTATIONS.items() if said is Expectation.MUST_STAY} == MARKERS | {
        "mirrored",
        "darker curve",
        "JPEG quality 30",
        "half resolution",
    }
    assert all(audit.text for audit in PERTURBATIONS)


def test_rank_shift_is_the_median_move() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert rank_shift(scores, 10 * scores) == 0.0
    assert rank_shift(scores, -scores) == 0.5

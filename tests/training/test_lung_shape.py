import numpy as np
import pytest
from numpy.typing import NDArray

from cxrbatch.datasets.loading import Dataset
from cxrbatch.stats import Bools, Floats
from cxrbatch.training import score_sites
from cxrbatch.training.lung_shape import add_lung_shapes, lung_shapes, wide_masks
from cxrbatch.training.score_sites import score_perturbed
from cxrbatch.training.splits import part_of
from tests.factories.collections import case
from tests.factories.scores import site, three
from tests.training.test_lungs import box, bright_is_lung


def mask(*parts: tuple[slice, slice]) -> Bools:
    cells = np.zeros((1, 50, 100), bool)
    for rows, columns in parts:
        cells[0, rows, columns] = True
    return cells


def test_a_box_has_its_area_height_and_width_and_equal_halves() -> None:
    area, height, width, left, upper = lung_shapes(mask((slice(10, 35), slice(20, 70))))[0]
    assert area == 25 * 50 / 5000
    # Without the outermost hundredth on either side.
    assert (height, width) == pytest.approx((0.98 * 25 / 50, 0.98 * 50 / 100))
    assert (left, upper) == pytest.approx((0.5, 0.5))


def test_two_lungs_share_left_and_right_and_a_triangle_lies_below() -> None:
    unequal = mask((slice(0, 50), slice(10, 30)), (slice(25, 50), slice(70, 90)))
    area, height, width, left, upper = lung_shapes(unequal)[0]
    assert area == 1500 / 5000
    # Hundredths of the lung: 15 cells. 1000 of 1500 are left of the middle, 500 of them in the upper half.
    assert height == pytest.approx((50 - 15 / 20 - 15 / 40) / 50)
    assert width == pytest.approx((80 - 15 / 50 - 15 / 25) / 100)
    assert left == pytest.approx(1000 / 1500)
    middle = (15 / 20 + 50 - 15 / 40) / 2
    assert upper == pytest.approx((500 + 40 * (middle - 25)) / 1500)


def test_mirrored_moved_and_stray_cells() -> None:
    lungs = mask((slice(5, 40), slice(10, 30)), (slice(20, 40), slice(50, 80)))
    here = lung_shapes(lungs)[0]
    mirrored, turned = lung_shapes(lungs[:, :, ::-1])[0], lung_shapes(lungs[:, ::-1])[0]
    assert mirrored == pytest.approx([*here[:3], 1 - here[3], here[4]])
    assert turned == pytest.approx([*here[:4], 1 - here[4]])
    assert lung_shapes(np.roll(lungs, (7, 15), axis=(1, 2)))[0] == pytest.approx(here)
    stray = lungs.copy()
    stray[0, 49, 99] = True
    assert lung_shapes(stray)[0] == pytest.approx(here, abs=0.01)
    assert (lung_shapes(np.zeros((2, 8, 8), bool)) == 0).all()


def test_wide_masks_reach_a_sixteenth_beyond_the_lungs() -> None:
    found = wide_masks(bright_is_lung(), box(slice(16, 48), slice(0, 20)))
    assert (found == (box(slice(12, 52), slice(0, 24)) > 0)).all()
    assert not wide_masks(bright_is_lung(), box(slice(0, 0), slice(0, 0))).any()


def test_every_image_gets_the_shape_of_its_own_mask() -> None:
    heights = [16, 32, 64]
    cases = tuple(case(f"a/{height}", "normal", "a") for height in heights)
    images = np.concatenate([box(slice(0, height), slice(0, 64)) for height in heights])
    parts = [site("a", cases[::-1], three([0.5] * 3)), site("b", cases[1:2], three([0.5]))]
    dataset = Dataset(cases, images)
    shapes = [one.lung_shape for one in add_lung_shapes(parts, dataset, bright_is_lung())]
    assert [shape[:, 0].tolist() for shape in shapes if shape is not None] == [[1.0, 0.5, 0.25], [0.5]]
    assert add_lung_shapes(parts, dataset, None) == parts


def test_where_a_network_finds_the_lungs_these_are_blacked_out_and_else_a_box() -> None:
    cases = tuple(case(f"a/{label}", label, "a") for label in ("covid", "normal"))
    lungs = box(slice(16, 48), slice(8, 24))
    images = np.concatenate([lungs, np.maximum(lungs, 7)])

    def brightness(changed: NDArray[np.uint8]) -> Floats:
        return changed.mean(axis=(1, 2))[:, None] * np.ones(3)

    by_mask = score_perturbed(Dataset(cases, images), brightness, bright_is_lung())
    by_box = score_perturbed(Dataset(cases, images), brightness)
    assert list(by_mask) == [f"{name} by mask" if name.startswith("lungs") else name for name in by_box]
    wide = 40 * 24 / 64**2
    assert by_mask["lungs blacked out by mask"][:, 0] == pytest.approx([0, 7 * (1 - wide)])
    assert by_mask["lungs only by mask"][:, 0] == pytest.approx(
        [255 * 32 * 16 / 64**2, (255 * 32 * 16 + 7 * (40 * 24 - 32 * 16)) / 64**2]
    )


def test_each_part_of_the_patients_has_its_share_of_perturbed_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_sites, "_MOST_PERTURBED", 60)
    cases = tuple(case(f"a/{number}", "covid" if number % 2 else "normal", "a") for number in range(180))
    images = np.full((180, 64, 64), 9, np.uint8)
    found = score_perturbed(Dataset(cases, images), lambda changed: np.zeros((len(changed), 3)))["mirrored"]
    perturbed = [part_of(one.patient, 3) for one, row in zip(cases, found, strict=True) if row[0] == 0]
    assert [9 < perturbed.count(part) < 31 for part in range(3)] == [True] * 3

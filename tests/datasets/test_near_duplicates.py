import io
from pathlib import Path

import numpy as np
import phantom
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.datasets.near_duplicates import (
    MOST_BITS,
    agreement,
    duplicate_pairs,
    keep_one_each,
    perceptual_hashes,
    proposed_pairs,
)
from cxrbatch.datasets.tables import published_table
from cxrbatch.preprocess import PreprocessSpec, preprocess
from tests.factories.collections import case


def film(seed: int, rows: int = 320) -> NDArray[np.float32]:
    return np.asarray(phantom.radiograph(rows, rows, seed=seed), np.float32)


def prepared(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return preprocess(np.asarray(pixels, np.float32), PreprocessSpec())


def rescaled_reencoded_brightened(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    span = pixels.max() - pixels.min()
    picture = Image.fromarray((40 + 180 * (pixels - pixels.min()) / span).astype(np.uint8)).resize((301, 277))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=60)
    framed = np.pad(np.asarray(Image.open(stream), np.float32), 9)
    return np.asarray(framed, np.float32)


def test_finds_a_copy_that_was_rescaled_reencoded_brightened_and_framed() -> None:
    original = film(1)
    images = np.stack(
        [prepared(original), prepared(film(2)), prepared(rescaled_reencoded_brightened(original))]
    )
    assert duplicate_pairs(images) == [(0, 2)]


@pytest.mark.parametrize("crop", [np.s_[8:, :], np.s_[:, :-9], np.s_[6:-3, 4:-5], np.s_[:-10, 8:]])
def test_finds_a_copy_that_was_cropped(crop: tuple[slice, slice]) -> None:
    original = film(1)
    images = np.stack([prepared(original), prepared(film(3)), prepared(original[crop])])
    assert duplicate_pairs(images) == [(0, 2)]


def test_does_not_merge_different_people_although_their_hashes_are_near() -> None:
    images = np.stack([prepared(film(seed)) for seed in range(12)])
    assert len(proposed_pairs(perceptual_hashes(images))[0]) > 10
    assert duplicate_pairs(images) == []


def test_hash_is_that_of_the_discrete_cosine_transform() -> None:
    image = prepared(film(4))
    small = np.asarray(Image.fromarray(image.astype(np.float32)).resize((32, 32), Image.Resampling.BOX))
    n = np.arange(32)
    spectrum = [
        sum(small[y] @ np.cos(np.pi * (n + 0.5) * v / 32) * np.cos(np.pi * (y + 0.5) * u / 32) for y in n)
        for u in range(16)
        for v in range(16)
    ][1:]
    (found,) = perceptual_hashes(image[None])
    assert found.shape == (255,)
    assert found.sum() == 127
    assert (found == (spectrum > np.median(spectrum))).all()


def test_pairs_are_proposed_by_the_number_of_bits_that_differ() -> None:
    hashes = np.random.default_rng(0).random((1200, 255)) < 0.5
    for index, n_bits in ((5, MOST_BITS), (1100, MOST_BITS + 1), (1101, 0)):
        hashes[index] = hashes[3]
        hashes[index, :n_bits] ^= True
    first, second = proposed_pairs(hashes)
    near = [(3, 5), (3, 1101), (5, 1100), (5, 1101)]  # 70, 0, 1 and 70 bits
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == near


def test_agreement_looks_for_the_tiles_a_few_pixels_away() -> None:
    texture = np.random.default_rng(0).normal(size=(1, 70, 70)).astype(np.float32)
    here = texture[:, 3:67, 3:67]
    assert agreement(here, here) == pytest.approx([1.0], abs=1e-5)
    assert agreement(here, 3 * texture[:, 6:, 6:] + 1) == pytest.approx([1.0], abs=1e-5)
    assert agreement(here, -here) < 0.3
    assert agreement(here, np.random.default_rng(1).normal(size=here.shape).astype(np.float32)) < 0.3
    assert agreement(np.zeros_like(here), np.zeros_like(here)) == 0.0


def test_blank_pictures_are_not_copies_of_anything() -> None:
    assert duplicate_pairs(np.zeros((3, 160, 160), np.uint8)) == []


CASES: list[LabelledImage] = [
    case("a/1", "normal", "a"),
    case("a/2", "normal", "a"),
    case("b/9", "normal", "b"),
    case("b/8", "covid", "b"),
    case("a/3", "pneumonia", "a"),
]


def test_one_of_two_copies_is_kept_and_their_patients_become_one() -> None:
    kept, removed, patients = keep_one_each(CASES, [(0, 2), (1, 2)])
    assert kept == [0, 1, 3, 4]
    assert removed == {2: "duplicate"}
    assert patients == ["a/1", "a/1", "b/8", "a/3"]


@pytest.mark.parametrize("pairs", [[(0, 3)], [(0, 3), (0, 2), (2, 3)]])
def test_a_radiograph_under_two_labels_teaches_nothing(pairs: list[tuple[int, int]]) -> None:
    kept, removed, _ = keep_one_each(CASES, pairs)
    assert not {0, 3} & set(kept)
    assert removed[0] == removed[3] == "duplicate under another label"


def test_abnormal_of_no_stated_kind_agrees_with_a_stated_kind_and_not_with_normal() -> None:
    labels = ("indeterminate", "covid", "normal")
    cases = [case(f"a/{label}", label, "a") for label in labels]
    assert keep_one_each(cases, [(0, 1)])[:2] == ([0, 2], {1: "duplicate"})
    assert keep_one_each(cases, [(0, 2)])[:2] == ([1], dict.fromkeys((0, 2), "duplicate under another label"))


@pytest.mark.real
def test_finds_the_images_that_two_public_collections_share(real_data: Path) -> None:
    """All but one of those that `sources.csv` says are in both; the one left shows another picture."""
    both = real_data / "covid-radiography-database"
    origins = {row["file"]: row["likely_source"] for row in published_table(both / "sources.csv")}
    shared = [both / name for name, origin in origins.items() if origin == "also in covid-chestxray-dataset"]
    first = sorted((real_data / "covid-chestxray-dataset" / "images").iterdir())
    images = np.stack([prepared(np.asarray(Image.open(path).convert("L"))) for path in (*first, *shared)])
    pairs = duplicate_pairs(images)
    assert len(shared) == 440
    assert len({j for i, j in pairs if i < len(first) <= j}) == 439


@pytest.mark.real
def test_no_two_patients_of_one_hospital_are_merged(real_data: Path) -> None:
    files = sorted((real_data / "nih-chestxray8-subset" / "No_Finding").iterdir())
    images = np.stack([prepared(np.asarray(Image.open(path).convert("L"))) for path in files])
    merged = {(files[i].name.split("_")[0], files[j].name.split("_")[0]) for i, j in duplicate_pairs(images)}
    assert merged == {("00002658", "00002658")}

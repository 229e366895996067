import io

import numpy as np
import phantom
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.learn.dedupe import duplicate_pairs, keep_one_each
from cxrbatch.learn.sources import Case
from cxrbatch.preprocess import PreprocessSpec, preprocess
from tests.learn.made_up import case


def film(seed: int, rows: int = 640) -> NDArray[np.float32]:
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


def test_does_not_merge_different_people() -> None:
    assert duplicate_pairs(np.stack([prepared(film(seed)) for seed in range(12)])) == []


def test_blank_pictures_are_not_copies_of_anything() -> None:
    assert duplicate_pairs(np.zeros((3, 160, 160), np.uint8)) == []


CASES: list[Case] = [
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

import numpy as np
import pytest

from cxrbatch.learn.audits import AUDITS, lungs_blacked_out, lungs_only, rank_shift

IMAGES = np.random.default_rng(0).integers(1, 256, (3, 40, 80)).astype(np.uint8)


def test_lungs_and_the_rest_make_the_whole() -> None:
    assert (lungs_blacked_out(IMAGES) + lungs_only(IMAGES) == IMAGES).all()
    assert (lungs_only(IMAGES)[0] > 0).sum() == (32 - 6) * (72 - 8)


@pytest.mark.parametrize("name", AUDITS)
def test_audits_keep_shape_type_and_the_original(name: str) -> None:
    before = IMAGES.copy()
    changed = AUDITS[name](IMAGES)
    assert changed.shape == IMAGES.shape
    assert changed.dtype == np.dtype(np.uint8)
    assert (changed != before).any()
    assert (before == IMAGES).all()


def test_rank_shift_is_the_median_move() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert rank_shift(scores, 10 * scores) == 0.0
    assert rank_shift(scores, -scores) == 0.5

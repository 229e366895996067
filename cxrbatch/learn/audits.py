"""Changes to a picture that ought to matter, or ought not to: what the order of the list does under each.

A score that is still good with the lungs blacked out, or that moves with a letter in the corner, recognises the
hospital. All take and return preprocessed images: uint8, shape (n, height, width), lungs roughly in the middle.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

_BOX = (0.15, 0.80, 0.10, 0.90)
"""Upper, lower, left, right end of what holds the lungs, as shares of the picture."""


def lungs_blacked_out(images: Images) -> Images:
    """Nothing left but neck, shoulders, flanks and the abdomen: the AUROC must fall towards one half."""
    changed = images.copy()
    changed[:, *_lung_box(images)] = 0
    return changed


def lungs_only(images: Images) -> Images:
    """Nothing left but the middle: the AUROC should stay."""
    changed = np.zeros_like(images)
    box = _lung_box(images)
    changed[:, *box] = images[:, *box]
    return changed


def marker(images: Images) -> Images:
    """A white L in the upper left corner: no rank should move."""
    changed = images.copy()
    unit = images.shape[1] // 40
    changed[:, 2 * unit : 6 * unit, 2 * unit : 3 * unit] = 255
    changed[:, 5 * unit : 6 * unit, 2 * unit : 5 * unit] = 255
    return changed


def mirrored(images: Images) -> Images:
    """Left and right exchanged: ranks should hardly move."""
    return images[:, :, ::-1]


def darker_curve(images: Images) -> Images:
    """Another grey-value curve (gamma 1.5), as another window or detector gives: no rank should move."""
    return np.rint(255 * (images / 255.0) ** 1.5).astype(np.uint8)


AUDITS: Mapping[str, Callable[[Images], Images]] = {
    "lungs blacked out": lungs_blacked_out,
    "lungs only": lungs_only,
    "marker pasted": marker,
    "mirrored": mirrored,
    "darker curve": darker_curve,
}


def _lung_box(images: Images) -> tuple[slice, slice]:
    _, height, width = images.shape
    upper, lower, left, right = _BOX
    return slice(int(upper * height), int(lower * height)), slice(int(left * width), int(right * width))


def rank_shift(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    """Median move of a patient in the list, as a share of its length; scores of shape (n,)."""
    ranks = [scores.argsort(kind="stable").argsort(kind="stable") for scores in (before, after)]
    return float(np.median(np.abs(ranks[0] - ranks[1])) / before.size)

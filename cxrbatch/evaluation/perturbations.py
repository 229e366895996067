"""Change images in ways that ought to change the order of the list, or ought not to.

A score that is still good with the lungs blacked out, or that moves with a letter in the corner, recognises the
hospital. All changes take and return preprocessed images: uint8, shape (n, height, width), lungs roughly in the
middle. The input is not modified.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.evaluation import markers
from cxrbatch.preprocess import area_resize

Images = NDArray[np.uint8]

_BOX = (0.15, 0.80, 0.10, 0.90)
"""Upper, lower, left and right end of the box that contains the lungs, as shares of the image."""
_FRAME = 0.12
_COARSE_PX = 8
_JPEG_QUALITY = 30
_FILE_PX = 256
"""Least side of the image file that is compressed or halved. Files have at least as many pixels, even where the input
of the network has fewer."""
_GAMMA = 1.5


def lungs_blacked_out(images: Images, masks: NDArray[np.bool_] | None = None) -> Images:
    """Black out the lungs; neck, shoulders, flanks and the abdomen are left.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
    masks : ndarray of bool, shape (n, height, width), optional
        True where lung is. Without masks, and where a mask is empty, everything but the margin of the image counts
        as lung. The outline of a mask shows the shape of the lungs, so it should be wider than they are.

    Raises
    ------
    ValueError
        The masks have another shape than the images.
    """
    return np.where(_lungs(images, masks), np.uint8(0), images)


def lungs_only(images: Images, masks: NDArray[np.bool_] | None = None) -> Images:
    """Black out everything except the lungs; arguments and errors as in `lungs_blacked_out`."""
    return np.where(_lungs(images, masks), images, np.uint8(0))


def _lungs(images: Images, masks: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    box = _lung_box(images)
    if masks is None:
        return box
    if masks.shape != images.shape:
        raise ValueError(f"masks of shape {masks.shape} for images of shape {images.shape}")
    return np.where(masks.any(axis=(1, 2), keepdims=True), masks, box).astype(bool)


def _lung_box(images: Images) -> NDArray[np.bool_]:
    _, height, width = images.shape
    upper, lower, left, right = _BOX
    inside = np.zeros((height, width), bool)
    inside[int(upper * height) : int(lower * height), int(left * width) : int(right * width)] = True
    return np.broadcast_to(inside, images.shape)


def border_only(images: Images) -> Images:
    """Keep a frame of 12 % on each side, black inside."""
    _, height, width = images.shape
    y, x = round(_FRAME * height), round(_FRAME * width)
    changed = images.copy()
    changed[:, y : height - y, x : width - x] = 0
    return changed


def eight_by_eight(images: Images) -> Images:
    """Average to 8 × 8 pixels and enlarge again."""
    return _through(images, _COARSE_PX, _COARSE_PX)


def half_resolution(images: Images) -> Images:
    """Average to half the rows and columns of a file, which has at least `_FILE_PX` of each, and enlarge again.

    Half of such a file may still be larger than the input; then nothing changes.
    """
    halves = (side // 2 for side in _of_file(images[0]))
    return _through(images, *map(min, halves, images[0].shape))


def _of_file(image: Images) -> tuple[int, int]:
    height, width = image.shape
    return max(height, _FILE_PX), max(width, _FILE_PX)


def _through(images: Images, height: int, width: int) -> Images:
    def one(image: Images) -> NDArray[np.float32]:
        small = area_resize(image.astype(np.float32), height, width)
        return area_resize(small, *image.shape)

    return np.stack([np.rint(one(image)).astype(np.uint8) for image in images])


def histogram_only(images: Images) -> Images:
    """Sort the pixels of each image, darkest in the upper left corner: only the count of each value is left."""
    return np.sort(images.reshape(len(images), -1), axis=1).reshape(images.shape)


def jpeg(images: Images) -> Images:
    """Compress a file of each image, which has at least `_FILE_PX` rows and columns, with JPEG quality 30."""
    return np.stack([_compressed(image) for image in images])


def _compressed(image: Images) -> Images:
    stream = io.BytesIO()
    Image.fromarray(image).resize(_of_file(image)[::-1]).save(stream, "JPEG", quality=_JPEG_QUALITY)
    decoded = np.asarray(Image.open(stream), np.float32)
    return np.rint(area_resize(decoded, *image.shape)).astype(np.uint8)


def mirrored(images: Images) -> Images:
    """Exchange left and right."""
    return images[:, :, ::-1].copy()


def darker_curve(images: Images) -> Images:
    """Apply another grey-value curve (gamma 1.5), as another window or detector does."""
    curve = np.rint(255 * (np.arange(256) / 255) ** _GAMMA).astype(np.uint8)
    return curve[images]


class Expectation(StrEnum):
    """Expected effect of a change on a score that recognises the disease."""

    MUST_LOSE = "must lose"
    """The AUROC falls towards one half: what was taken away is where the disease is."""
    MUST_STAY = "must stay"
    """No patient changes rank: the change says nothing about disease."""
    MAY_MOVE = "may move"
    """Ranks move, and the AUROC stays well above one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """A change and its expected effect.

    Attributes
    ----------
    name : str
        Name in evaluations and reports.
    change : callable
        Images → images of the same shape.
    expectation : Expectation
    text : str
        Description for people.
    by_mask : bool
        True if the change also takes masks of the lungs, which say where these are.
    """

    name: str
    change: Callable[..., Images]
    expectation: Expectation
    text: str
    by_mask: bool = False


def _lose(name: str, change: Callable[..., Images], text: str, *, by_mask: bool = False) -> Perturbation:
    return Perturbation(
        name=name, change=change, expectation=Expectation.MUST_LOSE, text=text, by_mask=by_mask
    )


def _stay(name: str, change: Callable[[Images], Images], text: str) -> Perturbation:
    return Perturbation(name=name, change=change, expectation=Expectation.MUST_STAY, text=text)


PERTURBATIONS: tuple[Perturbation, ...] = (
    _lose(
        "lungs blacked out",
        lungs_blacked_out,
        "all but the margin of the picture is black, wherever the lungs are; neck, shoulders, flanks and abdomen "
        "are left",
    ),
    _lose(
        "lungs blacked out by mask",
        lungs_blacked_out,
        "what a segmentation network finds to be lung is black, and a sixteenth of the picture beside it; where it "
        "finds none, all but the margin is",
        by_mask=True,
    ),
    _lose("border only", border_only, "a frame of 12 % on each side is left"),
    _lose(
        "8 × 8 pixels",
        eight_by_eight,
        "only coarse brightness is left; in it some dense pneumonia can still be seen",
    ),
    _lose(
        "histogram only",
        histogram_only,
        "the pixels are sorted; only how many there are of each grey is left",
    ),
    Perturbation(
        name="lungs only",
        change=lungs_only,
        expectation=Expectation.MAY_MOVE,
        text="the reverse, only the margin is black; the AUROC should hold",
    ),
    Perturbation(
        name="lungs only by mask",
        change=lungs_only,
        expectation=Expectation.MAY_MOVE,
        text="the reverse, all else is black; the AUROC should hold",
        by_mask=True,
    ),
    _stay("marker L", markers.letter_l, "a white L in the upper right corner"),
    _stay("marker R", markers.letter_r, "a white R in the upper left corner"),
    _stay("marker AP PORTABLE", markers.ap_portable, "the words AP PORTABLE at the upper edge"),
    _stay("marker arrows", markers.arrows, "two white arrows that point at the lungs"),
    _stay("mirrored", mirrored, "left and right exchanged"),
    _stay("darker curve", darker_curve, "another grey-value curve, gamma 1.5"),
    _stay("JPEG quality 30", jpeg, "strong compression of a file of at least 256 × 256 pixels"),
    _stay(
        "half resolution",
        half_resolution,
        "a file of at least 256 × 256 pixels averaged to half as many rows and columns",
    ),
)
"""In the order of reports. Those by mask stand in for those without, where there are masks."""

_TAKE_MASKS = {perturbation.change for perturbation in PERTURBATIONS if perturbation.by_mask}

EXPECTATIONS: Mapping[str, Expectation] = {
    perturbation.name: perturbation.expectation for perturbation in PERTURBATIONS
}
"""Expected effects by name."""


def perturb(images: Images, masks: NDArray[np.bool_] | None = None) -> Iterator[tuple[str, Images]]:
    """Change images in every way that is measured.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
    masks : ndarray of bool, shape (n, height, width), optional
        See `lungs_blacked_out`.

    Yields
    ------
    tuple of str and ndarray
        The name of the change, in the order of `PERTURBATIONS`, and the changed images.
    """
    for each in PERTURBATIONS:
        if each.by_mask and masks is not None:
            yield each.name, each.change(images, masks)
        elif not each.by_mask and (masks is None or each.change not in _TAKE_MASKS):
            yield each.name, each.change(images)


def rank_shift(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    """Compute the median move of a patient in the list, as a share of its length.

    Parameters
    ----------
    before, after : ndarray of float, shape (n,)
        Scores, without and with the change.

    Returns
    -------
    float
        0–1.
    """
    ranks = [scores.argsort(kind="stable").argsort(kind="stable") for scores in (before, after)]
    return float(np.median(np.abs(ranks[0] - ranks[1])) / before.size)

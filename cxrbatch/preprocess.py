"""Preprocess a radiograph: presentation values in, the network's input (uint8) out.

One function for training and all scoring. Differences between scanners and file formats are removed here as far as
possible: constant borders, gain and offset, aspect ratio, resolution. Imports NumPy and Pillow only.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.resample import COARSE_PX, Box, Ranges, ReducedImage, ranges

_MAX_TRIM_SHARE = 0.25
_LEAST_OVERSAMPLING = 1.75
"""Least pixels of a reduced image for each pixel of the network's input; 9/8 for each pixel of the coarse image."""
NORMALISATIONS = ("percentile", "none")
RESIZES = ("area", "linear", "nearest")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpec:
    """Parameters of the preprocessing; saved in the bundle, because another value means another model.

    Attributes
    ----------
    height, width : int
        Size of the network's input in pixels. The aspect ratio is not kept: the image is resized, not padded,
        because the shape of the padding would reveal the source.
    normalise : str
        ``percentile``: the two percentiles become 0 and 255. ``none``: presentation values 0–1 become 0–255
        unchanged, for networks that were trained so; gain and offset of the scanner then remain.
    low_percentile, high_percentile : float
        Percentiles of the grey values, 0–100, that become 0 and 255.
    trim_tolerance : float
        Outer rows and columns whose grey range is below this share of the image's range are cut off; with 0
        nothing is cut off.
    resize : str
        ``area``: mean of the area that a pixel covers. ``linear``: interpolation of the four neighbours of its
        centre (default of OpenCV). ``nearest``: the nearest neighbour (default of Keras). The last two alias fine
        structure and are for networks that were trained so.
    """

    height: int = 160
    width: int = 160
    low_percentile: float = 1.0
    high_percentile: float = 99.0
    trim_tolerance: float = 0.03
    normalise: str = "percentile"
    resize: str = "area"

    def __post_init__(self) -> None:
        if not (8 <= self.height <= 4096 and 8 <= self.width <= 4096):
            raise ValueError(f"input size {self.height}×{self.width} is not within 8…4096")
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError("percentiles must satisfy 0 ≤ low < high ≤ 100")
        if not 0 <= self.trim_tolerance < 1:
            raise ValueError("trim_tolerance must be within [0, 1)")
        if self.normalise not in NORMALISATIONS:
            raise ValueError(f"normalise must be one of {', '.join(NORMALISATIONS)}")
        if self.resize not in RESIZES:
            raise ValueError(f"resize must be one of {', '.join(RESIZES)}")

    @property
    def as_displayed(self) -> bool:
        """True if the greys are to be those of a monitor, because nothing will normalise them."""
        return self.normalise == "none"

    @property
    def least_px(self) -> int | None:
        """Fewest pixels of the shorter side of an image that is reduced while it is decoded.

        None where a reduced image is not sufficient: where the extremes of the full image decide the grey values, or
        where the network's input consists of single pixels of it.
        """
        if self.normalise != "percentile" or self.resize != "area":
            return None
        return max(math.ceil(_LEAST_OVERSAMPLING * max(self.height, self.width)), COARSE_PX * 9 // 8)


GreyImage = NDArray[np.float32] | ReducedImage


def preprocess(image: GreyImage, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Convert presentation values to the network's input.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns), or ReducedImage
        Presentation values, bone white; of any affine scale, unless `spec` states ``normalise = "none"``.
    spec : PreprocessSpec
        From the bundle.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        0–255. With the normalisation ``percentile`` it does not depend on gain, offset and constant borders of
        `image`.
    """
    box = content_box(image, spec.trim_tolerance) if spec.trim_tolerance else None
    small = _resized(image, spec, box)
    if spec.normalise == "none":
        return _grey_levels(small)
    black, white = _percentiles(small, (spec.low_percentile, spec.high_percentile))
    return _grey_levels((small - black) / max(white - black, np.finfo(np.float32).tiny))


def _resized(image: GreyImage, spec: PreprocessSpec, box: Box | None) -> NDArray[np.float32]:
    if isinstance(image, ReducedImage):
        return image.area_mean(spec.height, spec.width, box)
    return _RESIZE[spec.resize](image, spec.height, spec.width, box)


def area_resize(
    pixels: NDArray[np.float32], height: int, width: int, box: Box | None = None
) -> NDArray[np.float32]:
    """Resample by area averaging (no aliasing); an enlargement is interpolated linearly.

    Parameters
    ----------
    pixels : ndarray of float32, shape (rows, columns)
    height, width : int
        Size of the result in pixels.
    box : Box, optional
        Region of `pixels` to use; all of it by default.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    left, upper, right, lower = box or (0, 0, pixels.shape[1], pixels.shape[0])
    shrinks = right - left >= width and lower - upper >= height
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(image.resize((width, height), method, box=(left, upper, right, lower)))


def point_resize(
    pixels: NDArray[np.float32],
    height: int,
    width: int,
    box: Box | None = None,
    method: Image.Resampling = Image.Resampling.BILINEAR,
) -> NDArray[np.float32]:
    """Resample at the centres of the new pixels only (aliases fine structure).

    Other parameters as in `area_resize`.

    Parameters
    ----------
    method : PIL.Image.Resampling
        ``BILINEAR`` is ``cv2.resize`` with its default interpolation; ``NEAREST``
        ``keras.utils.load_img`` with its default.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    region = box or (0, 0, pixels.shape[1], pixels.shape[0])
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(image.transform((width, height), Image.Transform.EXTENT, region, method))


_RESIZE: Mapping[str, Callable[[NDArray[np.float32], int, int, Box | None], NDArray[np.float32]]] = {
    "area": area_resize,
    "linear": point_resize,
    "nearest": partial(point_resize, method=Image.Resampling.NEAREST),
}


def content_box(image: GreyImage, tolerance: float) -> Box:
    """Find the region of an image without its constant borders (collimator, padding, screenshot frames).

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns), or ReducedImage
    tolerance : float
        A row or column belongs to the border if its grey range is at most this share of the image's, 0–1.

    Returns
    -------
    Box
        At most a quarter is cut from each side, so that a mostly empty image is not enlarged too much.
    """
    (rows, columns), (left, upper, right, lower) = _coarse_ranges(image), full_box(image)
    threshold = tolerance * float(rows[1].max() - rows[0].min())
    top, bottom = _content_range(rows[1] - rows[0] > threshold)
    begin, end = _content_range(columns[1] - columns[0] > threshold)
    scale_y, scale_x = (lower - upper) / rows[0].size, (right - left) / columns[0].size
    return left + begin * scale_x, upper + top * scale_y, left + end * scale_x, upper + bottom * scale_y


def full_box(image: GreyImage) -> Box:
    """Return the region of all of an image."""
    if isinstance(image, ReducedImage):
        return image.extent
    return 0.0, 0.0, float(image.shape[1]), float(image.shape[0])


def _coarse_ranges(image: GreyImage) -> tuple[Ranges, Ranges]:
    if isinstance(image, ReducedImage):
        return image.coarse_ranges
    rows, columns = image.shape
    return ranges(area_resize(image, min(rows, COARSE_PX), min(columns, COARSE_PX)))


def _content_range(has_content: NDArray[np.bool_]) -> tuple[int, int]:
    n = has_content.size
    inside = np.flatnonzero(has_content)
    if not inside.size:
        return 0, n
    margin = int(n * _MAX_TRIM_SHARE)
    return min(int(inside[0]), margin), max(int(inside[-1]) + 1, n - margin)


def _percentiles(values: NDArray[np.float32], percentages: tuple[float, ...]) -> NDArray[np.float64]:
    """Compute the same as `numpy.percentile`, to the last bit, in a fraction of its time."""
    last = values.size - 1
    rank = np.array(percentages) / 100 * last
    below = rank.astype(np.intp)
    above = np.minimum(below + 1, last)
    partly_sorted = np.partition(values.ravel(order="K"), [*below, *above])
    low, high, share = partly_sorted[below], partly_sorted[above], rank - below
    step = high - low
    return np.where(share < 0.5, low + step * share, high - step * (1 - share))


def _grey_levels(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)

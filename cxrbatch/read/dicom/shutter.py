"""Find what of an image its shutters and collimators leave: dataset in, share of each pixel that is inside out."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.functional_groups import frame_attributes
from cxrbatch.read.polygon import fill_polygon
from cxrbatch.reasons import Flag
from cxrbatch.resample import Box

Mask = NDArray[np.bool_]
Masks = tuple[Mask, ...]
"""Masks that broadcast to the image; a pixel is inside where all are true."""
_SUBSAMPLES = 4
_LEAST_SHARE = 0.1
_FARTHEST_PX = 1e6
_IGNORED = frozenset((Flag.SHUTTER_IGNORED,))


_EDGES = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
_SPACINGS = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing")


class _Declared(NamedTuple):
    """A shape: where its attributes are, how their keywords begin or end, and its word."""

    attributes: Dataset
    kind: str
    word: str

    def number(self, keyword: str) -> float | None:
        return el.number(self.attributes, keyword)

    def numbers(self, keyword: str) -> list[float]:
        return el.numbers(self.attributes, keyword)


class _Canvas(NamedTuple):
    """Places to look at, shape (height, 1) and (1, width); the first pixel of the image is at 1.

    `aspect` is the height of a pixel by its width.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    aspect: float


def inside_share(
    dataset: Dataset, shape: tuple[int, ...], extent: Box | None
) -> tuple[NDArray[np.float32] | None, frozenset[Flag]]:
    """Compute what share of each pixel is inside all shutters and collimators (PS3.3 C.7.6.11, C.8.7.3.1.1).

    Several shapes at once leave what is inside all of them. What cannot be applied is flagged: a bitmap (C.7.6.15),
    missing or impossible coordinates, and all together where they would leave less than a tenth of the image.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the pixels.
    extent : Box or None
        Position of the image in these pixels, if they are means over squares of its own; see
        `cxrbatch.resample.ReducedImage`.

    Returns
    -------
    ndarray of float32, shape (rows, columns), or None
        0…1; of single pixels 0 or 1. None where nothing is outside.
    frozenset of Flag
    """
    declared = list(_declared(dataset))
    if not declared:
        return None, frozenset()
    canvas = _canvas(dataset, shape, extent)
    found = [_masks(each, canvas) for each in declared]
    flags = _IGNORED if None in found else frozenset()
    masks = [mask for each in found if each is not None for mask in each]
    if all(mask.all() for mask in masks):
        return None, flags
    inside = np.broadcast_to(reduce(np.logical_and, masks), (canvas.rows.size, canvas.columns.size))
    if float(inside.mean()) < _LEAST_SHARE:
        return None, _IGNORED
    return _shares(inside, shape), flags | {Flag.SHUTTER_APPLIED}


def _declared(dataset: Dataset) -> Iterator[_Declared]:
    shutter = frame_attributes(dataset, "FrameDisplayShutterSequence")
    for attributes, kind in ((shutter, "Shutter"), (dataset, "Collimator")):
        for word in el.texts(attributes, f"{kind}Shape"):
            if word:
                yield _Declared(attributes, kind, word.upper())


def _canvas(dataset: Dataset, shape: tuple[int, ...], extent: Box | None) -> _Canvas:
    """Look at the centres of pixels, or at several places within each mean."""
    aspect = _aspect(dataset)
    if extent is None:
        return _Canvas(np.arange(1.0, shape[0] + 1)[:, None], np.arange(1.0, shape[1] + 1)[None], aspect)
    left, upper, right, lower = extent
    rows = _places(shape[0], upper, lower, el.integer(dataset, "Rows", 0))
    columns = _places(shape[1], left, right, el.integer(dataset, "Columns", 0))
    return _Canvas(rows[:, None], columns[None], aspect)


def _aspect(dataset: Dataset) -> float:
    for keyword in _SPACINGS:
        spacing = el.numbers(dataset, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            return spacing[0] / spacing[1]
    return 1.0


def _places(n: int, begin: float, end: float, n_full: int) -> NDArray[np.float64]:
    samples = (np.arange(n * _SUBSAMPLES) + 0.5) / _SUBSAMPLES
    return (samples - begin) / (end - begin) * n_full + 0.5


def _shares(inside: Mask, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if inside.shape == shape:
        return inside.astype(np.float32)
    squares = inside.reshape(shape[0], _SUBSAMPLES, shape[1], _SUBSAMPLES)
    return squares.mean(axis=(1, 3), dtype=np.float32)


def _masks(shape: _Declared, canvas: _Canvas) -> Masks | None:
    """Draw one shape; None where it is none of those that are applied, or its coordinates are unusable."""
    draw = _SHAPES.get(shape.word)
    return draw(shape, canvas) if draw else None


def _rectangle(shape: _Declared, canvas: _Canvas) -> Masks | None:
    left, right, upper, lower = (shape.number(f"{shape.kind}{name}Edge") for name in _EDGES)
    if left is None or right is None or upper is None or lower is None:
        return None
    # Both edges belong to the inside, as whole pixels.
    return (
        (canvas.rows >= upper - 0.5) & (canvas.rows <= lower + 0.5),
        (canvas.columns >= left - 0.5) & (canvas.columns <= right + 0.5),
    )


def _circle(shape: _Declared, canvas: _Canvas) -> Masks | None:
    center = shape.numbers(f"CenterOfCircular{shape.kind}")
    radius = shape.number(f"RadiusOfCircular{shape.kind}")
    if len(center) != 2 or radius is None or radius <= 0:
        return None
    # The radius is a number of pixels along the rows.
    down, across = (canvas.rows - center[0]) * canvas.aspect, canvas.columns - center[1]
    return (np.hypot(down, across) <= radius,)


def _polygon(shape: _Declared, canvas: _Canvas) -> Masks | None:
    places = np.array(shape.numbers(f"VerticesOfThePolygonal{shape.kind}"))
    if places.size < 6 or places.size % 2 or float(np.abs(places).max()) > _FARTHEST_PX:
        return None
    return (fill_polygon(places.reshape(-1, 2), canvas.rows.ravel(), canvas.columns.ravel()),)


_SHAPES: dict[str, Callable[[_Declared, _Canvas], Masks | None]] = {
    "RECTANGULAR": _rectangle,
    "CIRCULAR": _circle,
    "POLYGONAL": _polygon,
}

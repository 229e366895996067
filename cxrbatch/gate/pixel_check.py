"""Gate, second part: check that an image looks like a frontal chest radiograph, before it is scored.

Input: presentation values. Output: the reason for a refusal, or an empty text.

Three fixed rules come first: colour, blank, noise. Then a small network with one hidden layer decides. Its features
are a thumbnail and the directions of its edges (histograms of oriented gradients: Dalal & Triggs, CVPR 2005). It was
trained to separate radiographs from drawn images and from radiographs that are turned, inverted, cut up or lateral
(`cxrbatch.training.pixel_check`). Imports NumPy and Pillow only, since every worker process runs it.
"""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.errors import BundleError
from cxrbatch.preprocess import GreyImage, PreprocessSpec, area_resize, preprocess

FORMAT = 1
_SIDE_PX = 64
_GREY_PX = 16
_CELL_PX = 8
_N_DIRECTIONS = 8
_N_CELLS = (_SIDE_PX // _CELL_PX) ** 2
N_FEATURES = _GREY_PX**2 + _N_CELLS * _N_DIRECTIONS

_SPEC = PreprocessSpec(
    height=_SIDE_PX, width=_SIDE_PX, low_percentile=1.0, high_percentile=99.0, trim_tolerance=0.03
)
_CELLS = np.kron(
    np.arange(_N_CELLS).reshape(_SIDE_PX // _CELL_PX, -1), np.ones((_CELL_PX, _CELL_PX), np.intp)
).ravel()
"""Index of the cell in which each pixel of a thumbnail lies."""
_MOST_COLOUR = 0.1
_MOST_OF_ONE_GREY = 0.8
_LEAST_NEIGHBOUR_CORRELATION = 0.5

_CHANGES: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "a negative (bone black)": lambda thumbnail: 255 - thumbnail,
    "upside down": lambda thumbnail: thumbnail[::-1, ::-1],
    "lying on its side": np.rot90,
    "lying on its other side": lambda thumbnail: np.rot90(thumbnail, -1),
}
"""Changes that a radiograph may have undergone, each with the function that undoes it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChestCheck:
    """Classifier of frontal chest radiographs, trained on examples.

    Attributes
    ----------
    hidden_weights : ndarray of float32, shape (N_FEATURES, n_hidden)
    hidden_bias, output_weights : ndarray of float32, shape (n_hidden,)
    output_bias : float
    limit : float
        Least `likeness` of an image that is scored.
    """

    hidden_weights: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output_weights: NDArray[np.float32]
    output_bias: float
    limit: float

    @classmethod
    def load(cls, path: Path) -> "ChestCheck":
        """Read a file that `save` wrote.

        Raises
        ------
        BundleError
            The file is missing, damaged, or of another format.
        """
        try:
            return _read(path)
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror or 'not an npz file'}") from error
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: not understood: {error}") from error

    def save(self, path: Path) -> None:
        """Write an npz file; the same parameters give the same bytes. Weights are stored in half precision."""
        with path.open("wb") as stream:
            np.savez(
                stream,
                format=np.int64(FORMAT),
                hidden_weights=self.hidden_weights.astype(np.float16),
                hidden_bias=self.hidden_bias.astype(np.float16),
                output_weights=self.output_weights.astype(np.float16),
                output_bias=np.float64(self.output_bias),
                limit=np.float64(self.limit),
            )

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        """Return why the image is not a frontal chest radiograph; an empty text if it looks like one.

        Parameters
        ----------
        image : ndarray of float32, shape (rows, columns), or ReducedImage
            Presentation values, 0 = black … 1 = white, bone white.
        colourfulness : float
            Share of clearly coloured pixels, 0–1.
        """
        if colourfulness > _MOST_COLOUR:
            return f"colour image ({colourfulness:.0%} of it)"
        thumbnail = preprocess(image, _SPEC)
        if np.bincount(thumbnail.ravel()).max() > _MOST_OF_ONE_GREY * thumbnail.size:
            return "blank image"
        if _neighbour_correlation(thumbnail) < _LEAST_NEIGHBOUR_CORRELATION:
            return "noise or writing without anatomy"
        return self._shape_rejection(thumbnail)

    def _shape_rejection(self, thumbnail: NDArray[np.uint8]) -> str:
        likeness = self._likeness_of(thumbnail)
        if likeness >= self.limit:
            return ""
        for name, undo in _CHANGES.items():
            if self._likeness_of(undo(thumbnail)) > max(self.limit, 0):
                return f"looks like a chest radiograph that is {name}"
        return (
            f"does not look like a frontal chest radiograph (likeness {likeness:.1f}, limit {self.limit:.1f})"
        )

    def _likeness_of(self, thumbnail: NDArray[np.uint8]) -> float:
        return float(self.likeness(features(thumbnail)[None])[0])

    def likeness(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the log-odds of a frontal chest radiograph, as among the training examples.

        Parameters
        ----------
        rows : ndarray of float32, shape (n, N_FEATURES)
            Rows made by `features`.

        Returns
        -------
        ndarray of float32, shape (n,)
        """
        hidden = np.maximum(rows @ self.hidden_weights + self.hidden_bias, 0)
        return hidden @ self.output_weights + np.float32(self.output_bias)


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A `ChestCheck` that every process reads from its file itself.

    Worker processes that are sent more data than a pipe holds, 64 KiB, start one after the other.

    Raises
    ------
    BundleError
        As `ChestCheck.load`, when the object is made.
    """

    path: Path

    def __post_init__(self) -> None:
        _stored(self.path)

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        """Return why the image is not a frontal chest radiograph; see `ChestCheck.rejection`."""
        return _stored(self.path).rejection(image, colourfulness)


@cache
def _stored(path: Path) -> ChestCheck:
    return ChestCheck.load(path)


def extract_features(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the features of an image.

    Parameters
    ----------
    pixels : ndarray of float32, shape (rows, columns)
        Presentation values, 0–1, bone white.

    Returns
    -------
    ndarray of float32, shape (N_FEATURES,)
        See `features`.
    """
    return features(preprocess(pixels, _SPEC))


def features(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a thumbnail by its coarse greys and the directions of its edges.

    Parameters
    ----------
    thumbnail : ndarray of uint8, shape (64, 64)
        Percentile-normalised, without borders.

    Returns
    -------
    ndarray of float32, shape (N_FEATURES,)
        Of the order of one. A rising grey-value curve does not change them, if it keeps the levels of the thumbnail
        apart.
    """
    equalised = _equalise(thumbnail)
    greys = (area_resize(equalised, _GREY_PX, _GREY_PX) - 0.5) * np.float32(np.sqrt(12))
    return np.concatenate([greys.ravel(), _edge_directions(equalised) - np.float32(0.8)])


def _read(path: Path) -> ChestCheck:
    # Opened here, because np.load does not close a damaged file.
    with path.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise TypeError("not an npz file")
        if int(archive["format"]) != FORMAT:
            raise ValueError(f"format {int(archive['format'])}, this version reads format {FORMAT}")
        n_hidden = archive["hidden_bias"].size
        return ChestCheck(
            hidden_weights=_weights(archive["hidden_weights"], (N_FEATURES, n_hidden)),
            hidden_bias=_weights(archive["hidden_bias"], (n_hidden,)),
            output_weights=_weights(archive["output_weights"], (n_hidden,)),
            output_bias=float(_weights(archive["output_bias"], ())),
            limit=float(_weights(archive["limit"], ())),
        )


def _weights(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"expected finite numbers of shape {shape}, found shape {values.shape}")
    return values.astype(np.float32)


def _neighbour_correlation(thumbnail: NDArray[np.uint8]) -> float:
    """Correlate pixels with their lower right neighbours: near 1 for anatomy, near 0 for noise."""
    a, b = thumbnail[:-1, :-1].astype(np.float32), thumbnail[1:, 1:].astype(np.float32)
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1.0))


def _equalise(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Replace each pixel by the share of darker pixels (equal ones count half), 0–1.

    This removes window, gamma and film curve.
    """
    counts = np.bincount(thumbnail.ravel(), minlength=256)
    ranks = (np.cumsum(counts) - counts / 2) / thumbnail.size
    return ranks.astype(np.float32)[thumbnail]


def _edge_directions(equalised: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the strength of edges in each of 8 directions, in each of 8×8 cells; their mean square is 1."""
    down, right = np.gradient(equalised)
    strength = np.hypot(down, right).ravel()
    turn = np.arctan2(down, right).ravel() * np.float32(_N_DIRECTIONS / (2 * np.pi))
    before = np.floor(turn)
    after = turn - before
    # An edge counts for the two directions between which it lies; the nearer direction gets the larger share.
    direction = before.astype(np.intp)
    places = [each % _N_DIRECTIONS * _N_CELLS + _CELLS for each in (direction, direction + 1)]
    shares = [strength * (1 - after), strength * after]
    sums = np.bincount(np.concatenate(places), np.concatenate(shares), _N_DIRECTIONS * _N_CELLS)
    cells = np.sqrt(sums / _CELL_PX**2)
    return (cells / max(float(np.sqrt((cells**2).mean())), 1e-6)).astype(np.float32)

"""Convert stored values to presentation values (DICOM PS3.4 N.2: Modality LUT → VOI LUT → Presentation LUT)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.resample import Box

Scale = tuple[float, float]
"""Values that stand for black and white, before the inversion of MONOCHROME1."""
Stored = NDArray[np.integer]
Values = NDArray[np.float32]

_COLOUR_DISTANCE = 0.12
_OUTLIERS_PERCENT = 0.1
_REC601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """Pixels as a radiologist sees them.

    Attributes
    ----------
    pixels : ndarray of float32, shape (rows, columns)
        0…1, bone white, padding 0.
    extent, colourfulness, flags
        As in `cxrbatch.records.CxrImage`.
    """

    pixels: Values
    extent: Box | None = None
    colourfulness: float = 0.0
    flags: frozenset[Flag] = frozenset()


def float32(number: float) -> np.float32:
    """Round a number of a header to 32 bits; a number that is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.float32(number)


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table (PS3.3 C.11.1.1, C.11.2.1.1).

    Attributes
    ----------
    first : int
        Input value mapped to the first entry. Smaller values map to the first entry, too large ones to the last.
    table : ndarray of float32, shape (n,)
    """

    first: int
    table: Values

    @property
    def scale(self) -> Scale:
        """Black and white: 0 and the largest number of as many bits as the table needs (PS3.3 C.11.2.1.1).

        The number of bits in the descriptor is often that of the storage.
        """
        return 0.0, float((1 << int(self.table.max()).bit_length()) - 1)

    def __call__(self, values: NDArray[np.generic]) -> Values:
        """Look up `values`, numbers of any shape."""
        index = np.rint(values.astype(np.float32) - self.first)
        return self.table[np.clip(index, 0, self.table.size - 1).astype(np.intp)]


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Attributes
    ----------
    function : str
        ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def scale(self) -> Scale:
        """Black and white."""
        return 0.0, 1.0

    @property
    def is_valid(self) -> bool:
        """True if the width is at least 1 for LINEAR, above 0 otherwise, and both numbers are finite in 32 bits."""
        center, width = (float32(number) for number in (self.center, self.width))
        finite = bool(np.isfinite(center) and np.isfinite(width))
        return finite and bool(width >= 1 if self.function == "LINEAR" else width > 0)

    def __call__(self, values: Values) -> Values:
        """Map values to 0…1."""
        with np.errstate(over="ignore"):  # so far beyond the window that it is clipped anyway
            return self._mapped(values)

    def _mapped(self, values: Values) -> Values:
        center, width = np.float32(self.center), np.float32(self.width)
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - center) / width, -60, 60)
            return (1 / (1 + np.exp(exponent))).astype(np.float32)
        if self.function == "LINEAR":
            if width == 1:
                return (values > center - np.float32(0.5)).astype(np.float32)
            center, width = center - np.float32(0.5), width - 1
        mapped = values - center
        mapped /= width  # in place: a full image has 30 MB
        mapped += np.float32(0.5)
        return np.clip(mapped, 0, 1, out=mapped)


def full_range(values: Stored | Values | NDArray[np.bool_], lowest: float, highest: float) -> Values:
    """Map ``lowest … highest`` to 0…1, clipped.

    Parameters
    ----------
    values : ndarray of any number type and shape

    Returns
    -------
    ndarray of float32, shape of `values`
    """
    span = np.float32(max(highest - lowest, float(np.finfo(np.float32).tiny)))
    shares = np.subtract(values, np.float32(lowest), dtype=np.float32, casting="same_kind")
    shares /= span
    return np.clip(shares, 0, 1, out=shares)


def data_range(values: Values, valid: NDArray[np.bool_] | None) -> Values:
    """Map the smallest and largest value outside the padding to 0 and 1.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
    valid : ndarray of bool, same shape, or None
        False where a pixel is padding.

    Raises
    ------
    Refusal
        ``corrupt``: the transforms of the header made infinite values.
    """
    extremes = _extremes(values if valid is None else values[valid])
    is_as_wanted = extremes == (0, 1) and valid is None
    return values if is_as_wanted else full_range(values, *extremes)


def _extremes(values: Values) -> tuple[float, float]:
    lowest, highest = float(values.min()), float(values.max())
    if not np.isfinite(float32(highest - lowest)):
        raise Refusal(Reason.CORRUPT, "rescaling overflows: RescaleSlope or RescaleIntercept is absurd")
    return lowest, highest


def display_range(values: Values, valid: NDArray[np.bool_] | None, scale: Scale | None) -> Values:
    """Map black and white, as a monitor shows them, to 0 and 1; neither depends on single pixels.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
    valid : ndarray of bool, same shape, or None
        False where a pixel is padding.
    scale : Scale or None
        Black and white of a VOI transform. None: the header has no usable one, and values of which 0.1 % are darker
        or brighter take their place.

    Raises
    ------
    Refusal
        As `data_range`.
    """
    if scale is not None:
        return full_range(values, *scale)
    used = values if valid is None else values[valid]
    extremes = _extremes(used)
    shares = (_OUTLIERS_PERCENT, 100 - _OUTLIERS_PERCENT)
    lowest, highest = (float(value) for value in np.percentile(used, shares, method="nearest"))
    return full_range(values, *((lowest, highest) if highest > lowest else extremes))


def luminance(rgb: Stored | Values, highest: int) -> Values:
    """Compute the grey of a colour image by ITU-R BT.601; where all three channels agree, their exact value.

    Parameters
    ----------
    rgb : ndarray of integers, or of float32 where they are means, shape (rows, columns, 3)
    highest : int
        Value of full intensity.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        0…1.
    """
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all():
        return full_range(rgb[..., 0], 0, highest)
    return np.clip(rgb.astype(np.float32) @ _REC601 / np.float32(highest), 0, 1)


def colourfulness(rgb: Stored | Values, highest: int) -> float:
    """Compute the share of pixels, 0–1, that are clearly coloured beyond a common tint.

    Films photographed on a light box, and viewers with a blue palette, give radiographs one tint that follows the
    brightness. It is fitted (each channel as a quadratic of the luminance) and does not count as colour.

    Parameters
    ----------
    rgb : ndarray of integers, or of float32 where they are means, shape (rows, columns, 3)
    highest : int
        Value of full intensity.
    """
    # Every fourth pixel in each direction is enough for a share, at a sixteenth of the cost.
    sample = rgb[::4, ::4].reshape(-1, 3).astype(np.float32) / np.float32(highest)
    grey = sample @ _REC601
    basis = np.stack([np.ones_like(grey), grey, grey * grey], axis=1)
    tint = basis @ np.linalg.lstsq(basis, sample, rcond=None)[0]
    return float((np.ptp(sample - tint, axis=1) > _COLOUR_DISTANCE).mean())


def presentation_of_colours(rgb: Stored | Values, highest: int, extent: Box | None = None) -> Presentation:
    """Convert a colour image to grey, with its colourfulness; parameters as in `luminance` and `Presentation`."""
    return Presentation(
        pixels=luminance(rgb, highest), extent=extent, colourfulness=colourfulness(rgb, highest)
    )

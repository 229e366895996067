"""Apply the Modality LUT and the VOI LUT of a DICOM image, where its header holds usable ones."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.functional_groups import frame_attributes
from cxrbatch.read.grey_levels import hides_chest
from cxrbatch.read.greyscale import Lut, Scale, Stored, Values, Window, float32
from cxrbatch.reasons import Flag, Reason, Refusal

_IGNORED = frozenset((Flag.VOI_IGNORED,))
_WINDOW = ("WindowCenter", "WindowWidth")
_MIN_CONTRAST = 1e-3
_N_PROBES = 257
_STEEPEST = 3.0
_ABSURD = 1e20
_FIRST_MAPPED = range(-(1 << 15), 1 << 16)


def modality_values(dataset: Dataset, stored: Stored | Values, *, signed: bool) -> Values:
    """Apply the Modality LUT Sequence, else RescaleSlope and RescaleIntercept (PS3.3 C.11.1).

    Parameters
    ----------
    stored : ndarray of integers, or of float32 where they are means, any shape
    signed : bool
        Whether stored values are signed.

    Raises
    ------
    Refusal
        ``corrupt``: rescaled values would overflow.
    """
    if lut := _lut(dataset, "ModalityLUTSequence", signed=signed):
        return lut(stored)
    rescale = frame_attributes(dataset, "PixelValueTransformationSequence")
    slope = float32(el.number(rescale, "RescaleSlope") or 0.0) or np.float32(1)
    intercept = float32(el.number(rescale, "RescaleIntercept") or 0.0)
    if not max(abs(slope), abs(intercept)) < _ABSURD:
        raise Refusal(Reason.CORRUPT, f"RescaleSlope {slope:g} and RescaleIntercept {intercept:g} are absurd")
    is_rescaled = bool(slope != 1 or intercept != 0)
    values = stored.astype(np.float32, copy=is_rescaled)
    if is_rescaled:
        values *= slope
        values += intercept
    return values


def apply_voi(
    dataset: Dataset, values: Values, valid: NDArray[np.bool_] | None
) -> tuple[Values, Scale | None, frozenset[Flag]]:
    """Apply the first VOI LUT, else the first complete window (PS3.3 C.11.2); both may be missing.

    A transform that leaves no contrast in the image, or few grey levels in the middle of it, where the chest is, is
    ignored, and the image is flagged: such headers are wrong.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
    valid : ndarray of bool, same shape, or None
        False where a pixel is padding.

    Returns
    -------
    ndarray of float32, same shape
    Scale or None
        None where nothing was applied.
    frozenset of Flag
    """
    attributes = frame_attributes(dataset, "FrameVOILUTSequence")
    transform = _transform(attributes, values)
    if transform is None:
        return values, None, _IGNORED if _has_voi(attributes) else frozenset()
    mapped = transform(values)
    used = mapped if valid is None else mapped[valid]
    lowest, highest = float(used.min()), float(used.max())
    too_little = highest - lowest <= _MIN_CONTRAST * max(-lowest, highest, 1.0)
    if too_little or hides_chest(values, mapped, valid):
        return values, None, _IGNORED
    return mapped, transform.scale, frozenset()


def commutes_with_averaging(dataset: Dataset, means: Values, *, signed: bool, ignored: bool) -> bool:
    """Check whether the transforms may be applied after averaging instead of before.

    Where a transform is linear, it maps the mean of pixels to the mean of the mapped pixels. Where it bends gently,
    this is nearly so. With a narrow window or a steep LUT, small differences within a block would matter.

    Parameters
    ----------
    means : ndarray of float32, any shape
        Means of stored values.
    ignored : bool
        Whether `apply_voi` ignored the VOI LUT or window.
    """
    probe = modality_values(
        dataset, np.linspace(means.min(), means.max(), _N_PROBES, dtype=np.float32), signed=signed
    )
    mapped = probe if ignored else voi_values(dataset, probe)
    steepest = float(np.abs(np.diff(mapped)).max()) * (_N_PROBES - 1)
    return steepest <= _STEEPEST * float(np.ptp(mapped))


def voi_values(dataset: Dataset, values: Values) -> Values:
    """Apply the VOI LUT or window, if there is one, whatever it leaves; as `apply_voi`, for values of any shape."""
    transform = _transform(frame_attributes(dataset, "FrameVOILUTSequence"), values)
    return values if transform is None else transform(values)


def _transform(attributes: Dataset, values: Values) -> Lut | Window | None:
    has_lut = bool(el.items(attributes, "VOILUTSequence"))
    lut = _lut(attributes, "VOILUTSequence", signed=bool(values.min() < 0)) if has_lut else None
    return lut or _window(attributes)


def _has_voi(dataset: Dataset) -> bool:
    stated = (text for keyword in _WINDOW for text in el.texts(dataset, keyword))
    return el.is_stated(dataset, "VOILUTSequence") or any(stated)


def _window(dataset: Dataset) -> Window | None:
    """Read the first window whose center and width, paired by position (PS3.3 C.11.2.1.2), are both usable."""
    return next((window for window in _windows(dataset) if window.is_valid), None)


def _windows(dataset: Dataset) -> Iterator[Window]:
    function = el.text(dataset, "VOILUTFunction").upper() or "LINEAR"
    centers, widths = (el.numbers_by_position(dataset, keyword) for keyword in _WINDOW)
    for center, width in zip(centers, widths, strict=False):
        if center is not None and width is not None:
            yield Window(center, width, function)


def _lut(dataset: Dataset, keyword: str, *, signed: bool) -> Lut | None:
    """Read the first item of a LUT sequence; None where it is missing or unusable."""
    sequence = el.items(dataset, keyword)
    descriptor = el.numbers(sequence[0], "LUTDescriptor") if sequence else []
    if len(descriptor) != 3:
        return None
    entries, first = int(descriptor[0]) or 65536, int(descriptor[1])
    table = _lut_table(sequence[0], entries, bits=int(descriptor[2]))
    if table is None or first not in _FIRST_MAPPED:
        return None
    # The first value mapped is SS for signed pixels, but is often written as US.
    return Lut(first - 65536 if signed and first > 32767 else first, table)


def _lut_table(item: Dataset, entries: int, bits: int) -> Values | None:
    data = el.value_of(item, "LUTData")
    if isinstance(data, bytes):
        # OW, and 8-bit entries may be packed two to a word (PS3.3 C.11.1.1.1)
        packed = len(data) < 2 * entries and bits <= 8
        little = item.is_little_endian is not False
        dtype = np.dtype("u1") if packed else np.dtype("<u2" if little else ">u2")
        table = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    else:
        table = np.asarray(el.numbers(item, "LUTData"))
    if table.size < entries or entries < 2:
        return None
    return table[:entries].astype(np.float32)

"""Properties of the grey pipeline, for stored values and headers of any kind."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat

from cxrbatch.read.dicom import voi
from cxrbatch.read.dicom.presentation import presentation
from cxrbatch.reasons import Flag, Refusal

ANY = st.floats() | st.sampled_from((0.0, 1.0, -1.0, 1e-300, 1e20, 3e38, -3e38, 1e308))
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
FORMS = [(8, False), (10, False), (12, True), (16, False), (16, True)]
T = TypeVar("T")
PHOTOMETRIC = st.sampled_from(("MONOCHROME1", "MONOCHROME2"))


@pytest.fixture(autouse=True, scope="module")
def _as_in_a_reader() -> Iterator[None]:
    """`OpenDicom.decode` lets NumPy say nothing of overflow, and pydicom nothing of values."""
    with warnings.catch_warnings(action="ignore"):
        yield


def stored_values(bits: int, *, signed: bool) -> st.SearchStrategy[NDArray[Any]]:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    dtype = f"<{'i' if signed else 'u'}{1 if bits <= 8 else 2}"

    def of_size(size: tuple[int, int]) -> st.SearchStrategy[NDArray[Any]]:
        n = size[0] * size[1]
        values = st.lists(st.integers(low, high), min_size=n, max_size=n)
        return values.map(lambda values: np.array(values, dtype).reshape(size))

    return SIZES.flatmap(of_size)


STORED = st.sampled_from(FORMS).flatmap(lambda form: stored_values(form[0], signed=form[1]))
TWELVE_BITS = stored_values(12, signed=False)
LUTS = st.fixed_dictionaries(
    {
        "descriptor": st.lists(st.sampled_from((0, 1, 2, 16, 255, 256, 65535)), max_size=4),
        "data": st.binary(max_size=600) | st.lists(st.integers(0, 65535), max_size=20),
    }
)
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "WindowCenter": st.lists(ANY, max_size=3),
    "WindowWidth": st.lists(ANY, max_size=3),
    "VOILUTFunction": st.sampled_from(("LINEAR", "LINEAR_EXACT", "SIGMOID", "OTHER", "")),
    "RescaleSlope": ANY,
    "RescaleIntercept": ANY,
    "PixelPaddingValue": st.integers(0, 65535),
    "PixelPaddingRangeLimit": st.integers(0, 65535),
    "VOILUTSequence": LUTS,
    "ModalityLUTSequence": LUTS,
}
BLACK = np.zeros((1, 1), np.uint8)
HEADERS = st.fixed_dictionaries({}, optional=ELEMENTS)


def dataset_of(values: NDArray[Any], photometric: str = "MONOCHROME2", **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated = dataset.BitsStored = values.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, lut(**value) if isinstance(value, dict) else usable(value))
    return dataset


def usable(value: Any) -> Any:
    """Floats as decimal strings that pydicom would not write."""
    if isinstance(value, list):
        return [usable(item) for item in value]
    return DSfloat(repr(value), validation_mode=0) if isinstance(value, float) else value


def lut(descriptor: list[int], data: bytes | list[int]) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    return Sequence([item])


def presented(values: NDArray[Any], photometric: str = "MONOCHROME2", **elements: Any) -> NDArray[np.float32]:
    return presentation(dataset_of(values, photometric, **elements), None, 0).pixels


def or_refusal(call: Callable[[], T]) -> T | Refusal:
    try:
        return call()
    except Refusal as refusal:
        return refusal


def overflows(elements: dict[str, Any]) -> bool:
    """Whether a header rescales out of all bounds, the one reason why it may be refused."""
    factors = [abs(elements.get(keyword, 0.0)) for keyword in ("RescaleSlope", "RescaleIntercept")]
    return any(1e20 <= factor < np.inf for factor in factors)


ONE_PIXEL = np.array([[7]], "<u2")


@settings(max_examples=400, deadline=None)
@given(STORED, PHOTOMETRIC, HEADERS)
@example(ONE_PIXEL, "MONOCHROME2", {"WindowCenter": [1e308], "WindowWidth": [1e308]})
@example(
    ONE_PIXEL, "MONOCHROME2", {"WindowCenter": [7.0], "WindowWidth": [1e-300], "VOILUTFunction": "SIGMOID"}
)
@example(ONE_PIXEL, "MONOCHROME1", {"RescaleSlope": 1e-300, "RescaleIntercept": 1e-300})
@example(
    ONE_PIXEL,
    "MONOCHROME2",
    {"RescaleSlope": 1e308, "VOILUTSequence": {"descriptor": [2, 0, 16], "data": [0, 9]}},
)
def test_any_header_gives_values_from_0_to_1_or_is_refused(
    values: NDArray[Any], photometric: str, elements: dict[str, Any]
) -> None:
    dataset = dataset_of(values, photometric, **elements)
    found = or_refusal(lambda: presentation(dataset, None, 0))
    if isinstance(found, Refusal):
        assert overflows(elements)
        return
    assert found.pixels.dtype == np.float32
    assert found.pixels.shape == values.shape
    assert 0 <= found.pixels.min() <= found.pixels.max() <= 1  # NaN is none of this
    assert found.flags <= {Flag.VOI_IGNORED}


@settings(deadline=None)
@given(STORED, HEADERS)
def test_whether_means_keep_can_be_told_of_any_header(values: NDArray[Any], elements: dict[str, Any]) -> None:
    dataset = dataset_of(values, **elements)
    signed = values.dtype.kind == "i"
    means = values.astype(np.float32)
    for ignored in (False, True):
        commutes = partial(voi.commutes_with_averaging, dataset, means, signed=signed, ignored=ignored)
        kept = or_refusal(commutes)
        assert isinstance(kept, bool) or overflows(elements)


WINDOWS = st.fixed_dictionaries(
    {"WindowCenter": st.floats(-5000, 5000), "WindowWidth": st.floats(1, 9000)},
    optional={"VOILUTFunction": st.sampled_from(("LINEAR", "LINEAR_EXACT", "SIGMOID"))},
)


@settings(deadline=None)
@given(STORED, WINDOWS | st.just({}), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_brighter_is_brighter(
    values: NDArray[Any], window: dict[str, Any], slope: float, intercept: float
) -> None:
    for sign in (1, -1):
        pixels = presented(values, RescaleSlope=sign * slope, RescaleIntercept=intercept, **window)
        in_order = pixels.ravel()[np.argsort(values, axis=None)]
        assert (np.diff(in_order * sign) >= 0).all()


@settings(deadline=None)
@given(STORED, HEADERS)
@example(BLACK, {"WindowCenter": [1.7e38], "WindowWidth": [0.5], "VOILUTFunction": "LINEAR_EXACT"})
@example(BLACK, {"WindowCenter": [8.5e37], "WindowWidth": [1.0], "VOILUTFunction": "SIGMOID"})
def test_monochrome1_is_the_negative(values: NDArray[Any], elements: dict[str, Any]) -> None:
    plain = {keyword: value for keyword, value in elements.items() if not keyword.startswith("PixelPadding")}
    positive = or_refusal(lambda: presented(values, "MONOCHROME2", **plain))
    negative = or_refusal(lambda: presented(values, "MONOCHROME1", **plain))
    if isinstance(positive, Refusal) or isinstance(negative, Refusal):
        assert type(positive) is type(negative)
    else:
        assert np.array_equal(negative, np.float32(1) - positive)


@settings(deadline=None)
@given(TWELVE_BITS, WINDOWS)
def test_the_same_picture_in_other_words_is_the_same(values: NDArray[Any], window: dict[str, Any]) -> None:
    """Powers of two, so that rounding is the same as well."""
    expected = presented(values, **window)
    signed = (values.astype("<i2") - 2048).astype("<i2")
    same = presented(signed, RescaleSlope=1.0, RescaleIntercept=2048.0, **window)
    assert np.array_equal(same, expected)
    upper = presented(values << 4, BitsStored=12, HighBit=15, **window)
    assert np.array_equal(upper, expected)
    rubbish = presented(values | np.uint16(0xA000), BitsStored=12, HighBit=11, **window)
    assert np.array_equal(rubbish, expected)


@settings(deadline=None)
@given(TWELVE_BITS, st.floats(100, 4000), st.floats(100, 4000))
def test_a_window_written_as_a_table_is_the_same(values: NDArray[Any], center: float, width: float) -> None:
    window: dict[str, Any] = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": "LINEAR_EXACT"}
    table = np.clip((np.arange(4096) - center) / width + 0.5, 0, 1) * 65535
    by_table = presented(
        values, VOILUTSequence={"descriptor": [4096, 0, 16], "data": table.astype("<u2").tobytes()}
    )
    by_window = presented(values, **window)
    contrast = float(np.ptp(np.clip((values - center) / width + 0.5, 0, 1)))
    # The table is coarse: what little contrast there is, is stretched, and its steps with it.
    assert by_table == pytest.approx(by_window, abs=3 / 65535 / contrast if contrast > 2e-3 else 1)

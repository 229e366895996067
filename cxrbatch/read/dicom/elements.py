"""Read single DICOM elements tolerantly: an unusable value is a missing value, never an exception."""

import datetime as dt
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

_DAYS_PER_UNIT = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_NO_TEXT = (bytes, Sequence, Dataset)
_SEVERAL = (MultiValue, list)
_LARGEST = 1 << 32
_PADDING = " \0"


def text(dataset: Dataset, keyword: str) -> str:
    """Read the first value as text without padding; empty where missing or unusable."""
    return next(_texts(dataset, keyword), "")


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """Read all values as text without padding."""
    return list(_texts(dataset, keyword))


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Read all values as finite numbers; empty where one of them is not a finite number."""
    values = [_finite(item) for item in _texts(dataset, keyword) if item]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


def number(dataset: Dataset, keyword: str) -> float | None:
    """Read the first value as a finite number; None where missing or unusable."""
    return next((_finite(item) for item in _texts(dataset, keyword) if item), None)


def numbers_by_position(dataset: Dataset, keyword: str) -> Iterator[float | None]:
    """Yield every value as a finite number; None at a position that is empty or unusable."""
    return (_finite(item) for item in _texts(dataset, keyword))


def integer(dataset: Dataset, keyword: str, default: int) -> int:
    """Read the first value as an integer, limited to ±2**32; `default` where missing or unusable."""
    value = value_of(dataset, keyword)
    if type(value) is not int:  # US or SS, as nearly all are
        value = number(dataset, keyword)
    return default if value is None else int(max(-_LARGEST, min(value, _LARGEST)))


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Read the items of a sequence; empty where it is missing or no sequence."""
    value = value_of(dataset, keyword)
    return list(value) if isinstance(value, Sequence) else []


def code(item: Dataset) -> tuple[str, str]:
    """Read scheme and value of a code; values of more than 16 letters have an element of their own (PS3.3 8.1)."""
    return text(item, "CodingSchemeDesignator"), text(item, "CodeValue") or text(item, "LongCodeValue")


def is_stated(dataset: Dataset, keyword: str) -> bool:
    """Check whether an element has a value, usable or not."""
    element = dataset.get_item(keyword, keep_deferred=True)
    return element is not None and bool(element.value)


def date(dataset: Dataset, keyword: str) -> dt.date | None:
    """Read a DA value, also in the old form with dots (PS3.5 6.2, ACR-NEMA); None where missing or unusable."""
    digits = text(dataset, keyword).replace(".", "").replace("-", "")[:8]
    try:
        if len(digits) == 8 and digits.isdecimal():  # at a quarter of the time
            return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        return dt.datetime.strptime(digits, "%Y%m%d").date() if digits else None
    except ValueError:
        return None


def age_years(value: str) -> float | None:
    """Parse an AS value to years (PS3.5 6.2: ``045Y``, ``018M``, ``003W``, ``010D``); a bare number means years."""
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", value.upper())
    if match is None:
        return None
    return int(match[1]) * _DAYS_PER_UNIT[match[2] or "Y"] / 365.25


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value as pydicom gives it; None where it is missing or cannot be parsed."""
    tag = tag_of(keyword)
    element = dataset.get_item(tag, keep_deferred=True)
    try:
        if element is None:
            return None
        # An element that is converted already need not be found a second time.
        return dataset[tag].value if isinstance(element, RawDataElement) else element.value
    except MemoryError:
        raise
    except Exception:
        return None


@cache
def tag_of(keyword: str) -> BaseTag:
    """Look up the tag of a keyword once: to find an element by keyword takes pydicom several times as long."""
    return Tag(keyword)


def _texts(dataset: Dataset, keyword: str) -> Iterator[str]:
    """Convert values to text without padding, one by one: there may be many, and often only the first is used."""
    value = value_of(dataset, keyword)
    if value is None:
        return iter(())
    if isinstance(value, str):
        return iter((value.strip(_PADDING),))
    values = value if isinstance(value, _SEVERAL) else (value,)
    return (
        str(item).strip(_PADDING) for item in values if item is not None and not isinstance(item, _NO_TEXT)
    )


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

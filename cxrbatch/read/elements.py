"""Reading single DICOM elements tolerantly: an unusable value is a missing value, never an exception."""

import datetime as dt
import math
import re
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

_DAYS_PER_UNIT = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


def text(dataset: Dataset, keyword: str) -> str:
    """First value as text without padding; empty where missing or unusable."""
    value = _value(dataset, keyword)
    if isinstance(value, MultiValue | list):
        value = value[0] if value else ""
    return "" if value is None else str(value).strip(" \0")


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """All values as text."""
    value = _value(dataset, keyword)
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    return [str(item).strip(" \0") for item in values if item is not None]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All values as finite numbers; empty where one of them is none."""
    try:
        values = [float(item) for item in texts(dataset, keyword) if item]
    except ValueError:
        return []
    return values if all(math.isfinite(item) for item in values) else []


def number(dataset: Dataset, keyword: str) -> float | None:
    """First value as a finite number."""
    return next(iter(numbers(dataset, keyword)), None)


def integer(dataset: Dataset, keyword: str, default: int) -> int:
    """First value as an integer, `default` where missing or unusable."""
    value = number(dataset, keyword)
    return default if value is None else int(value)


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; empty where it is missing or no sequence."""
    value = _value(dataset, keyword)
    return list(value) if isinstance(value, Sequence) else []


def date(dataset: Dataset, keyword: str) -> dt.date | None:
    """A DA value; the old form with dots (PS3.5 6.2, ACR-NEMA) is understood."""
    digits = text(dataset, keyword).replace(".", "").replace("-", "")
    try:
        return dt.datetime.strptime(digits[:8], "%Y%m%d").date()
    except ValueError:
        return None


def age_years(value: str) -> float | None:
    """Age in years of an AS value (PS3.5 6.2: ``045Y``, ``018M``, ``003W``, ``010D``); a bare number means years."""
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", value.upper())
    if match is None:
        return None
    return int(match[1]) * _DAYS_PER_UNIT[match[2] or "Y"] / 365.25


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception:
        return None

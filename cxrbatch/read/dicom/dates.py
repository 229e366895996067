"""Read dates of a header, also incomplete ones, and compute ages from them by the calendar.

A date is a range: all days that its text may mean. An age is one only where every day of the ranges agrees on which
side of `ADULT_YEARS` it lies: a child must never pass as an adult because of a date that was cut off.
"""

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from cxrbatch.records import ADULT_YEARS

_YEAR_FIRST = re.compile(r"(\d{4})(?:[-./]?(\d{2})(?:[-./]?(\d{2})\d*)?)?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})")


class DateRange(NamedTuple):
    """Days from `earliest` to `latest`, both included."""

    earliest: dt.date
    latest: dt.date


@lru_cache(maxsize=256)
def parse_date(text: str) -> DateRange | None:
    """Parse a date to all days that it may mean.

    Parameters
    ----------
    text : str
        DA or DT (PS3.5 6.2), also with dots, dashes or slashes (ACR-NEMA), only a year or a month, or day, month and
        year in either order.

    Returns
    -------
    DateRange or None
        None where it is no date.
    """
    ranges = list(_readings(text.strip()))
    if not ranges:
        return None
    return DateRange(min(one.earliest for one in ranges), max(one.latest for one in ranges))


def age_on(born: DateRange, studied: DateRange) -> int | None:
    """Compute the age in completed years.

    Returns
    -------
    int or None
        The highest possible age of a child, the lowest of an adult; None where it may be either, or where the study
        was before the birth.
    """
    lowest = _completed_years(born.latest, studied.earliest)
    highest = _completed_years(born.earliest, studied.latest)
    if studied.latest < born.earliest:
        return None
    if highest < ADULT_YEARS:
        return highest
    return lowest if lowest >= ADULT_YEARS else None


def _readings(text: str) -> Iterator[DateRange]:
    if found := _YEAR_FIRST.fullmatch(text):
        yield from _range(*(int(part) if part else None for part in found.groups()))
    elif found := _YEAR_LAST.fullmatch(text):
        first, second, year = map(int, found.groups())
        yield from _range(year, second, first)
        yield from _range(year, first, second)


def _range(year: int | None, month: int | None, day: int | None) -> Iterator[DateRange]:
    """Make the range of a year, a month or a day; none where the calendar has no such date."""
    if not year or (month is not None and not 1 <= month <= 12):
        return
    first, last = month or 1, month or 12
    latest = calendar.monthrange(year, last)[1]
    if day is None or 1 <= day <= latest:
        yield DateRange(dt.date(year, first, day or 1), dt.date(year, last, day or latest))


def _completed_years(born: dt.date, on: dt.date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))

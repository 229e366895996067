"""Nights and clocks. A night lasts from noon to noon, so that a run before midnight and one after it share one."""

import datetime as dt
import os
from collections.abc import Callable

Clock = Callable[[], dt.datetime]
"""Gives the present, with a time zone."""

_NOON = dt.timedelta(hours=12)


def night_of(moment: dt.datetime) -> dt.date:
    """Date on which the night of a moment began, in the time zone of `moment`."""
    return (moment.replace(tzinfo=None) - _NOON).date()


def after(now: dt.datetime, last: dt.datetime | None) -> dt.datetime:
    """A moment later than the last one, whatever the clock says: what came in second must look so."""
    return now if last is None else max(now, last + dt.timedelta(microseconds=1))


def system_clock() -> dt.datetime:
    """The present in local time; ``SOURCE_DATE_EPOCH`` (seconds) stands still instead, for reproducible reports."""
    if fixed := os.environ.get("SOURCE_DATE_EPOCH"):
        return dt.datetime.fromtimestamp(int(fixed), dt.UTC).astimezone()
    return dt.datetime.now().astimezone()

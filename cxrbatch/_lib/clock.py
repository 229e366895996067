"""Nights and clocks.

A night lasts from noon to noon, so that a run before midnight and a run after it belong to the same night.
"""

import datetime as dt
import os
import time
from collections.abc import Callable

EXPIRE_NIGHTS = 14
"""Nights after which a patient leaves the list, unless an option states otherwise."""

PENDING_DAYS = 3
"""Days after a swab for which its result is waited for, unless an option states otherwise."""

MOST_NIGHTS = 36500
"""Longest time in nights that an option may state, a hundred years: the date so long ago must exist."""

Clock = Callable[[], dt.datetime]
"""Returns the present time, with a time zone."""

_NOON = dt.timedelta(hours=12)


class Stopwatch:
    """Measures the seconds between calls; each call names what has just ended.

    Attributes
    ----------
    seconds : dict of str to float
        Seconds by name, in the order of the first call of each.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def __call__(self, ended: str) -> None:
        """Add the time since the call before."""
        now_s = time.perf_counter()
        self.seconds[ended] = self.seconds.get(ended, 0.0) + now_s - self._last_s
        self._last_s = now_s


def night_of(moment: dt.datetime) -> dt.date:
    """Return the date on which the night of a moment began, in the time zone of `moment`."""
    return (moment.replace(tzinfo=None) - _NOON).date()


def after(now: dt.datetime, last: dt.datetime | None) -> dt.datetime:
    """Return `now`, or the moment just after `last` where the clock is not later: the order of events is kept."""
    return now if last is None else max(now, last + dt.timedelta(microseconds=1))


def system_clock() -> dt.datetime:
    """Return the present in local time, or ``SOURCE_DATE_EPOCH`` (seconds) if set, for reproducible reports."""
    if fixed := os.environ.get("SOURCE_DATE_EPOCH"):
        return dt.datetime.fromtimestamp(int(fixed), dt.UTC).astimezone()
    return dt.datetime.now().astimezone()

"""A figure of an audit, and how counts become one."""

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cxrbatch.stats import Estimate

ALL = "all"
"""In place of a week: the whole time."""
FEWEST = 5
"""With fewer waits, or fewer on either side of a comparison, there is no figure."""
BOOTSTRAPS = 500

Z_95 = 1.959963984540054
"""97.5 % of a normal distribution lie below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEstimate:
    """A row of ``audit.csv``.

    Attributes
    ----------
    section, name : str
        Codes that people script: add, never rename.
    week : str
        ISO week of the first night of the waits, or of the night on which images came in; or `ALL`.
    value, low, high : float or None
        With a 95 % interval; None where there are too few, or the figure has none.
    n : int
        Waits or images on which it rests.
    """

    section: str
    name: str
    n: int
    week: str = ALL
    value: float | None = None
    low: float | None = None
    high: float | None = None


def estimated(section: str, name: str, estimate: Estimate, n: int, week: str = ALL) -> AuditEstimate:
    """A figure with an interval; what is not a number is None."""
    value, low, high = map(_finite, (estimate.value, estimate.low, estimate.high))
    return AuditEstimate(section=section, name=name, n=n, week=week, value=value, low=low, high=high)


def counted(section: str, name: str, n: int, week: str = ALL) -> AuditEstimate:
    """A number of waits or images, which is exact."""
    return AuditEstimate(section=section, name=name, n=n, week=week, value=n)


def share(section: str, name: str, marks: Iterable[bool], week: str = ALL) -> AuditEstimate:
    """How many of them are true."""
    marked = list(marks)
    found = wilson(sum(marked), len(marked)) if len(marked) >= FEWEST else no_figure()
    return estimated(section, name, found, len(marked), week)


def no_figure() -> Estimate:
    """Where there are too few."""
    return Estimate(value=math.nan, low=math.nan, high=math.nan)


def wilson(k: int, n: int) -> Estimate:
    """A share with its score interval (Wilson 1927, J Am Stat Assoc 22:209); `n` above 0."""
    p, spread = k / n, Z_95 * Z_95 / n
    middle = (p + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(p * (1 - p) / n + spread / (4 * n))
    return Estimate(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Difference of two independent shares with Wilson intervals (Newcombe 1998, Stat Med 17:873, method 10)."""
    value = a.value - b.value
    return Estimate(
        value=value,
        low=value - math.hypot(a.value - a.low, b.high - b.value),
        high=value + math.hypot(a.high - a.value, b.value - b.low),
    )


def compared(section: str, name: str, a: AuditEstimate, b: AuditEstimate) -> AuditEstimate:
    """How much larger one share is than another one of other waits or images."""
    known = a.n >= FEWEST and b.n >= FEWEST
    found = difference(_estimate(a), _estimate(b)) if known else no_figure()
    return estimated(section, name, found, a.n + b.n, a.week)


def week_of(night: dt.date) -> str:
    """ISO 8601 week: ``2026-W48``."""
    year, week, _ = night.isocalendar()
    return f"{year}-W{week:02d}"


def _estimate(estimate: AuditEstimate) -> Estimate:
    value, low, high = (
        math.nan if part is None else part for part in (estimate.value, estimate.low, estimate.high)
    )
    return Estimate(value=value, low=low, high=high)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

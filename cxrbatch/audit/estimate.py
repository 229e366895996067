"""Make the figures of an audit from counts: counts or marks in, `AuditEstimate` out."""

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cxrbatch.stats import Estimate

ALL = "all"
"""Code for the whole time, in place of a week."""
FEWEST = 5
"""Least number of waits for a figure; in a comparison, on either side."""
BOOTSTRAPS = 500

Z_95 = 1.959963984540054
"""97.5th percentile of the normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEstimate:
    """A row of ``audit.csv``.

    Attributes
    ----------
    section, name : str
        Codes that users read with scripts: add codes, never rename them.
    week : str
        ISO week of the first night of the waits, or of the night on which images came in; or `ALL`.
    value, low, high : float or None
        Value with its 95 % interval. None if there are too few waits or images, or if the figure has no interval.
    n : int
        Number of waits or images that it is computed from.
    """

    section: str
    name: str
    n: int
    week: str = ALL
    value: float | None = None
    low: float | None = None
    high: float | None = None


def estimated(section: str, name: str, estimate: Estimate, n: int, week: str = ALL) -> AuditEstimate:
    """Make a figure with an interval; values that are not finite become None."""
    value, low, high = map(_finite, (estimate.value, estimate.low, estimate.high))
    return AuditEstimate(section=section, name=name, n=n, week=week, value=value, low=low, high=high)


def counted(section: str, name: str, n: int, week: str = ALL) -> AuditEstimate:
    """Make the figure of a number of waits or images; it is exact and has no interval."""
    return AuditEstimate(section=section, name=name, n=n, week=week, value=n)


def share(section: str, name: str, marks: Iterable[bool], week: str = ALL) -> AuditEstimate:
    """Make the figure of the share of true marks, 0–1, with its Wilson interval; no value below `FEWEST` marks."""
    marked = list(marks)
    found = wilson(sum(marked), len(marked)) if len(marked) >= FEWEST else no_figure()
    return estimated(section, name, found, len(marked), week)


def no_figure() -> Estimate:
    """Return an estimate of NaN, for too few waits or images."""
    return Estimate(value=math.nan, low=math.nan, high=math.nan)


def wilson(k: int, n: int) -> Estimate:
    """Compute the share k / n with its score interval (Wilson 1927, J Am Stat Assoc 22:209); `n` above 0."""
    p, spread = k / n, Z_95 * Z_95 / n
    middle = (p + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * math.sqrt(p * (1 - p) / n + spread / (4 * n))
    return Estimate(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Compute the difference a − b of two independent shares with Wilson intervals.

    Newcombe 1998, Stat Med 17:873, method 10.
    """
    value = a.value - b.value
    return Estimate(
        value=value,
        low=value - math.hypot(a.value - a.low, b.high - b.value),
        high=value + math.hypot(a.high - a.value, b.value - b.low),
    )


def compared(section: str, name: str, a: AuditEstimate, b: AuditEstimate) -> AuditEstimate:
    """Make the figure of the difference a − b of two shares, each of other waits or images.

    It has no value if either share has fewer than `FEWEST`.
    """
    known = a.n >= FEWEST and b.n >= FEWEST
    found = difference(_estimate(a), _estimate(b)) if known else no_figure()
    return estimated(section, name, found, a.n + b.n, a.week)


def week_of(night: dt.date) -> str:
    """Return the ISO 8601 week of a night, such as ``2026-W48``."""
    year, week, _ = night.isocalendar()
    return f"{year}-W{week:02d}"


def _estimate(estimate: AuditEstimate) -> Estimate:
    value, low, high = (
        math.nan if part is None else part for part in (estimate.value, estimate.low, estimate.high)
    )
    return Estimate(value=value, low=low, high=high)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

"""Write figures as text, in the same way on every page."""

from collections.abc import Mapping

CAUTION = (
    "A low score is never a rule-out: many PCR-positive patients have a normal radiograph. Research use."
)
"""Warning on every screen and on every printed page of a list."""


def figure(value: float | None, decimals: int = 3) -> str:
    """Write a figure; None, if it could not be computed, becomes a dash."""
    return "–" if value is None else f"{value:.{decimals}f}"


def percent(value: float | None) -> str:
    """Write a share of 0–1 as a percentage; None becomes a dash."""
    return "–" if value is None else f"{value:.1%}"


def interval(estimate: Mapping[str, float | None]) -> str:
    """Write an estimate with its 95 % confidence interval, if it has one."""
    if None in (estimate["low"], estimate["high"]):
        return figure(estimate["value"])
    return f"{figure(estimate['value'])} ({figure(estimate['low'])}–{figure(estimate['high'])})"

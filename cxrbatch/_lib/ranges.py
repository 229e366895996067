"""State the ranges of options, and check what a caller gives from Python; click checks the command line."""

import math
from collections.abc import Collection
from typing import Any

from cxrbatch.errors import UsageProblem

MOST_WORKERS = 256
MOST_IN_BATCH = 4096

MOST_EXPLAINED = 500
"""Most patients with a large image on the page: each takes some 60 KB."""
EXPLAINED = 50
"""Patients with a large image on the page, unless stated otherwise."""
SHOWABLE = ("name", "birth-date", "sex", "station", "study-time")
"""What the page shows of a header only where it is asked to."""


def check_count(name: str, value: Any, most: int | None = None) -> None:
    """Check that a value is None or an int of 1 or more, and no more than `most`.

    Raises
    ------
    UsageProblem
    """
    if value is None:
        return
    if type(value) is not int or value < 1 or (most is not None and value > most):
        limits = "1 or more" if most is None else f"1 to {most}"
        raise UsageProblem(f"{name} {value!r}: give an int, {limits}")


def check_names(name: str, values: Collection[str], known: Collection[str]) -> None:
    """Check that values are known names.

    Raises
    ------
    UsageProblem
    """
    if unknown := sorted(set(values) - set(known)):
        raise UsageProblem(f"{name}: {unknown[0]!r} is none of {', '.join(known)}")


def check_share(name: str, value: Any) -> None:
    """Check that a value is None or a number above 0 and below 1.

    Raises
    ------
    UsageProblem
    """
    if value is not None and not (_is_number(value) and 0 < value < 1):
        raise UsageProblem(f"{name} {value!r}: give a share above 0 and below 1, such as 0.05")


def check_seconds(name: str, value: Any) -> None:
    """Check that a value is a finite number of 0 or more.

    Raises
    ------
    UsageProblem
    """
    if not (_is_number(value) and value >= 0):
        raise UsageProblem(f"{name} {value!r}: give a number of seconds, 0 or more")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Input and output of a check: `Setup` and `Observation`."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cxrbatch.errors import CxrbatchError
from cxrbatch.screening import ScreenOptions


class Level(StrEnum):
    """Severity of an observation. With a problem the night fails, or others can read patient data."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Settings of the night to check.

    Attributes
    ----------
    folder, out : Path or None
        Export, and the CSV or the folder of the reports; with None their checks are left out.
    metrics, notify : Path or None
        File of metrics, and program that is told of a list.
    """

    folder: Path | None = None
    out: Path | None = None
    options: ScreenOptions = field(default_factory=ScreenOptions)
    metrics: Path | None = None
    notify: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Outcome of a check, and what to do; it holds no patient data.

    Attributes
    ----------
    advice : str
        What to do; empty if nothing is wrong.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Observation:
    """Make an observation that nothing is wrong."""
    return Observation(check=check, level=Level.OK, found=found)


def warning(check: str, found: str, advice: str) -> Observation:
    """Make an observation with which the night would run, but that a person should check."""
    return Observation(check=check, level=Level.WARNING, found=found, advice=advice)


def problem(check: str, found: str, advice: str) -> Observation:
    """Make an observation that must be corrected before the night."""
    return Observation(check=check, level=Level.PROBLEM, found=found, advice=advice)


def from_error(
    error: CxrbatchError, check: str, advice: str = "mend this, then run doctor again"
) -> Observation:
    """Make a problem from an error; text after the first semicolon of its message is the advice."""
    found, _, stated = str(error).partition("; ")
    return problem(check, found, stated or advice)

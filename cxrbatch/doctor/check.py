"""What a check is told, and what it says."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cxrbatch.errors import CxrbatchError
from cxrbatch.screening import ScreenOptions


class Level(StrEnum):
    """How much an observation matters: with a problem the night fails, or patients' data lie open."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The night that is asked about.

    Attributes
    ----------
    folder, out : Path or None
        Export, and the CSV or the folder of the reports; None leaves their checks out.
    """

    folder: Path | None = None
    out: Path | None = None
    options: ScreenOptions = field(default_factory=ScreenOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a check found, and what to do; no patient data.

    Attributes
    ----------
    advice : str
        Empty where all is well.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Observation:
    """All is well."""
    return Observation(check=check, level=Level.OK, found=found)


def warning(check: str, found: str, advice: str) -> Observation:
    """The night would run; somebody should look."""
    return Observation(check=check, level=Level.WARNING, found=found, advice=advice)


def problem(check: str, found: str, advice: str) -> Observation:
    """Must be mended before the night."""
    return Observation(check=check, level=Level.PROBLEM, found=found, advice=advice)


def from_error(
    error: CxrbatchError, check: str, advice: str = "mend this, then run doctor again"
) -> Observation:
    """What an error says; where it says what to do, that stands behind its first semicolon."""
    found, _, said = str(error).partition("; ")
    return problem(check, found, said or advice)

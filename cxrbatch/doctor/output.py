"""Write observations as text for people or as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from cxrbatch._lib.text import plural
from cxrbatch.doctor.check import Level, Observation

_MARK = {Level.PROBLEM: "PROBLEM", Level.WARNING: "WARNING", Level.OK: "ok"}
_IN_ORDER = list(_MARK)


def as_text(observations: Sequence[Observation]) -> str:
    """Write one line for each observation, with the advice below it, and a last line with counts.

    Problems stand first, then warnings; within a level the order is that of the checks.
    """
    width = max((len(item.check) for item in observations), default=0)
    worst_first = sorted(observations, key=lambda item: _IN_ORDER.index(item.level))
    lines = [_lines(item, width) for item in worst_first]
    n_problems, n_warnings = (_count(observations, level) for level in (Level.PROBLEM, Level.WARNING))
    counts = (
        plural(len(observations), "check"),
        plural(n_problems, "problem"),
        plural(n_warnings, "warning"),
    )
    return "\n".join([*lines, ", ".join(counts)])


def as_json(observations: Sequence[Observation]) -> str:
    """Write one JSON object: ``ok``, and ``checks`` with all observations."""
    content = {"ok": is_healthy(observations), "checks": [asdict(item) for item in observations]}
    return json.dumps(content, indent=1)


def is_healthy(observations: Sequence[Observation]) -> bool:
    """Check whether no observation is a problem."""
    return not _count(observations, Level.PROBLEM)


def _lines(item: Observation, width: int) -> str:
    line = f"{_MARK[item.level]:8}{item.check:{width}}  {item.found}"
    return f"{line}\n{'':{10 + width}}to do: {item.advice}" if item.advice else line


def _count(observations: Sequence[Observation], level: Level) -> int:
    return sum(item.level is level for item in observations)

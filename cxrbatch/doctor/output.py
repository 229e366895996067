"""Write observations as text for people or as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from cxrbatch.doctor.check import Level, Observation

_MARK = {Level.OK: "ok", Level.WARNING: "WARNING", Level.PROBLEM: "PROBLEM"}


def as_text(observations: Sequence[Observation]) -> str:
    """Write one line for each observation, with the advice below it, and a last line with counts."""
    width = max((len(item.check) for item in observations), default=0)
    lines = [_lines(item, width) for item in observations]
    n_problems, n_warnings = (_count(observations, level) for level in (Level.PROBLEM, Level.WARNING))
    counts = (
        _plural(len(observations), "check"),
        _plural(n_problems, "problem"),
        _plural(n_warnings, "warning"),
    )
    return "\n".join([*lines, ", ".join(counts)])


def _plural(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


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

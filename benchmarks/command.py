"""Running `cxrbatch screen` as a user would, and what it took."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_NOT_ALL_SCORED = 3  # second copies of a PNG or JPEG are on purpose; the caller counts what was scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run took.

    Attributes
    ----------
    wall, processor : float
        Seconds; `processor` is of all its processes.
    others : float
        Processor seconds that everything else on the machine took meanwhile.
    summary : str
        The last line it wrote.
    """

    wall: float
    processor: float
    others: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Seconds from the start of the process until the first image is scored, and those of writing the report."""

    first: float
    report: float


def screen(folder: Path, out: Path, *more: str) -> Run:
    """Run the command; nothing watches it while it runs.

    Raises
    ------
    CalledProcessError
        It failed; what it wrote goes to stderr.
    """
    return _run([sys.executable, "-m", "cxrbatch", *_arguments(folder, out, more)])


def screen_watched(folder: Path, out: Path, *more: str) -> Marks:
    """Run the command with the watch of `marks`."""
    found = out.with_suffix(".marks.json")
    watch = (str(ROOT / "benchmarks/marks.py"), str(found), str(time.monotonic()))
    _run([sys.executable, *watch, *_arguments(folder, out, more)])
    return Marks(**json.loads(found.read_text()))


def _arguments(folder: Path, out: Path, more: Sequence[str]) -> list[str]:
    return ["screen", str(folder), "--out", str(out), *more]


def _run(command: Sequence[str]) -> Run:
    busy, processor, wall = _busy_s(), _processor_s(), time.perf_counter()
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    wall, processor, busy = time.perf_counter() - wall, _processor_s() - processor, _busy_s() - busy
    if done.returncode not in (0, _NOT_ALL_SCORED):
        sys.stderr.write(done.stderr)
        done.check_returncode()
    summary = summary_line(done.stderr)
    return Run(wall=wall, processor=processor, others=max(busy - processor, 0), summary=summary)


def summary_line(stderr: str) -> str:
    """Find the line of ``cxrbatch screen`` with the counts."""
    return next(line for line in stderr.splitlines() if " files found = " in line)


def _processor_s() -> float:
    """Of all processes that were started here and have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_s() -> float:
    """Of all processors since the machine was started, waiting left out; other guests' time (steal) is in it."""
    user, nice, system, _idle, _waiting, *interrupts_and_steal = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split()[1:9]
    )
    return (user + nice + system + sum(interrupts_and_steal)) / os.sysconf("SC_CLK_TCK")


def printed_json(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script of this folder in a process of its own, and read the JSON of its last line."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return dict(json.loads(done.stdout.splitlines()[-1]))

"""Limits on the time and memory that one file may take: a file beyond them is refused.

Every legitimate radiograph passes each limit, up to 12,000 × 12,000 pixels. The measurements are in docs/limits.md.
"""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cxrbatch.errors import UsageProblem

_LEAST_WORK_BYTES = 256 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


MAIN_BYTES = 1 << 30
"""Memory of the main process: TensorFlow, the network, a night of 20,000 files."""
WORKER_BYTES = 128 << 20
"""Memory of a worker process before it reads anything."""
WORK_BYTES = 4 << 30
"""Memory that the worst legitimate image takes beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on a single file.

    Attributes
    ----------
    file_bytes : int
        Size of the file.
    pixels : int
        Rows times columns.
    ratio : int
        Bytes of the decoded pixels, or of an inflated data set, for each stored byte.
    nesting : int
        Depth of sequences within sequences.
    seconds : float
        Time from opening the file to the network's input.
    """

    file_bytes: int = 1 << 30
    pixels: int = 12_000 * 12_000
    ratio: int = 1000
    nesting: int = 16
    seconds: float = 120.0


def share_memory(n_workers: int, max_bytes: int | None) -> tuple[int, int]:
    """Choose how many workers to start, and how much memory each may take for reading a file.

    Parameters
    ----------
    n_workers : int
        Workers wanted.
    max_bytes : int or None
        Memory of all processes together; None: enough for each worker to read the worst legitimate image.

    Returns
    -------
    n_workers : int
        As many workers as can each read the worst legitimate image, up to `n_workers`; at least 1.
    work_bytes : int
        Memory for each worker beyond what it needs to start.

    Raises
    ------
    UsageProblem
        The memory is not enough even for small images.
    """
    if max_bytes is None:
        return n_workers, WORK_BYTES
    for_readers = max_bytes - MAIN_BYTES
    n_fitting = min(max(for_readers // (WORKER_BYTES + WORK_BYTES), 1), n_workers)
    work = for_readers // n_fitting - WORKER_BYTES
    if work < _LEAST_WORK_BYTES:
        least = MAIN_BYTES + WORKER_BYTES + _LEAST_WORK_BYTES
        raise UsageProblem(f"--max-memory: at least {least >> 20}M are needed, {max_bytes >> 20}M were given")
    return n_fitting, work


def parse_limits(stated: Iterable[str]) -> Limits:
    """Make limits from the default ones, with some changed.

    Parameters
    ----------
    stated : iterable of str
        As on the command line: ``seconds=20``, ``file_bytes=2G``; where a name occurs twice, the last counts.

    Raises
    ------
    UsageProblem
        A name is unknown, or a value is not a number above 0.
    """
    known = {field.name for field in dataclasses.fields(Limits)}
    changed: dict[str, float] = {}
    for text in stated:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise UsageProblem(
                f"--limit {text}: write NAME=VALUE, with NAME one of {', '.join(sorted(known))}"
            )
        changed[name] = _number(name, value)
    return Limits(**changed)  # type: ignore[arg-type]


def _number(name: str, value: str) -> float:
    if name != "seconds":
        return parse_bytes(value, f"--limit {name}=")
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageProblem(f"--limit seconds={value}: must be a number of seconds above 0")
    return seconds


def parse_bytes(text: str, option: str) -> int:
    """Read a whole number above 0, which may end in K, M, G or T (1024, 1024², …).

    Parameters
    ----------
    option : str
        What the user wrote before the number, for the message.

    Raises
    ------
    UsageProblem
        The text is no such number.
    """
    match = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match or not int(match[1]):
        raise UsageProblem(f"{option}{text}: must be a whole number above 0, such as 500M or 4G")
    return int(match[1]) * _UNITS[match[2].upper()]

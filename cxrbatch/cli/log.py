"""What a run says of itself on stderr: lines for people, or one JSON object per line for a log collector.

No patient data: counts, paths that the command line named, and what went wrong.
"""

import datetime as dt
import json
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click


class LogFormat(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    """How much a line matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Log:
    """Writes to stderr.

    Attributes
    ----------
    started : float
        `time.monotonic` at the start of the command.
    """

    format: LogFormat = LogFormat.TEXT
    started: float = field(default_factory=time.monotonic)

    def __call__(self, message: str, *, event: str, level: Level = Level.INFO, **fields: Any) -> None:
        """Write one line; `fields` stand in JSON only.

        Parameters
        ----------
        message : str
            For people; whole.
        event : str
            For programs: never changes its name.
        """
        is_text = self.format is LogFormat.TEXT
        line = _one_line(message) if is_text else _json_line(message, event, level, fields)
        click.echo(line, err=True)

    def failed(self, message: str, exit_code: int, *, event: str = "failed", **fields: Any) -> int:
        """Write the last line of a command that did not do what it was asked for, and return its exit code."""
        fields |= {"duration_s": round(time.monotonic() - self.started, 3), "exit_code": exit_code}
        self(message, event=event, level=Level.ERROR, **fields)
        return exit_code

    def wrong_usage(self, error: click.ClickException) -> int:
        """Write what click finds wrong with a command line, as text in its own way, and return the exit code."""
        if self.format is LogFormat.JSON:
            return self.failed(f"Error: {error.format_message()}", error.exit_code, event="wrong_usage")
        error.show()
        return error.exit_code


def format_of(arguments: Sequence[str]) -> LogFormat:
    """Format that a command line asks for, itself or by its recipe, however wrong the rest of both may be.

    Click can say so only of a command line in which nothing is wrong.
    """
    if "screen" not in arguments[:1]:
        return LogFormat.TEXT
    stated = _value_of("--log-format", arguments) or _in_recipe(_value_of("--recipe", arguments))
    return LogFormat.JSON if stated == LogFormat.JSON else LogFormat.TEXT


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    """What an option is set to; the last one counts, as for click."""
    found = None
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == option:
            found = following
        elif argument.startswith(f"{option}="):
            found = argument.removeprefix(f"{option}=")
    return found


def _in_recipe(path: str | None) -> Any:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8")).get("log_format") if path else None
    except (OSError, ValueError):
        return None  # what is wrong with the recipe is said when it is used


def _one_line(message: str) -> str:
    """A path or a bundle's name could hold line ends, or what makes a terminal act."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)


def _json_line(message: str, event: str, level: Level, fields: dict[str, Any]) -> str:
    time_utc = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time_utc, "level": level, "event": event, "message": message} | fields)

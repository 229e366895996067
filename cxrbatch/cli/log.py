"""Show what the program logs on stderr: lines for people, or one JSON object per line for a log collector.

Everything is logged by the loggers ``cxrbatch.*`` of the standard library; who imports the package decides where it
goes. Here it goes to stderr. At every level it holds no patient data: counts, paths that the command line named, and
kinds of errors.
"""

import datetime as dt
import json
import logging
import time
import tomllib
from collections.abc import Sequence
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

_LOGGER = logging.getLogger("cxrbatch")
_PREFIX = {logging.WARNING: "Warning: "}


class LogFormat(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class _Handler(logging.Handler):
    """Writes to what is stderr at the time."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self.log_format = log_format

    def emit(self, record: logging.LogRecord) -> None:
        is_text = self.log_format is LogFormat.TEXT
        click.echo(_text_line(record) if is_text else _json_line(record), err=True)


def show_log(log_format: LogFormat | None = None, level: int | None = None) -> None:
    """Send what is logged to stderr.

    Parameters
    ----------
    log_format : LogFormat, optional
        By default as it was, text at first.
    level : int, optional
        The least level that is shown; by default as it was, ``INFO`` at first.
    """
    current = next((handler for handler in _LOGGER.handlers if isinstance(handler, _Handler)), None)
    if current is None:
        current = _Handler(LogFormat.TEXT)
        _LOGGER.addHandler(current)
        _LOGGER.setLevel(logging.INFO)
    if log_format is not None:
        current.log_format = log_format
    if level is not None:
        _LOGGER.setLevel(level)


def log_event(message: str, *, event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log one line.

    Parameters
    ----------
    message : str
        For people; whole.
    event : str
        For programs: never changes its name.
    fields
        Stand in JSON only.
    """
    _LOGGER.log(level, "%s", message, extra={"event": event, "fields": fields})


def log_failure(message: str, exit_code: int, started: float, *, event: str = "failed", **fields: Any) -> int:
    """Log the last line of a command that did not do what it was asked for, and return its exit code.

    Parameters
    ----------
    started : float
        `time.monotonic` at the start of the command.
    """
    fields |= {"duration_s": round(time.monotonic() - started, 3), "exit_code": exit_code}
    log_event(message, event=event, level=logging.ERROR, **fields)
    return exit_code


def log_wrong_usage(error: click.ClickException, started: float, log_format: LogFormat) -> int:
    """Show what click finds wrong with a command line, as text in its own way, and return the exit code."""
    if log_format is LogFormat.JSON:
        message = f"Error: {error.format_message()}"
        return log_failure(message, error.exit_code, started, event="wrong_usage")
    error.show()
    return error.exit_code


def format_of(arguments: Sequence[str]) -> LogFormat:
    """Find the format that a command line asks for, itself or by its recipe, however wrong the rest of both may be.

    Click can say so only of a command line in which nothing is wrong.
    """
    if "screen" not in arguments[:1]:
        return LogFormat.TEXT
    stated = _value_of("--log-format", arguments) or _in_recipe(_value_of("--recipe", arguments))
    return LogFormat.JSON if stated == LogFormat.JSON else LogFormat.TEXT


def _set_level(level: int) -> Any:
    def callback(_context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
        if asked:
            show_log(level=level)

    return callback


def log_options() -> list[click.Option]:
    """Make the options that every command has."""
    return [
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set_level(logging.DEBUG),
            help="Log every stage on stderr.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set_level(logging.WARNING),
            help="Log warnings and errors only.",
        ),
    ]


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


def _text_line(record: logging.LogRecord) -> str:
    return _one_line(_PREFIX.get(record.levelno, "") + record.getMessage())


def _one_line(message: str) -> str:
    """A path or a bundle's name could hold line ends, or what makes a terminal act."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)


def _json_line(record: logging.LogRecord) -> str:
    said = {
        "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": getattr(record, "event", record.name.removeprefix("cxrbatch.")),
        "message": _PREFIX.get(record.levelno, "") + record.getMessage(),
    }
    return json.dumps(said | getattr(record, "fields", {}))

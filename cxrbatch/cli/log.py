"""Write the log to stderr: lines for people, or one JSON object per line for a log collector.

Everything is logged by the loggers ``cxrbatch.*`` of the standard library; a program that imports the package decides
where the log goes. The command line sends it to stderr. The log has no patient data at any level, only counts, paths
from the command line, and kinds of errors.
"""

import datetime as dt
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any

import click

from cxrbatch._lib.log import FOR_PEOPLE
from cxrbatch._lib.text import visible
from cxrbatch.cli.arguments import value_in_recipe, value_of

_LOGGER = logging.getLogger("cxrbatch")
_PREFIX = {logging.WARNING: "Warning: "}


class LogFormat(StrEnum):
    """Format of the lines of the log."""

    TEXT = "text"
    JSON = "json"


class _Handler(logging.Handler):
    """Writes to the current stderr."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self.log_format = log_format

    def emit(self, record: logging.LogRecord) -> None:
        is_text = self.log_format is LogFormat.TEXT
        if getattr(record, "event", "") == FOR_PEOPLE["event"] and not is_text:
            return
        with _bars_aside():
            click.echo(_text_line(record) if is_text else _json_line(record), err=True)


def _bars_aside() -> AbstractContextManager[object]:
    """Take progress bars off the terminal while a line is written; without a bar nothing is imported."""
    bars = sys.modules.get("tqdm")
    if bars is None or not getattr(bars.tqdm, "_instances", None):
        return nullcontext()
    return bars.tqdm.external_write_mode(file=sys.stderr)


def show_log(log_format: LogFormat | None = None, level: int | None = None) -> None:
    """Send the log to stderr.

    Parameters
    ----------
    log_format : LogFormat, optional
        By default unchanged; at first text.
    level : int, optional
        Lowest level that is shown; by default unchanged, at first ``INFO``.
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


def is_shown(level: int) -> bool:
    """Check whether lines of a level are shown, or left out by ``--quiet``."""
    return _LOGGER.isEnabledFor(level)


def log_event(message: str, *, event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log one line.

    Parameters
    ----------
    message : str
        Complete message for people.
    event : str
        Code for programs; it is never renamed.
    fields
        Further fields, shown in JSON only.
    """
    _LOGGER.log(level, "%s", message, extra={"event": event, "fields": fields})


def log_for_people(message: str) -> None:
    """Log one line in the text format only; programs get what it says as fields of another line."""
    log_event(message, event=FOR_PEOPLE["event"])


def log_failure(message: str, exit_code: int, started: float, *, event: str = "failed", **fields: Any) -> int:
    """Log the last line of a command that failed, and return its exit code.

    Parameters
    ----------
    started : float
        `time.monotonic` at the start of the command.
    """
    fields |= {"duration_s": round(time.monotonic() - started, 3), "exit_code": exit_code}
    log_event(message, event=event, level=logging.ERROR, **fields)
    return exit_code


def log_wrong_usage(error: click.ClickException, started: float, log_format: LogFormat) -> int:
    """Report a usage error of click, in text format as click does, and return the exit code."""
    if log_format is LogFormat.JSON:
        message = f"Error: {error.format_message()}"
        return log_failure(message, error.exit_code, started, event="wrong_usage")
    error.show()
    return error.exit_code


def format_of(arguments: Sequence[str]) -> LogFormat:
    """Find the log format that a command line or its recipe sets, even if the rest of both is wrong."""
    if "screen" not in arguments[:1]:
        return LogFormat.TEXT
    stated = value_of("--log-format", arguments) or value_in_recipe("log_format", arguments)
    return LogFormat.JSON if stated == LogFormat.JSON else LogFormat.TEXT


def _set_level(level: int) -> Any:
    def callback(_context: click.Context, _parameter: click.Parameter, is_set: bool) -> None:
        if is_set:
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


def _text_line(record: logging.LogRecord) -> str:
    return _one_line(_PREFIX.get(record.levelno, "") + record.getMessage())


def _one_line(message: str) -> str:
    """Escape unprintable characters: a path or a bundle's name could hold line ends or control sequences."""
    shown = visible(message)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)


def _json_line(record: logging.LogRecord) -> str:
    line = {
        "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": getattr(record, "event", record.name.removeprefix("cxrbatch.")),
        "message": _PREFIX.get(record.levelno, "") + record.getMessage(),
    }
    return json.dumps(line | getattr(record, "fields", {}))

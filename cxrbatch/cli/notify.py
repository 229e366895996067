"""Tell a program of the hospital that a list is ready: its counts as JSON on stdin and in the environment.

The program is started without a shell and without arguments, and nothing of a patient is handed to it. What it does
changes neither the list nor the exit code.
"""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cxrbatch._lib.text import visible
from cxrbatch.cli.log import log_event

TIME_LIMIT_S = 60.0
"""Seconds after which the program, and what it started, is killed."""


def notify(program: Path, facts: Mapping[str, Any]) -> None:
    """Run a program and wait for its end; what goes wrong is a warning.

    Parameters
    ----------
    program : Path
        What it writes to stdout and stderr is dropped.
    facts : mapping of str to any
        As one JSON object on stdin; text and numbers also as ``CXRBATCH_`` and the name in upper case.
    """
    if wrong := _run(program, facts):
        shown = visible(str(program))
        log_event(f"--notify {shown}: {wrong}; the list is complete", event="warning", level=logging.WARNING)


def _run(program: Path, facts: Mapping[str, Any]) -> str:
    """Run the program; say what went wrong, nothing where all is well."""
    try:
        process = subprocess.Popen(  # noqa: S603 - named by whoever runs this, and without a shell
            [program.absolute()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | _environment(facts),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot be started: {getattr(error, 'strerror', None) or type(error).__name__}"
    try:
        process.communicate(json.dumps(facts).encode() + b"\n", timeout=TIME_LIMIT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        _kill_group(process)
        is_late = isinstance(error, subprocess.TimeoutExpired)
        return f"was killed after {TIME_LIMIT_S:g} s" if is_late else "was stopped"
    return _ending(process.returncode)


def _environment(facts: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"CXRBATCH_{key.upper()}": str(value) for key, value in facts.items() if isinstance(value, int | str)
    }


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _ending(code: int) -> str:
    if code == 0:
        return ""
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"

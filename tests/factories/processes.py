"""Processes of this machine, by their command lines (Linux)."""

import os
from pathlib import Path

_PROC = Path("/proc")


def processes(text: str) -> list[int]:
    """List the processes with a text in their command line."""
    return [int(folder.name) for folder in _PROC.glob("[0-9]*") if text in _command_line(folder)]


def _command_line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return ""


def is_below_this_process(pid: int, top: int | None = None) -> bool:
    """Check whether a process was started by this one (or by `top`), or by one that it started."""
    wanted = os.getpid() if top is None else top
    while pid > 1:
        if pid == wanted:
            return True
        pid = _parent(pid)
    return False


def _parent(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0

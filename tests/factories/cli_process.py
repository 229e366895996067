"""The command line in a process of its own, with an audit hook (PEP 578) in it and in its reader processes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

Environment = Mapping[str, str]
QUIET: Environment = {}
_HOOK = '''
import os, signal, socket, sys, time

READER = "--multiprocessing-fork" in sys.orig_argv
RECORD = os.open(os.environ["WATCH_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
SECRET = os.environ.get("WATCH_SECRET", "")


def opened(path):
    """Do what the name of the file says, where a decoder or the report would be at work."""
    name = path.rsplit("/", 1)[-1] if isinstance(path, str) else ""
    if READER:
        if "abort" in name:
            os.abort()
        if "killed" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "raises" in name:
            raise ValueError(SECRET)
        if "slow" in name:
            os.write(RECORD, b"read\\n")
            time.sleep(0.1)
        if "stuck" in name:
            time.sleep(100)
    elif ".html." in name and "WATCH_FAIL_AT_REPORT" in os.environ:
        raise ValueError(SECRET)


def watch(event, arguments):
    if event == "open":
        opened(arguments[0])
    elif event.startswith("socket."):
        about = socket.AddressFamily(arguments[1]).name if event == "socket.__new__" else arguments[1:]
        frame = sys._getframe(1)
        while frame.f_code.co_filename == socket.__file__:
            frame = frame.f_back
        caller = "/".join(frame.f_code.co_filename.split("/")[-3:])
        os.write(RECORD, f"{event} {about} {caller}\\n".encode())


sys.addaudithook(watch)
'''


def hooked(folder: Path) -> dict[str, str]:
    """Environment that puts the hook into every Python process; what it notes stands in ``record`` of the folder."""
    (folder / "hook").mkdir(parents=True)
    (folder / "hook" / "sitecustomize.py").write_text(_HOOK)
    (folder / "record").touch()
    return {"PYTHONPATH": str(folder / "hook"), "WATCH_RECORD": str(folder / "record")}


def cxrbatch(
    *arguments: str | Path,
    env: Environment = QUIET,
    before: tuple[str, ...] = (),
    umask: int = -1,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end.

    Parameters
    ----------
    env : mapping
        Added to the environment.
    before : tuple of str
        Command in front of the interpreter.
    """
    return subprocess.run(
        [*before, sys.executable, "-m", "cxrbatch", *map(str, arguments)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment_with(env),
        umask=umask,
        check=False,
        timeout=timeout_s,
    )


def start(*arguments: str | Path, env: Environment = QUIET, umask: int = -1) -> subprocess.Popen[bytes]:
    """Start a command, to be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "cxrbatch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment_with(env),
        umask=umask,
    )


def environment_with(more: Environment) -> dict[str, str]:
    """This one, without what is set for finding faults, and more."""
    return {key: value for key, value in os.environ.items() if key != "CXRBATCH_DEBUG"} | dict(more)

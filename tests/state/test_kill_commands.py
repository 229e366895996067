"""``kill -9`` of the commands that change a state: it holds what it held before, or what the command makes of it.

``CXRBATCH_KILL_POINTS=20`` kills each command at twenty moments; by default at two.
"""

import datetime as dt
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.results import LabFormat, forget_patient, import_results, undo_import
from cxrbatch.state import holder, lock_path, persistent_state
from tests.state.test_migration import write_state

N_POINTS = int(os.environ.get("CXRBATCH_KILL_POINTS", "2"))
N_ROWS = 300
NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
MOST_S = 30.0

Command = Callable[[Path], object]


def imports(state: Path) -> None:
    import_results(state.with_name("pcr.csv"), state, LabFormat(), clock=lambda: NOW)


def undoes(state: Path) -> None:
    undo_import(state, 2, clock=lambda: NOW)


def forgets(state: Path) -> None:
    forget_patient(state, "0007")


def prunes(state: Path) -> None:
    with persistent_state(state) as opened:
        opened.removal.prune(dt.date(2026, 3, 3))


def migrates(state: Path) -> None:
    with persistent_state(state):
        pass


COMMANDS: list[Command] = [imports, undoes, forgets, prunes, migrates]


def prepare(folder: Path, command: Command) -> Path:
    """Write the state of 9847cd3, of today's version but for the migration, and a file of the laboratory."""
    folder.mkdir()
    state = write_state(folder / "state")
    patients = ("0007", "0008", "0009", "0012")
    rows = [f"{patients[i % 4]},{dt.date(2025, 1, 1) + dt.timedelta(i)},positive" for i in range(N_ROWS)]
    (folder / "pcr.csv").write_text("\n".join(["patient_id,date,result", *rows]))
    if command is not migrates:
        migrates(state)
    return state


def start(command: Command, state: Path) -> int:
    """Run a command in a copy of this process."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            command(state)
            status = 0
        finally:
            os._exit(status)
    return pid


def dump(state: Path) -> list[str]:
    """What a program that opens the state finds; of a whole copy, so that nothing is mended by looking."""
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version = connection.execute("PRAGMA user_version").fetchone()
        return [str(version), *connection.iterdump()]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_killed_command_did_all_or_nothing_and_can_be_run_again(command: Command, tmp_path: Path) -> None:
    whole = prepare(tmp_path / "whole", command)
    before = dump(whole)
    begun = time.monotonic()
    assert os.waitpid(start(command, whole), 0)[1] == 0
    whole_s, after = time.monotonic() - begun, dump(whole)
    assert before != after
    random_ = random.Random(18)
    for point in range(N_POINTS):
        state = prepare(tmp_path / f"{point}", command)
        pid = start(command, state)
        time.sleep(min(whole_s, MOST_S) * random_.uniform(0.0, 1.1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert holder(lock_path(state)) is None
        found = dump(state)
        assert found in (before, after)
        if found == before:
            command(state)
        assert dump(state) == after

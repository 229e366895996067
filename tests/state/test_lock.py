"""One at a time, and never locked out by the dead."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cxrbatch.errors import Locked, OutputError
from cxrbatch.state.lock import holder, locked

HOLD = (
    "import sys, time; from pathlib import Path; from cxrbatch.state.lock import locked\n"
    "with locked(Path(sys.argv[1]), 'state'): print('held', flush=True); time.sleep(60)\n"
)


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path) as process:
        assert holder(path) == process.pid
        with (
            pytest.raises(Locked, match=f"state x: in use by process {process.pid};") as error,
            locked(path, "state x"),
        ):
            pass
        assert error.value.exit_code == 5
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        assert holder(path) is None
        with locked(path, "state"):
            assert holder(path) == os.getpid()


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", "state"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []
    assert holder(tmp_path / "lock") is None


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="oops"), locked(tmp_path / "lock", "state"):
        raise ValueError("oops")
    with locked(tmp_path / "lock", "state"):
        pass


def test_on_a_full_disk_it_is_held_without_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with locked(tmp_path / "lock", "state"):
        assert (tmp_path / "lock").read_text() == ""
        with pytest.raises(Locked, match="in use by process unknown"), locked(tmp_path / "lock", "state"):
            pass


def test_it_needs_a_place(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="the lock file cannot be made: No such file"),
        locked(tmp_path / "missing" / "lock", "state"),
    ):
        pass


def test_many_at_once_take_turns(tmp_path: Path) -> None:
    """Each reads a number, writes the next one, and tries again while somebody else is at it."""
    code = (
        "import sys, time; from pathlib import Path; from cxrbatch.errors import Locked\n"
        "from cxrbatch.state.lock import locked\n"
        "count = Path(sys.argv[1])\n"
        "done = 0\n"
        "while done < 50:\n"
        "    try:\n"
        "        with locked(count.with_name('lock'), ''):\n"
        "            n = int(count.read_text()); time.sleep(0.0002); count.write_text(str(n + 1)); done += 1\n"
        "    except Locked: time.sleep(0.0003)\n"
    )
    (tmp_path / "count").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "count"]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text() == "200"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """Its target would be emptied."""
    (tmp_path / "state.sqlite").write_text("mine")
    (tmp_path / "x.lock").symlink_to(tmp_path / "state.sqlite")
    with pytest.raises(OutputError, match="cannot be made"), locked(tmp_path / "x.lock", "the test"):
        pass
    assert (tmp_path / "state.sqlite").read_text() == "mine"

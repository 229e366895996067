"""The state: sound, and failing in every way that the check looks for."""

import datetime as dt
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbatch._lib.clock import Clock
from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.cli.app import cli
from cxrbatch.doctor import Setup, checks
from cxrbatch.doctor import state as state_checks
from cxrbatch.doctor.check import Level, Observation
from cxrbatch.reasons import Reason
from cxrbatch.records import FoundFile, Provenance, TriageRun
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.state import schema
from cxrbatch.state.connection import open_state
from cxrbatch.state.lock import lock_path, locked
from cxrbatch.state.records import RunContext
from tests.factories.audits import Line, Night, make_state
from tests.factories.records import failure

EVENING = dt.datetime(2026, 3, 5, 23, 0, tzinfo=dt.UTC)


PROVENANCE = Provenance(
    bundle_id="b@1",
    bundle_sha256="b",
    cxrbatch_version="0",
    runtime="TensorFlow 2",
    device="CPU",
    precision="float32",
    batch_size=2,
)


def clock(nights_later: int = 0) -> Clock:
    return lambda: EVENING + dt.timedelta(days=nights_later)


def look(path: Path, at: Clock | None = None) -> list[Observation]:
    return list(state_checks.state(Setup(options=ScreenOptions(state=path, clock=at or clock()))))


def wrong(observations: list[Observation]) -> list[tuple[Level, str]]:
    return [(item.level, item.found) for item in observations if item.level is not Level.OK]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two images of one night."""
    path = tmp_path / "state.sqlite"
    write_night(path, finished=True)
    return path


def write_night(path: Path, *, finished: bool) -> None:
    context = RunContext(
        root="/in", settings="s", bundle_sha256="b", night=dt.date(2026, 3, 5), moment=EVENING
    )
    with open_state(path) as state:
        run_id = state.begin(context)
        for name in ("1.dcm", "2.dcm"):
            file = FoundFile(path=Path("/in", name), name=name, version=FileVersion(size_bytes=1))
            state.put(file, failure(name, Reason.CORRUPT), context)
        if finished:
            run = TriageRun(
                folder="/in",
                n_found=2,
                started=EVENING,
                duration_s=1.0,
                patients=(),
                images=(),
                failures=(failure("1.dcm", Reason.CORRUPT), failure("2.dcm", Reason.CORRUPT)),
                provenance=PROVENANCE,
            )
            state.finish(run_id, run, EVENING)


def test_none_asked_for() -> None:
    assert list(state_checks.state(Setup())) == []


def test_sound(state: Path) -> None:
    before = state.read_bytes()
    found = look(state)
    assert wrong(found) == []
    said = "\n".join(item.found for item in found)
    for part in (
        "mode 0600",
        f"version {schema.SCHEMA_VERSION}",
        "whole; 2 images",
        "the last night was 2026-03-05",
    ):
        assert part in said
    assert state.read_bytes() == before
    left = {path.name: path.stat().st_size for path in state.parent.iterdir() if path.name.endswith("-wal")}
    assert not any(left.values())  # SQLite leaves its own files beside a state that was only read, empty ones


def test_not_there_yet(tmp_path: Path) -> None:
    found = look(tmp_path / "deep" / "state.sqlite")
    assert wrong(found) == []
    assert "the first run makes it" in found[-1].found
    assert list(tmp_path.iterdir()) == []


def test_not_there_and_never_will_be(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    ((level, found),) = wrong(look(folder / "state.sqlite"))
    assert level is Level.PROBLEM
    assert found.endswith(f"not there yet, and {folder} cannot be written to")


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604])
def test_mode(mode: int, state: Path) -> None:
    state.chmod(mode)
    ((level, found),) = wrong(look(state))
    assert level is Level.PROBLEM
    assert found.startswith(f"mode {mode:04o}: others may read")


def test_damaged(state: Path) -> None:
    content = bytearray(state.read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xa5" * (4096 * 4)
    state.write_bytes(content)
    level, found = wrong(look(state))[0]
    assert level is Level.PROBLEM
    assert "damaged" in found


def test_other_bytes(state: Path) -> None:
    state.write_bytes(b"nonsense " * 1000)
    ((level, found),) = wrong(look(state))
    assert level is Level.PROBLEM
    assert "no state" in found


def test_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    path.chmod(0o600)
    ((level, found),) = wrong(look(path))
    assert level is Level.PROBLEM
    assert "another program" in found


def test_of_a_later_version(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    ((level, found),) = wrong(look(state))
    assert level is Level.PROBLEM
    assert f"version {schema.SCHEMA_VERSION + 1}" in found


def test_of_an_earlier_version(state: Path) -> None:
    """No fault: whoever has just installed a new version asks."""
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("PRAGMA user_version = 1")
    ((level, found),) = wrong(look(state))
    assert level is Level.WARNING
    assert found == f"version 1 of {schema.SCHEMA_VERSION}, of an earlier cxrbatch"


def test_clock_behind_the_last_night(state: Path) -> None:
    ((level, found),) = wrong(look(state, clock(-1)))
    assert level is Level.PROBLEM
    assert found == "the last night was 2026-03-05, and the clock says 2026-03-04"


@pytest.mark.parametrize("nights", range(5))
def test_nights_without_a_run(nights: int, state: Path) -> None:
    expected = [] if nights <= 2 else [(Level.WARNING, f"the last night was 2026-03-05, {nights} nights ago")]
    assert wrong(look(state, clock(nights))) == expected


def test_last_run_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    write_night(path, finished=True)
    write_night(path, finished=False)
    assert wrong(look(path)) == [(Level.WARNING, "the last run did not end well")]
    write_night(path, finished=True)
    assert wrong(look(path)) == []


def test_a_run_is_at_work(state: Path) -> None:
    write_night(state, finished=False)
    with locked(lock_path(state), "the test"):
        assert wrong(look(state)) == [(Level.WARNING, f"process {os.getpid()} is at work on it")]


def test_a_killed_run_holds_nothing(state: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from cxrbatch.state.lock import locked\n"
        "with locked(Path(sys.argv[1]), ''): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(lock_path(state))], check=False)
    assert lock_path(state).exists()
    assert wrong(look(state)) == []


def test_somebody_else_s(state: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(state, 12345, 12345)
    ((level, found),) = wrong(look(state))
    assert (level, found) == (Level.WARNING, "belongs to user 12345, and this is user 0")


MOUNTS = r"""/dev/sda1 / ext4 rw,relatime 0 0
server:/export /srv/state nfs4 rw,vers=4.2 0 0
//server/share /srv/with\040blank cifs rw 0 0
/dev/sdb1 /srv/state/local xfs rw 0 0
tmpfs /srv/twice tmpfs rw 0 0
server:/other /srv/twice nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/s.sqlite", "ext4"),
        ("/srv/state/s.sqlite", "nfs4"),
        ("/srv/statement/s.sqlite", "ext4"),
        ("/srv/with blank/s.sqlite", "cifs"),
        ("/srv/state/local/deep/s.sqlite", "xfs"),
        ("/srv/twice/s.sqlite", "nfs"),
    ],
)
def test_file_system_of(path: str, kind: str) -> None:
    assert state_checks.file_system_of(Path(path), MOUNTS) == kind


def test_state_on_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, level in (
        ("nfs4", Level.PROBLEM),
        ("cifs", Level.PROBLEM),
        ("xfs", Level.OK),
        ("nfsd", Level.OK),
    ):
        (tmp_path / "mounts").write_text(f"somewhere / {kind} rw 0 0\n")
        monkeypatch.setattr(state_checks, "_MOUNTS", tmp_path / "mounts")
        assert look(tmp_path / "s.sqlite")[0].level is level
    assert state_checks.file_system_of(Path("/proc"), Path("/proc/self/mounts").read_text()) == "proc"


@pytest.mark.parametrize(
    ("capacity", "max_nights", "warned"), [(2, 3, True), (3, 3, False), (2, None, False)]
)
def test_those_put_first_need_all_swabs(
    capacity: int, max_nights: int | None, warned: bool, tmp_path: Path
) -> None:
    lines = [Line(patient=patient, score=0.5, nights_waiting=3, max_wait=True) for patient in "AB"]
    path = make_state(tmp_path / "state", [Night(0, [{}], [*lines, Line(patient="C", score=0.5)])])
    found = list(
        state_checks.state(
            Setup(
                options=ScreenOptions(
                    state=path, capacity=capacity, max_nights=max_nights, clock=lambda: EVENING
                )
            )
        )
    )
    said = [item for item in found if "on the last list 2 patients come first" in item.found]
    assert [(item.level, item.advice) for item in said] == (
        [(Level.WARNING, "Raise --max-nights, or leave it out.")] if warned else []
    )


def test_the_command_warns_of_them_with_the_recipe_of_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [Line(patient=patient, score=0.5, nights_waiting=5, max_wait=True) for patient in "ABC"]
    path = make_state(tmp_path / "state", [Night(0, [{}], lines)])
    monkeypatch.setattr(checks, "CHECKS", {"state": state_checks.state})
    with open_state(path, read_only=True) as opened:
        (night,) = (run.started for run in opened.runs())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{night.timestamp():.0f}")
    recipe = tmp_path / "night.toml"
    for capacity, said in ((3, ["there are 3 swabs: the score has no say"]), (4, [])):
        recipe.write_text(f'state = "state"\nmax_nights = 5\ncapacity = {capacity}\n')
        result = CliRunner().invoke(cli, ["doctor", "--recipe", str(recipe)], standalone_mode=False)
        assert result.return_value == 0, result.output
        found = [line for line in result.stdout.splitlines() if "WARNING" in line]
        assert len(found) == len(said)
        assert all(text in line for text, line in zip(said, found, strict=True))
        assert ("to do: Raise --max-nights, or leave it out." in result.stdout) is bool(said)

"""Files with patients in them: for their owner alone while a run is at work, and gone or complete after it."""

import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cxrbatch._lib.atomic import write_together
from cxrbatch.prediction import result_names, save_annotated
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure
from tests.factories.cli_process import cxrbatch, hooked, start

REPORT = {"report.csv", "report.files.csv", "report.html"}


class Seen(dict[str, set[int]]):
    """Modes of the files that were in some folders at some time, by name."""

    def look(self, *folders: Path) -> None:
        for folder in folders:
            for name in os.listdir(folder):  # noqa: PTH208 - names alone, since a file may be gone by now
                with suppress(FileNotFoundError):
                    mode = stat.S_IMODE((folder / name).lstat().st_mode)
                    self.setdefault(name, set()).add(mode)


@contextmanager
def watching(*folders: Path) -> Iterator[Seen]:
    seen, ended = Seen(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            seen.look(*folders)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def export(tmp_path: Path, sample_night: Path) -> Path:
    """Images that are read slowly."""
    (tmp_path / "in").mkdir()
    (image,) = (sample_night / "emergency" / "SAMPLE-001").iterdir()
    for number in range(24):
        shutil.copy(image, tmp_path / "in" / f"slow{number}.dcm")
    return tmp_path / "in"


def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """For the report, for the state, and for what is temporary."""
    named = (tmp_path / "out", tmp_path / "state", tmp_path / "tmp")
    for folder in named:
        folder.mkdir()
    return named


def test_a_run_leaves_its_report_and_its_state(export: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    out, state, scratch = folders(tmp_path)
    arguments = ("screen", export, "--out", out / "report.csv", "--bundle", tiny_bundle, "--workers", "1")
    with watching(out, state, scratch) as seen:
        env = hooked(tmp_path) | {"TMPDIR": str(scratch)}
        result = cxrbatch(*arguments, "--state", state / "s.sqlite", umask=0, env=env)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in out.iterdir()} == REPORT
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o640}
    assert {path.name for path in state.iterdir()} == {"s.sqlite"}
    assert not list(scratch.iterdir())
    assert {"s.sqlite", "s.sqlite-wal", "s.sqlite.lock"} <= seen.keys()
    check_private(seen)


def check_private(seen: Seen) -> None:
    """Nobody else could read a file at any time, and of the report those of the group alone."""
    for name, modes in seen.items():
        assert modes == ({0o640} if is_of_the_report(name) else {0o600}), name


def is_of_the_report(name: str) -> bool:
    """Itself, and under the name that it has until it is complete."""
    starts = tuple(f".{part}." for part in (*REPORT, "trial"))
    return name in REPORT or (name.startswith(starts) and name.endswith(".tmp"))


def test_a_stopped_run_leaves_what_the_next_one_goes_on_with(
    export: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    out, _, scratch = folders(tmp_path)
    shutil.copy(next(export.iterdir()), export / "stuck.dcm")  # the last: all others are scored by then
    arguments = ("screen", export, "--out", out / "report.csv", "--bundle", tiny_bundle, "--workers", "1")
    env = hooked(tmp_path) | {"TMPDIR": str(scratch)}
    with watching(out, scratch) as seen:
        running = start(*arguments, "--batch-size", "2", umask=0, env=env)
        wait_until_idle(running)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=20)  # though a file has its reader for a hundred seconds
    assert running.returncode == 130, said
    assert ".report.csv.partial" in seen
    check_private(seen)
    assert not list(scratch.iterdir())
    left = {path.name.removesuffix("-wal").removesuffix("-shm") for path in out.iterdir()}
    assert left == {".report.csv.partial"}
    assert cxrbatch(*arguments).returncode == 0
    assert {path.name for path in out.iterdir()} == REPORT


def wait_until_idle(running: "subprocess.Popen[bytes]") -> None:
    """Wait until a process has taken no processor time for some seconds."""
    took, since, deadline = -1, time.monotonic(), time.monotonic() + 90
    while time.monotonic() < min(since + 3, deadline):
        assert running.poll() is None, running.communicate()
        now = sum(map(int, Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        if now > took + 1:  # hundredths of a second; who waits takes some now and then
            took, since = now, time.monotonic()
        time.sleep(0.05)


def test_pictures_with_results_are_as_private_as_reports(export: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (image, *_) = export.iterdir()
        result = Failure(name="a", reason=Reason.LATERAL_VIEW)
        save_annotated(result, image, tmp_path / "out" / "a.png")
    finally:
        os.umask(before)
    (picture,) = (tmp_path / "out").iterdir()
    assert stat.S_IMODE(picture.stat().st_mode) == 0o640
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_link_in_the_place_of_a_report_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "report.csv").symlink_to(tmp_path / "mine")
    write_together({tmp_path / "report.csv": b"rank\n"})
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "report.csv").is_symlink()
    assert (tmp_path / "report.csv").read_bytes() == b"rank\n"


@pytest.mark.parametrize(
    "image", ["..", "/", "a/..", "../../a.dcm", "/etc/passwd", "a\nb", "~/x", "a\\..\\b"]
)
def test_pictures_of_results_stay_in_their_folder(image: str) -> None:
    (name,) = result_names([Path(image)])
    assert (Path("out") / name).resolve().parent == Path("out").resolve()
    assert name.endswith(".result.png")

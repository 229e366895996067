"""``kill -9`` at any moment, then a run again: the same bytes as if nothing had happened, and nothing left behind.

``CXRBATCH_KILL_POINTS=20`` kills at twenty points with a state and at twenty without one; by default at three each.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch.report.write import report_paths
from cxrbatch.state import lock
from tests.factories.dicom_files import write_dicom

N_POINTS = int(os.environ.get("CXRBATCH_KILL_POINTS", "3"))
N_IMAGES = 75
YESTERDAY = b"what was reported yesterday"
CLOCK = {"SOURCE_DATE_EPOCH": "1772400000", "TZ": "UTC"}

Moment = Callable[["Place", float], float]
"""Waits for what is to be interrupted; gives how long to wait then, in seconds."""


@dataclass(frozen=True)
class Place:
    """Where a run leaves things."""

    folder: Path
    export: Path
    bundle: Path
    with_state: bool

    @property
    def out(self) -> Path:
        return self.folder / "report" / "report.csv"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def memory(self) -> Path:
        """The state, or what stands for it."""
        return (
            self.folder / "state" / "state" if self.with_state else self.out.with_name(".report.csv.partial")
        )

    @property
    def lock(self) -> Path:
        return lock.lock_path(self.memory if self.with_state else self.out.with_name(f".{self.out.name}"))

    def make(self) -> "Place":
        for folder in (self.out.parent, self.temporary, self.folder / "state"):
            folder.mkdir(parents=True)
        for path in report_paths(self.out):
            path.write_bytes(YESTERDAY)
        return self

    def start(self) -> "subprocess.Popen[bytes]":
        words: list[object] = [self.export, "--out", self.out, "--bundle", self.bundle, "--device", "cpu"]
        words += ["--state", self.memory] if self.with_state else []
        return subprocess.Popen(
            [sys.executable, "-m", "cxrbatch", "screen", *map(str, words)],
            env={**os.environ, **CLOCK, "TMPDIR": str(self.temporary)},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self) -> None:
        process = self.start()
        _, errors = process.communicate()
        assert process.returncode == 3, errors.decode()

    def report(self) -> list[bytes | None]:
        return [content_of(path) for path in report_paths(self.out)]

    def left(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir()
        )


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Radiographs, a second copy, one that is cut off, one that is no image."""
    folder = tmp_path_factory.mktemp("export")
    drawn = [radiograph(150, 136, seed=i) for i in range(3)]
    for i in range(N_IMAGES):
        pixels = np.rint(drawn[i % 3] ** (0.7 + 0.01 * i) * 255).astype(np.uint8)
        if i % 5:
            write_dicom(folder / f"{i}.dcm", pixels, PatientID=f"P{i % 60}", SOPInstanceUID=f"1.2.{i}")
        else:
            Image.fromarray(pixels).save(folder / f"{i}.png")
    shutil.copy(folder / "1.dcm", folder / "again.dcm")
    (folder / "cut.dcm").write_bytes((folder / "2.dcm").read_bytes()[:-3000])
    (folder / "README").write_text("no image")
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["state", "stateless"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, export: Path, tiny_bundle: Path
) -> tuple[Place, float]:
    """A run that nobody interrupts, and its seconds."""
    place = Place(tmp_path_factory.mktemp("whole"), export, tiny_bundle, with_state=request.param).make()
    started = time.monotonic()
    place.run()
    assert YESTERDAY not in place.report()
    return place, time.monotonic() - started


# --- moments


def at_share(share: float) -> Moment:
    return lambda _, whole_s: share * whole_s


def when_there(pattern: str, after_s: float) -> Moment:
    """As soon as a file of that name lies beside the report."""

    def moment(place: Place, whole_s: float) -> float:
        wait(lambda: any(place.out.parent.glob(pattern)), 3 * whole_s)
        return after_s

    return moment


def when_reported(after_s: float) -> Moment:
    def moment(place: Place, whole_s: float) -> float:
        wait(lambda: content_of(place.out) not in (None, YESTERDAY), 3 * whole_s)
        return after_s

    return moment


def when_remembered(after_s: float) -> Moment:
    """As soon as SQLite has written some of what was judged."""

    def moment(place: Place, whole_s: float) -> float:
        log = place.memory.with_name(place.memory.name + "-wal")
        wait(lambda: size_of(log) > 100_000, 3 * whole_s)
        return after_s

    return moment


def content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def wait(condition: Callable[[], bool], at_most_s: float) -> None:
    until = time.monotonic() + at_most_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.0002)


def moments() -> list[Moment]:
    """A fixed draw; the first ones are the most telling."""
    random_ = random.Random(20)
    drawn: list[Moment] = []
    while len(drawn) < N_POINTS:
        after_s = random_.choice([0.0, 0.0, random_.uniform(0, 0.004)])
        drawn += [
            when_there(".report.*.old", after_s),
            at_share(random_.uniform(0.02, 1.0)),
            when_remembered(after_s * 20),
            when_there(".report.*.tmp", after_s),
            when_reported(after_s),
            at_share(random_.uniform(0.5, 1.0)),
        ]
    return drawn[:N_POINTS]


# --- the kill


@pytest.mark.parametrize("moment", moments(), ids=range(N_POINTS))
def test_a_killed_run_leaves_no_trace_once_it_was_run_again(
    whole: tuple[Place, float], moment: Moment, tmp_path: Path
) -> None:
    reference, whole_s = whole
    place = Place(tmp_path / "place", reference.export, reference.bundle, reference.with_state).make()
    kill(place, moment, whole_s)
    check_report(place, reference)
    check_memory(place, tmp_path / "copy")
    place.run()
    assert place.report() == reference.report()
    assert place.left() == reference.left()
    assert lock.holder(place.lock) is None
    check_memory(place, tmp_path / "copy again")


def kill(place: Place, moment: Moment, whole_s: float) -> None:
    process = place.start()
    time.sleep(moment(place, whole_s))
    process.kill()
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 3)  # 3: it was faster
    wait(lambda: not processes_of(process.pid), 10)
    assert processes_of(process.pid) == []


def processes_of(session: int) -> list[int]:
    """Whatever a process has started and not ended; it began a session of its own."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = status.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(status.parent.name))
    return found


def check_report(place: Place, reference: Place) -> None:
    """Where the table of patients is, the set is complete: yesterday's or tonight's."""
    if place.out.exists():
        assert place.report() in ([YESTERDAY] * 3, reference.report())


def check_memory(place: Place, copy: Path) -> None:
    """Of a copy, so that nothing is mended by looking."""
    copy.mkdir()
    for path in place.memory.parent.glob(f"{place.memory.name}*"):
        shutil.copy(path, copy)
    if (copy / place.memory.name).exists():
        with closing(sqlite3.connect(copy / place.memory.name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

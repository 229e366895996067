"""Thirty nights of a hospital, told in full: whatever may happen to an export happens once, and the list stays right.

Files are real, and so is all that is done with them; only that they are read in this process saves the start of
readers on each night. Every list is compared with that of `reference_model`.
"""

import csv
import datetime as dt
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import radiograph
from PIL import Image

from cxrbatch.engines import pool
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import PreparedRef
from cxrbatch.infer.runtime import Device
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import ImageRef, TriageRun
from cxrbatch.results.importing import forget_patient, import_results, undo_import
from cxrbatch.results.lab_file import LabFormat
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.state import persistent_state, session
from cxrbatch.state.connection import open_state
from tests.factories.dicom_files import write_dicom
from tests.factories.triage_lines import books, lines, listed
from tests.triage.reference_model import Model, Options, Reading, Settings, Version

FIRST = dt.datetime(2026, 3, 1, 23, 30, tzinfo=dt.UTC)
EXPIRE, MAX_NIGHTS, KEPT_NIGHTS = 7, 4, 6
SETTINGS = Settings("tiny")
OPTIONS = Options(EXPIRE, MAX_NIGHTS, "mean", urgent=0.6, high=0.3)


@dataclass(frozen=True)
class Film:
    """A file that holds a radiograph; `cut` files end too early."""

    patient: str
    uid: str
    picture: int
    study_date: dt.date
    age: str = "045Y"
    cut: bool = False

    @property
    def reading(self) -> Reading:
        reason = "truncated" if self.cut else "paediatric" if self.age < "018Y" else ""
        picture = "" if reason else str(self.picture)
        return Reading(("dicom", "", self.patient), self.uid, self.study_date, picture, reason=reason)


@dataclass(frozen=True)
class Png:
    """A picture that says nothing about its patient."""

    picture: int
    cut: bool = False


@dataclass(frozen=True)
class Text:
    """No image."""


Held = Film | Png | Text


@cache
def pixels(picture: int) -> NDArray[np.uint8]:
    """Few are drawn, and many made of them."""
    drawn = drawing(picture % 4)
    return np.rint(drawn ** (0.6 + 0.004 * picture) * 255).astype(np.uint8)


@cache
def drawing(seed: int) -> NDArray[np.float32]:
    return radiograph(150, 136, seed=seed)


def write(path: Path, held: Held) -> None:
    if isinstance(held, Text):
        path.write_text("Export of the night, see manual.")
        return
    if isinstance(held, Png):
        Image.fromarray(pixels(held.picture)).save(path, format="PNG")
    else:
        write_dicom(
            path,
            pixels(held.picture),
            PatientID=held.patient,
            SOPInstanceUID=held.uid,
            StudyInstanceUID=f"{held.uid}.0",
            StudyDate=f"{held.study_date:%Y%m%d}",
            AccessionNumber=f"ACC{held.uid.rpartition('.')[2]}",
            PatientAge=held.age,
        )
    if held.cut:
        path.write_bytes(path.read_bytes()[:-2000])


class InThisProcess:
    """`cxrbatch.engines.pool.WorkerPool` without its processes."""

    def __init__(self, options: PrepareOptions, n_workers: int, memory_bytes: int) -> None:
        self._options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def stop(self) -> None:
        pass

    def prepare(self, refs: Iterable[ImageRef]) -> Iterator[PreparedRef]:
        return ((ref, prepare(ref, self._options)) for ref in refs)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


WORD = {True: "positive", False: "negative", None: "pending"}


@dataclass
class Hospital:
    """An export folder, the report and the state of its nights, and the model of them."""

    scratch: Path
    bundle: Path
    now: dt.datetime = FIRST
    model: Model = field(default_factory=Model)
    held: dict[str, Held] = field(default_factory=dict)
    since: dict[str, dt.datetime] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)
    n_patients: int = 0

    def __post_init__(self) -> None:
        (self.export / "busy").mkdir(parents=True)

    @property
    def export(self) -> Path:
        return self.scratch / "export"

    @property
    def out(self) -> Path:
        return self.scratch / "report.csv"

    @property
    def state(self) -> Path:
        return self.scratch / "state"

    # --- what happens in the hospital

    def comes(self, name: str, held: Held, minutes_ago: float = 60) -> None:
        """A file is written as a new one, whatever stood there under that name."""
        path = self.export / name
        path.unlink(missing_ok=True)
        write(path, held)
        modified = self.now - dt.timedelta(minutes=minutes_ago)
        os.utime(path, (modified.timestamp(), modified.timestamp()))
        self.held[name], self.since[name] = held, self.now
        self.ever.add(name)

    def goes(self, name: str) -> None:
        (self.export / name).unlink()
        del self.held[name], self.since[name]

    def is_renamed(self, old: str, new: str) -> None:
        (self.export / old).rename(self.export / new)
        self.held[new], self.since[new] = self.held.pop(old), self.since.pop(old)
        self.ever.add(new)

    def new_patient(self, picture: int | None = None, age: str = "045Y", days_ago: int = 0) -> Film:
        self.n_patients += 1
        n = self.n_patients
        day = self.now.date() - dt.timedelta(days=days_ago)
        return Film(f"P{n:03}", f"1.2.3.{n}", n if picture is None else picture, day, age)

    def result(self, patient: str, *, positive: bool | None, days_ago: int) -> None:
        """The laboratory's file is imported by the command's own code."""
        day = self.now.date() - dt.timedelta(days=days_ago)
        path = self.scratch / "pcr.csv"
        path.write_text(f"patient_id,date,result\n{patient},{day},{WORD[positive]}\n")
        (row,) = import_results(path, self.state, LabFormat(), clock=lambda: self.now)
        assert row.is_taken
        if row.result:
            self.model.result(self.imports()[-1], ("dicom", "", patient), day, positive)

    def imports(self) -> list[int]:
        with open_state(self.state, read_only=True) as state:
            return [one.id for one in state.pcr.imports()]

    def is_undone(self) -> None:
        """The last import, by the command's own code."""
        if numbers := [one for one in self.imports() if one not in self.model.undone]:
            undo_import(self.state, numbers[-1], clock=lambda: self.now)
            self.model.undone.add(numbers[-1])

    def is_forgotten(self, patient: str) -> None:
        """A person asks for it, by the command's own code; the files are taken out of the export."""
        removed = forget_patient(self.state, patient)
        assert removed is not None
        for path in removed.files:
            self.goes(str(path.relative_to(self.export)))
        self.model.forget({("dicom", "", patient)})
        self.ever = self.still_known()

    def is_pruned(self, nights: int) -> int:
        """Give the number of the patients who are gone."""
        gone = self.model.prune(nights, {(str(self.export), name) for name in self.held})
        with persistent_state(self.state) as state:
            assert state.removal.prune(self.model.last_night - dt.timedelta(days=nights)).n_patients == len(
                gone
            )
        self.ever = self.still_known()
        return len(gone)

    def still_known(self) -> set[str]:
        """Names in the state, or in the export for the next run."""
        return {known.version.name for known in self.model.known.values()} | self.held.keys()

    # --- runs

    def options(self) -> ScreenOptions:
        return ScreenOptions(
            bundle=self.bundle,
            state=self.state,
            expire_nights=EXPIRE,
            max_nights=MAX_NIGHTS,
            clock=lambda: self.now,
            engine=EngineOptions(device=Device.CPU),
        )

    def command(self, *before: str) -> "subprocess.Popen[str]":
        """The same run as a process of its own, whose clock stands still."""
        arguments = {
            "--out": self.out,
            "--bundle": self.bundle,
            "--device": "cpu",
            "--state": self.state,
            "--expire": EXPIRE,
            "--max-nights": MAX_NIGHTS,
        }
        words = [str(word) for pair in arguments.items() for word in pair]
        clock = {"SOURCE_DATE_EPOCH": str(int(self.now.timestamp())), "TZ": "UTC"}
        return subprocess.Popen(
            [*before, sys.executable, "-m", "cxrbatch", "screen", str(self.export), *words],
            env={**os.environ, **clock},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def screen(self) -> TriageRun:
        """Screen, and compare all that came of it with the model."""
        run = screen(self.export, self.out, self.options())
        self.learn_scores(run)
        found = self.found()
        expected = self.model.run(self.now, found, SETTINGS, OPTIONS)
        actual = lines(run)
        assert [replace(line, score=None) for line in actual] == [
            replace(line, score=None) for line in expected
        ]
        for one, other in zip(actual, expected, strict=True):
            assert one.score == (other.score and pytest.approx(other.score, abs=1e-6))
        assert books(run) == {version.name: self.model.in_books(version) for version in found}
        self.check_files(run)
        return run

    def check_files(self, run: TriageRun) -> None:
        """Every file is in the books once, the counts reconcile, and report and state hold the list."""
        files = rows(self.out.with_suffix(".files.csv"))
        assert sorted(row["file"] for row in files) == sorted(self.held)
        assert {row["file"]: (row["status"], row["reason"]) for row in files} == books(run)
        assert run.n_found == run.n_scored + run.n_not_scored + run.n_skipped == len(self.held)
        assert [row["patient_id"] for row in rows(self.out)] == [one.patient_id for one in run.patients]
        with open_state(self.state, read_only=True) as state:
            assert listed(state) == self.model.listed()
        assert not list(self.scratch.glob(".*"))

    def learn_scores(self, run: TriageRun) -> None:
        """What the network says is not the matter here, but that it says it again."""
        for image in run.images:
            held = self.held[image.name]
            assert isinstance(held, Film | Png)
            assert self.scores.setdefault(held.picture, image.scores[0]) == image.scores[0]

    def found(self) -> dict[Version, Reading]:
        told = {}
        for name, held in self.held.items():
            of = (self.export / name).stat()
            version = Version(str(self.export), name, of.st_size, of.st_mtime_ns, of.st_ctime_ns)
            told[version] = self.reading(name, held)
        return told

    def reading(self, name: str, held: Held) -> Reading:
        if name.endswith((".part", ".tmp", ".lock")):
            return Reading(("file", name), reason="still_changing")
        if isinstance(held, Text):
            return Reading(("file", name), reason="not_an_image", skipped=True)
        if isinstance(held, Png):
            content = hashlib.sha256((self.export / name).read_bytes()).hexdigest()
            picture = "" if held.cut else str(held.picture)
            told = Reading(("file", name, content), picture=picture, reason="truncated" if held.cut else "")
        else:
            told = held.reading
        # A picture without known score was refused as a second copy tonight, of one whose score is known.
        return replace(told, score=self.scores[int(told.picture)]) if told.picture else told


def usual_day(hospital: Hospital, random_: random.Random) -> None:
    """New radiographs, of new and old patients; results of some who wait; old files are cleared away."""
    for name in [name for name, since in hospital.since.items() if since < hospital.now - KEPT]:
        hospital.goes(name)
    for _ in range(random_.randint(2, 4)):
        film = hospital.new_patient()
        hospital.comes(f"{film.uid}.dcm", film, minutes_ago=random_.randint(10, 600))
    if random_.random() < 0.5:  # a second radiograph of somebody
        film = hospital.new_patient()
        patient = f"P{random_.randint(max(1, film_number(film) - 12), film_number(film)):03}"
        hospital.comes(f"{film.uid}.dcm", replace(film, patient=patient))
    waiting = sorted({known.reading.patient[2] for known in hospital.model.known.values() if is_dicom(known)})
    for patient in random_.sample(waiting, min(2, len(waiting))):
        hospital.result(patient, positive=patient.endswith("3"), days_ago=random_.randint(0, 3))
    for patient in random_.sample(waiting, min(2, len(waiting))):
        hospital.result(patient, positive=None, days_ago=random_.randint(0, 2))
    if random_.random() < 0.2:
        hospital.is_undone()


KEPT = dt.timedelta(days=KEPT_NIGHTS)


def film_number(film: Film) -> int:
    return int(film.uid.rpartition(".")[2])


def is_dicom(known: object) -> bool:
    return known.reading.patient[0] == "dicom"  # type: ignore[attr-defined]


# --- what happens on certain nights


def names_are_used_again(hospital: Hospital, night: int) -> None:
    """The modality numbers its pictures from 1 on every other night."""
    if night % 2:
        hospital.comes("IM0001.png", Png(200 + night))
    if night % 4 == 1:
        hospital.comes("IM0002.png", Png(201 if night == 5 else 250 + night))


def late(hospital: Hospital) -> None:
    film = hospital.new_patient(days_ago=3)
    hospital.comes("late.dcm", film, minutes_ago=3 * 24 * 60)
    hospital.comes("child.dcm", hospital.new_patient(age="009Y"))
    hospital.comes("README.txt", Text())


def sent_twice(hospital: Hospital) -> None:
    """The same image under two names, then under a third alone; and the same picture of two patients: a tie."""
    film = hospital.new_patient()
    hospital.comes("twice.dcm", film)
    hospital.comes("again.dcm", film)
    for name in ("tie1.dcm", "tie2.dcm"):
        hospital.comes(name, hospital.new_patient(picture=300))


def sent_anew(hospital: Hospital) -> None:
    film = hospital.held["twice.dcm"]
    hospital.goes("twice.dcm")
    hospital.goes("again.dcm")
    hospital.comes("third.dcm", film)


def to_be_corrected(hospital: Hospital) -> None:
    hospital.comes("wrong1.dcm", hospital.new_patient())
    hospital.comes("wrong2.dcm", hospital.new_patient())


def corrected(hospital: Hospital) -> None:
    """One in its place, one beside the wrong one, which goes later."""
    for name, new in (("wrong1.dcm", "wrong1.dcm"), ("wrong2.dcm", "right2.dcm")):
        film = hospital.held[name]
        assert isinstance(film, Film)
        hospital.comes(new, replace(film, patient=film.patient.replace("P", "Q")))


def cut_off(hospital: Hospital) -> None:
    hospital.comes("cut.dcm", replace(hospital.new_patient(), cut=True), minutes_ago=1)
    hospital.comes("cut.png", Png(310, cut=True), minutes_ago=1)
    hospital.comes("other.png", Png(311, cut=True), minutes_ago=1)
    hospital.comes("coming.dcm.part", hospital.new_patient(), minutes_ago=1)


def completed(hospital: Hospital) -> None:
    """Written on within the hour, all but one: that is another picture under an old name."""
    film = hospital.held["cut.dcm"]
    assert isinstance(film, Film)
    within = (hospital.now - FIRST).total_seconds() / 60 % (24 * 60) + 24 * 60 - 20
    hospital.comes("cut.dcm", replace(film, cut=False), minutes_ago=within)
    hospital.comes("cut.png", Png(310), minutes_ago=within)
    hospital.comes("other.png", Png(312), minutes_ago=30)
    hospital.is_renamed("coming.dcm.part", "coming.dcm")


INCIDENTS = {
    3: late,
    4: sent_twice,
    6: sent_anew,
    7: to_be_corrected,
    9: corrected,
    10: lambda hospital: hospital.goes("wrong2.dcm"),
    11: cut_off,
    12: completed,
}


# --- what happens to the runs


def is_killed(hospital: Hospital) -> None:
    """SIGKILL when the first outcomes are on the disk; what they cost is not paid again."""
    n_known = n_images(hospital.state)
    for i in range(80):
        hospital.comes(f"busy/{i}.dcm", hospital.new_patient(picture=i % 7))
    report = hospital.out.read_bytes()
    process = hospital.command()
    while process.poll() is None and n_images(hospital.state) == n_known:
        time.sleep(0.002)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    assert hospital.out.read_bytes() == report
    n_before = n_images(hospital.state) - n_known
    assert n_before > 0
    run = hospital.screen()
    assert run.n_remembered >= n_before


def n_images(state: Path) -> int:
    with closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute("SELECT count(*) FROM image").fetchone()[0])


def meets_another(hospital: Hospital) -> None:
    """The second one goes at once, and says who holds the state."""
    with session.persistent_state(hospital.state):
        process = hospital.command()
        _, errors = process.communicate()
    assert process.returncode == 5
    assert f"process {os.getpid()}" in errors
    assert len(errors.splitlines()) == 1


def has_no_room(hospital: Hospital) -> None:
    """No file may grow beyond 4 KiB: one line, exit code 1, the report of yesterday, a sound state."""
    report = hospital.out.read_bytes()
    process = hospital.command("bash", "-c", 'ulimit -f 4; exec "$@"', "bash")
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert len(errors.splitlines()) == 1, errors
    assert hospital.out.read_bytes() == report
    with open_state(hospital.state) as state:
        assert state.problems() == []


def falls_back(hospital: Hospital) -> None:
    """The clock, by three days; it is set right on the next night."""
    hospital.now -= dt.timedelta(days=3, hours=2)
    run = hospital.screen()
    assert any("clock" in note for note in run.notes)


def forgets(hospital: Hospital) -> None:
    """One who waits and one who has left."""
    waiting = listed_last(hospital)[0]
    left = next(f"P{n:03}" for n in range(1, hospital.n_patients) if is_known_and_off(hospital, f"P{n:03}"))
    for patient in (waiting, left):
        hospital.is_forgotten(patient)


def is_known_and_off(hospital: Hospital, patient: str) -> bool:
    known = {one.reading.patient for one in hospital.model.known.values()}
    return ("dicom", "", patient) in known - hospital.model.lists[-1][1].keys()


def is_pruned(hospital: Hospital) -> None:
    assert hospital.is_pruned(EXPIRE + 5) > 5


RUNS = {14: is_killed, 16: meets_another, 18: forgets, 19: has_no_room, 21: falls_back, 24: is_pruned}
SKIPPED = 17


def test_a_month(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WorkerPool", InThisProcess)
    hospital, random_ = Hospital(tmp_path, tiny_bundle), random.Random(4)
    for night in range(30):
        hospital.now = FIRST + dt.timedelta(
            days=night, minutes=50 * (night % 3 == 2)
        )  # after midnight at times
        usual_day(hospital, random_)
        names_are_used_again(hospital, night)
        INCIDENTS.get(night, nothing)(hospital)
        if night != SKIPPED:
            RUNS.get(night, nothing)(hospital)
            hospital.screen()
            if night % 5 == 4:  # a result comes in between two runs of the night
                a_result_and_a_second_run(hospital)
    check_all_that_ever_came(hospital)


def a_result_and_a_second_run(hospital: Hospital) -> None:
    hospital.now += dt.timedelta(minutes=20)
    hospital.result(listed_last(hospital)[0], positive=True, days_ago=0)
    hospital.screen()


def listed_last(hospital: Hospital) -> list[str]:
    return [patient[2] for patient in hospital.model.lists[-1][1] if patient[0] == "dicom"]


def nothing(hospital: Hospital) -> None:
    pass


def check_all_that_ever_came(hospital: Hospital) -> None:
    with open_state(hospital.state, read_only=True) as state:
        assert state.problems() == []
        assert state.n_images() == len(hospital.model.known)
        assert sum(run.finished is None for run in state.runs()) == 1  # the killed one
        ever_listed = {one.patient_key for one in state.lists.entries()}
    assert {known.version.name for known in hospital.model.known.values()} == hospital.ever
    images = [known.reading for known in hospital.model.known.values() if not known.reading.skipped]
    assert ever_listed <= {reading.patient for reading in images}

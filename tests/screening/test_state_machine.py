"""Months of nights drawn at random: the list agrees with `reference_model` after every run.

All is real but the network and the reading of pixels: files of a few bytes say what reading them would give.
"""

import datetime as dt
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cxrbatch.bundle.bundle import Bundle, OperatingPoints
from cxrbatch.errors import NoImageFound
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read.patient_rule import PatientRule
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, ImageHeader, ImageRef, ImageScore, Outcome
from cxrbatch.screening import run
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.state import connection as state_module
from cxrbatch.state.records import PcrResult
from tests.factories.engines import MadeUpEngine, screening_with
from tests.factories.triage_lines import books, everybody, lines, listed, results_of, rounded
from tests.triage.reference_model import Known, Model, Options, Patient, Reading, Settings, Version

N_EXAMPLES = int(os.environ.get("CXRBATCH_STATE_MACHINE_EXAMPLES", "150"))
N_HISTORIES = int(os.environ.get("CXRBATCH_LONG_HISTORIES", "60"))
N_STEPS = 40
EXPIRE_AT_MOST = 6
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one: thousands of runs wait for no disk
ZONE = dt.timezone(dt.timedelta(hours=1))
BEGIN = dt.datetime(2026, 3, 1, 23, tzinfo=ZONE)
POINTS = OperatingPoints(urgent=0.5, high=0.25)
BUNDLES = {
    "a" * 64: {"p": 0.125, "q": 0.5, "r": 0.75, "s": 0.5},
    "b" * 64: {"p": 0.75, "q": 0.25, "r": 0.0, "s": 1.0},
}
"""COVID-19 scores of every picture; sums and means of a few of them are exact."""
MAGIC = {"dicom": b"\0" * 128 + b"DICM", "png": b"\x89PNG\r\n\x1a\n", "text": b"To whom it may concern"}


@dataclass(frozen=True)
class Content:
    """What a file holds, and what comes of reading it."""

    kind: str
    patient: str
    uid: str
    picture: str
    fault: str = ""  # why it is not scored
    study_days: int | None = None  # days after the first night

    def to_bytes(self) -> bytes:
        return MAGIC[self.kind] + json.dumps(vars(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Content":
        return cls(**json.loads(content[content.index(b"{") :]))

    @property
    def study_date(self) -> dt.date | None:
        return None if self.study_days is None else BEGIN.date() + dt.timedelta(days=self.study_days)


def dicom(patient: str, uid: str, picture: str, fault: str) -> Content:
    """What two files with one UID state as study date is the same."""
    days = {"": None, "1": 0, "2": -3, "3": 6}[uid]
    return Content("dicom", patient, uid, picture, fault, days)


FAULTY = ["truncated", "truncated", "lateral_view", "unread_header", "unreadable"]
FILES = ["a.dcm", "b.dcm", "s/a.png", "s/b.png", "c.png", "notes"]
FAULTS = st.sampled_from(FAULTY)
MOSTLY_NONE = st.sampled_from([""] * 7) | FAULTS
UIDS = st.sampled_from(["", "1", "1", "2", "3"])
NAMES = st.sampled_from(FILES)
DICOMS = st.builds(dicom, st.sampled_from("AB"), UIDS, st.sampled_from("ppqrs"), MOSTLY_NONE)
PNGS = st.builds(Content, st.just("png"), st.just(""), st.just(""), st.sampled_from("ppqrs"), MOSTLY_NONE)
TEXTS = st.builds(Content, st.just("text"), st.just(""), st.just(""), st.just(""))
CONTENTS = {"dicom": DICOMS, "png": PNGS, "mixed": st.one_of(DICOMS, PNGS, TEXTS)}
SECONDS = st.sampled_from([0, 0, 600, 7200, 100_000])
WHICH = st.integers(0, 5)
THEN = st.sampled_from([None, None, 0, 1, 24])
"""Hours to the run that follows what happens; None: more happens before it."""


# --- the real side


def bundle(sha256: str, aggregation: str) -> Bundle:
    return Bundle(
        path=Path("/nowhere"),
        name="made up",
        sha256=sha256,
        preprocess=PreprocessSpec(height=64, width=64),
        aggregation=aggregation,
        operating_points=POINTS,
        training={},
        evaluation={},
    )


class Killed(BaseException):
    """Stands for a signal that no program can catch."""


@dataclass
class Reader:
    """Stands for reading and scoring; dies when it has told of `dies_after` files."""

    sha256: str
    dies_after: int | None = None
    n_told: int = 0

    def engine(self, *_: object, patients: PatientRule, **__: object) -> MadeUpEngine:
        def outcome(ref: ImageRef) -> Outcome:
            self._die()
            self.n_told += 1
            return self._read(ref, patients)

        return MadeUpEngine(outcome, self.sha256, after=self._die)

    def _die(self) -> None:
        if self.n_told == self.dies_after:
            raise Killed

    def _read(self, ref: ImageRef, patients: PatientRule) -> Outcome:
        content = Content.from_bytes(ref.path.read_bytes())
        header = judge_header(ref, content, patients)
        if content.fault:
            reason = Reason.CORRUPT if content.fault == "unread_header" else Reason(content.fault)
            return Failure(name=ref.name, reason=reason, header=header)
        covid = BUNDLES[self.sha256][content.picture]
        scores = (covid, (1 - covid) / 2, (1 - covid) / 2)
        return ImageScore(name=ref.name, header=header, scores=scores, pixels_sha256=content.picture)


def judge_header(ref: ImageRef, content: Content, patients: PatientRule) -> ImageHeader:
    if content.kind == "dicom" and content.fault not in ("unread_header", "unreadable"):
        return ImageHeader(
            patient_key=("dicom", "", content.patient),
            patient_id=content.patient,
            sop_instance_uid=content.uid,
            study_date=content.study_date.isoformat() if content.study_date else "",
        )
    header = patients.unread_header(ref.name, FileKind(content.kind))
    if header.patient_key[0] != "file" or content.fault == "unreadable":
        return header
    return replace(header, patient_key=(*header.patient_key, ref.path.read_bytes().hex()))


@contextmanager
def without_network(reader: Reader, made_up: Bundle) -> Iterator[None]:
    with (
        screening_with(reader.engine),
        mock.patch.object(run, "choose_bundle", return_value=made_up),
        mock.patch.object(run, "write_report"),
    ):
        yield


# --- what the model is told


def reading(name: str, content: Content, raw: bytes, sha256: str, rule_: str) -> Reading:
    """As README and CLI say, and not as the code does it."""
    folder = name.rpartition("/")[0]
    grouped: Patient | None = ("named", folder) if rule_ == "folder" and folder else None
    if name.endswith((".part", ".tmp", ".lock")):
        return Reading(patient=grouped or ("file", name), reason="still_changing")
    if content.kind == "text":
        is_named_image = name.endswith((".dcm", ".png"))
        return Reading(grouped or ("file", name), reason="not_an_image", skipped=not is_named_image)
    alone = ("file", name) if content.fault == "unreadable" else ("file", name, raw.hex())
    if content.kind == "png":
        patient, uid, date = grouped or alone, "", None
    elif content.fault in ("unread_header", "unreadable"):
        patient, uid, date = alone, "", None
    else:
        patient, uid, date = ("dicom", "", content.patient), content.uid, content.study_date
    if content.fault:
        reason = "corrupt" if content.fault == "unread_header" else content.fault
        return Reading(patient, uid, date, reason=reason)
    return Reading(patient, uid, date, content.picture, BUNDLES[sha256][content.picture])


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class Nights(RuleBasedStateMachine):
    """An export folder to which anything may happen, two programs that screen it, and PCR results."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp(dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
        self.roots = [(self.scratch / name).resolve() for name in ("export", "other")]
        for root in self.roots:
            (root / "s").mkdir(parents=True)
        self.model = Model()
        self.now = BEGIN
        self.wrong_by = dt.timedelta()
        self.sha256, self.rule = "a" * 64, "file"
        self.which_root = 0
        self.ever: list[Content] = []
        self.theme = "mixed"

    @initialize(theme=st.sampled_from(["dicom", "dicom", "png", "mixed"]))
    def begins(self, theme: str) -> None:
        """Where all files are alike, more happens between them."""
        self.theme = theme

    def teardown(self) -> None:
        """Who was listed when is what the lists said, whatever came later, and results are those that stand."""
        if (self.scratch / "state").exists():
            with state_module.open_state(self.scratch / "state", durable=False) as state:
                assert listed(state) == self.model.listed()
                assert results_of(state) == self.model.standing()
                assert {(swab.patient_key, swab.date) for swab in state.pcr.swabs()} == self.model.swabs()
        shutil.rmtree(self.scratch)

    # --- what happens to the folder

    @property
    def root(self) -> Path:
        return self.roots[self.which_root]

    def files(self) -> list[str]:
        return files_below(self.root)

    def pick(self, which: int) -> str:
        files = self.files()
        return files[which % len(files)]

    def content(self, name: str) -> Content:
        raw = (self.root / name).read_bytes()
        return Content.from_bytes(raw)

    def write(self, name: str, content: Content, age_s: int = 0) -> None:
        """As a new file under that name, so that no two writes have all of their times in common."""
        path = self.root / name
        path.unlink(missing_ok=True)
        path.write_bytes(content.to_bytes())
        self.stamp(path, age_s)
        if content not in self.ever:
            self.ever.append(content)

    def stamp(self, path: Path, age_s: int) -> None:
        modified = int((self.now - dt.timedelta(seconds=age_s)).timestamp())
        os.utime(path, (modified, modified))

    @rule(name=NAMES, age_s=SECONDS, data=st.data(), then=THEN)
    def comes(self, name: str, age_s: int, data: st.DataObject, then: int | None) -> None:
        self.write(name, data.draw(CONTENTS[self.theme]), age_s)
        self.night_follows(then)

    @precondition(lambda self: self.files())
    @rule(which=WHICH, then=THEN)
    def is_touched(self, which: int, then: int | None) -> None:
        self.stamp(self.root / self.pick(which), 0)
        self.night_follows(then)

    @precondition(lambda self: self.files())
    @rule(which=WHICH, then=THEN)
    def is_copied_anew(self, which: int, then: int | None) -> None:
        """With its times: nothing but the time of change differs."""
        path = self.root / self.pick(which)
        content, modified_ns = path.read_bytes(), path.stat().st_mtime_ns
        path.unlink()
        path.write_bytes(content)
        os.utime(path, ns=(modified_ns, modified_ns))
        self.night_follows(then)

    @precondition(lambda self: self.files())
    @rule(which=WHICH, name=NAMES, age_s=SECONDS, then=THEN)
    def is_sent_again(self, which: int, name: str, age_s: int, then: int | None) -> None:
        self.write(name, self.content(self.pick(which)), age_s)
        self.night_follows(then)

    @precondition(lambda self: self.theme != "png" and self.files())
    @rule(which=WHICH, name=st.none() | NAMES, stays=st.booleans(), hours=st.sampled_from([0, 24]))
    def is_corrected(self, which: int, name: str | None, stays: bool, hours: int) -> None:
        """Between two runs, or else nobody would know."""
        old = self.pick(which)
        content = self.content(old)
        self.night_follows(hours)
        if not stays:
            (self.root / old).unlink()
        self.write(name or old, replace(content, patient="B" if content.patient == "A" else "A"))
        self.night_follows(hours)

    @precondition(lambda self: self.ever)
    @rule(which=st.integers(0, 20), name=NAMES, then=THEN)
    def comes_back(self, which: int, name: str, then: int | None) -> None:
        self.write(name, self.ever[which % len(self.ever)])
        self.night_follows(then)

    @precondition(lambda self: self.broken())
    @rule(which=WHICH, minutes=st.sampled_from([-60, 30, 60, 61, 120, 300]), then=THEN)
    def is_completed(self, which: int, minutes: int, then: int | None) -> None:
        """At a time that is counted from the moment at which the broken one was found."""
        broken = self.broken()
        known = broken[which % len(broken)]
        name = known.version.name
        self.write(name, replace(self.content(name), fault=""))
        modified = known.moment.timestamp() + minutes * 60
        os.utime(self.root / name, (modified, modified))
        self.night_follows(then)

    def broken(self) -> list[Known]:
        """What was found and not scored, and still has its name."""
        here = {name for name in self.files() if self.content(name).kind != "text"}
        return [
            known
            for known in self.model.known.values()
            if known.reading.score is None
            and known.version.folder == str(self.root)
            and known.version.name in here
        ]

    @precondition(lambda self: self.files())
    @rule(which=WHICH, fault=FAULTS, then=THEN)
    def is_broken(self, which: int, fault: str, then: int | None) -> None:
        name = self.pick(which)
        content = self.content(name)
        if content.kind != "text":
            self.write(name, replace(content, fault=fault))
        self.night_follows(then)

    @rule(name=NAMES, ending=st.sampled_from([".part", ".tmp", ".lock"]), data=st.data())
    def begins_to_come(self, name: str, ending: str, data: st.DataObject) -> None:
        self.write(name + ending, data.draw(CONTENTS[self.theme]))

    @precondition(lambda self: any(name.endswith((".part", ".tmp")) for name in self.files()))
    @rule(then=THEN)
    def is_renamed(self, then: int | None) -> None:
        name = next(name for name in self.files() if name.endswith((".part", ".tmp")))
        (self.root / name).rename(self.root / name.rpartition(".")[0])
        self.night_follows(then)

    @precondition(lambda self: self.files())
    @rule(which=WHICH, then=THEN)
    def vanishes(self, which: int, then: int | None) -> None:
        (self.root / self.pick(which)).unlink()
        self.night_follows(then)

    # --- what else happens

    @rule(hours=st.sampled_from([1, 5, 24, 48, 120]))
    def time_goes_by(self, hours: int) -> None:
        self.now += dt.timedelta(hours=hours)

    @rule(hours=st.sampled_from([0, 0, -2, -30, -100]))
    def clock_is_set(self, hours: int) -> None:
        self.wrong_by = dt.timedelta(hours=hours)

    @rule(sha256=st.sampled_from(sorted(BUNDLES)), then=THEN)
    def another_bundle(self, sha256: str, then: int | None) -> None:
        self.sha256 = sha256
        self.night_follows(then)

    @rule(patients=st.sampled_from(["file", "folder"]))
    def another_patient_rule(self, patients: str) -> None:
        self.rule = patients

    @rule(which=st.integers(0, 1), then=THEN)
    def another_folder(self, which: int, then: int | None) -> None:
        self.which_root = which
        self.night_follows(then)

    @precondition(lambda self: self.model.known)
    @rule(
        which=st.integers(0, 20),
        days=st.integers(-2, 1),
        positive=st.sampled_from([True, False, None, None]),
        of_study=st.booleans(),
        then=THEN,
    )
    def result_arrives(
        self, which: int, days: int, positive: bool | None, of_study: bool, then: int | None
    ) -> None:
        """From about the day on which an image was made or came in; None tells of the swab alone."""
        known = list(self.model.known.values())
        image = known[which % len(known)]
        day = (image.reading.study_date if of_study else None) or image.night
        patient, day = image.reading.patient, day + dt.timedelta(days=days)
        with state_module.open_state(self.scratch / "state", durable=False) as state:
            number = state.pcr.add([PcrResult(patient_key=patient, date=day, positive=positive)], self.now)
        self.model.result(number, patient, day, positive)
        self.night_follows(then)

    @precondition(lambda self: self.model.rows)
    @rule(which=st.integers(0, 20), then=THEN)
    def import_is_undone(self, which: int, then: int | None) -> None:
        number = self.model.rows[-1 - which % len(self.model.rows)].number
        with state_module.open_state(self.scratch / "state", durable=False) as state:
            state.pcr.undo(number, self.now)
            self.model.undone.add(number)
            assert results_of(state) == self.model.standing()
        self.night_follows(then)

    @precondition(lambda self: self.model.known)
    @rule(which=st.integers(0, 20), then=THEN)
    def is_forgotten(self, which: int, then: int | None) -> None:
        """Whoever is in the state, with or without a file that is still there."""
        known = list(self.model.known.values())
        patient = known[which % len(known)].reading.patient
        with state_module.open_state(self.scratch / "state", durable=False) as state:
            assert state.removal.forget(patient).n_patients == 1
            assert patient not in everybody(state)
        self.model.forget({patient})
        self.night_follows(then)

    @precondition(lambda self: self.model.known)
    @rule(nights=st.sampled_from([EXPIRE_AT_MOST, 10]), then=THEN)
    def is_pruned(self, nights: int, then: int | None) -> None:
        """Of a wait that has not expired nothing goes."""
        lying = {(str(root), name) for root in self.roots for name in files_below(root)}
        with state_module.open_state(self.scratch / "state", durable=False) as state:
            removed = state.removal.prune(self.model.last_night - dt.timedelta(days=nights))
            assert removed.n_patients == len(self.model.prune(nights, lying))
            assert listed(state) == self.model.listed()
            assert everybody(state) == self.model.everybody()
        self.night_follows(then)

    # --- runs

    def clock(self) -> dt.datetime:
        return self.now + self.wrong_by

    def found(self) -> dict[Version, Reading]:
        told = {}
        for name in self.files():
            found = (self.root / name).stat()
            version = Version(str(self.root), name, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            raw = (self.root / name).read_bytes()
            told[version] = reading(name, self.content(name), raw, self.sha256, self.rule)
        return told

    def options(
        self, *, rescore: bool, expire: int = 14, max_nights: int | None = None, pending_days: int = 3
    ) -> ScreenOptions:
        return ScreenOptions(
            state=self.scratch / "state",
            patients=PatientRule(self.rule),
            rescore=rescore,
            expire_nights=expire,
            max_nights=max_nights,
            pending_days=pending_days,
            clock=self.clock,
        )

    def has_images(self) -> bool:
        return any(not told.skipped for told in self.found().values())

    @precondition(lambda self: not self.has_images())
    @rule()
    def night_without_image(self) -> None:
        self.now += dt.timedelta(minutes=1)
        settings_ = Settings(self.sha256, self.rule)
        self.model.part_of_a_run(self.clock(), {}, settings_)
        with without_network(Reader(self.sha256), bundle(self.sha256, "mean")), pytest.raises(NoImageFound):
            run.screen(self.root, self.scratch / "report.csv", self.options(rescore=False))

    def night_follows(self, hours: int | None) -> None:
        """The usual run."""
        if hours is not None and self.has_images():
            self.now += dt.timedelta(hours=hours)
            self.screened()

    @precondition(has_images)
    @rule(
        rescore=st.sampled_from([False, False, False, True]),
        expire=st.integers(1, EXPIRE_AT_MOST),
        max_nights=st.none() | st.integers(1, 4),
        aggregation=st.sampled_from(["mean", "max"]),
        pending_days=st.integers(1, 4),
    )
    def night(
        self, *, rescore: bool, expire: int, max_nights: int | None, aggregation: str, pending_days: int
    ) -> None:
        self.screened(rescore, expire, max_nights, aggregation, pending_days)

    def screened(
        self,
        rescore: bool = False,
        expire: int = 5,
        max_nights: int | None = 3,
        aggregation: str = "mean",
        pending_days: int = 3,
    ) -> None:
        self.now += dt.timedelta(minutes=1)
        found, n_read = self.found(), self.model.n_read
        options = Options(expire, max_nights, aggregation, POINTS.urgent, POINTS.high, pending_days)
        expected = self.model.run(
            self.clock(), found, Settings(self.sha256, self.rule), options, rescore=rescore
        )
        with without_network(Reader(self.sha256), bundle(self.sha256, aggregation)):
            out = self.scratch / "report.csv"
            given = self.options(
                rescore=rescore, expire=expire, max_nights=max_nights, pending_days=pending_days
            )
            actual = run.screen(self.root, out, given)
        assert lines(actual) == rounded(expected)
        assert books(actual) == {version.name: self.model.in_books(version) for version in found}
        assert actual.n_found - actual.n_remembered == self.model.n_read - n_read

    @precondition(has_images)
    @rule(dies_after=st.integers(0, 4), rescore=st.booleans())
    def run_is_killed(self, dies_after: int, rescore: bool) -> None:
        self.now += dt.timedelta(minutes=1)
        found = self.found()
        settings_ = Settings(self.sha256, self.rule)
        to_read = [version for version in found if self.is_read(version, settings_, found, rescore=rescore)]
        dies_after = min(dies_after, len(to_read))
        reached = {v: told for v, told in found.items() if v not in to_read[dies_after:]}
        self.model.part_of_a_run(self.clock(), reached, settings_, rescore=rescore)
        with (
            without_network(Reader(self.sha256, dies_after), bundle(self.sha256, "mean")),
            pytest.raises(Killed),
        ):
            run.screen(self.root, self.scratch / "report.csv", self.options(rescore=rescore))

    def is_read(
        self, version: Version, settings_: Settings, found: dict[Version, Reading], *, rescore: bool
    ) -> bool:
        """Whether a file is opened for its pixels; those are what a kill comes in between."""
        told, known = found[version], self.model.known.get(version)
        if told.reason == "not_an_image" or version.name.endswith((".part", ".tmp", ".lock")):
            return False
        again = known is None or rescore or known.settings != settings_
        return again or known is None or known.reading.reason in ("unreadable", "still_changing")


# --- histories of which one of the two programs once had another opinion


def completed_after_the_clock_was_set_back(nights: Nights) -> None:
    nights.write("a.png", Content("png", "", "", "p", "truncated"))
    nights.night_follows(0)
    nights.clock_is_set(-2)
    nights.write("a.png", Content("png", "", "", "p"))


def second_copy_of_a_corrected_file_under_another_bundle(nights: Nights) -> None:
    for name in ("a.dcm", "b.dcm"):
        nights.write(name, dicom("A", "", "p", ""))
    nights.is_corrected(0, None, False, 0)
    nights.another_bundle("b" * 64, None)


def taken_back(nights: Nights) -> None:
    """Given to B and sent again as A's: it is A's image that came in first."""
    nights.write("a.dcm", dicom("A", "1", "p", ""))
    nights.is_corrected(0, None, False, 24)
    nights.write("b.dcm", dicom("A", "1", "p", ""))
    nights.night_follows(24)
    nights.vanishes(0, None)


def of_a_later_study(nights: Nights) -> None:
    """A study date that is yet to come is no reason to wait on."""
    nights.write("a.dcm", dicom("A", "3", "p", ""))
    nights.night_follows(0)
    nights.result_arrives(0, 0, True, False, None)


@pytest.mark.parametrize(
    "history",
    [
        completed_after_the_clock_was_set_back,
        second_copy_of_a_corrected_file_under_another_bundle,
        taken_back,
        of_a_later_study,
    ],
)
def test_known_histories_agree(history: Callable[[Nights], None]) -> None:
    nights = Nights()
    try:
        history(nights)
        nights.night_follows(24)
    finally:
        nights.teardown()


class Dice:
    """Throws what hypothesis chooses in `Nights`, evenly: more happens in less time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nights = Nights()
        self.nights.begins(self.random.choice(["dicom", "dicom", "png", "mixed"]))

    def content(self) -> Content:
        one = self.random.choice
        kind = one(["dicom", "png", "text"]) if self.nights.theme == "mixed" else self.nights.theme
        fault = one(FAULTY) if self.random.random() < 0.25 else ""
        if kind == "dicom":
            return dicom(one("AB"), one(["", "1", "1", "2", "3"]), one("ppqrs"), fault)
        return Content(kind, "", "", one("ppqrs") if kind == "png" else "", fault if kind == "png" else "")

    def step(self) -> None:
        one, nights, which = self.random.choice, self.nights, self.random.randrange(20)
        then = one([0, 1, 24, 24, 48])
        name, some, ill = one(FILES), bool(nights.files()), bool(nights.broken())
        rarely = which < 8
        what: list[tuple[bool, Callable[[], None]]] = [
            (True, lambda: nights.write(name, self.content(), one([0, 600, 7200]))),
            (some, lambda: nights.is_touched(which, None)),
            (some, lambda: nights.is_copied_anew(which, None)),
            (some, lambda: nights.is_sent_again(which, name, one([0, 7200]), None)),
            (some, lambda: nights.is_broken(which, one(FAULTY), None)),
            (some, lambda: nights.vanishes(which, None)),
            (some, lambda: nights.vanishes(which, None)),
            (bool(nights.ever), lambda: nights.comes_back(which, name, None)),
            (ill, lambda: nights.is_completed(which, one([30, 60, 61, 120]), None)),
            (ill, lambda: nights.is_completed(which, one([60, 61, 300]), None)),
            (some, lambda: nights.is_corrected(which, one([None, name]), one([True, False]), then)),
            (some, lambda: nights.is_corrected(which, one([None, name]), one([True, False]), then)),
            (bool(nights.model.known), lambda: self.result(which)),
            (bool(nights.model.known), lambda: self.result(which)),
            (bool(nights.model.rows), lambda: nights.import_is_undone(which, None)),
            (bool(nights.model.known) and rarely, lambda: nights.is_forgotten(which, None)),
            (bool(nights.model.known), lambda: nights.is_pruned(EXPIRE_AT_MOST, None)),
            (True, lambda: nights.clock_is_set(one([0, 0, 0, -2, -30]))),
            (True, lambda: nights.another_bundle(one(sorted(BUNDLES)), None)),
            (True, lambda: nights.another_patient_rule(one(["file", "folder"]))),
            (nights.has_images(), lambda: nights.run_is_killed(one([0, 1, 2]), False)),
        ]
        one([event for possible, event in what if possible])()
        if nights.has_images():
            nights.now += dt.timedelta(hours=then)
            nights.screened(
                rescore=self.random.random() < 0.1,
                expire=one([2, 5, 5, 6]),
                max_nights=one([None, 2, 3]),
                aggregation=one(["mean", "max"]),
                pending_days=one([1, 3]),
            )

    def result(self, which: int) -> None:
        one = self.random.choice
        days, positive = one([-2, -1, 0, 1]), one([True, False, None, None])
        self.nights.result_arrives(which, days, positive, one([True, False]), None)


@pytest.mark.parametrize("first", range(0, N_HISTORIES, N_HISTORIES // 5))
def test_long_histories_agree(first: int) -> None:
    for seed in range(first, first + N_HISTORIES // 5):
        dice = Dice(seed)
        try:
            for _ in range(N_STEPS):
                dice.step()
        finally:
            dice.nights.teardown()


PROFILE = settings(
    derandomize="CXRBATCH_STATE_MACHINE_EXAMPLES" not in os.environ,
    database=None,
    max_examples=N_EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


def test_the_list_is_what_the_reference_model_says() -> None:
    run_state_machine_as_test(Nights, settings=PROFILE)

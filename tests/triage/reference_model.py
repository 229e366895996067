"""The rules of ``docs/nightly.md`` a second time: slow, plain, from that page alone, without the code it checks.

It is told night by night what reading the files would give, and yields the list. All history is kept and gone
through again on every night. The numbers of the rules stand where they are followed. Where the page leaves a question
open, the answer taken here is marked with "Taken:".
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean

Patient = tuple[str, ...]

LONG_AGO = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
BEING_WRITTEN = (".part", ".tmp", ".lock")
READ_AGAIN = ("unreadable", "still_changing")


@dataclass(frozen=True)
class Version:
    """A version of a file, as far as it can be told without reading it."""

    folder: str
    name: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Reading:
    """What reading a version gives; a reason where it gives no score."""

    patient: Patient
    uid: str = ""
    study_date: dt.date | None = None
    picture: str = ""
    score: float | None = None
    reason: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Settings:
    """Whatever decides a reading beside the file."""

    bundle: str
    other: str = ""


@dataclass(frozen=True)
class Options:
    """What decides the list beside the files; `urgent` and `high` are the operating points."""

    expire: int
    max_nights: int | None
    aggregation: str
    urgent: float
    high: float
    pending_days: int = 3


@dataclass(frozen=True)
class Line:
    """One patient on the list."""

    patient: Patient
    rank: int | None
    score: float | None
    priority: str
    nights_waiting: int
    flags: frozenset[str]
    reason: str
    n_images: int
    swabbed: dt.date | None = None


@dataclass
class Known:
    """A version with what is known of it; `run` counts runs, whatever their clocks said."""

    version: Version
    night: dt.date
    moment: dt.datetime
    run: int
    reading: Reading
    settings: Settings
    is_second_copy: bool = False


@dataclass
class Image:
    """What counts as one image (rule 1): several versions where the network scored them, else one."""

    versions: list[Known]
    found: bool

    @cached_property
    def first(self) -> Known:
        return min(self.versions, key=by_night_then_name)

    @cached_property
    def patient(self) -> Patient:
        return self.first.reading.patient

    @cached_property
    def uid(self) -> str:
        return self.first.reading.uid

    @cached_property
    def picture(self) -> str:
        return self.first.reading.picture

    @cached_property
    def night(self) -> dt.date:
        return min(known.night for known in self.versions)

    @cached_property
    def run(self) -> int:
        return min(known.run for known in self.versions)

    @cached_property
    def is_second_copy(self) -> bool:
        return all(known.is_second_copy for known in self.versions)

    @cached_property
    def is_scored(self) -> bool:
        return self.first.reading.score is not None and not self.is_second_copy

    def score_by(self, bundle: str) -> float | None:
        """Score of a bundle; None where it gave none."""
        scores = [known.reading.score for known in self.versions if known.settings.bundle == bundle]
        return scores[0] if scores and self.is_scored else None


@dataclass
class Imported:
    """A row that an import stored; `positive` is None for a swab."""

    number: int
    patient: Patient
    day: dt.date
    positive: bool | None


@dataclass
class Model:
    """All that was ever told."""

    known: dict[Version, Known] = field(default_factory=dict)
    rows: list[Imported] = field(default_factory=list)
    undone: set[int] = field(default_factory=set)
    last_night: dt.date = dt.date.min
    last_moment: dt.datetime = LONG_AGO
    n_runs: int = 0
    n_read: int = 0
    lists: list[tuple[dt.date, dict[Patient, int]]] = field(default_factory=list)

    # --- what it is told

    def result(self, number: int, patient: Patient, day: dt.date, positive: bool | None) -> None:
        """Tell of a row that was stored by the import of this number."""
        self.rows.append(Imported(number, patient, day, positive))

    def standing(self) -> dict[tuple[Patient, dt.date], bool]:
        """What stands; see ``docs/results.md``."""
        rows = sorted(self.rows, key=lambda row: row.number)
        return {
            (row.patient, row.day): row.positive
            for row in rows
            if row.number not in self.undone and row.positive is not None
        }

    def swabs(self) -> set[tuple[Patient, dt.date]]:
        """Patient and day of the swabs that count."""
        return {
            (row.patient, row.day)
            for row in self.rows
            if row.number not in self.undone and row.positive is None
        }

    def everybody(self) -> set[Patient]:
        """All of whom anything is known."""
        return {
            *(known.reading.patient for known in self.known.values()),
            *(row.patient for row in self.rows),
            *(patient for _, positions in self.lists for patient in positions),
        }

    def days(self, patient: Patient, *, swabs: bool) -> list[dt.date]:
        """Days of the swabs, or else of the results, of a patient that count."""
        return [
            row.day
            for row in self.rows
            if row.patient == patient and row.number not in self.undone and (row.positive is None) == swabs
        ]

    def run(
        self,
        now: dt.datetime,
        found: Mapping[Version, Reading],
        settings: Settings,
        options: Options,
        *,
        rescore: bool = False,
    ) -> list[Line]:
        """Tell of a whole run; gives its list."""
        self.part_of_a_run(now, found, settings, rescore=rescore)
        self._mark_second_copies(found)
        lines = self._list(set(found), settings, options)
        positions = {line.patient: position for position, line in enumerate(lines, start=1)}
        self.lists.append((self.last_night, positions))
        return lines

    def listed(self) -> dict[tuple[dt.date, Patient], int]:
        """Position of everybody on every night, from 1; see "What is counted" in ``docs/audit.md``."""
        return {
            (night, patient): position
            for night, positions in self.lists
            for patient, position in positions.items()
        }

    def forget(self, patients: Collection[Patient]) -> None:
        """Tell that patients are forgotten: images, results, lines of lists; see ``docs/results.md``."""
        self.known = {v: known for v, known in self.known.items() if known.reading.patient not in patients}
        self.rows = [row for row in self.rows if row.patient not in patients]
        for _, positions in self.lists:
            for patient in positions.keys() & set(patients):
                del positions[patient]

    def prune(self, nights: int, lying: Collection[tuple[str, str]]) -> set[Patient]:
        """Tell that what is older than some nights was removed, and get who is gone; see ``docs/running.md``.

        `lying` are folder and name of the files that are there. Taken: no folder is missing or empty.
        """
        before = self.last_night - dt.timedelta(days=nights)
        everybody = self.everybody()
        self.lists = [(night, positions) for night, positions in self.lists if night >= before]
        lately = {known.reading.patient for known in self.known.values() if known.night >= before}
        lately |= {patient for _, positions in self.lists for patient in positions}
        lately |= {row.patient for row in self.rows if row.day >= before}
        of_them = [known for known in self.known.values() if known.reading.patient in lately]
        uids = {known.reading.uid for known in of_them} - {""}
        files = {(known.version.folder, known.version.name) for known in of_them} | set(lying)
        stay = lately | {
            known.reading.patient
            for known in self.known.values()
            if known.reading.uid in uids or (known.version.folder, known.version.name) in files
        }
        self.forget(everybody - stay)
        return everybody - stay

    def part_of_a_run(
        self,
        now: dt.datetime,
        reached: Mapping[Version, Reading],
        settings: Settings,
        *,
        rescore: bool = False,
    ) -> None:
        """Tell of a run that was killed when it had noted the versions in `reached`.

        A clock that runs behind is not believed.
        """
        self.last_night = max((now - dt.timedelta(hours=12)).date(), self.last_night)
        self.last_moment = max(now, self.last_moment)
        self.n_runs += 1
        for version, reading in reached.items():
            known = self.known.get(version) or self._copied_anew(version, reading)
            if known is None:
                self.known[version] = Known(
                    version, self.last_night, self.last_moment, self.n_runs, reading, settings
                )
                self.n_read += 1
            elif known.version != version:
                del self.known[known.version]
                self.known[version] = known
                known.version, known.reading, known.settings = version, reading, settings
                self.n_read += 1
            elif rescore or known.settings != settings or known.reading.reason in READ_AGAIN:
                known.reading, known.settings = reading, settings
                self.n_read += 1

    def _copied_anew(self, version: Version, reading: Reading) -> Known | None:
        """The earliest version that differs in nothing but the time of change; see the terms."""
        same = [
            known
            for known in self.known.values()
            if replace(known.version, ctime_ns=version.ctime_ns) == version
            and told_apart_by(known.reading) == told_apart_by(reading)
        ]
        return min(same, key=lambda known: known.run, default=None)

    def in_books(self, version: Version) -> tuple[str, str]:
        """Status and reason of a version found tonight."""
        known = self.known[version]
        if known.is_second_copy:
            return "not_scored", "duplicate"
        if known.reading.score is not None:
            return "scored", ""
        return "skipped" if known.reading.skipped else "not_scored", known.reading.reason

    # --- the rules

    def _mark_second_copies(self, found: Iterable[Version]) -> None:
        """Rule 2. Taken: "came in" is said of versions here."""
        first: set[tuple[str, ...]] = set()
        for known in sorted((self.known[version] for version in found), key=by_night_then_name):
            reading = known.reading
            known.is_second_copy = False
            if reading.score is None:
                continue
            same = (reading.uid, reading.picture, *(reading.patient if reading.uid else ()))
            known.is_second_copy = same in first
            first.add(same)

    def _list(self, found: set[Version], settings: Settings, options: Options) -> list[Line]:
        images = self._images(found)
        changed = {id(image) for image in images if any(is_correction(image, other) for other in images)}
        left = [
            image
            for image in images
            if not any(is_correction(other, image) for other in images)
            and not self._was_settled(image)
            and not self._has_result(image)
        ]
        lines = []
        for patient in {image.patient for image in left}:
            part = last_part([image for image in left if image.patient == patient], options.expire)
            if (self.last_night - part[-1].night).days < options.expire:
                flagged = any(
                    id(image) in changed and image.score_by(settings.bundle) is not None for image in part
                )
                lines.append(self._line(part, settings, options, patient_changed=flagged))
        return ranked(lines)

    def _images(self, found: set[Version]) -> list[Image]:
        """Rule 1."""
        groups: dict[object, list[Known]] = {}
        for version, known in self.known.items():
            reading = known.reading
            if not reading.skipped:
                same = version if reading.score is None else (reading.patient, reading.uid, reading.picture)
                groups.setdefault(same, []).append(known)
        return [
            Image(versions, found=any(known.version in found for known in versions))
            for versions in groups.values()
        ]

    def _was_settled(self, image: Image) -> bool:
        """Rule 4."""
        if image.first.reading.score is not None:
            return False
        unscored = image.first
        gone = unscored.version.name.lower().endswith(BEING_WRITTEN) and not image.found
        return gone or any(settles(other, unscored) for other in self.known.values())

    def _has_result(self, image: Image) -> bool:
        """Rule 5."""
        date = dated(image)
        return any(date <= day for day in self.days(image.patient, swabs=False))

    def _open_swab(self, part: list[Image]) -> dt.date | None:
        """Rule 10."""
        patient = part[0].patient
        swabs = self.days(patient, swabs=True)
        if not swabs or any(day >= max(swabs) for day in self.days(patient, swabs=False)):
            return None
        return max(swabs) if any(dated(image) <= max(swabs) for image in part) else None

    def _line(
        self, part: list[Image], settings: Settings, options: Options, *, patient_changed: bool
    ) -> Line:
        waiting = (self.last_night - part[0].night).days  # rule 7
        usable = [image for image in part if image.score_by(settings.bundle) is not None]
        others = [image for image in part if image.score_by(settings.bundle) is None]
        unscored = [image for image in others if not image.is_scored]
        flags, reason, priority, score = set(), "", "", None
        if usable:
            score = best_group(usable, settings.bundle, options.aggregation)
            priority = "urgent" if score >= options.urgent else "high" if score >= options.high else "routine"
            uids = {image.uid for image in usable} - {""}
            if any(not image.is_second_copy and image.uid not in uids for image in others):
                flags.add("some_images_not_scored")
            if patient_changed:
                flags.add("patient_changed")
        else:  # rule 9
            reason = reason_of(unscored) if unscored else "other_bundle"
        swabbed = self._open_swab(part)
        waits = swabbed is not None and (self.last_night - swabbed).days < options.pending_days
        if swabbed is not None and not waits:
            flags.add("result_overdue")
        if options.max_nights is not None and waiting >= options.max_nights and not waits:  # rule 11
            flags.add("max_wait")
            priority = "urgent" if usable else ""
        return Line(
            patient=part[0].patient,
            rank=None,
            score=score,
            priority=priority,
            nights_waiting=waiting,
            flags=frozenset(flags),
            reason=reason,
            n_images=len(usable or part),
            swabbed=swabbed,
        )


def dated(image: Image) -> dt.date:
    """Rule 5. Taken: several versions of an image agree about the study date."""
    return min(image.first.reading.study_date or image.night, image.night)


def told_apart_by(reading: Reading) -> tuple[object, ...]:
    return reading.patient, reading.uid, reading.score is None, reading.skipped, reading.picture


def by_night_then_name(known: Known) -> tuple[dt.date, str, int]:
    return known.night, known.version.name, known.run


def is_correction(later: Image, earlier: Image) -> bool:
    """Rule 3: later, the same image otherwise, of another patient; and the earlier one is gone."""
    return (
        later.uid == earlier.uid != ""
        and later.is_scored
        and earlier.is_scored
        and not earlier.found
        and later.picture == earlier.picture
        and later.patient != earlier.patient
        and later.run > earlier.run
    )


def settles(other: Known, unscored: Known) -> bool:
    """Rule 4."""
    limit = unscored.moment + dt.timedelta(hours=1)
    return (
        (other.version.folder, other.version.name) == (unscored.version.folder, unscored.version.name)
        and other.run > unscored.run
        and other.version.mtime_ns <= nanoseconds(limit)
    )


def nanoseconds(moment: dt.datetime) -> int:
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since // dt.timedelta(microseconds=1)) * 1000


def last_part(images: list[Image], expire: int) -> list[Image]:
    """Rule 6."""
    images = sorted(images, key=lambda image: image.night)
    start = 0
    for i in range(1, len(images)):
        if (images[i].night - images[i - 1].night).days >= expire:
            start = i
    return images[start:]


def best_group(images: list[Image], bundle: str, aggregation: str) -> float:
    """Rule 8; of equal groups the earliest makes no difference to the COVID-19 score."""
    groups = [
        [image.score_by(bundle) or 0.0 for image in images if image.night == night]
        for night in {image.night for image in images}
    ]
    return max(max(group) if aggregation == "max" else fmean(group) for group in groups)


def reason_of(unscored: list[Image]) -> str:
    """Rule 9. Taken: the name of a second copy is that of its first version."""
    first = min(unscored, key=lambda image: by_night_then_name(image.first))
    return "duplicate" if first.first.reading.score is not None else first.first.reading.reason


def ranked(lines: list[Line]) -> list[Line]:
    """Rule 11."""
    lines = sorted(lines, key=place)
    return [
        replace(line, rank=rank if place(line)[0] == RANKED else None)
        for rank, line in enumerate(lines, start=1)
    ]


RANKED, UNSCORED, WAITS_FOR_RESULT = range(3)


def place(line: Line) -> tuple[object, ...]:
    if line.swabbed is not None and "result_overdue" not in line.flags:
        return WAITS_FOR_RESULT, line.swabbed, 0.0, line.patient
    if line.score is None:
        return UNSCORED, 0, 0.0, line.patient
    nights = line.nights_waiting if "max_wait" in line.flags else 0
    return RANKED, -nights, -line.score, line.patient

"""Find the waits of patients, which are the unit of an audit: lists, results and images in, episodes out.

A patient stands on the list of a night if any of its runs listed the patient, as the last of these runs did. A *wait*
is a stretch of consecutive nights with a list on which a patient stands. It ends when the patient is off the list. It
also ends when the start of the wait (night minus ``nights_waiting``) moves forward, for example because
``nights_waiting`` is 0 again: then the next wait begins. Nights without a finished run do not end a wait.

The *result* of a wait is the first PCR result of the patient whose swab was taken no earlier than the day before the
first night of the wait and no later than `RESULT_DAYS` days after its last night. A result that fits two waits
belongs to the later one that had begun by that day.

Position and score are those of the first night.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cxrbatch.audit.estimate import FEWEST, AuditEstimate, counted, week_of
from cxrbatch.reasons import Flag
from cxrbatch.records import PatientKey
from cxrbatch.state import ImageSummary, ListEntry, PcrResult, Run

_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)

DAYS_BEFORE = 1
"""Days before the first night on which a swab may have been taken: a night has the date of the day it began."""
RESULT_DAYS = 14
"""Days after the last night on which a swab may have been taken. Results come back late. A still later swab gives
little information about that image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One wait of one patient; see above.

    Attributes
    ----------
    first_night, last_night : datetime.date
        First and last night on the list.
    since : datetime.date
        Night on which the first image of this wait came in.
    arrived : datetime.datetime
        Time when that image was written into the folder, or when it was first seen if this is earlier.
    position : int
        Position on the list of the first night, from 1.
    score : float or None
        COVID-19 score of the first night, 0–1; None if not scored.
    is_open : bool
        True if the patient is still on the list of the last of all runs.
    reached_max_wait : bool
        True if the patient had the flag ``max_wait`` on some night.
    is_positive : bool or None
        The result; None if there is none.
    swabbed : datetime.date or None
        Day of the swab; None if there is no result.
    """

    patient_key: PatientKey
    first_night: dt.date
    last_night: dt.date
    since: dt.date
    arrived: dt.datetime
    position: int
    score: float | None
    bundle_sha256: str
    is_open: bool
    reached_max_wait: bool
    is_positive: bool | None
    swabbed: dt.date | None

    @property
    def week(self) -> str:
        """ISO week of the first night."""
        return week_of(self.first_night)

    @property
    def is_ranked(self) -> bool:
        """True if there was a score on the first night."""
        return self.score is not None

    @property
    def nights(self) -> int:
        """Number of nights from the first image to the swab; without a result, to the last list."""
        return max(0, ((self.swabbed or self.last_night) - self.since).days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """All waits by first night and position, the number of results, and the number of results that fit no wait."""

    episodes: tuple[Episode, ...]
    n_results: int
    n_results_outside: int


class _Stretch:
    """A wait that grows while the lists are read, one night after the other."""

    __slots__ = ("_begun", "first", "last_night", "last_run", "reached_max_wait", "since")

    def __init__(self, first: ListEntry) -> None:
        self.first = first
        self.since = _since(first)
        self.reached_max_wait = False
        self.add(first)

    def goes_on(self, listed: ListEntry, night_before: dt.date | None) -> bool:
        """Check whether a line of a later list belongs to the same wait."""
        return self.last_night == night_before and _since(listed) <= self._begun

    def add(self, listed: ListEntry) -> None:
        """Add a line of a list to the wait."""
        self._begun = _since(listed)
        self.since = min(self.since, self._begun)
        self.last_night, self.last_run = listed.night, listed.run
        self.reached_max_wait |= Flag.MAX_WAIT in listed.flags


def find_episodes(
    runs: Collection[Run],
    list_entries: Iterable[ListEntry],
    results: Iterable[PcrResult],
    images: Iterable[ImageSummary],
) -> Episodes:
    """Split the lists of all nights into waits, and find the result of each.

    Parameters
    ----------
    runs : collection of Run
        Those with a list, also with an empty one; at least one.
    list_entries : iterable of ListEntry
        Sorted by night.
    results : iterable of PcrResult
        Sorted by patient and date.
    images : iterable of ImageSummary
    """
    stretches = _stretches({run.night for run in runs}, list_entries)
    found, n_results, n_outside = _first_results(stretches, results)
    arrivals = _arrivals(images)
    last_run = max(run.id for run in runs)
    episodes = [
        _episode(stretch, found.get((key, stretch.first.night)), arrivals.get(key, ()), last_run)
        for key, of_one in stretches.items()
        for stretch in of_one
    ]
    episodes.sort(key=lambda episode: (episode.first_night, episode.position))
    return Episodes(episodes=tuple(episodes), n_results=n_results, n_results_outside=n_outside)


def _stretches(
    nights: Iterable[dt.date], list_entries: Iterable[ListEntry]
) -> Mapping[PatientKey, Sequence[_Stretch]]:
    night_before = {after: before for before, after in pairwise(sorted(nights))}
    stretches: defaultdict[PatientKey, list[_Stretch]] = defaultdict(list)
    for listed in list_entries:
        of_patient = stretches[listed.patient_key]
        if of_patient and of_patient[-1].goes_on(listed, night_before.get(listed.night)):
            of_patient[-1].add(listed)
        else:
            of_patient.append(_Stretch(listed))
    return stretches


def _since(listed: ListEntry) -> dt.date:
    return listed.night - dt.timedelta(days=listed.nights_waiting)


def _first_results(
    stretches: Mapping[PatientKey, Sequence[_Stretch]], results: Iterable[PcrResult]
) -> tuple[dict[tuple[PatientKey, dt.date], PcrResult], int, int]:
    """Find the first result for each patient and first night.

    Also count all results, and those that fit no wait.
    """
    found: dict[tuple[PatientKey, dt.date], PcrResult] = {}
    n_results = n_outside = 0
    for result in results:
        n_results += 1
        if stretch := _stretch_of(stretches.get(result.patient_key, []), result.date):
            found.setdefault((result.patient_key, stretch.first.night), result)
        else:
            n_outside += 1
    return found, n_results, n_outside


def _stretch_of(stretches: Iterable[_Stretch], day: dt.date) -> _Stretch | None:
    before, after = dt.timedelta(days=DAYS_BEFORE), dt.timedelta(days=RESULT_DAYS)
    fitting = [part for part in stretches if part.first.night - before <= day <= part.last_night + after]
    return max(fitting, key=lambda part: (part.first.night <= day, part.first.night), default=None)


def _arrivals(images: Iterable[ImageSummary]) -> Mapping[PatientKey, Sequence[ImageSummary]]:
    arrivals: defaultdict[PatientKey, list[ImageSummary]] = defaultdict(list)
    for image in images:
        arrivals[image.patient_key].append(image)
    return arrivals


def _arrived(image: ImageSummary) -> dt.datetime:
    return min(image.first_seen, image.written or image.first_seen)


def _episode(
    stretch: _Stretch, result: PcrResult | None, images: Sequence[ImageSummary], last_run: int
) -> Episode:
    first = stretch.first
    seen = [_arrived(image) for image in images if stretch.since <= image.first_night <= first.night]
    return Episode(
        patient_key=first.patient_key,
        first_night=first.night,
        last_night=stretch.last_night,
        since=stretch.since,
        arrived=min(seen, default=_LATEST),
        position=first.position,
        score=first.score,
        bundle_sha256=first.bundle_sha256,
        is_open=stretch.last_run == last_run,
        reached_max_wait=stretch.reached_max_wait,
        is_positive=None if result is None else result.positive,
        swabbed=None if result is None else result.date,
    )


WAITING = "waiting"

GROUPS: Mapping[str, Callable[[Episode], bool]] = {
    "all": lambda _: True,
    "pcr_positive": lambda episode: episode.is_positive is True,
    "pcr_negative": lambda episode: episode.is_positive is False,
    "left_without_result": lambda episode: episode.is_positive is None and not episode.is_open,
    "still_waiting": lambda episode: episode.is_positive is None and episode.is_open,
    "not_scored": lambda episode: not episode.is_ranked,
}

FIGURES: Mapping[str, Callable[[Sequence[int]], float]] = {
    "mean": lambda nights: float(np.mean(nights)),
    "p95": lambda nights: float(np.percentile(nights, 95, method="inverted_cdf")),
    "max": lambda nights: float(max(nights)),
}


def waiting(episodes: Sequence[Episode]) -> Iterator[AuditEstimate]:
    """Compute mean, 95th percentile and maximum of the nights of each group, and count waits with ``max_wait``.

    Values are None for groups with fewer than `FEWEST` waits.
    """
    for group, belongs in GROUPS.items():
        nights = [episode.nights for episode in episodes if belongs(episode)]
        yield counted(WAITING, f"n_{group}", len(nights))
        for name, figure in FIGURES.items():
            value = figure(nights) if len(nights) >= FEWEST else None
            yield AuditEstimate(section=WAITING, name=f"{name}_{group}", n=len(nights), value=value)
    yield counted(WAITING, "n_max_wait", sum(episode.reached_max_wait for episode in episodes))

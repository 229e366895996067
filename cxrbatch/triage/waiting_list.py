"""Who is on the list tonight: the rules of ``docs/nightly.md``, as functions of what is remembered."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from cxrbatch.bundle import OperatingPoints
from cxrbatch.discover import is_temporary
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientKey, PatientTriage, Priority
from cxrbatch.state import StoredImage
from cxrbatch.triage.aggregate import rank, triage
from cxrbatch.triage.duplicates import second_copy

_SETTLES_WITHIN = dt.timedelta(hours=1)

Results = Mapping[PatientKey, Sequence[dt.date]]
"""Days of the swabs of the patients that have a PCR result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """What the list depends on, beside the images and the results.

    Attributes
    ----------
    tonight : datetime.date
    expire_nights : int
        At least 1.
    max_nights : int or None
        At least 1; None: nobody is put first for having waited.
    bundle_sha256 : str
        Tonight's.
    aggregation : str
        Key of `cxrbatch.triage.RULES`.
    operating_points : OperatingPoints or None
    """

    tonight: dt.date
    expire_nights: int
    max_nights: int | None
    bundle_sha256: str
    aggregation: str
    operating_points: OperatingPoints | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image after rule 1: the version that stands for all that are the same.

    Attributes
    ----------
    outcome : ImageScore or Failure
        A failure also where it is a second copy, or another bundle scored it.
    pixels_sha256 : str
        Empty where there was none.
    """

    outcome: ImageScore | Failure
    patient: PatientKey
    pixels_sha256: str
    night: dt.date
    moment: dt.datetime
    found: bool

    @property
    def uid(self) -> str:
        return self.outcome.header.sop_instance_uid if self.outcome.header else ""

    @property
    def date(self) -> dt.date:
        """Day to which results are compared (rule 5)."""
        stated = self.outcome.header.study_date if self.outcome.header else ""
        return min(dt.date.fromisoformat(stated), self.night) if stated else self.night


def make_waiting_list(
    stored_images: Sequence[StoredImage], found: AbstractSet[int], results: Results, rules: ListRules
) -> tuple[PatientTriage, ...]:
    """Make the list of tonight.

    Parameters
    ----------
    stored_images : sequence of Evidence
        Of `cxrbatch.state.store.State.stored_images`, from `expire_nights` before tonight on.
    found : set of int
        Numbers of the versions that lie in the folder tonight.
    results : mapping of PatientKey to sequence of date
    rules : ListRules

    Returns
    -------
    tuple of PatientTriage
        As `cxrbatch.triage.aggregate_patients` gives it.
    """
    scored = _distinct(stored_images, found, rules.bundle_sha256)
    images = [*_of_their_patient(scored), *_unsettled(stored_images, found)]
    by_patient: defaultdict[PatientKey, list[_Image]] = defaultdict(list)
    for image in images:
        if not _has_result(image, results):
            by_patient[image.patient].append(image)
    waits = ((key, _last_wait(group, rules)) for key, group in by_patient.items())
    return rank(_patient(key, wait, rules) for key, wait in waits if wait)


def _distinct(stored_images: Iterable[StoredImage], found: AbstractSet[int], bundle: str) -> list[_Image]:
    """Rule 1, and rule 2 for what it leaves."""
    groups: defaultdict[tuple[PatientKey, str, str], list[StoredImage]] = defaultdict(list)
    for item in stored_images:
        if isinstance(item.outcome, ImageScore):
            header = item.outcome.header
            groups[header.patient_key, header.sop_instance_uid, item.outcome.pixels_sha256].append(item)
    return [
        _one(key, pixels_sha256, group, found, bundle) for (key, _, pixels_sha256), group in groups.items()
    ]


def _one(
    patient: PatientKey, pixels_sha256: str, group: list[StoredImage], found: AbstractSet[int], bundle: str
) -> _Image:
    def place(item: StoredImage) -> tuple[bool, bool, dt.date, str]:
        return item.bundle_sha256 != bundle, item.id not in found, item.first_night, item.name

    is_second_copy = all(item.duplicate_of for item in group)
    return _Image(
        outcome=_as_it_counts(min(group, key=place), bundle, is_second_copy=is_second_copy),
        patient=patient,
        pixels_sha256=pixels_sha256,
        night=min(item.first_night for item in group),
        moment=min(item.first_seen for item in group),
        found=any(item.id in found for item in group),
    )


def _as_it_counts(item: StoredImage, bundle: str, *, is_second_copy: bool) -> ImageScore | Failure:
    image = item.outcome
    if isinstance(image, ImageScore) and is_second_copy:
        return second_copy(image, item.duplicate_of)
    if item.bundle_sha256 == bundle:
        return image
    return Failure(
        name=image.name, reason=Reason.OTHER_BUNDLE, header=image.header, thumbnail=image.thumbnail
    )


def _of_their_patient(scored: list[_Image]) -> Iterator[_Image]:
    """Rule 3."""
    same: defaultdict[tuple[str, str], list[_Image]] = defaultdict(list)
    for image in scored:
        if image.uid:
            same[image.uid, image.pixels_sha256].append(image)
    moments = {key: _moments(others) for key, others in same.items()}
    for image in scored:
        latest, earliest_gone = moments.get((image.uid, image.pixels_sha256), (image.moment, None))
        if latest > image.moment and not image.found:
            continue
        changed = earliest_gone is not None and earliest_gone < image.moment
        yield _flagged(image) if changed else image


def _moments(images: list[_Image]) -> tuple[dt.datetime, dt.datetime | None]:
    """When the last of them came in, and the first of those that are no longer there."""
    gone = (image.moment for image in images if not image.found)
    return max(image.moment for image in images), min(gone, default=None)


def _flagged(image: _Image) -> _Image:
    if isinstance(image.outcome, Failure):
        return image
    return replace(image, outcome=replace(image.outcome, flags=image.outcome.flags | {Flag.PATIENT_CHANGED}))


def _unsettled(stored_images: Iterable[StoredImage], found: AbstractSet[int]) -> Iterator[_Image]:
    """Rule 4."""
    versions: defaultdict[tuple[str, str], list[StoredImage]] = defaultdict(list)
    for item in stored_images:
        versions[item.root, item.name].append(item)
    for item in stored_images:
        outcome = item.outcome
        if not isinstance(outcome, Failure) or outcome.skipped or outcome.header is None:
            continue
        gone = is_temporary(item.name) and item.id not in found
        if not gone and not _finished(item, versions[item.root, item.name]):
            yield _Image(
                outcome=outcome,
                patient=outcome.header.patient_key,
                pixels_sha256="",
                night=item.first_night,
                moment=item.first_seen,
                found=item.id in found,
            )


def _finished(item: StoredImage, versions: Iterable[StoredImage]) -> bool:
    latest_ns = int((item.first_seen + _SETTLES_WITHIN).timestamp()) * 1_000_000_000
    return any(other.first_seen > item.first_seen and other.mtime_ns <= latest_ns for other in versions)


def _has_result(image: _Image, results: Results) -> bool:
    """Rule 5."""
    return any(date >= image.date for date in results.get(image.patient, ()))


def _last_wait(images: list[_Image], rules: ListRules) -> list[_Image]:
    """Rule 6: the images of the wait that is not over; none where it is."""
    newest_first = sorted(images, key=lambda image: image.night, reverse=True)
    wait: list[_Image] = []
    later = rules.tonight
    for image in newest_first:
        if (later - image.night).days >= rules.expire_nights:
            break
        wait.append(image)
        later = image.night
    return wait


def _patient(key: PatientKey, wait: list[_Image], rules: ListRules) -> PatientTriage:
    """Rules 7 to 9, and who is put first."""
    in_order = sorted(wait, key=lambda image: (image.night, image.outcome.name))
    nights: defaultdict[dt.date, list[ImageScore]] = defaultdict(list)
    failures = []
    for image in in_order:
        if isinstance(image.outcome, ImageScore):
            nights[image.night].append(image.outcome)
        else:
            failures.append(image.outcome)
    # What another bundle scored gives the reason only where nothing else does.
    failures.sort(key=lambda failure: failure.reason is Reason.OTHER_BUNDLE)
    patient = triage(key, list(nights.values()), failures, rules.aggregation, rules.operating_points)
    n_nights = (rules.tonight - in_order[0].night).days
    patient = replace(patient, nights_waiting=n_nights)
    return _put_first(patient) if rules.max_nights and n_nights >= rules.max_nights else patient


def _put_first(patient: PatientTriage) -> PatientTriage:
    return replace(
        patient,
        flags=tuple(sorted({*patient.flags, Flag.MAX_WAIT})),
        priority=patient.priority if patient.score is None else Priority.URGENT,
    )

"""Make tonight's list by the rules of ``docs/nightly.md``: remembered images and results in, ranked patients out."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial

from cxrbatch._lib.packed import Packed
from cxrbatch.bundle import OperatingPoints
from cxrbatch.discover import is_temporary
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientImage, PatientKey, PatientTriage, Priority
from cxrbatch.state import StoredImage
from cxrbatch.triage.aggregate import Stay, describe_image, rank, triage
from cxrbatch.triage.by_patient import ByPatient
from cxrbatch.triage.duplicates import second_copy
from cxrbatch.triage.other_copies import OtherCopies, find_other_copies

_SETTLES_WITHIN = dt.timedelta(hours=1)

Days = Mapping[PatientKey, Sequence[dt.date]]
"""Days of the swabs of patients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """Settings of the list.

    Attributes
    ----------
    tonight : datetime.date
    expire_nights : int
        Nights without a new image after which a wait ends; at least 1.
    max_nights : int or None
        Nights after which a patient is put first, at least 1; None: no patient is put first.
    pending_days : int
        Days after a swab for which its result is waited for; at least 1.
    bundle_sha256 : str
        SHA-256 of tonight's bundle.
    aggregation : str
        Key of `cxrbatch.triage.RULES`.
    operating_points : OperatingPoints or None
        None: no patient gets a priority by score.
    """

    tonight: dt.date
    expire_nights: int
    max_nights: int | None
    pending_days: int
    bundle_sha256: str
    aggregation: str
    operating_points: OperatingPoints | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """An image after rule 1: the version that represents all versions that are the same.

    Attributes
    ----------
    outcome : ImageScore or Failure
        Also a failure if it is a second copy, or if another bundle scored it.
    pixels_sha256 : str
        Empty for an image that was not scored.
    found : bool
        True if a version of it is in the folder tonight.
    former_keys : frozenset of PatientKey
        Keys of its patient before it was read otherwise, whose results have not followed.
    """

    outcome: ImageScore | Failure
    pixels_sha256: str
    night: dt.date
    moment: dt.datetime
    found: bool
    former_keys: frozenset[PatientKey] = frozenset()

    @property
    def uid(self) -> str:
        return self.outcome.header.sop_instance_uid if self.outcome.header else ""

    @property
    def date(self) -> dt.date:
        """Day with which results are compared (rule 5)."""
        stated = self.outcome.header.study_date if self.outcome.header else ""
        return min(dt.date.fromisoformat(stated), self.night) if stated else self.night


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known beside the images of one patient."""

    found: AbstractSet[int]
    others: OtherCopies
    results: Days
    swabs: Days


def make_waiting_list(
    stored_images: Sequence[StoredImage],
    found: AbstractSet[int],
    results: Days,
    swabs: Days,
    rules: ListRules,
) -> Packed[PatientTriage]:
    """Make tonight's list.

    Parameters
    ----------
    stored_images : sequence of StoredImage
        From `cxrbatch.state.State.stored_images`, for the night `expire_nights` before tonight. Read several times;
        only those of one patient are held at a time.
    found : set of int
        Numbers (`StoredImage.id`) of the versions that are in the folder tonight.
    results, swabs : mapping of PatientKey to sequence of date
        Days of the swabs that have a PCR result, and of those that were said to be taken.
    rules : ListRules

    Returns
    -------
    Packed of PatientTriage
        Ranked patients first, as in `cxrbatch.triage.aggregate_patients`.
    """
    others = find_other_copies(stored_images, found)
    known = _Known(found=found, others=others, results=results, swabs=swabs)
    return rank(ByPatient(stored_images, _key), partial(_listed, known=known, rules=rules))


def _key(item: StoredImage) -> PatientKey:
    return item.outcome.header.patient_key if item.outcome.header else ()


def _listed(items: Sequence[StoredImage], known: _Known, rules: ListRules) -> PatientTriage | None:
    """Make the record of one patient; None if there is nothing to wait for."""
    key = _key(items[0])
    scored = _distinct(items, known.found, rules.bundle_sha256)
    counted: list[_Image] = []
    for image in (*_of_their_patient(scored, known.others), *_unsettled(items, known)):
        if not _has_result(image, key, known.results):
            unclear = any(_has_result(image, former, known.results) for former in image.former_keys)
            counted.append(_flagged(image) if unclear else image)
    wait = _last_wait(counted, rules)
    return _patient(key, wait, _open_swab(wait, known.swabs.get(key, ())), rules) if wait else None


def _distinct(items: Iterable[StoredImage], found: AbstractSet[int], bundle: str) -> list[_Image]:
    """Apply rule 1 to the images of a patient, and rule 2 to those that are left."""
    groups: defaultdict[tuple[str, str], list[StoredImage]] = defaultdict(list)
    for item in items:
        if isinstance(item.outcome, ImageScore):
            groups[item.outcome.header.sop_instance_uid, item.outcome.pixels_sha256].append(item)
    return [_one(pixels_sha256, group, found, bundle) for (_, pixels_sha256), group in groups.items()]


def _one(pixels_sha256: str, group: list[StoredImage], found: AbstractSet[int], bundle: str) -> _Image:
    def place(item: StoredImage) -> tuple[bool, bool, dt.date, str]:
        return item.bundle_sha256 != bundle, item.id not in found, item.first_night, item.name

    is_second_copy = all(item.duplicate_of for item in group)
    return _Image(
        outcome=_as_it_counts(min(group, key=place), bundle, is_second_copy=is_second_copy),
        pixels_sha256=pixels_sha256,
        night=min(item.first_night for item in group),
        moment=min(item.first_seen for item in group),
        found=any(item.id in found for item in group),
        former_keys=frozenset(item.former_key for item in group if item.former_key),
    )


def _as_it_counts(item: StoredImage, bundle: str, *, is_second_copy: bool) -> ImageScore | Failure:
    image = item.outcome
    if isinstance(image, ImageScore) and is_second_copy:
        return second_copy(image, item.duplicate_of)
    if item.bundle_sha256 == bundle:
        return image
    return Failure(
        name=image.name, reason=Reason.OTHER_BUNDLE, header=image.header, stored_id=image.stored_id
    )


def _of_their_patient(scored: Iterable[_Image], others: OtherCopies) -> Iterator[_Image]:
    """Apply rule 3: leave out images of corrected patients, and flag the images that replace them."""
    for image in scored:
        latest, earliest_gone = others.moments.get((image.uid, image.pixels_sha256), (image.moment, None))
        if latest > image.moment and not image.found:
            continue
        changed = earliest_gone is not None and earliest_gone < image.moment
        yield _flagged(image) if changed else image


def _flagged(image: _Image) -> _Image:
    if isinstance(image.outcome, Failure):
        return image
    return replace(image, outcome=replace(image.outcome, flags=image.outcome.flags | {Flag.PATIENT_CHANGED}))


def _unsettled(items: Iterable[StoredImage], known: _Known) -> Iterator[_Image]:
    """Apply rule 4: select the images that were not scored and that no later version replaces."""
    for item in items:
        outcome = item.outcome
        if not isinstance(outcome, Failure) or outcome.skipped or outcome.header is None:
            continue
        gone = is_temporary(item.name) and item.id not in known.found
        if not gone and not _finished(item, known.others):
            yield _Image(
                outcome=outcome,
                pixels_sha256="",
                night=item.first_night,
                moment=item.first_seen,
                found=item.id in known.found,
            )


def _finished(item: StoredImage, others: OtherCopies) -> bool:
    latest_ns = int((item.first_seen + _SETTLES_WITHIN).timestamp()) * 1_000_000_000
    versions = others.versions.get((item.root, item.name), ())
    return any(first_seen > item.first_seen and mtime_ns <= latest_ns for first_seen, mtime_ns in versions)


def _has_result(image: _Image, patient: PatientKey, results: Days) -> bool:
    """Apply rule 5: check whether a patient has a result for this image."""
    return any(date >= image.date for date in results.get(patient, ()))


def _last_wait(images: list[_Image], rules: ListRules) -> list[_Image]:
    """Apply rule 6: select the images of the current wait; none if it is over."""
    newest_first = sorted(images, key=lambda image: image.night, reverse=True)
    wait: list[_Image] = []
    later = rules.tonight
    for image in newest_first:
        if (later - image.night).days >= rules.expire_nights:
            break
        wait.append(image)
        later = image.night
    return wait


def _open_swab(wait: list[_Image], swabs: Sequence[dt.date]) -> dt.date | None:
    """Find the day of the last swab, if it was taken for this wait.

    No result of its day or later is left then: it would have ended the wait of what was taken by that day (rule 5).
    """
    day = max(swabs, default=None)
    return day if day and any(image.date <= day for image in wait) else None


def _patient(key: PatientKey, wait: list[_Image], swabbed: dt.date | None, rules: ListRules) -> PatientTriage:
    """Apply rules 7 to 9, and find the group of the patient (rules 10 and 11)."""
    in_order = sorted(wait, key=lambda image: (image.night, image.outcome.name))
    nights: defaultdict[dt.date, list[ImageScore]] = defaultdict(list)
    failures = []
    for image in in_order:
        if isinstance(image.outcome, ImageScore):
            nights[image.night].append(image.outcome)
        else:
            failures.append(image.outcome)
    # An image scored by another bundle gives the reason only if no other image does.
    failures.sort(key=lambda failure: failure.reason is Reason.OTHER_BUNDLE)
    stay = Stay(
        images=tuple(_described(image, rules.tonight) for image in in_order),
        nights=(rules.tonight - in_order[0].night).days,
        swabbed=swabbed,
    )
    patient = triage(key, list(nights.values()), failures, stay, rules.aggregation, rules.operating_points)
    return _in_its_group(patient, rules)


def _described(image: _Image, tonight: dt.date) -> PatientImage:
    night = None if image.night == tonight else image.night
    return describe_image(image.outcome, night, is_here=image.found)


def _in_its_group(patient: PatientTriage, rules: ListRules) -> PatientTriage:
    """Apply rule 10, and rule 11 to whoever does not wait for a result."""
    if patient.swabbed is not None:
        if (rules.tonight - patient.swabbed).days < rules.pending_days:
            return patient
        patient = _with_flag(patient, Flag.RESULT_OVERDUE)
    if not rules.max_nights or patient.nights_waiting < rules.max_nights:
        return patient
    priority = patient.priority if patient.score is None else Priority.URGENT
    return replace(_with_flag(patient, Flag.MAX_WAIT), priority=priority)


def _with_flag(patient: PatientTriage, flag: Flag) -> PatientTriage:
    return replace(patient, flags=tuple(sorted({*patient.flags, flag})))

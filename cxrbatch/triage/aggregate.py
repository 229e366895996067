"""Combine images to patients: scored images and failures in, patients ranked by COVID-19 score out."""

import datetime as dt
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrbatch._lib.packed import Packed
from cxrbatch.bundle import OperatingPoints
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, Outcome, PatientImage, PatientKey, PatientTriage
from cxrbatch.triage.by_patient import ByPatient

Group = TypeVar("Group")
Scores = tuple[float, float, float]
_DECIMALS = 6


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores.mean(axis=0)


def _max(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[scores[:, 0].argmax()]


RULES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {"mean": _mean, "max": _max}
"""Rules that combine the scores of several images: float64 (n_images, 3) → (3,). The rule of a bundle was chosen on
data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What is known of a patient's stay on the list, beside scores.

    Attributes
    ----------
    images : tuple of PatientImage
        All images that count, as the page shows them.
    nights : int
        Nights since the first of them.
    swabbed : datetime.date or None
        Day of the swab that has no result yet.
    """

    images: tuple[PatientImage, ...]
    nights: int = 0
    swabbed: dt.date | None = None


def aggregate_patients(
    outcomes: Sequence[Outcome], rule: str, operating_points: OperatingPoints | None
) -> Packed[PatientTriage]:
    """Group images by patient, combine their scores, and rank the patients.

    Parameters
    ----------
    outcomes : sequence of ImageScore and Failure
        Skipped files are not images of a patient and are left out.
    rule : str
        Key of `RULES`.
    operating_points : OperatingPoints or None
        None: no patient gets a priority.

    Returns
    -------
    Packed of PatientTriage
        Ranked patients by falling score, ties by patient key; then those without a score, by patient key.
    """
    return rank(
        ByPatient(outcomes, _key), partial(_of_one_night, rule=rule, operating_points=operating_points)
    )


def _key(outcome: Outcome) -> PatientKey:
    return outcome.header.patient_key if outcome.header else ("file", outcome.name)


def _of_one_night(
    outcomes: Iterable[Outcome], rule: str, operating_points: OperatingPoints | None
) -> PatientTriage | None:
    by_name = sorted(outcomes, key=attrgetter("name"))
    counted = [outcome for outcome in by_name if not (isinstance(outcome, Failure) and outcome.skipped)]
    if not counted:
        return None
    images = [outcome for outcome in counted if isinstance(outcome, ImageScore)]
    failures = [outcome for outcome in counted if isinstance(outcome, Failure)]
    stay = Stay(images=tuple(map(describe_image, counted)))
    return triage(_key(counted[0]), [images] if images else [], failures, stay, rule, operating_points)


def triage(
    key: PatientKey,
    groups: Sequence[Sequence[ImageScore]],
    failures: Sequence[Failure],
    stay: Stay,
    rule: str,
    operating_points: OperatingPoints | None,
) -> PatientTriage:
    """Make the record of one patient, without a rank.

    Parameters
    ----------
    key : PatientKey
    groups : sequence of sequence of ImageScore
        Groups (nights) of images; the scores within a group are combined. The group with the highest COVID-19 score
        decides, the first one of equal groups. So a later image can raise a score, and never lowers it.
    failures : sequence of Failure
        Images of the patient without a score; the first one gives the reason if there is no group.
    stay : Stay
    rule : str
        Key of `RULES`.
    operating_points : OperatingPoints or None
        None: the patient gets no priority.
    """
    if not groups:
        return _not_scored(key, failures, stay)
    scores, decisive = max(
        ((_combined(group, RULES[rule]), group) for group in groups), key=lambda one: one[0][0]
    )
    top = max(decisive, key=lambda image: image.scores[0])
    images = [image for group in groups for image in group]
    return PatientTriage(
        rank=None,
        priority=operating_points.priority(scores[0]) if operating_points else None,
        patient_id=top.header.patient_id,
        issuer_of_patient_id=top.header.issuer_of_patient_id,
        accession_number=top.header.accession_number,
        study_date=top.header.study_date,
        study_instance_uid=top.header.study_instance_uid,
        score=scores[0],
        scores=scores,
        n_images=len(images),
        top_image=top.name,
        flags=_flags(images, failures),
        stored_id=top.stored_id,
        patient_key=key,
        images=stay.images,
        nights_waiting=stay.nights,
        swabbed=stay.swabbed,
    )


def describe_image(
    image: ImageScore | Failure, night: dt.date | None = None, *, is_here: bool = True
) -> PatientImage:
    """Describe an image of a patient for the page; the last two are as in `PatientImage`."""
    return PatientImage(
        name=image.name,
        scores=image.scores if isinstance(image, ImageScore) else None,
        reason=image.reason if isinstance(image, Failure) else None,
        detail=image.detail if isinstance(image, Failure) else "",
        view_position=image.header.view_position if image.header else "",
        flags=tuple(sorted(image.flags)) if isinstance(image, ImageScore) else (),
        night=night,
        is_here=is_here,
    )


def rank(groups: Sequence[Group], make: Callable[[Group], PatientTriage | None]) -> Packed[PatientTriage]:
    """Sort patients, and number those with a score from 1.

    Patients with the flag ``max_wait`` come first, those with more nights earlier. Then follow all others by falling
    score, ties by patient key. Then come patients without a score, by patient key, and last those who wait for the
    result of a swab, by its day and by patient key.

    Parameters
    ----------
    groups : sequence
        What is known of each patient, sorted by patient key. Read twice: to sort, and to keep.
    make : callable
        Makes the record of a patient; None for one who is not on the list.
    """
    places, listed = array("d"), array("Q")
    for number, group in enumerate(groups):
        if patient := make(group):
            places.extend(_place(patient))
            listed.append(number)
    score, since, kind = np.array(places).reshape(-1, 3).T[::-1]
    in_order = (make(groups[listed[index]]) for index in np.lexsort((score, since, kind)))
    return Packed(_numbered(filter(None, in_order)))


def _place(patient: PatientTriage) -> tuple[float, float, float]:
    """Return what a patient is sorted by: group, nights or day, score."""
    if patient.awaits_result and patient.swabbed:
        return 2, patient.swabbed.toordinal(), 0.0
    if patient.score is None:
        return 1, 0, 0.0
    return 0, -patient.nights_waiting if Flag.MAX_WAIT in patient.flags else 0, -patient.score


def _numbered(in_order: Iterable[PatientTriage]) -> Iterator[PatientTriage]:
    for number, patient in enumerate(in_order, start=1):
        has_rank = patient.score is not None and not patient.awaits_result
        yield replace(patient, rank=number) if has_rank else patient


def _combined(
    group: Sequence[ImageScore], rule: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Scores:
    """Combine the scores of a group, and round them as they are printed.

    So the order of the list can be checked against its figures. Most groups hold one image, and every rule leaves
    its scores as they are.
    """
    covid, pneumonia, normal = (
        group[0].scores
        if len(group) == 1
        else rule(np.array([image.scores for image in group], dtype=np.float64))
    )
    return round(float(covid), _DECIMALS), round(float(pneumonia), _DECIMALS), round(float(normal), _DECIMALS)


def _flags(group: Sequence[ImageScore], failures: Sequence[Failure]) -> tuple[Flag, ...]:
    flags = {flag for image in group for flag in image.flags}
    scored = {image.header.sop_instance_uid for image in group} - {""}
    if any(failure.reason is not Reason.DUPLICATE and _uid(failure) not in scored for failure in failures):
        flags.add(Flag.SOME_IMAGES_NOT_SCORED)
    if len({image.header.identity_digest for image in group} - {""}) > 1:
        flags.add(Flag.IDENTITY_CONFLICT)
    return tuple(sorted(flags))


def _uid(failure: Failure) -> str:
    return failure.header.sop_instance_uid if failure.header else ""


def _not_scored(key: PatientKey, failures: Sequence[Failure], stay: Stay) -> PatientTriage:
    first = failures[0]
    header = first.header
    return PatientTriage(
        rank=None,
        priority=None,
        patient_id=header.patient_id if header else first.name,
        issuer_of_patient_id=header.issuer_of_patient_id if header else "",
        accession_number=header.accession_number if header else "",
        study_date=header.study_date if header else "",
        study_instance_uid=header.study_instance_uid if header else "",
        score=None,
        scores=None,
        n_images=len(failures),
        top_image=first.name,
        reason=first.reason,
        detail=first.detail,
        stored_id=first.stored_id,
        patient_key=key,
        images=stay.images,
        nights_waiting=stay.nights,
        swabbed=stay.swabbed,
    )

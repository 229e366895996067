"""Combine images to patients: scored images and failures in, patients ranked by COVID-19 score out."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import OperatingPoints
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientImage, PatientKey, PatientTriage

Item = TypeVar("Item", ImageScore, Failure)
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
    images: Iterable[ImageScore],
    failures: Iterable[Failure],
    rule: str,
    operating_points: OperatingPoints | None,
) -> tuple[PatientTriage, ...]:
    """Group images by patient, combine their scores, and rank the patients.

    Parameters
    ----------
    images : iterable of ImageScore
    failures : iterable of Failure
        Skipped files are not images of a patient and are left out.
    rule : str
        Key of `RULES`.
    operating_points : OperatingPoints or None
        None: no patient gets a priority.

    Returns
    -------
    tuple of PatientTriage
        Ranked patients by falling score, ties by patient key; then those without a score, by patient key.
    """
    scored = _grouped(images)
    unscored = _grouped(failure for failure in failures if not failure.skipped)
    return rank(
        _of_one_night(key, scored.get(key, []), unscored.get(key, []), rule, operating_points)
        for key in scored.keys() | unscored.keys()
    )


def _of_one_night(
    key: PatientKey,
    images: Sequence[ImageScore],
    failures: Sequence[Failure],
    rule: str,
    operating_points: OperatingPoints | None,
) -> PatientTriage:
    described = (*map(describe_image, images), *map(describe_image, failures))
    stay = Stay(images=tuple(sorted(described, key=attrgetter("name"))))
    return triage(key, [images] if images else [], failures, stay, rule, operating_points)


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


def rank(patients: Iterable[PatientTriage]) -> tuple[PatientTriage, ...]:
    """Sort patients, and number those with a score from 1.

    Patients with the flag ``max_wait`` come first, those with more nights earlier. Then follow all others by falling
    score, ties by patient key. Then come patients without a score, by patient key, and last those who wait for the
    result of a swab, by its day and by patient key.
    """
    ranked: list[PatientTriage] = []
    unscored: list[PatientTriage] = []
    swabbed: list[PatientTriage] = []
    for patient in patients:
        group = swabbed if patient.awaits_result else unscored if patient.score is None else ranked
        group.append(patient)
    numbered = enumerate(sorted(ranked, key=_place), start=1)
    return (
        *(replace(patient, rank=number) for number, patient in numbered),
        *sorted(unscored, key=lambda patient: patient.patient_key),
        *sorted(swabbed, key=lambda patient: (patient.swabbed, patient.patient_key)),
    )


def _place(patient: PatientTriage) -> tuple[int, float, PatientKey]:
    nights = patient.nights_waiting if Flag.MAX_WAIT in patient.flags else 0
    return -nights, -(patient.score or 0.0), patient.patient_key


def _grouped(items: Iterable[Item]) -> dict[PatientKey, list[Item]]:
    groups: defaultdict[PatientKey, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.name):
        key = item.header.patient_key if item.header else ("file", item.name)
        groups[key].append(item)
    return groups


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

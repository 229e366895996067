"""From images to patients: one row each, ranked by COVID-19 score."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import OperatingPoints
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore, PatientKey, PatientTriage

Item = TypeVar("Item", ImageScore, Failure)
Scores = tuple[float, float, float]
_DECIMALS = 6


def _mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores.mean(axis=0)


def _max(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[scores[:, 0].argmax()]


RULES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {"mean": _mean, "max": _max}
"""How several images make one score: float64 (n_images, 3) → (3,). Which one a bundle uses was chosen on data."""


def aggregate(
    images: Iterable[ImageScore],
    failures: Iterable[Failure],
    rule: str,
    operating_points: OperatingPoints | None,
) -> tuple[PatientTriage, ...]:
    """Group by patient and rank.

    Parameters
    ----------
    images : iterable of ImageScore
    failures : iterable of Failure
        Skipped ones are nobody's image and are left out.
    rule : str
        Key of `RULES`.
    operating_points : OperatingPoints or None
        None: no patient gets a priority.

    Returns
    -------
    tuple of PatientTriage
        Ranked ones by falling score, ties by patient key; then those without any score, by patient key.
    """
    scored = _grouped(images)
    unscored = _grouped(failure for failure in failures if not failure.skipped)
    scores = {key: _combined(group, RULES[rule]) for key, group in scored.items()}
    order = sorted(scores, key=lambda key: (-scores[key][0], key))
    ranked = [
        _ranked(rank, scores[key], operating_points, scored[key], unscored.get(key, []))
        for rank, key in enumerate(order, start=1)
    ]
    return (*ranked, *(_not_scored(unscored[key]) for key in sorted(unscored.keys() - scored.keys())))


def _grouped(items: Iterable[Item]) -> dict[PatientKey, list[Item]]:
    groups: defaultdict[PatientKey, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.name):
        key = item.header.patient_key if item.header else ("file", item.name)
        groups[key].append(item)
    return groups


def _combined(group: list[ImageScore], rule: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Scores:
    """Rounded to what is printed, so that the order of the list can be checked against its figures."""
    covid, pneumonia, normal = rule(np.array([image.scores for image in group], dtype=np.float64))
    return round(float(covid), _DECIMALS), round(float(pneumonia), _DECIMALS), round(float(normal), _DECIMALS)


def _ranked(
    rank: int,
    scores: Scores,
    operating_points: OperatingPoints | None,
    group: list[ImageScore],
    failures: list[Failure],
) -> PatientTriage:
    top = max(group, key=lambda image: image.scores[0])
    return PatientTriage(
        rank=rank,
        priority=operating_points.priority(scores[0]) if operating_points else None,
        patient_id=top.header.patient_id,
        issuer_of_patient_id=top.header.issuer_of_patient_id,
        accession_number=top.header.accession_number,
        study_date=top.header.study_date,
        score=scores[0],
        scores=scores,
        n_images=len(group),
        top_image=top.name,
        flags=_flags(group, failures),
        thumbnail=top.thumbnail,
    )


def _flags(group: list[ImageScore], failures: list[Failure]) -> tuple[Flag, ...]:
    flags = {flag for image in group for flag in image.flags}
    if any(failure.reason is not Reason.DUPLICATE for failure in failures):
        flags.add(Flag.SOME_IMAGES_NOT_SCORED)
    if len({image.header.identity_digest for image in group} - {""}) > 1:
        flags.add(Flag.IDENTITY_CONFLICT)
    return tuple(sorted(flags))


def _not_scored(failures: list[Failure]) -> PatientTriage:
    first = failures[0]
    header = first.header
    return PatientTriage(
        rank=None,
        priority=None,
        patient_id=header.patient_id if header else first.name,
        issuer_of_patient_id=header.issuer_of_patient_id if header else "",
        accession_number=header.accession_number if header else "",
        study_date=header.study_date if header else "",
        score=None,
        scores=None,
        n_images=len(failures),
        top_image=first.name,
        reason=first.reason,
        detail=first.detail,
        thumbnail=first.thumbnail,
    )

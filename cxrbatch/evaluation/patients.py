"""Aggregate scored images to patients: labelled images and scores in, one row per patient and label out.

The rows are those of the list, with the truth beside them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.records import FINDINGS
from cxrbatch.stats import Bools, Floats
from cxrbatch.triage import RULES

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientScores:
    """Patients, each once per label under which there are images.

    Attributes
    ----------
    patients, labels, domains, sites, sources : ndarray of str, shape (n,)
    cases : ndarray of LabelledImage, shape (n,)
        The first image of each row: its view, and the age of the patient when it was taken.
    scores : ndarray of float64, shape (n, 3)
        In the order of `cxrbatch.records.FINDINGS`.
    """

    patients: Names
    labels: Names
    domains: Names
    sites: Names
    sources: Names
    cases: NDArray[np.object_]
    scores: Floats

    def where(self, mask: Bools) -> "PatientScores":
        """Select the rows where a mask of shape (n,) is true."""
        return PatientScores(**{name: getattr(self, name)[mask] for name in _COLUMNS})

    def labelled(self, *labels: str) -> Bools:
        """Make the mask of the rows that have one of these labels, shape (n,)."""
        return np.isin(self.labels, labels)


_COLUMNS = tuple(column.name for column in dataclasses.fields(PatientScores))


def to_patient_scores(
    cases: Sequence[LabelledImage], scores: NDArray[np.floating], rule: str, *, by_domain: bool = False
) -> PatientScores:
    """Aggregate images to patients as the report does.

    Parameters
    ----------
    cases : sequence of LabelledImage
    scores : ndarray of float, shape (n, 3)
        Of the cases, 0–1, in the order of `cxrbatch.records.FINDINGS`.
    rule : str
        Key of `cxrbatch.triage.RULES`.
    by_domain : bool
        A row for each domain of a patient, for comparisons within a domain.
    """
    rows = group_images(cases, by_domain=by_domain)
    first = [cases[images[0]] for images in rows]
    combined = [RULES[rule](np.asarray(scores[images], np.float64)) for images in rows]
    return PatientScores(
        patients=np.array([case.patient for case in first], np.str_),
        labels=np.array([case.label for case in first], np.str_),
        domains=np.array([case.domain for case in first], np.str_),
        sites=np.array([case.site for case in first], np.str_),
        sources=np.array([case.source for case in first], np.str_),
        cases=np.array(first, np.object_),
        scores=np.array(combined, np.float64).reshape(-1, len(FINDINGS)),
    )


def group_images(cases: Sequence[LabelledImage], *, by_domain: bool = False) -> list[list[int]]:
    """List the indices of the images of each row of `to_patient_scores`."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, case in enumerate(cases):
        domain = case.domain if by_domain else ""
        groups.setdefault((case.patient, case.label, domain), []).append(index)
    return list(groups.values())


def join(parts: Sequence[PatientScores]) -> PatientScores:
    """Concatenate the rows of several sets; there must be at least one set."""
    return PatientScores(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    )

"""What a run says, in the words of `reference_model`."""

import datetime as dt
from dataclasses import replace

from cxrbatch.records import PatientKey, TriageRun
from cxrbatch.state import State
from cxrbatch.state.codec import decode_key
from tests.triage.reference_model import Line

SPOKEN_OF = {"some_images_not_scored", "patient_changed", "max_wait", "result_overdue"}
"""Flags that the rules set."""


def lines(run: TriageRun) -> list[Line]:
    """The list."""
    return [
        Line(
            patient=patient.patient_key,
            rank=patient.rank,
            score=patient.score,
            priority=patient.priority or "",
            nights_waiting=patient.nights_waiting,
            flags=frozenset(str(flag) for flag in patient.flags) & SPOKEN_OF,
            reason=patient.reason or "",
            n_images=patient.n_images,
            swabbed=patient.swabbed,
        )
        for patient in run.patients
    ]


def rounded(lines_: list[Line]) -> list[Line]:
    """As a run gives scores: to six decimals."""
    return [replace(line, score=line.score and round(line.score, 6)) for line in lines_]


def books(run: TriageRun) -> dict[str, tuple[str, str]]:
    """Status and reason of every file."""
    scored = {image.name: ("scored", "") for image in run.images}
    return scored | {
        failure.name: ("skipped" if failure.skipped else "not_scored", str(failure.reason))
        for failure in run.failures
    }


def results_of(state: State) -> dict[tuple[PatientKey, dt.date], bool | None]:
    """What stands, by patient and day."""
    return {(one.patient_key, one.date): one.positive for one in state.pcr.results()}


def everybody(state: State) -> set[PatientKey]:
    """All of whom anything is stored."""
    return {decode_key(key) for key in state.removal._all_keys()}


def listed(state: State) -> dict[tuple[dt.date, PatientKey], int]:
    """Position of everybody on every night."""
    return {(one.night, one.patient_key): one.position for one in state.lists.entries()}

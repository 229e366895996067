"""Choose the columns of the list: ranked patients in, those that say something tonight out.

What is the same for all patients is said once, above the list.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrbatch.reasons import FLAG_MEANING, Flag
from cxrbatch.records import PatientTriage
from cxrbatch.report.words import say

NOT_STATED = frozenset({Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN})
"""Flags of every picture without a header; together they are one note."""

_VALUES: Mapping[str, Callable[[PatientTriage], Any]] = {
    "issuer": lambda patient: patient.issuer_of_patient_id,
    "accession": lambda patient: patient.accession_number,
    "date": lambda patient: patient.study_date,
    "priority": lambda patient: patient.priority,
    "images": lambda patient: patient.n_images if patient.n_images > 1 else None,
    "nights": lambda patient: patient.nights_waiting,
    "flags": lambda patient: patient.flags,
}
_MANY = 2
"""Values of a column after which no more are collected: they differ, and at least one says something."""
_SAID_ONCE = {"issuer": "issuer", "date": "study_date"}
"""Columns whose value is said above the list where it is the same for all, and the text before it."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that are shown, and what is the same for all patients.

    Attributes
    ----------
    shown : frozenset of str
    common : tuple of str
        Sentences.
    common_flags : frozenset of Flag
        Flags of every patient: not shown beside each.
    """

    shown: frozenset[str]
    common: tuple[str, ...]
    common_flags: frozenset[Flag]

    def n_shown(self, *names: str) -> int:
        """Count those of some columns that are shown."""
        return len(self.shown.intersection(names))


def choose_columns(ranked: Sequence[PatientTriage]) -> Columns:
    """Choose the columns of a list; a list of one patient shows all that is known."""
    said: dict[str, set[Any]] = {name: set() for name in _VALUES}
    for patient in ranked:
        for name, value in _VALUES.items():
            if len(said[name]) < _MANY or name == "flags":
                said[name].add(value(patient))
    common_flags = frozenset[Flag]()
    if len(ranked) > 1:
        common_flags = frozenset.intersection(*map(frozenset, said["flags"]))
    said["flags"] = {frozenset(flags) - common_flags for flags in said["flags"]}
    shown = frozenset(name for name, values in said.items() if _says_something(name, values, len(ranked)))
    return Columns(shown, tuple(_common(ranked, shown, common_flags)), common_flags)


def _says_something(name: str, values: Collection[Any], n_patients: int) -> bool:
    is_said_once = name in _SAID_ONCE and n_patients > 1 and len(values) == 1
    return any(values) and not is_said_once


def _common(
    ranked: Sequence[PatientTriage], shown: frozenset[str], common_flags: frozenset[Flag]
) -> Iterator[str]:
    for name, text in _SAID_ONCE.items():
        if ranked and name not in shown and (value := _VALUES[name](ranked[0])):
            yield f"{say(text)} {value}"
    for note in notes(sorted(common_flags)):
        yield note.meaning


@dataclass(frozen=True, slots=True)
class Note:
    """A flag, or several that belong together, in words."""

    text: str
    meaning: str
    is_strong: bool = False


_WHO_IS_THIS = frozenset({Flag.IDENTITY_CONFLICT, Flag.UID_CONFLICT, Flag.PATIENT_CHANGED})

_TO_CHECK = _WHO_IS_THIS | {Flag.SOME_IMAGES_NOT_SCORED}


def notes_to_check(patient: PatientTriage) -> list[Note]:
    """Put those flags of a patient into words that a human must clear up; none for most."""
    return notes(sorted(_TO_CHECK.intersection(patient.flags)))


def notes(flags: Sequence[Flag]) -> list[Note]:
    """Put flags into words; those of a picture without a header become one note."""
    rest = [flag for flag in flags if flag not in NOT_STATED] if set(flags) >= NOT_STATED else list(flags)
    found = [Note(flag.replace("_", " "), FLAG_MEANING[flag], flag in _WHO_IS_THIS) for flag in rest]
    if len(rest) < len(flags):
        found.append(Note(say("not_stated"), say("not_stated_meaning")))
    return found

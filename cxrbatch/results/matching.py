"""Match the rows of a laboratory's file to patients: rows and stored results in, a decision for each row out."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cxrbatch._lib.text import meant, visible
from cxrbatch.records import PatientKey
from cxrbatch.results.lab_file import LabRow
from cxrbatch.results.words import Answer
from cxrbatch.state import PcrResult
from cxrbatch.terms import is_placeholder

FIRST_DAY = dt.date(2020, 1, 1)
"""Earliest date of a PCR for this virus: its first protocol was published in January 2020 (Corman et al.,
Eurosurveillance 25(3):2000045)."""


class RowClass(StrEnum):
    """Class of a row after matching. Users read these codes with scripts: add codes, never rename them."""

    NEW = "new"
    KNOWN = "known"
    SWABBED = "swabbed"
    OTHER_TEST = "other_test"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    CONTRADICTORY = "contradictory"
    NOT_UNDERSTOOD = "not_understood"
    INCONCLUSIVE = "inconclusive"


TAKEN = (RowClass.NEW, RowClass.KNOWN, RowClass.SWABBED, RowClass.OTHER_TEST)
"""Classes of rows that need no further action."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Class of a row, its problem, and what to do."""

    row_class: RowClass
    problem: str = ""
    what_to_do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedRow:
    """A row with its decision; `result` is what to store, for new results and swabs only."""

    row: LabRow
    decision: Decision
    result: PcrResult | None = None

    @property
    def is_taken(self) -> bool:
        """True if the row needs no further action."""
        return self.decision.row_class in TAKEN


Patients = Callable[..., list[PatientKey]]
"""Type of `cxrbatch.state.State.patients`."""
Standing = Callable[[PatientKey], Mapping[dt.date, bool | None]]
"""Finds what is stored for each day of a patient; None for a swab whose result is pending."""
Swab = tuple[PatientKey, dt.date]
"""Patient and day of the swab; a patient has one result per day."""


_NEW = Decision(RowClass.NEW)
_KNOWN = Decision(RowClass.KNOWN)
_SWABBED = Decision(RowClass.SWABBED)
_OTHER_TEST = Decision(RowClass.OTHER_TEST)
_SURPLUS = Decision(
    RowClass.NOT_UNDERSTOOD,
    "more cells than columns, so that nobody knows which is which",
    "put cells that hold the delimiter in quotes",
)
_NOBODY = Decision(
    RowClass.NOT_UNDERSTOOD,
    "neither PatientID nor accession number",
    "fill one in; if other rows have none either, check --patient-column and --accession-column",
)
_NO_DATE = Decision(
    RowClass.NOT_UNDERSTOOD,
    "the date is missing or not understood",
    "give the day of the swab; if all rows are so, say how dates are written with --date-format",
)
_NO_RESULT = Decision(
    RowClass.NOT_UNDERSTOOD, "the result is empty", "import the file again when the laboratory has one"
)
_UNKNOWN_WORD = Decision(
    RowClass.NOT_UNDERSTOOD,
    "the word for the result is unknown",
    "say what it means with --positive, --negative or --inconclusive",
)
_INCONCLUSIVE = Decision(
    RowClass.INCONCLUSIVE,
    "neither positive nor negative",
    "the patient stays on the list: wait for the final result, or swab again",
)
_UNMATCHED = Decision(
    RowClass.UNMATCHED,
    "nobody with these identifiers was screened",
    "check them (zeros at the start, issuer); if the radiograph is still to come, import again after it",
)
_AMBIGUOUS = Decision(
    RowClass.AMBIGUOUS,
    "several patients have these identifiers",
    "say which one: PatientID with its issuer (--issuer-column), or PatientID and accession number",
)
_PLACEHOLDER = Decision(
    RowClass.UNMATCHED,
    "a PatientID that stands for many patients, and no accession number",
    "give the accession number of the radiograph",
)
_TWO_PATIENTS = Decision(
    RowClass.CONTRADICTORY,
    "PatientID and accession number are of different patients",
    "find out who was swabbed, and correct the row",
)
_HALF_KNOWN = (
    "check both; if the laboratory has accession numbers of its own, import again with --accession-column ''"
)
_ASK = "ask the laboratory which is right, and leave only that in the file"
_KEPT = (
    "ask the laboratory which is right; if what is stored is wrong, take its import back with: results undo"
)


def sort_rows(
    rows: Sequence[LabRow], patients: Patients, standing: Standing, today: dt.date
) -> list[SortedRow]:
    """Decide the class of every row.

    Parameters
    ----------
    rows : sequence of LabRow
    patients : callable
        Finds the patients that identifiers match; see `cxrbatch.state.State.patients`.
    standing : callable
        Finds what is stored for each day of a patient: True for positive, None for a swab whose result is pending.
    today : datetime.date
        Latest possible day of a swab.

    Returns
    -------
    list of SortedRow
        One for every row, in the same order.
    """
    found = [(row, _swab(row, patients, today)) for row in rows]
    readable = [(row, swab) for row, swab in found if not isinstance(swab, Decision)]
    corrected_by = {swab: row.number for row, swab in reversed(readable) if row.corrects}
    values: defaultdict[Swab, dict[bool | None, int]] = defaultdict(dict)
    for row, swab in readable:
        if (row.corrects or swab not in corrected_by) and row.answer is not Answer.INCONCLUSIVE:
            values[swab].setdefault(_is_positive(row), row.number)
    return [
        SortedRow(row=row, decision=swab)
        if isinstance(swab, Decision)
        else _corrected(row, corrected_by.get(swab), standing(swab[0]).get(swab[1]))
        or _compared(row, swab, values[swab], standing(swab[0]))
        for row, swab in found
    ]


def _swab(row: LabRow, patients: Patients, today: dt.date) -> Swab | Decision:
    if row.other_test:
        return _OTHER_TEST
    if row.fault:
        return Decision(
            RowClass.NOT_UNDERSTOOD, row.fault, "ask the laboratory to send it again, or leave it out"
        )
    if row.surplus:
        return _SURPLUS
    if row.day is None:
        return _NO_DATE
    unusable = _unusable(row, row.day, today)
    who = unusable if unusable and not (unusable is _INCONCLUSIVE and row.corrects) else _who(row, patients)
    if isinstance(who, Decision):
        return unusable or who
    return who, row.day


def _unusable(row: LabRow, day: dt.date, today: dt.date) -> Decision | None:
    if not (row.patient_id or row.accession_number):
        return _NOBODY
    if not FIRST_DAY <= day <= today:
        return Decision(
            RowClass.NOT_UNDERSTOOD,
            f"in the future: today is {today}"
            if day > today
            else f"before {FIRST_DAY}, the first of all PCRs",
            "correct the date; if many rows are so, check --date-format and the clock of this computer",
        )
    if row.answer is None:
        return _UNKNOWN_WORD if row.result else _NO_RESULT
    return _INCONCLUSIVE if row.answer is Answer.INCONCLUSIVE else None


def _who(row: LabRow, patients: Patients) -> PatientKey | Decision:
    """Find the one patient that all identifiers of the row match."""
    by_each = {
        name: _with_either_reading(patients, column, values, row.issuer_of_patient_id or None)
        for name, column, values in (
            ("PatientID", "patient_id", (row.patient_id, *row.other_ids)),
            ("accession number", "accession_number", (row.accession_number,)),
        )
        if any(values)
    }
    if is_placeholder(row.patient_id) and not by_each.get("PatientID"):
        by_each.pop("PatientID", None)
        if not by_each:
            return _PLACEHOLDER
    fitting = set.intersection(*by_each.values())
    if len(fitting) == 1:
        return fitting.pop()
    if fitting:
        return _AMBIGUOUS
    names = [name for name, found in by_each.items() if found]
    if not names:
        return _invisible(row) or _UNMATCHED
    return _TWO_PATIENTS if len(names) > 1 else _half_known(*names)


def _with_either_reading(
    patients: Patients, column: str, values: Sequence[str], issuer: str | None
) -> set[PatientKey]:
    """Find the patients whom cells mean as they are, or as cells that the report wrote."""
    readings = {(value, issuer) for value in values} | {
        (meant(value), issuer and meant(issuer)) for value in values
    }
    return {
        key
        for text, of_issuer in readings
        for key in patients(**{column: text}, issuer_of_patient_id=of_issuer)
    }


def _invisible(row: LabRow) -> Decision | None:
    """Decide on a row that fits nobody and has characters that nobody sees."""
    cells = (row.patient_id, row.issuer_of_patient_id, row.accession_number)
    if all(visible(cell) == cell for cell in cells):
        return None
    return Decision(
        RowClass.UNMATCHED,
        "nobody with these identifiers was screened, and they hold characters that cannot be seen",
        "take out what this table writes with a backslash, such as \\u200b or \\u00a0",
    )


def _half_known(name: str) -> Decision:
    return Decision(RowClass.CONTRADICTORY, f"the {name} is known, the other identifier is not", _HALF_KNOWN)


def _corrected(row: LabRow, corrected_by: int | None, stored: bool | None) -> SortedRow | None:
    """Decide on a row that another row of the file corrects, whatever their order, or that takes a result back."""
    if corrected_by is not None and not row.corrects:
        return SortedRow(row=row, decision=Decision(RowClass.KNOWN, f"row {corrected_by} corrects it"))
    if row.answer is not Answer.INCONCLUSIVE:
        return None
    if stored is None:
        return SortedRow(row=row, decision=_INCONCLUSIVE)
    problem = f"stored for this patient and day is: {_word(stored)}, and the laboratory takes that back"
    return SortedRow(row=row, decision=Decision(RowClass.CONTRADICTORY, problem, _KEPT))


def _compared(
    row: LabRow, swab: Swab, said: Mapping[bool | None, int], stored: Mapping[dt.date, bool | None]
) -> SortedRow:
    """Compare a row with the others of the same patient and day.

    These are the first row for each answer in the file (`said`), and what is stored.
    """
    positive, known = _is_positive(row), stored.get(swab[1])
    if positive is None:
        is_told = swab[1] in stored or said.keys() - {None} or said[None] != row.number
        return SortedRow(row=row, decision=_KNOWN) if is_told else _taken(row, _SWABBED, swab)
    if (other := said.get(not positive)) is not None:
        problem = f"the same patient and day as row {other}, with another result"
        return SortedRow(row=row, decision=Decision(RowClass.CONTRADICTORY, problem, _ASK))
    if known is not None and known is not positive and not row.corrects:
        problem = f"stored for this patient and day is: {_word(known)}"
        return SortedRow(row=row, decision=Decision(RowClass.CONTRADICTORY, problem, _KEPT))
    if known is positive or said[positive] != row.number:
        return SortedRow(row=row, decision=_KNOWN)
    return _taken(row, _NEW, swab)


def _taken(row: LabRow, decision: Decision, swab: Swab) -> SortedRow:
    patient, day = swab
    result = PcrResult(patient_key=patient, date=day, positive=_is_positive(row))
    return SortedRow(row=row, decision=decision, result=result)


def _is_positive(row: LabRow) -> bool | None:
    """Return the result of a row; None for a swab whose result is pending."""
    return None if row.answer is Answer.SWABBED else row.answer is Answer.POSITIVE


def _word(positive: bool) -> str:
    return (Answer.POSITIVE if positive else Answer.NEGATIVE).value

"""Match the rows of a laboratory's file to patients: rows and stored results in, a decision for each row out."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from cxrbatch._lib.clock import Clock, system_clock
from cxrbatch._lib.csv import csv_bytes
from cxrbatch._lib.text import meant, visible
from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientKey
from cxrbatch.results.lab_file import Answer, LabFormat, LabRow, read_lab_file
from cxrbatch.state import PcrResult, State, open_state, persistent_state
from cxrbatch.terms import is_placeholder

FIRST_DAY = dt.date(2020, 1, 1)
"""Earliest date of a PCR for this virus: its first protocol was published in January 2020 (Corman et al.,
Eurosurveillance 25(3):2000045)."""


class RowClass(StrEnum):
    """Class of a row after matching. Users read these codes with scripts: add codes, never rename them."""

    NEW = "new"
    KNOWN = "known"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    CONTRADICTORY = "contradictory"
    NOT_UNDERSTOOD = "not_understood"
    INCONCLUSIVE = "inconclusive"


TAKEN = (RowClass.NEW, RowClass.KNOWN)
"""Classes of rows that need no further action."""

COLUMNS = (
    *("row", "class", "patient_id", "issuer_of_patient_id", "accession_number", "date", "result"),
    *("problem", "what_to_do"),
)
"""Columns of the table of rows. Users read them with scripts: append only."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Class of a row, its problem, and what to do."""

    row_class: RowClass
    problem: str = ""
    what_to_do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedRow:
    """A row with its decision; `result` is the result to store, for new rows only."""

    row: LabRow
    decision: Decision
    result: PcrResult | None = None

    @property
    def is_taken(self) -> bool:
        """True if the row needs no further action."""
        return self.decision.row_class in TAKEN


Patients = Callable[..., list[PatientKey]]
"""Type of `cxrbatch.state.State.patients`."""
Swab = tuple[PatientKey, dt.date]
"""Patient and day of the swab; a patient has one result per day."""


_NEW = Decision(RowClass.NEW)
_KNOWN = Decision(RowClass.KNOWN)
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
_KEPT = "ask the laboratory which is right; what is stored stays"


def sort_rows(
    rows: Sequence[LabRow], patients: Patients, known: Mapping[Swab, bool], today: dt.date
) -> list[SortedRow]:
    """Decide the class of every row.

    Parameters
    ----------
    rows : sequence of LabRow
    patients : callable
        Finds the patients that identifiers match; see `cxrbatch.state.State.patients`.
    known : mapping of (patient, day) to bool
        The stored results; True for positive.
    today : datetime.date
        Latest possible day of a swab.

    Returns
    -------
    list of SortedRow
        One for every row, in the same order.
    """
    found = [_swab(row, patients, today) for row in rows]
    values: defaultdict[Swab, dict[bool, int]] = defaultdict(dict)
    for row, swab in zip(rows, found, strict=True):
        if not isinstance(swab, Decision):
            values[swab].setdefault(_is_positive(row), row.number)
    return [
        SortedRow(row=row, decision=swab)
        if isinstance(swab, Decision)
        else _compared(row, swab, values[swab], known.get(swab))
        for row, swab in zip(rows, found, strict=True)
    ]


def import_results(
    path: Path, state_path: Path, how: LabFormat, *, dry_run: bool = False, clock: Clock = system_clock
) -> list[SortedRow]:
    """Store the new results of a file, all or none.

    Parameters
    ----------
    path : Path
        CSV file that the laboratory exported.
    state_path : Path
        The state; it must exist.
    how : LabFormat
        Format of the file.
    dry_run : bool
        Store nothing; only return what would be stored.

    Returns
    -------
    list of SortedRow
        One for every row of the file that is not empty.

    Raises
    ------
    CxrbatchError
        The file or the state cannot be read; nothing was stored.
    UsageProblem
        A column is missing, or there is no such state.
    Locked
        A run is using the state.
    """
    if not state_path.is_file():
        raise UsageProblem(
            f"--state {visible(str(state_path))}: no such file; name the one that cxrbatch screen --state made"
        )
    rows = read_lab_file(path, how)
    now = clock()
    with _state(state_path, dry_run=dry_run) as state:
        known = {(result.patient_key, result.date): result.positive for result in state.results()}
        sorted_rows = sort_rows(rows, cache(state.patients), known, now.date())
        new = [item.result for item in sorted_rows if item.result]
        if new and not dry_run:
            state.add_results(new, now)
    return sorted_rows


def rows_csv(rows: Iterable[SortedRow]) -> bytes:
    """Make the table of rows: one line for every row, with its class, its problem and what to do."""
    return csv_bytes(
        COLUMNS,
        (
            {
                "row": item.row.number,
                "class": item.decision.row_class,
                "patient_id": item.row.patient_id,
                "issuer_of_patient_id": item.row.issuer_of_patient_id,
                "accession_number": item.row.accession_number,
                "date": item.row.date,
                "result": item.row.result,
                "problem": item.decision.problem,
                "what_to_do": item.decision.what_to_do,
            }
            for item in rows
        ),
    )


def summarise_rows(rows: Sequence[SortedRow], *, dry_run: bool) -> str:
    """Count the rows by class, in one line; it holds no patient data."""
    counts = Counter(item.decision.row_class for item in rows)
    parts = [f"{counts[kind]} {kind}" for kind in RowClass if counts[kind] or kind in TAKEN]
    stored = f"dry run, nothing stored ({counts[RowClass.NEW]} results would be)"
    return f"{len(rows)} rows = {' + '.join(parts)}; " + (
        stored if dry_run else f"{counts[RowClass.NEW]} results stored"
    )


@contextmanager
def _state(path: Path, *, dry_run: bool) -> Iterator[State]:
    """Open the state; a dry run only reads it and needs no lock."""
    if dry_run:
        with open_state(path, read_only=True) as state:
            yield state
    else:
        with persistent_state(path) as state:
            yield state


def _swab(row: LabRow, patients: Patients, today: dt.date) -> Swab | Decision:
    if row.surplus:
        return _SURPLUS
    if row.day is None:
        return _NO_DATE
    who = _unusable(row, row.day, today) or _who(row, patients)
    return who if isinstance(who, Decision) else (who, row.day)


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
    issuer = row.issuer_of_patient_id or None
    by_each = {
        name: _with_either_reading(patients, column, value, issuer)
        for name, column, value in (
            ("PatientID", "patient_id", row.patient_id),
            ("accession number", "accession_number", row.accession_number),
        )
        if value
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
        return _UNMATCHED
    return _TWO_PATIENTS if len(names) > 1 else _half_known(*names)


def _with_either_reading(patients: Patients, column: str, value: str, issuer: str | None) -> set[PatientKey]:
    """Find the patients whom a cell means as it is, or as a cell that the report wrote."""
    readings = {(value, issuer), (meant(value), issuer and meant(issuer))}
    return {
        key
        for text, of_issuer in readings
        for key in patients(**{column: text}, issuer_of_patient_id=of_issuer)
    }


def _half_known(name: str) -> Decision:
    return Decision(RowClass.CONTRADICTORY, f"the {name} is known, the other identifier is not", _HALF_KNOWN)


def _compared(row: LabRow, swab: Swab, values: Mapping[bool, int], known: bool | None) -> SortedRow:
    """Compare a row with other results of the same patient and day.

    These are the first row for each result in the file (`said`), and the stored result (`known`).
    """
    positive = _is_positive(row)
    if (other := values.get(not positive)) is not None:
        problem = f"the same patient and day as row {other}, with another result"
        return SortedRow(row=row, decision=Decision(RowClass.CONTRADICTORY, problem, _ASK))
    if known is not None and known is not positive:
        problem = f"stored for this patient and day is: {_word(known)}"
        return SortedRow(row=row, decision=Decision(RowClass.CONTRADICTORY, problem, _KEPT))
    if known is not None or values[positive] != row.number:
        return SortedRow(row=row, decision=_KNOWN)
    key, day = swab
    return SortedRow(row=row, decision=_NEW, result=PcrResult(patient_key=key, date=day, positive=positive))


def _is_positive(row: LabRow) -> bool:
    return row.answer is Answer.POSITIVE


def _word(positive: bool) -> str:
    return (Answer.POSITIVE if positive else Answer.NEGATIVE).value

"""Enter one swab or result by hand, and take it back: patient, day and answer in, an import of one row out.

Does not take the lock of a run: the transaction is short, and waits for those of a run, which are short too.
"""

import datetime as dt
from pathlib import Path

from cxrbatch._lib.clock import Clock, system_clock
from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientKey
from cxrbatch.results.importing import check_state
from cxrbatch.results.matching import FIRST_DAY
from cxrbatch.state import Mark, PcrResult, State, open_state

BY_HAND = "web:"
"""How `Import.imported_by` begins for what was entered by hand; no user of a machine has a colon in the name."""


def enter_result(
    state_path: Path,
    patient: PatientKey,
    day: dt.date,
    positive: bool | None,
    by: str,
    *,
    clock: Clock = system_clock,
) -> int:
    """Store a swab (`positive` is None) or its result, and return the number of the import.

    Parameters
    ----------
    by : str
        Who enters it; stored as ``web:NAME``.

    Raises
    ------
    UsageProblem
        The day lies in the future or before all PCRs, the same is stored already, or another result is.
    StateError
        The state cannot be written.
    """
    check_state(state_path)
    now = clock()
    if not FIRST_DAY <= day <= now.date():
        raise UsageProblem(f"the day {day} lies in the future, or before the first PCR")
    with open_state(state_path) as state, state.at_once():
        _check_known(state, patient, day, positive)
        result = PcrResult(patient_key=patient, date=day, positive=positive)
        return state.pcr.add([result], now, BY_HAND + by)


def undo_entry(
    state_path: Path, patient: PatientKey, number: int, by: str, *, clock: Clock = system_clock
) -> Mark:
    """Take back what was entered by hand for a patient; what stood before it stands again.

    Raises
    ------
    UsageProblem
        The patient has no such entry, it was imported from a file, or it was undone already.
    """
    check_state(state_path)
    with open_state(state_path) as state, state.at_once():
        found = next((mark for mark in state.pages.marks(patient) if mark.number == number), None)
        if found is None or not found.by.startswith(BY_HAND):
            raise UsageProblem(
                "this was not entered by hand for this patient; imports are undone with: results undo"
            )
        if found.undone:
            raise UsageProblem("this was undone already")
        state.pcr.undo(number, clock(), BY_HAND + by)
    return found


def has_entries_by_hand(state: State) -> bool:
    """Check whether anything was ever entered by hand."""
    return state.pcr.has_import_by(BY_HAND)


def _check_known(state: State, patient: PatientKey, day: dt.date, positive: bool | None) -> None:
    standing = [mark for mark in state.pages.marks(patient) if mark.date == day and mark.undone is None]
    results = [mark for mark in standing if mark.positive is not None]
    if positive is None and standing:
        raise UsageProblem("a swab or a result of this day is stored already")
    if positive is not None and results:
        known = results[0]
        if known.positive is positive:
            raise UsageProblem("this result of this day is stored already")
        raise UsageProblem(f"stored for this day is: {known.word}; take that back first, if it is wrong")

"""Import PCR results into the state, list the imports, undo one, and forget a patient."""

import os
import pwd
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cxrbatch._lib.clock import Clock, system_clock
from cxrbatch._lib.csv import csv_bytes
from cxrbatch._lib.text import meant, plural, visible
from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientKey
from cxrbatch.results.hl7_messages import is_hl7, read_hl7, read_hl7_folder
from cxrbatch.results.lab_file import LabFile, LabFormat, read_lab_file, read_once
from cxrbatch.results.matching import RowClass, SortedRow, sort_rows
from cxrbatch.state import Import, Removed, State, open_state, persistent_state

ROW_COLUMNS = (
    *("row", "class", "patient_id", "issuer_of_patient_id", "accession_number", "date", "result"),
    *("problem", "what_to_do"),
)
"""Columns of the table of rows. Users read them with scripts: append only."""

IMPORT_COLUMNS = (
    *("import", "imported", "imported_by", "source_sha256", "n_positive", "n_negative", "n_swabbed"),
    *("undone", "undone_by"),
)
"""Columns of the table of imports. Users read them with scripts: append only."""

_ALWAYS_COUNTED = (RowClass.NEW, RowClass.KNOWN)


def import_results(
    path: Path, state_path: Path, how: LabFormat, *, dry_run: bool = False, clock: Clock = system_clock
) -> list[SortedRow]:
    """Store the new results of a file as one import, all or none.

    Parameters
    ----------
    path : Path
        CSV file that the laboratory exported, or HL7 v2 messages: a file, or a folder of files.
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
    check_state(state_path)
    source = _read(path, how)
    now = clock()
    with _state(state_path, dry_run=dry_run) as state:
        sorted_rows = sort_rows(source.rows, cache(state.patients), cache(state.pcr.standing), now.date())
        new = [item.result for item in sorted_rows if item.result]
        if new and not dry_run:
            state.pcr.add(new, now, user_name(), source.sha256)
    return sorted_rows


def undo_import(state_path: Path, number: int, *, clock: Clock = system_clock) -> Import:
    """Take an import back: its rows do not count any more, and what stood before them stands again.

    Returns
    -------
    Import
        The import, as it was.

    Raises
    ------
    UsageProblem
        There is no such state or import, or it is undone already.
    Locked
        A run is using the state.
    """
    check_state(state_path)
    with persistent_state(state_path) as state:
        found = next((one for one in state.pcr.imports() if one.id == number), None)
        if found is None:
            raise UsageProblem(f"import {number}: there is none; cxrbatch results list shows all")
        if found.undone:
            raise UsageProblem(f"import {number}: was undone already, on {found.undone:%Y-%m-%d}")
        state.pcr.undo(number, clock(), user_name())
    return found


def list_imports(state_path: Path) -> list[Import]:
    """List all imports, the earliest first; the state is only read.

    Raises
    ------
    UsageProblem
        There is no such state.
    """
    check_state(state_path)
    with open_state(state_path, read_only=True) as state:
        return state.pcr.imports()


def imports_csv(imports: Iterable[Import]) -> bytes:
    """Make the table of imports, one line for each; it names no patient."""
    return csv_bytes(
        IMPORT_COLUMNS,
        (
            {
                "import": one.id,
                "imported": f"{one.imported:%Y-%m-%dT%H:%M:%SZ}",
                "imported_by": one.imported_by,
                "source_sha256": one.source_sha256,
                "n_positive": one.n_positive,
                "n_negative": one.n_negative,
                "n_swabbed": one.n_swabbed,
                "undone": f"{one.undone:%Y-%m-%dT%H:%M:%SZ}" if one.undone else None,
                "undone_by": one.undone_by,
            }
            for one in imports
        ),
    )


def forget_patient(
    state_path: Path,
    patient_id: str,
    issuer: str | None = None,
    accession_number: str | None = None,
    *,
    dry_run: bool = False,
) -> Removed | None:
    """Remove one patient from the state: images and thumbnails, results, lines of lists.

    Parameters
    ----------
    patient_id : str
        As in the header, or as the report writes it.
    issuer : str or None
        Issuer of the PatientID; None is any.
    accession_number : str or None
        Accession number of one of the patient's images; None is any, or none.
    dry_run : bool
        Remove nothing; only check whether there is one such patient.

    Returns
    -------
    Removed or None
        None for a dry run.

    Raises
    ------
    UsageProblem
        There is no such state or patient, or several patients have this PatientID.
    Locked
        A run is using the state.
    """
    check_state(state_path)
    with _state(state_path, dry_run=dry_run) as state:
        key = _only_patient(state, patient_id, issuer, accession_number)
        return None if dry_run else state.removal.forget(key)


def _only_patient(
    state: State, patient_id: str, issuer: str | None, accession_number: str | None
) -> PatientKey:
    """Find the one patient with these identifiers, as they are or as the report writes them."""
    as_shown = (meant(patient_id), issuer and meant(issuer), accession_number and meant(accession_number))
    keys = {*state.removal.keys(patient_id, issuer, accession_number), *state.removal.keys(*as_shown)}
    if not keys:
        others = (
            "" if (issuer, accession_number) == (None, None) else " with this issuer and accession number"
        )
        raise UsageProblem(
            f"PATIENT: nobody in the state has this PatientID{others}; zeros at the start and case count"
        )
    if len(keys) > 1:
        raise UsageProblem(
            f"PATIENT: {len(keys)} patients have this PatientID; say which one with --issuer or --accession"
        )
    return keys.pop()


def is_known(state_path: Path, patient_id: str, issuer: str | None = None) -> bool:
    """Check whether the state has a patient with this PatientID."""
    check_state(state_path)
    with open_state(state_path, read_only=True) as state:
        return bool(state.removal.keys(patient_id, issuer))


def user_name() -> str:
    """Return the name of the user of this process, or its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def rows_csv(rows: Iterable[SortedRow]) -> bytes:
    """Make the table of rows: one line for every row, with its class, its problem and what to do.

    What to do is written out once; a row with the same advice refers to the first one.
    """
    first: dict[str, int] = {}
    return csv_bytes(
        ROW_COLUMNS,
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
                "what_to_do": _advice(item, first),
            }
            for item in rows
        ),
    )


def _advice(item: SortedRow, first: dict[str, int]) -> str:
    """Return what to do, or a reference to the first row with the same advice."""
    advice = item.decision.what_to_do
    row = first.setdefault(advice, item.row.number)
    return advice if not advice or row == item.row.number else f"as in row {row}"


def summarise_rows(rows: Sequence[SortedRow], *, dry_run: bool) -> str:
    """Count the rows by class, in one line; it holds no patient data."""
    counts = Counter(item.decision.row_class for item in rows)
    parts = [f"{counts[kind]} {kind}" for kind in RowClass if counts[kind] or kind in _ALWAYS_COUNTED]
    stored = plural(counts[RowClass.NEW], "result")
    if counts[RowClass.SWABBED]:
        stored += f" and {plural(counts[RowClass.SWABBED], 'swab')}"
    return f"{plural(len(rows), 'row')} = {' + '.join(parts)}; " + (
        f"dry run, nothing stored ({stored} would be)" if dry_run else f"{stored} stored"
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


def _read(path: Path, how: LabFormat) -> LabFile:
    """Read a CSV, or HL7 messages from a file or folder."""
    if path.is_dir():
        return read_hl7_folder(path, how)
    content = read_once(path)
    return read_hl7(content, how) if is_hl7(content) else read_lab_file(path, how, content)


def check_state(path: Path) -> None:
    """Refuse a state that is not there."""
    if not path.is_file():
        raise UsageProblem(
            f"--state {visible(str(path))}: no such file; name the one that cxrbatch screen --state made"
        )

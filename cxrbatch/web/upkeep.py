"""Back up ``web.sqlite``, and forget a patient in it: without Django, for the command line."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cxrbatch.errors import StateError, UsageProblem
from cxrbatch.records import PatientKey, has_issuer, has_patient_id
from cxrbatch.web.options import WEB_DATABASE

_TABLES = ("web_uploadedimage", "web_review")


def forget_in_web(state: Path, patient_id: str, issuer: str | None = None, *, dry_run: bool = False) -> int:
    """Delete the uploads and marks of a patient, to the last byte; return the number of rows.

    The audit trail names no patient, and stays.

    Parameters
    ----------
    patient_id, issuer
        As in `cxrbatch.results.forget_patient`.
    dry_run : bool
        Only count.

    Raises
    ------
    UsageProblem
        Several patients have this PatientID.
    StateError
        The database cannot be written.
    """
    path = state.resolve().parent / WEB_DATABASE
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            keys = _keys(connection, patient_id, issuer)
            if len({decoded for _, decoded in keys}) > 1:
                raise UsageProblem(
                    "PATIENT: several patients among the uploads have this PatientID; say which one with --issuer"
                )
            n = sum(_delete(connection, table, key) for table in _TABLES for key, _ in keys)
            if dry_run:
                return n
            connection.commit()
            if n:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StateError(f"{path}: {error}") from error
    return n


def _keys(connection: sqlite3.Connection, patient_id: str, issuer: str | None) -> set[tuple[str, PatientKey]]:
    """Find the keys of patients with a PatientID, as they are stored and decoded."""
    query = " UNION ".join(f"SELECT patient_key FROM {table}" for table in _TABLES)  # noqa: S608 - constants
    stored = {key for (key,) in connection.execute(query) if key}
    decoded = {(key, tuple(json.loads(key))) for key in stored}
    return {(key, patient) for key, patient in decoded if _is_of(patient, patient_id, issuer)}


def _delete(connection: sqlite3.Connection, table: str, key: str) -> int:
    query = f"DELETE FROM {table} WHERE patient_key = ?"  # noqa: S608 - a constant
    return connection.execute(query, (key,)).rowcount


def _is_of(key: PatientKey, patient_id: str, issuer: str | None) -> bool:
    return has_patient_id(key, patient_id) and (issuer is None or has_issuer(key, issuer))


def back_up_web(state: Path, copy: Path) -> bool:
    """Copy ``web.sqlite`` beside a state as it is at one moment; return False if there is none.

    Raises
    ------
    StateError
        It cannot be copied.
    """
    path = state.resolve().parent / WEB_DATABASE
    if not path.is_file():
        return False
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(partial)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        partial.replace(copy)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path}: cannot be copied to {copy}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return True

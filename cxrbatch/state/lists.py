"""Store the list of every run, and read what the lists of a night say together."""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cxrbatch.reasons import Flag
from cxrbatch.records import PatientTriage
from cxrbatch.state.codec import decode_key, encode_key
from cxrbatch.state.records import ListEntry
from cxrbatch.state.turns import write_in_turns

# Where max() is the only aggregate, SQLite takes the other columns from the row that holds the maximum. CROSS JOIN
# makes it look for runs first: the lines of the nights before are not read.
_LAST_OF_NIGHT = """
SELECT max(run.id) AS run, night, patient_key, position, status, score, priority, nights_waiting, flags, reason,
    bundle_sha256 FROM run CROSS JOIN listed ON listed.run = run.id WHERE finished IS NOT NULL AND night >= ?
    GROUP BY night, patient_key ORDER BY night, position, patient_key
"""


class Lists:
    """The lists of all runs; part of `cxrbatch.state.State`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, run_id: int, patients: Iterable[PatientTriage]) -> None:
        """Store the list of a run; it counts once the run has ended, see `cxrbatch.state.State.finish`."""
        write_in_turns(
            self._connection,
            "INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((run_id, *_row(position, patient)) for position, patient in enumerate(patients, start=1)),
        )

    def entries(self, since: dt.date = dt.date.min) -> Iterator[ListEntry]:
        """Read who was listed on which night, that date or later, sorted by night and position.

        A patient was listed on a night if any of its finished runs listed the patient; the line is that of the last
        such run. So two patients of a night may have the same position.
        """
        for row in self._connection.execute(_LAST_OF_NIGHT, (since.isoformat(),)):
            content = dict(row)
            content["night"] = dt.date.fromisoformat(row["night"])
            content["patient_key"] = decode_key(row["patient_key"])
            content["flags"] = tuple(row["flags"].split(";")) if row["flags"] else ()
            yield ListEntry(**content)

    def previous_page(self, page: Path) -> tuple[dt.date, Path] | None:
        """Find the last finished run whose report had another page: its night, and that page."""
        query = (
            "SELECT night, page FROM run WHERE finished IS NOT NULL AND page NOT IN ('', ?) "
            "ORDER BY id DESC LIMIT 1"
        )
        row = self._connection.execute(query, (page_text(page),)).fetchone()
        return (dt.date.fromisoformat(row["night"]), Path(json.loads(row["page"]))) if row else None

    def n_put_first(self) -> int:
        """Count the ranked patients whom the last finished run put first because of their wait."""
        query = (
            "SELECT count(*) FROM listed WHERE run = (SELECT max(id) FROM run WHERE finished IS NOT NULL) "
            "AND status = 'ranked' AND ';' || flags || ';' LIKE ?"
        )
        return int(self._connection.execute(query, (f"%;{Flag.MAX_WAIT};%",)).fetchone()[0])


def _row(position: int, patient: PatientTriage) -> tuple[Any, ...]:
    return (
        encode_key(patient.patient_key),
        position,
        patient.status,
        patient.score,
        patient.priority or "",
        patient.nights_waiting,
        ";".join(patient.flags),
        patient.reason or "",
    )


def page_text(page: Path | None) -> str:
    """Write the path of a page as it is stored; empty for none."""
    return json.dumps(str(page.absolute())) if page else ""

"""Store PCR results import by import, and find those that stand.

Nothing is overwritten: a later import adds rows, and an import that is undone does not count any more. Of each
patient and day the result of the last import that counts stands; a swab without a result (`PcrResult.positive` is
None) never takes the place of a result.
"""

import datetime as dt
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator

from cxrbatch.records import PatientKey
from cxrbatch.state.codec import decode_key, encode_key
from cxrbatch.state.records import Import, PcrResult
from cxrbatch.state.rows import utc_text

_COUNTING = "FROM result JOIN import ON import.id = result.import WHERE undone = ''"
# Where max() is the only aggregate, SQLite takes the other columns from the row that holds the maximum.
_STANDING = f"SELECT patient_key, date, positive, max(import.id) {_COUNTING} AND positive IS NOT NULL"
_IMPORTS = """
SELECT import.*, count(positive) - total(positive) AS n_negative, total(positive) AS n_positive,
    count(result.import) - count(positive) AS n_swabbed
    FROM import LEFT JOIN result ON result.import = import.id GROUP BY import.id ORDER BY import.id
"""


class PcrResults:
    """The PCR results of a state; part of `cxrbatch.state.State`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(
        self, results: Iterable[PcrResult], imported: dt.datetime, by: str = "", source_sha256: str = ""
    ) -> int:
        """Store results as one import, all or none, and return its number; a patient and day may occur once."""
        cursor = self._connection.execute(
            "INSERT INTO import (imported, imported_by, source_sha256) VALUES (?, ?, ?)",
            (utc_text(imported), by, source_sha256),
        )
        number = int(cursor.lastrowid or 0)
        self._connection.executemany(
            "INSERT INTO result (patient_key, date, import, positive) VALUES (?, ?, ?, ?)",
            (
                (encode_key(result.patient_key), result.date.isoformat(), number, result.positive)
                for result in results
            ),
        )
        self._connection.commit()
        return number

    def imports(self) -> list[Import]:
        """List all imports, the earliest first."""
        return [_import(row) for row in self._connection.execute(_IMPORTS)]

    def has_import_by(self, beginning: str) -> bool:
        """Check whether there is an import by somebody whose name begins so."""
        query = "SELECT 1 FROM import WHERE substr(imported_by, 1, length(:name)) = :name LIMIT 1"
        return self._connection.execute(query, {"name": beginning}).fetchone() is not None

    def undo(self, number: int, undone: dt.datetime, by: str = "") -> None:
        """Let the rows of an import not count any more; what stood before it stands again."""
        self._connection.execute(
            "UPDATE import SET undone = ?, undone_by = ? WHERE id = ? AND undone = ''",
            (utc_text(undone), by, number),
        )
        self._connection.commit()

    def results(self) -> list[PcrResult]:
        """Read all results that stand, sorted by patient and date."""
        return list(self._read(f"{_STANDING} GROUP BY patient_key, date ORDER BY patient_key, date"))

    def swabs(self) -> list[PcrResult]:
        """Read all swabs that were imported as such, whether or not their result is known by now."""
        return list(
            self._read(
                f"SELECT DISTINCT patient_key, date, positive {_COUNTING} AND positive IS NULL ORDER BY 1, 2"
            )
        )

    def standing(self, patient: PatientKey) -> dict[dt.date, bool | None]:
        """Find what stands for each day of a patient; None for a swab whose result is pending."""
        query = (
            f"SELECT date, positive {_COUNTING} AND patient_key = ? ORDER BY positive IS NOT NULL, import.id"
        )
        rows = self._connection.execute(query, (encode_key(patient),))
        return {dt.date.fromisoformat(day): None if value is None else bool(value) for day, value in rows}

    def days(
        self, patients: Iterable[PatientKey]
    ) -> tuple[dict[PatientKey, list[dt.date]], dict[PatientKey, list[dt.date]]]:
        """Find the days of results, and those of swabs, of some patients; one may be named several times.

        Returns
        -------
        results, swabs : dict of PatientKey to list of datetime.date
            In rising order; patients without any are left out. A day on which a swab was imported and later its
            result is in both.
        """
        results: defaultdict[PatientKey, list[dt.date]] = defaultdict(list)
        swabs: defaultdict[PatientKey, list[dt.date]] = defaultdict(list)
        query = (
            f"SELECT DISTINCT date, positive IS NULL AS pending {_COUNTING} AND patient_key = ? ORDER BY 1"
        )
        for patient in patients:
            if patient in results or patient in swabs:
                continue
            for row in self._connection.execute(query, (encode_key(patient),)):
                days = swabs if row["pending"] else results
                days[patient].append(dt.date.fromisoformat(row["date"]))
        return dict(results), dict(swabs)

    def _read(self, query: str) -> Iterator[PcrResult]:
        for row in self._connection.execute(query):
            yield PcrResult(
                patient_key=decode_key(row["patient_key"]),
                date=dt.date.fromisoformat(row["date"]),
                positive=None if row["positive"] is None else bool(row["positive"]),
            )


def _import(row: sqlite3.Row) -> Import:
    content = dict(row)
    content["imported"] = dt.datetime.fromisoformat(row["imported"])
    content["undone"] = dt.datetime.fromisoformat(row["undone"]) if row["undone"] else None
    counts = {name: int(row[name]) for name in ("n_positive", "n_negative", "n_swabbed")}
    return Import(**content | counts)

"""Keep the large images of the first patients of the last list: their files may be gone from the export tomorrow."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from cxrbatch.records import PatientKey
from cxrbatch.state.codec import decode_key, encode_key


class LargeImages:
    """Large images by patient; part of `cxrbatch.state.State`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self) -> Mapping[PatientKey, tuple[str, bytes]]:
        """Read all of them: name of the file, and JPEG, by patient."""
        rows = self._connection.execute("SELECT patient_key, name, jpeg FROM large_image")
        return {decode_key(row["patient_key"]): (json.loads(row["name"]), bytes(row["jpeg"])) for row in rows}

    def replace(self, images: Iterable[tuple[PatientKey, str, bytes]]) -> None:
        """Keep these instead of all others: patient, name of the file, JPEG; what goes is overwritten."""
        rows = [(encode_key(key), json.dumps(name), jpeg) for key, name, jpeg in images]
        self._connection.commit()
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute("DELETE FROM large_image")
        self._connection.executemany("INSERT INTO large_image VALUES (?, ?, ?)", rows)
        self._connection.commit()

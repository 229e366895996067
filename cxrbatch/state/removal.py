"""Remove people from a state: one patient at once, or all who have been gone for long.

What is deleted is overwritten (``PRAGMA secure_delete``), the file is written anew (``VACUUM``) and its log emptied,
so that nothing of it is left in free pages.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxrbatch.records import NOWHERE, ObjectPrefix, PatientKey, has_issuer, has_patient_id, place_of
from cxrbatch.state.codec import decode_key, encode_key
from cxrbatch.state.rows import searchable

_GONE = json.dumps("a file that was deleted from the state")

_ALL_KEYS = " UNION ".join(
    f"SELECT patient_key FROM {table}"  # noqa: S608
    for table in ("image", "result", "listed", "large_image")
)
# All but those who came in, were listed, or were swabbed lately, and those who share an image or the name of a file
# with them: the rules of the list (1, 3 and 4) look at both.
_LONG_GONE = f"""
WITH lately AS (
    SELECT patient_key FROM image WHERE first_night >= :night
    UNION SELECT patient_key FROM listed JOIN run ON run.id = listed.run WHERE run.night >= :night
    UNION SELECT patient_key FROM result WHERE date >= :night)
SELECT patient_key FROM ({_ALL_KEYS}) EXCEPT SELECT patient_key FROM (
SELECT patient_key FROM lately
UNION SELECT patient_key FROM image WHERE sop_instance_uid <> '' AND sop_instance_uid IN
    (SELECT sop_instance_uid FROM image WHERE patient_key IN lately)
UNION SELECT patient_key FROM image WHERE (root, name) IN (SELECT root, name FROM image WHERE patient_key IN lately))
"""  # noqa: S608

_N_THUMBNAILS = "SELECT count(*) FROM image WHERE patient_key IN going AND thumbnail <> x''"
_DELETE = {
    "n_copies": """UPDATE image SET duplicate_of = :gone WHERE duplicate_of <> '' AND duplicate_of IN
        (SELECT name FROM image WHERE patient_key IN going)""",
    "n_former_keys": "UPDATE image SET former_key = '' WHERE former_key <> '' AND former_key IN going",
    "n_large_images": "DELETE FROM large_image WHERE patient_key IN going",
    "n_images": "DELETE FROM image WHERE patient_key IN going",
    "n_results": "DELETE FROM result WHERE patient_key IN going",
    "n_list_entries": """DELETE FROM listed WHERE patient_key IN going
        OR run IN (SELECT id FROM run WHERE night < :night)""",
    "n_runs": "DELETE FROM run WHERE night < :night",
}
"""What goes, in this order; second copies lose the name of their first, other images the key that they once had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed from a state.

    Attributes
    ----------
    n_images, n_thumbnails, n_results, n_list_entries, n_runs : int
        Number of rows; thumbnails are part of the images.
    files : tuple of Path
        Files of the images that are still in their folder.
    is_rewritten : bool
        False if the disk was too full to write the file anew. What was removed is overwritten all the same.
    """

    n_patients: int
    n_images: int
    n_thumbnails: int
    n_results: int
    n_list_entries: int
    n_runs: int
    files: tuple[Path, ...]
    is_rewritten: bool


class Removal:
    """Removes people; part of `cxrbatch.state.State`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def keys(
        self, patient_id: str, issuer: str | None = None, accession_number: str | None = None
    ) -> list[PatientKey]:
        """Find the patients with a PatientID in images, results and lists, in a fixed order.

        None is any issuer, and any accession number or none; a placeholder needs the number of one of the images.
        """
        rows = self._connection.execute(
            "SELECT DISTINCT patient_key, issuer_of_patient_id AS issuer FROM image WHERE patient_id = ?",
            (searchable(patient_id),),
        )
        found = {row["patient_key"] for row in rows if issuer in (None, row["issuer"])}
        found |= {key for key in self._all_keys() if _is_of(decode_key(key), patient_id, issuer)}
        if accession_number is not None:
            query = "SELECT DISTINCT patient_key FROM image WHERE accession_number = ?"
            found &= {row[0] for row in self._connection.execute(query, (searchable(accession_number),))}
        return [decode_key(key) for key in sorted(found)]

    def forget(self, patient: PatientKey) -> Removed:
        """Remove a patient from images, results and lists."""
        return self._remove([encode_key(patient)])

    def prune(self, before: dt.date) -> Removed:
        """Remove lists and runs of the nights before a date, and whoever has been gone since then.

        A patient goes who neither came in nor was listed nor swabbed on that date or later, shares no image with
        anybody who stays, and has no file left: what still lies in its folder, or in a folder that is not there, has
        to be remembered, or else it would come in again.
        """
        rows = self._connection.execute(_LONG_GONE, {"night": before.isoformat()})
        return self._remove([key for (key,) in rows if not self._may_come_again(key)], before)

    def _remove(self, keys: list[str], before: dt.date = dt.date.min) -> Removed:
        """Remove patients, and lists and runs of the nights before a date."""
        files = tuple(path for key in keys for _, path in self._files(key) if path.exists())
        self._connection.commit()
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute("CREATE TEMP TABLE going (patient_key TEXT PRIMARY KEY)")
        self._connection.executemany("INSERT INTO going VALUES (?)", ((key,) for key in keys))
        (n_thumbnails,) = self._connection.execute(_N_THUMBNAILS).fetchone()
        night = {"night": before.isoformat(), "gone": _GONE}
        counts = {name: self._connection.execute(query, night).rowcount for name, query in _DELETE.items()}
        self._connection.commit()
        self._connection.execute("DROP TABLE going")
        is_rewritten = self._write_anew()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        del counts["n_copies"], counts["n_former_keys"], counts["n_large_images"]
        return Removed(
            n_patients=len(keys),
            n_thumbnails=n_thumbnails,
            files=files,
            is_rewritten=is_rewritten,
            **counts,
        )

    def _write_anew(self) -> bool:
        """Write the file anew; return False where the disk is too full for it."""
        try:
            self._connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_FULL":
                raise
            return False
        return True

    def _all_keys(self) -> Iterator[str]:
        return (key for (key,) in self._connection.execute(_ALL_KEYS))

    def _files(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Find the folder and the path of each file of a patient; objects of a store are not looked for."""
        for row in self._connection.execute("SELECT root, name FROM image WHERE patient_key = ?", (key,)):
            root = place_of(json.loads(row["root"]))
            if isinstance(root, ObjectPrefix):
                yield NOWHERE, NOWHERE
            else:
                yield root, root / json.loads(row["name"])

    def _may_come_again(self, key: str) -> bool:
        return any(path.exists() or not _is_mounted(root) for root, path in self._files(key))


def _is_of(key: PatientKey, patient_id: str, issuer: str | None) -> bool:
    return has_patient_id(key, patient_id) and (issuer is None or has_issuer(key, issuer))


def _is_mounted(root: Path) -> bool:
    """Check whether a folder is there with its content: one that is not mounted is missing or empty."""
    return root.is_dir() and next(root.iterdir(), None) is not None

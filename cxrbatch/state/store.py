"""Store and find the data of a state: images with their outcomes, PCR results, lists.

This module only stores and finds. The rules of the list are in `cxrbatch.triage.waiting_list`.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cxrbatch._lib.safe_open import UNKNOWN_VERSION, FileVersion
from cxrbatch.reasons import Reason
from cxrbatch.records import FoundFile, ImageRef, Outcome, PatientKey, TriageRun, has_issuer, has_patient_id
from cxrbatch.state.changed_keys import compared, follow_new_keys
from cxrbatch.state.codec import as_stored, decode, decode_key
from cxrbatch.state.large_images import LargeImages
from cxrbatch.state.list_pages import ListPages
from cxrbatch.state.lists import Lists, page_text
from cxrbatch.state.pcr_results import PcrResults
from cxrbatch.state.records import (
    ImageSummary,
    Run,
    RunContext,
    StoredOutcome,
)
from cxrbatch.state.removal import Removal
from cxrbatch.state.rows import (
    image_row,
    json_text,
    moment_of,
    pixels_sha256_of,
    searchable,
    utc_text,
    version_columns,
)
from cxrbatch.state.stored_images import StoredImages, ids_of_waiting
from cxrbatch.state.turns import at_once, write_in_turns

_TRIED_AGAIN = (Reason.UNREADABLE, Reason.STILL_CHANGING, Reason.TIMEOUT)
"""Reasons that the next run checks again, although the file has not changed."""
_REMEMBER = """
INSERT INTO image VALUES (NULL, :root, :name, :size_bytes, :mtime_ns, :ctime_ns, :first_night, :first_seen,
    :settings, :bundle_sha256, :judged, :status, :reason, :score_covid, :patient_key, :patient_id,
    :issuer_of_patient_id, :accession_number, :sop_instance_uid, :record, :thumbnail, '', :former_key, :tag)
ON CONFLICT (root, name, size_bytes, tag, CASE tag WHEN '' THEN mtime_ns ELSE 0 END,
    CASE tag WHEN '' THEN ctime_ns ELSE 0 END) DO UPDATE SET
    first_night = excluded.first_night, first_seen = excluded.first_seen, former_key = excluded.former_key,
    settings = excluded.settings, bundle_sha256 = excluded.bundle_sha256, judged = excluded.judged,
    status = excluded.status, reason = excluded.reason, score_covid = excluded.score_covid,
    patient_key = excluded.patient_key, patient_id = excluded.patient_id,
    issuer_of_patient_id = excluded.issuer_of_patient_id, accession_number = excluded.accession_number,
    sop_instance_uid = excluded.sop_instance_uid, record = excluded.record, thumbnail = excluded.thumbnail
"""
# An object is known by its tag, whatever its times; a file has none.
_READ_BEFORE = """
SELECT * FROM image WHERE root = :root AND name = :name AND size_bytes = :size_bytes AND tag = :tag
    AND (tag <> '' OR (mtime_ns = :mtime_ns AND ctime_ns = :ctime_ns))
"""
_OF_THIS_VERSION = f"SELECT id, record, first_night, reason FROM ({_READ_BEFORE}) WHERE settings = :settings"  # noqa: S608
# The "+" makes SQLite search by name. By patient, it would be slow for a patient with many images.
_COPIED_ANEW = """
SELECT id, record FROM image WHERE root = :root AND name = :name AND size_bytes = :size_bytes AND mtime_ns = :mtime_ns
    AND ctime_ns <> :ctime_ns AND status = :status AND +patient_key = :patient_key
    AND sop_instance_uid = :sop_instance_uid ORDER BY id
"""


class State:
    """An open state; made by `cxrbatch.state.open_state`.

    Attributes
    ----------
    lists : Lists
        The lists of all runs.
    pages : ListPages
        Pages of lists, for people who look.
    pcr : PcrResults
        PCR results and their imports.
    removal : Removal
        Removes people.
    large_images : LargeImages
        Large images of the first patients of the last list.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.lists = Lists(connection)
        self.pages = ListPages(connection)
        self.pcr = PcrResults(connection)
        self.removal = Removal(connection)
        self.large_images = LargeImages(connection)

    # --- runs

    def last_night(self) -> dt.date | None:
        """Return the latest night of any run; None if there was no run."""
        night = self._connection.execute("SELECT max(night) FROM run").fetchone()[0]
        return dt.date.fromisoformat(night) if night else None

    def last_moment(self) -> dt.datetime | None:
        """Return the latest start of any run, in UTC; None if there was no run."""
        moment = self._connection.execute("SELECT max(started) FROM run").fetchone()[0]
        return dt.datetime.fromisoformat(moment) if moment else None

    def begin(self, context: RunContext) -> int:
        """Store that a run has begun, and return its number."""
        cursor = self._connection.execute(
            "INSERT INTO run (night, started, folder, bundle_sha256) VALUES (?, ?, ?, ?)",
            (
                context.night.isoformat(),
                utc_text(context.moment),
                searchable(context.root),
                context.bundle_sha256,
            ),
        )
        self._connection.commit()
        return int(cursor.lastrowid or 0)

    def finish(self, run_id: int, run: TriageRun, finished: dt.datetime, page: Path | None = None) -> None:
        """Store the list of a run, then that it has ended, and where the page of its report is.

        The list of a run that has not ended is nobody's.
        """
        self.lists.add(run_id, run.patients)
        self._connection.execute(
            "UPDATE run SET finished = ?, page = ?, n_found = ?, n_scored = ?, n_not_scored = ?, n_skipped = ? "
            "WHERE id = ?",
            (utc_text(finished), page_text(page), *_counts(run), run_id),
        )
        self._connection.commit()

    def runs(self) -> Iterator[Run]:
        """Read all runs, the earliest first."""
        for row in self._connection.execute("SELECT * FROM run ORDER BY id"):
            content = dict(row)
            content["night"] = dt.date.fromisoformat(row["night"])
            content["page"] = json.loads(row["page"] or '""')
            content["started"] = dt.datetime.fromisoformat(row["started"])
            content["finished"] = row["finished"] and dt.datetime.fromisoformat(row["finished"])
            yield Run(**content)

    # --- images

    def get(self, file: FoundFile, context: RunContext) -> StoredOutcome | None:
        """Find the stored outcome of exactly this version of a file, by a run with the same settings.

        Returns
        -------
        StoredOutcome or None
            None if there is none, or if the reason of the outcome has to be checked again.
        """
        row = self._connection.execute(_OF_THIS_VERSION, version_columns(file, context)).fetchone()
        if row is None or row["reason"] in _TRIED_AGAIN:
            return None
        return StoredOutcome(
            id=row["id"],
            outcome=decode(row["record"], row["id"]),
            first_night=dt.date.fromisoformat(row["first_night"]),
        )

    def version(self, stored_id: int) -> FileVersion:
        """Read the version of a file by the number of its row; unknown where there is none."""
        query = "SELECT size_bytes, mtime_ns, ctime_ns, tag FROM image WHERE id = ?"
        row = self._connection.execute(query, (stored_id,)).fetchone()
        return FileVersion(**dict(row)) if row else UNKNOWN_VERSION

    def thumbnail(self, stored_id: int) -> bytes:
        """Read the thumbnail of an image by the number of its row (JPEG); empty where there is none."""
        row = self._connection.execute("SELECT thumbnail FROM image WHERE id = ?", (stored_id,)).fetchone()
        return bytes(row["thumbnail"]) if row else b""

    def put_all(
        self, outcomes: Sequence[tuple[FoundFile | ImageRef, Outcome]], context: RunContext
    ) -> list[StoredOutcome]:
        """Store outcomes in one short transaction, so that whoever enters a result meanwhile need not wait."""
        with self.at_once():
            return [self._put(file, outcome, context) for file, outcome in outcomes]

    def put(self, file: FoundFile | ImageRef, outcome: Outcome, context: RunContext) -> StoredOutcome:
        """Store one outcome; see `put_all`."""
        return self.put_all([(file, outcome)], context)[0]

    def _put(self, file: FoundFile | ImageRef, outcome: Outcome, context: RunContext) -> StoredOutcome:
        """Store an outcome; a version that is stored already keeps the night on which it came in.

        Versions that differ only in the time of change (``ctime``) are one version if their outcome is the same.
        """
        row = image_row(file, outcome, context)
        self._recognise(row, outcome)
        known = self._connection.execute(_READ_BEFORE, row).fetchone()
        if known:
            outcome, kept = compared(known, row, outcome)
            row = image_row(file, outcome, context) | kept
        added = self._connection.execute(_REMEMBER, row).lastrowid
        number = known["id"] if known else int(added or 0)
        return StoredOutcome(
            id=number,
            outcome=as_stored(outcome, number),
            first_night=dt.date.fromisoformat(row["first_night"]),
        )

    def _recognise(self, row: Mapping[str, Any], outcome: Outcome) -> None:
        """Recognise a stored version that was copied again with its times, or whose rights were changed.

        Its stored time of change is updated, so that it remains the same version.
        """
        for known in self._connection.execute(_COPIED_ANEW, row):
            if pixels_sha256_of(decode(known["record"])) == pixels_sha256_of(outcome):
                self._connection.execute(
                    "UPDATE OR IGNORE image SET ctime_ns = ? WHERE id = ?", (row["ctime_ns"], known["id"])
                )
                return

    def follow_new_keys(self) -> None:
        """Move results and list entries to the new keys of their patients, once all files were read."""
        follow_new_keys(self._connection)
        self.commit()

    def at_once(self) -> AbstractContextManager[None]:
        """Do what follows in one transaction that waits for its turn at the beginning, not in the middle."""
        return at_once(self._connection)

    def commit(self) -> None:
        """Write to the disk."""
        self._connection.commit()

    def mark_duplicates(self, duplicate_of: Iterable[tuple[int, str]]) -> None:
        """Store for images, by their number, the name of the file of which they are a second copy; empty for none."""
        write_in_turns(
            self._connection,
            "UPDATE image SET duplicate_of = :name WHERE id = :id AND duplicate_of <> :name",
            ({"id": id_, "name": json_text(name) if name else ""} for id_, name in duplicate_of),
        )

    def stored_images(self, after: dt.date, outcomes: Mapping[int, Outcome] = {}) -> StoredImages:
        """Find the images of patients with an image that came in after a night, and all that are relevant to them.

        Also relevant are images with the same SOPInstanceUID, and other versions of files that were not scored. An
        image that came in after that night does not count here if the patient has a result of the night on which the
        image came in, or a later one: no image is dated after that night (rule 5 of ``docs/nightly.md``).

        Parameters
        ----------
        after : datetime.date
        outcomes : mapping of int to ImageScore or Failure
            Outcomes, by the number of the image, that replace the stored ones.

        Returns
        -------
        StoredImages
            In the order in which they were stored; SQLite would keep a copy of all rows to sort them.
        """
        return StoredImages(self._connection, ids_of_waiting(self._connection, after), outcomes)

    def images(self) -> Iterator[ImageSummary]:
        """Read summaries of all images, in the order in which they came in; skipped files are left out."""
        rows = self._connection.execute(
            "SELECT * FROM image WHERE status <> 'skipped' ORDER BY first_night, id"
        )
        for row in rows:
            header = json.loads(row["record"])["header"]
            yield ImageSummary(
                first_night=dt.date.fromisoformat(row["first_night"]),
                first_seen=dt.datetime.fromisoformat(row["first_seen"]),
                written=moment_of(row["mtime_ns"]),
                patient_key=decode_key(row["patient_key"]),
                study_date=header["study_date"] if header else "",
                bundle_sha256=row["bundle_sha256"],
                status=row["status"],
                reason=row["reason"],
                score_covid=row["score_covid"],
                duplicate_of=json.loads(row["duplicate_of"] or '""'),
            )

    def forget_thumbnails(self, before: dt.date) -> None:
        """Remove the thumbnails of images that came in before a night."""
        going = self._connection.execute(
            "SELECT id FROM image WHERE first_night < ? AND thumbnail <> x''", (before.isoformat(),)
        ).fetchall()
        write_in_turns(self._connection, "UPDATE image SET thumbnail = x'' WHERE id = ?", going)

    # --- patients

    def patients(
        self, *, patient_id: str = "", issuer_of_patient_id: str | None = None, accession_number: str = ""
    ) -> list[PatientKey]:
        """Find the patients that identifiers match, in a fixed order.

        Parameters
        ----------
        patient_id, accession_number : str
            Exactly as in the header; an empty one is not queried. A PatientID that is a placeholder matches nobody.
        issuer_of_patient_id : str or None
            As in the report, or one of its parts: IssuerOfPatientID, UniversalEntityID. None matches any issuer.

        Returns
        -------
        list of PatientKey
            Empty if nothing is queried.
        """
        columns = {"patient_id": patient_id, "accession_number": accession_number}
        wanted = {column: searchable(value) for column, value in columns.items() if value}
        if not wanted:
            return []
        condition = " AND ".join(f"{column} = :{column}" for column in wanted)
        if accession_number:
            condition += (
                " AND accession_number <> ''"  # otherwise its index, which has no empty ones, is not used
            )
        rows = self._connection.execute(
            "SELECT DISTINCT patient_key, issuer_of_patient_id FROM image "  # noqa: S608
            f"WHERE status <> 'skipped' AND {condition} ORDER BY 1",
            wanted,
        )
        found = ((decode_key(key), issuer) for key, issuer in rows)
        keys = (key for key, issuer in found if _is_of(issuer_of_patient_id, key, issuer))
        return list(dict.fromkeys(key for key in keys if not patient_id or has_patient_id(key, patient_id)))

    # --- health

    def problems(self) -> list[str]:
        """List the faults that SQLite's integrity check finds; empty if there are none."""
        found = [row[0] for row in self._connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def n_images(self) -> int:
        """Count the stored versions of files."""
        return int(self._connection.execute("SELECT count(*) FROM image").fetchone()[0])


def _is_of(wanted: str | None, key: PatientKey, issuer: str) -> bool:
    """Check whether a patient is of the wanted issuer; `issuer` is the one that the report writes."""
    return wanted is None or searchable(wanted) == issuer or (wanted != "" and has_issuer(key, wanted))


def _counts(run: TriageRun) -> tuple[int, ...]:
    return run.n_found, run.n_scored, run.n_not_scored, run.n_skipped

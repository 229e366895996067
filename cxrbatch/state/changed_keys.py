"""Decide what follows a patient whose key is another one, because a file is read otherwise than before.

First nights and PCR results follow the new key only where the image is proven to be the same one, by SOPInstanceUID
and pixels. They never follow a PatientID. Rule 3 of ``docs/nightly.md`` is the other half: what becomes of the list.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cxrbatch.reasons import Flag
from cxrbatch.records import ImageScore, Outcome
from cxrbatch.state.codec import decode, decode_key
from cxrbatch.state.rows import pixels_sha256_of

_STATED = ("dicom", "study")
"""Kinds of keys that a header states. Others come from the path, which is that of this version of the file."""

# Keys whose images, all of them, are those of one other key now, at least one of them scored and so proven.
_FOLLOWED = """
SELECT former_key AS former, min(patient_key) AS now FROM image AS moved WHERE former_key <> ''
    AND NOT EXISTS (SELECT 1 FROM image WHERE patient_key = moved.former_key AND status <> 'skipped')
    GROUP BY former_key HAVING count(DISTINCT patient_key) = 1 AND max(status = 'scored')
"""


def compared(known: sqlite3.Row, row: Mapping[str, Any], outcome: Outcome) -> tuple[Outcome, dict[str, str]]:
    """Compare what a version of a file is now with what it was when it was read before.

    Parameters
    ----------
    known : sqlite3.Row
        The stored row.
    row : mapping
        The new row of the same version, from `cxrbatch.state.rows.image_row`.
    outcome : Outcome
        The new outcome.

    Returns
    -------
    Outcome
        With the flag ``patient_changed`` where the patient is another one and the image is not proven to be the same.
    dict of str to str
        Values of the new row: ``former_key``, and the first night where it is kept.
    """
    before = decode(known["record"])
    former = _stated_key(known)
    kept = {"first_night": known["first_night"], "first_seen": known["first_seen"]}
    if former == row["patient_key"]:
        was_flagged = isinstance(before, ImageScore) and Flag.PATIENT_CHANGED in before.flags
        earlier = known["former_key"] if former == known["patient_key"] else ""
        return _flagged(outcome) if was_flagged else outcome, {**kept, "former_key": earlier}
    if not former or not _is_stated(row["patient_key"]):
        return outcome, {**kept, "former_key": former}
    if _is_same_image(known, before, row, outcome):
        return outcome, {**kept, "former_key": former}
    return _flagged(outcome), {}


def follow_new_keys(connection: sqlite3.Connection) -> None:
    """Move the results and list entries of a key to the key that all of its images have now.

    What belongs to a key whose images have become those of several patients, or are still of the old one in part,
    stays where it is: nobody knows whose it is.
    """
    for former, now in connection.execute(_FOLLOWED).fetchall():
        if not _is_stated(now):
            continue
        for table in ("result", "listed"):
            connection.execute(
                f"UPDATE OR IGNORE {table} SET patient_key = ? WHERE patient_key = ?",  # noqa: S608
                (now, former),
            )
        connection.execute("UPDATE image SET former_key = '' WHERE former_key = ?", (former,))


def _stated_key(known: sqlite3.Row) -> str:
    """Return the last key that a header stated; empty where none ever did."""
    return next((key for key in (known["patient_key"], known["former_key"]) if _is_stated(key)), "")


def _is_stated(key: str) -> bool:
    return key != "" and decode_key(key)[0] in _STATED


def _is_same_image(known: sqlite3.Row, before: Outcome, row: Mapping[str, Any], outcome: Outcome) -> bool:
    """Check for the same SOPInstanceUID and the same pixels; of an image that was never scored nothing is known."""
    same_uid = known["sop_instance_uid"] == row["sop_instance_uid"] != ""
    return same_uid and pixels_sha256_of(before) == pixels_sha256_of(outcome)


def _flagged(outcome: Outcome) -> Outcome:
    if isinstance(outcome, ImageScore):
        return replace(outcome, flags=outcome.flags | {Flag.PATIENT_CHANGED})
    return outcome

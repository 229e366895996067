"""Read stored images one by one: a night may have a hundred thousand, and the state holds them already."""

import datetime as dt
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import overload

from cxrbatch.records import Outcome, PatientKey
from cxrbatch.state.codec import decode_key
from cxrbatch.state.records import StoredImage
from cxrbatch.state.rows import stored_image_of

_SELECT_IMAGES = """
WITH waiting AS (SELECT patient_key FROM image WHERE first_night > :after AND status <> 'skipped' AND NOT EXISTS
    (SELECT 1 FROM result JOIN import ON import.id = result.import WHERE result.patient_key = image.patient_key
        AND result.date >= image.first_night AND positive IS NOT NULL AND undone = ''))
SELECT id FROM image WHERE (patient_key IN waiting AND status <> 'skipped')
    OR (sop_instance_uid <> '' AND sop_instance_uid IN
        (SELECT sop_instance_uid FROM image WHERE patient_key IN waiting AND sop_instance_uid <> ''))
    OR (root, name) IN
        (SELECT root, name FROM image WHERE patient_key IN waiting AND status = 'not_scored')
"""
_STORED_IMAGE = """SELECT id, root, name, mtime_ns, first_night, first_seen, bundle_sha256, record, duplicate_of,
    former_key FROM image WHERE id = ?"""


class StoredImages(Sequence[StoredImage]):
    """Images of a state, read from it whenever they are asked for.

    Parameters
    ----------
    connection : sqlite3.Connection
    ids : iterable of int
        Numbers of their rows; in their order the images stand.
    outcomes : mapping of int to ImageScore or Failure
        Outcomes of some of them that replace the stored ones.
    """

    def __init__(
        self, connection: sqlite3.Connection, ids: Iterable[int], outcomes: Mapping[int, Outcome]
    ) -> None:
        self._connection = connection
        self._ids = array("q", ids)
        self._outcomes = outcomes

    def __len__(self) -> int:
        """Count the images."""
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> StoredImage: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredImages": ...
    def __getitem__(self, index: int | slice) -> "StoredImage | StoredImages":
        """Read an image, or select some."""
        if isinstance(index, slice):
            return StoredImages(self._connection, self._ids[index], self._outcomes)
        id_ = self._ids[index]
        item = stored_image_of(self._connection.execute(_STORED_IMAGE, (id_,)).fetchone())
        return replace(item, outcome=self._outcomes[id_]) if id_ in self._outcomes else item

    def patients(self) -> Iterator[PatientKey]:
        """Read the keys of their patients, the former ones too; the same key may come several times."""
        for id_ in self._ids:
            query = "SELECT patient_key, former_key FROM image WHERE id = ?"
            yield from map(decode_key, filter(None, self._connection.execute(query, (id_,)).fetchone()))


def ids_of_waiting(connection: sqlite3.Connection, after: dt.date) -> list[int]:
    """Find the images of `cxrbatch.state.State.stored_images` by the numbers of their rows, in rising order."""
    return sorted(id_ for (id_,) in connection.execute(_SELECT_IMAGES, {"after": after.isoformat()}))

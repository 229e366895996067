"""Read one page of the list of a run, and what is stored of one patient: for people who look, not for the rules.

Every query reads the lines of one run, or of one patient, and never the whole state: a page of a list of 100,000
patients has to come at once.
"""

import datetime as dt
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from cxrbatch.records import ImageScore, PatientKey
from cxrbatch.state.codec import decode, decode_key, encode_key
from cxrbatch.state.records import ListEntry
from cxrbatch.state.rows import json_text, searchable

SORTS = {
    "position": "position",
    "score": "score IS NULL, score DESC, position",
    "nights": "nights_waiting DESC, position",
    "patient": "patient_key, position",
}
"""Orders of a page: name and SQL."""

_MARKED = """(SELECT patient_key FROM result JOIN import ON import.id = result.import
    WHERE undone = '' AND imported >= :since)"""
_BEST = """
SELECT id, record, accession_number, issuer_of_patient_id, patient_id, thumbnail <> x'' AS has_thumbnail,
    (SELECT count(*) FROM image
    WHERE patient_key = :key AND status <> 'skipped') AS n_images FROM image
    WHERE patient_key = :key AND status <> 'skipped' ORDER BY score_covid IS NULL, score_covid DESC, id LIMIT 1
"""
_MARKS = """
SELECT date, positive, import.id AS import, imported, imported_by, undone, undone_by
    FROM result JOIN import ON import.id = result.import WHERE patient_key = ? ORDER BY import.id DESC
"""
_HISTORY = """
SELECT run.id AS run, night, patient_key, position, status, score, priority, nights_waiting, flags, reason,
    bundle_sha256 FROM run JOIN listed ON listed.run = run.id AND patient_key = ?
    WHERE finished IS NOT NULL ORDER BY run.id DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What to show of the list of a run.

    Attributes
    ----------
    status, priority, flag : str
        Only these; empty for all.
    text : str
        Part of a PatientID, or a whole accession number; empty for all.
    open_only : bool
        Leave out patients for whom a swab or a result was entered since the run.
    sort : str
        Key of `SORTS`.
    """

    run: int
    status: str = ""
    priority: str = ""
    flag: str = ""
    text: str = ""
    open_only: bool = False
    sort: str = "position"
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A swab or a result that was entered or imported.

    Attributes
    ----------
    positive : bool or None
        None for a swab whose result is pending.
    number : int
        Number of its import.
    undone : datetime.datetime or None
        None while it counts.
    """

    date: dt.date
    positive: bool | None
    number: int
    entered: dt.datetime
    by: str
    undone: dt.datetime | None
    undone_by: str

    @property
    def word(self) -> str:
        """``swabbed``, ``positive`` or ``negative``."""
        return "swabbed" if self.positive is None else "positive" if self.positive else "negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A line of a list with the image that decided it.

    Attributes
    ----------
    scores : tuple of float or None
        Of the image with the highest COVID-19 score.
    image : int or None
        Number of that image; None where the state has none any more.
    mark : Mark or None
        The last swab or result since the run.
    """

    entry: ListEntry
    patient_id: str
    issuer_of_patient_id: str
    accession_number: str
    study_date: str
    scores: tuple[float, float, float] | None
    top_image: str
    detail: str
    n_images: int
    image: int | None
    has_thumbnail: bool
    mark: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientImage:
    """An image of a patient, as the state remembers it."""

    id: int
    name: str
    first_night: dt.date
    status: str
    reason: str
    detail: str
    scores: tuple[float, float, float] | None
    flags: tuple[str, ...]
    has_thumbnail: bool


class ListPages:
    """Pages of lists; part of `cxrbatch.state.State`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, query: ListQuery) -> tuple[list[ListRow], int]:
        """Find the lines of a page; second: the number of lines on all pages."""
        since = self._since(query.run)
        where, values = _condition(query, since)
        (n_found,) = self._connection.execute(f"SELECT count(*) FROM listed WHERE {where}", values).fetchone()  # noqa: S608
        order = SORTS[query.sort]
        # Sorted by the keys alone: far pages of whole lines take twice as long.
        keys = f"SELECT patient_key FROM listed WHERE {where} ORDER BY {order} LIMIT :limit OFFSET :offset"  # noqa: S608
        rows = self._connection.execute(
            f"SELECT * FROM listed WHERE run = :run AND patient_key IN ({keys}) ORDER BY {order}",  # noqa: S608
            values | {"limit": query.limit, "offset": query.offset},
        ).fetchall()
        head = self._head(query.run)
        return [self._row(row, head, since) for row in rows], n_found

    def at(self, run: int, position: int) -> ListRow | None:
        """Find the line at a position; None if there is none."""
        row = self._connection.execute(
            "SELECT * FROM listed WHERE run = ? AND position = ?", (run, position)
        ).fetchone()
        return self._row(row, self._head(run), self._since(run)) if row else None

    def counts(self, run: int) -> dict[str, int]:
        """Count the lines of a run by status, and by ``status:priority``; ``marked``: those with a mark since."""
        counts: dict[str, int] = {"ranked": 0, "not_scored": 0, "swabbed": 0}
        query = "SELECT status, priority, count(*) FROM listed WHERE run = ? GROUP BY status, priority"
        for status, priority, n in self._connection.execute(query, (run,)):
            counts[status] = counts.get(status, 0) + n
            counts[f"{status}:{priority}"] = n
        marked = f"SELECT count(*) FROM listed WHERE run = :run AND patient_key IN {_MARKED}"  # noqa: S608
        values = {"run": run, "since": self._since(run)}
        counts["marked"] = self._connection.execute(marked, values).fetchone()[0]
        return counts

    def history(self, patient: PatientKey) -> list[ListEntry]:
        """Find the lines of a patient on the lists of all finished runs, the latest first."""
        rows = self._connection.execute(_HISTORY, (encode_key(patient),))
        return [_entry(row) for row in rows]

    def marks(self, patient: PatientKey) -> list[Mark]:
        """Find all swabs and results of a patient, those that were undone too, the latest first."""
        return [_mark(row) for row in self._connection.execute(_MARKS, (encode_key(patient),))]

    def images(self, patient: PatientKey) -> list[PatientImage]:
        """Find the images of a patient, the latest first; skipped files are left out."""
        rows = self._connection.execute(
            "SELECT id, name, first_night, status, reason, record, thumbnail <> x'' AS has_thumbnail FROM image "
            "WHERE patient_key = ? AND status <> 'skipped' ORDER BY first_night DESC, id DESC",
            (encode_key(patient),),
        )
        return [_image(row) for row in rows]

    def thumbnail(self, image: int, patient: PatientKey) -> bytes:
        """Read the thumbnail of an image of a patient; empty if there is none, or if it is another patient's."""
        row = self._connection.execute(
            "SELECT thumbnail FROM image WHERE id = ? AND patient_key = ?", (image, encode_key(patient))
        ).fetchone()
        return bytes(row["thumbnail"]) if row else b""

    def large_image(self, patient: PatientKey) -> tuple[str, bytes] | None:
        """Read the large image that is kept of a patient: name of its file, and JPEG; None if there is none."""
        row = self._connection.execute(
            "SELECT name, jpeg FROM large_image WHERE patient_key = ?", (encode_key(patient),)
        ).fetchone()
        return (json.loads(row["name"]), bytes(row["jpeg"])) if row else None

    def _head(self, run: int) -> dict[str, Any]:
        row = self._connection.execute("SELECT night, bundle_sha256 FROM run WHERE id = ?", (run,)).fetchone()
        return dict(row) if row else {}

    def _since(self, run: int) -> str:
        row = self._connection.execute("SELECT started FROM run WHERE id = ?", (run,)).fetchone()
        return str(row["started"]) if row else ""

    def _row(self, row: sqlite3.Row, head: dict[str, Any], since: str) -> ListRow:
        entry = _entry({**dict(row), **head})
        best = self._connection.execute(_BEST, {"key": row["patient_key"]}).fetchone()
        outcome = decode(best["record"]) if best else None
        marks = (mark for mark in self.marks(entry.patient_key) if mark.undone is None)
        after = dt.datetime.fromisoformat(since) if since else dt.datetime.min.replace(tzinfo=dt.UTC)
        return ListRow(
            entry=entry,
            patient_id=best["patient_id"] if best else shown_id(entry.patient_key),
            issuer_of_patient_id=best["issuer_of_patient_id"] if best else "",
            accession_number=best["accession_number"] if best else "",
            study_date=outcome.header.study_date if outcome and outcome.header else "",
            scores=outcome.scores if isinstance(outcome, ImageScore) else None,
            top_image=outcome.name if outcome else "",
            detail=getattr(outcome, "detail", ""),
            n_images=best["n_images"] if best else 0,
            image=best["id"] if best else None,
            has_thumbnail=bool(best and best["has_thumbnail"]),
            mark=next((mark for mark in marks if mark.entered >= after), None),
        )


def shown_id(key: PatientKey) -> str:
    """Return what a report shows for a patient: PatientID, or the study, file or name that stands in for it."""
    return key[2] if key[0] == "dicom" else key[1]


def _condition(query: ListQuery, since: str) -> tuple[str, dict[str, Any]]:
    """Make the condition of a query, and its values."""
    parts, values = ["run = :run"], {"run": query.run, "since": since}
    for name in ("status", "priority"):
        if value := getattr(query, name):
            parts.append(f"{name} = :{name}")
            values[name] = value
    if query.flag:
        parts.append("';' || flags || ';' LIKE :flag")
        values["flag"] = f"%;{query.flag};%"
    if query.text:
        parts.append(
            r"(patient_key LIKE :like ESCAPE '\' OR patient_key IN (SELECT patient_key FROM image WHERE "
            "accession_number = :text AND accession_number <> ''))"
        )
        values |= {"like": f"%{_like(query.text)}%", "text": searchable(query.text)}
    if query.open_only:
        parts.append(f"patient_key NOT IN {_MARKED}")
    return " AND ".join(parts), values


def _like(text: str) -> str:
    r"""Escape a text for LIKE within the JSON of a key: ``%`` and ``_`` stand for themselves."""
    inner = json_text(text)[1:-1]
    return "".join(f"\\{sign}" if sign in "\\%_" else sign for sign in inner)


def _entry(row: Any) -> ListEntry:
    names = ("run", "position", "status", "score", "priority", "nights_waiting", "reason", "bundle_sha256")
    return ListEntry(
        night=dt.date.fromisoformat(row["night"]),
        patient_key=decode_key(row["patient_key"]),
        flags=tuple(row["flags"].split(";")) if row["flags"] else (),
        **{name: row[name] for name in names},
    )


def _mark(row: sqlite3.Row) -> Mark:
    return Mark(
        date=dt.date.fromisoformat(row["date"]),
        positive=None if row["positive"] is None else bool(row["positive"]),
        number=row["import"],
        entered=dt.datetime.fromisoformat(row["imported"]),
        by=row["imported_by"],
        undone=dt.datetime.fromisoformat(row["undone"]) if row["undone"] else None,
        undone_by=row["undone_by"],
    )


def _image(row: sqlite3.Row) -> PatientImage:
    outcome = decode(row["record"])
    return PatientImage(
        id=row["id"],
        name=json.loads(row["name"]),
        first_night=dt.date.fromisoformat(row["first_night"]),
        status=row["status"],
        reason=row["reason"],
        detail=getattr(outcome, "detail", ""),
        scores=outcome.scores if isinstance(outcome, ImageScore) else None,
        flags=tuple(sorted(outcome.flags)) if isinstance(outcome, ImageScore) else (),
        has_thumbnail=bool(row["has_thumbnail"]),
    )

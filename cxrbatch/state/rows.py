"""Convert records to rows of the state, and rows to records."""

import datetime as dt
import json
import sqlite3
import sys
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.records import Failure, FoundFile, ImageHeader, ImageRef, Outcome
from cxrbatch.state.codec import decode, decode_key, encode, encode_key
from cxrbatch.state.records import (
    RunContext,
    StoredImage,
)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_VERSION_COLUMNS = tuple(field.name for field in fields(FileVersion))
_HEADER_COLUMNS = ("patient_id", "issuer_of_patient_id", "accession_number", "sop_instance_uid")


_root = lru_cache(json.loads)
_night = lru_cache(dt.date.fromisoformat)
_moment = lru_cache(dt.datetime.fromisoformat)


def utc_text(moment: dt.datetime) -> str:
    """Write a moment as ISO 8601 in UTC, with a fixed length, so that texts sort like moments."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def moment_of(ns: int) -> dt.datetime | None:
    """Convert nanoseconds since 1970 UTC to a moment, or 0 to None."""
    return _EPOCH + dt.timedelta(microseconds=ns // 1000) if ns else None


def json_text(name: str) -> str:
    """Encode a name, which may not be valid UTF-8, as JSON."""
    return json.dumps(name)


def searchable(text: str) -> str:
    """Convert text for a column that is searched; characters that are not valid UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def version_columns(file: FoundFile | ImageRef, context: RunContext) -> dict[str, Any]:
    """Make the columns that identify a version of a file under its settings."""
    return {
        "root": json_text(context.root),
        "name": json_text(file.name),
        "settings": context.settings,
        **{column: getattr(file.version, column) for column in _VERSION_COLUMNS},
    }


def image_row(file: FoundFile | ImageRef, outcome: Outcome, context: RunContext) -> dict[str, Any]:
    """Make the row of an outcome for the table of images."""
    header = outcome.header or ImageHeader(patient_key=("file", outcome.name), patient_id=outcome.name)
    return {
        **version_columns(file, context),
        **_in_columns(outcome),
        "first_night": context.night.isoformat(),
        "first_seen": utc_text(context.moment),
        "judged": utc_text(context.moment),
        "former_key": "",
        "bundle_sha256": context.bundle_sha256,
        "patient_key": encode_key(header.patient_key),
        **{column: searchable(getattr(header, column)) for column in _HEADER_COLUMNS},
        "record": encode(replace(outcome, header=header)),
        "thumbnail": outcome.thumbnail,
    }


def pixels_sha256_of(outcome: Outcome) -> str:
    """Return the SHA-256 of the pixels of an outcome, or an empty text for a failure."""
    return "" if isinstance(outcome, Failure) else outcome.pixels_sha256


def _in_columns(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"status": outcome.status, "reason": outcome.reason.value, "score_covid": None}
    return {"status": outcome.status, "reason": "", "score_covid": outcome.scores[0]}


def stored_image_of(row: sqlite3.Row) -> StoredImage:
    """Make the record of a row of the table of images; what many rows have in common is in memory once."""
    return StoredImage(
        id=row["id"],
        root=_root(row["root"]),
        name=json.loads(row["name"]),
        mtime_ns=row["mtime_ns"],
        first_night=_night(row["first_night"]),
        first_seen=_moment(row["first_seen"]),
        bundle_sha256=sys.intern(row["bundle_sha256"]),
        outcome=decode(row["record"], row["id"]),
        duplicate_of=json.loads(row["duplicate_of"] or '""'),
        former_key=decode_key(row["former_key"]) if row["former_key"] else (),
    )

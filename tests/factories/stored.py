"""Short ways to make what a state holds."""

import datetime as dt
from pathlib import Path

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.records import FoundFile, Outcome
from cxrbatch.state.records import RunContext, StoredImage

FIRST = dt.date(2026, 3, 1)
BUNDLE = "a" * 64
OTHER_BUNDLE = "b" * 64


def night(number: int) -> dt.date:
    """The n-th night; 0 is the first."""
    return FIRST + dt.timedelta(days=number)


def moment(number: int) -> dt.datetime:
    """When the run of the n-th night began."""
    return dt.datetime.combine(night(number), dt.time(23), dt.UTC)


def context(number: int = 0, bundle: str = BUNDLE, settings: str = "settings") -> RunContext:
    return RunContext(
        root="/export", settings=settings, bundle_sha256=bundle, night=night(number), moment=moment(number)
    )


def found(name: str, size_bytes: int = 1, mtime_ns: int = 0) -> FoundFile:
    version = FileVersion(size_bytes=size_bytes, mtime_ns=mtime_ns, ctime_ns=0)
    return FoundFile(path=Path("/export") / name, name=name, version=version)


def stored_image(outcome: Outcome, number: int, **fields: object) -> StoredImage:
    """An image of the n-th night; its id is the number of its name, where that is one."""
    given = {"id": int(outcome.name) if outcome.name.isdigit() else 0, "mtime_ns": 0, "bundle_sha256": BUNDLE}
    return StoredImage(
        root="/export",
        name=outcome.name,
        first_night=night(number),
        first_seen=moment(number),
        outcome=outcome,
        **given | fields,  # type: ignore[arg-type]
    )

"""Store images, lists and PCR results from run to run in one SQLite file, the state."""

from cxrbatch.state.backup import back_up
from cxrbatch.state.connection import open_state, read_only_uri
from cxrbatch.state.list_pages import SORTS, ListPages, ListQuery, ListRow, Mark, PatientImage
from cxrbatch.state.lock import holder, lock_path, locked
from cxrbatch.state.records import (
    ImageSummary,
    Import,
    ListEntry,
    PcrResult,
    Run,
    RunContext,
    StoredImage,
    StoredOutcome,
)
from cxrbatch.state.removal import Removed
from cxrbatch.state.schema import APPLICATION_ID, SCHEMA_VERSION, schema_version
from cxrbatch.state.session import persistent_state, temporary_state
from cxrbatch.state.store import State

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "SORTS",
    "ImageSummary",
    "Import",
    "ListEntry",
    "ListPages",
    "ListQuery",
    "ListRow",
    "Mark",
    "PatientImage",
    "PcrResult",
    "Removed",
    "Run",
    "RunContext",
    "State",
    "StoredImage",
    "StoredOutcome",
    "back_up",
    "holder",
    "lock_path",
    "locked",
    "open_state",
    "persistent_state",
    "read_only_uri",
    "schema_version",
    "temporary_state",
]

"""Store images, lists and PCR results from run to run in one SQLite file, the state."""

from cxrbatch.state.backup import back_up
from cxrbatch.state.connection import open_state
from cxrbatch.state.lock import holder, lock_path
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
from cxrbatch.state.schema import SCHEMA_VERSION, schema_version
from cxrbatch.state.session import persistent_state, temporary_state
from cxrbatch.state.store import State

__all__ = [
    "SCHEMA_VERSION",
    "ImageSummary",
    "Import",
    "ListEntry",
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
    "open_state",
    "persistent_state",
    "schema_version",
    "temporary_state",
]

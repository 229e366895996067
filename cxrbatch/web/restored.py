"""Look at the files of the service before it starts: which one is missing, and which one is of another version.

The state and ``web.sqlite`` are backed up and restored together; with one of them alone the service runs and says so.
"""

import logging
from contextlib import suppress
from typing import Any

from cxrbatch.errors import Locked, OlderState, StateError
from cxrbatch.results import has_entries_by_hand
from cxrbatch.state import open_state, persistent_state
from cxrbatch.web.options import ServeOptions

_LOG = logging.getLogger(__name__)

_NO_STATE = (
    "%s is missing: there is no list until cxrbatch screen --state makes one. If nights were screened before, stop "
    "the service, put the backup of this file back under its name, and start it again (docs/web.md)"
)
_NO_DATABASE = (
    "%s is missing: users, uploads and the audit trail begin anew. If there is a backup (COPY.web), stop the "
    "service, put it back under this name, and start it again (docs/web.md)"
)


def check_files(options: ServeOptions) -> None:
    """Check the files that are served; an older state is brought up to date, unless a run is at work on it.

    Call before the database is made.

    Raises
    ------
    StateError
        The state is damaged, or a newer cxrbatch wrote it.
    """
    has_state, has_database = options.state.is_file(), options.database.is_file()
    if has_state:
        _bring_up_to_date(options)
    elif has_database and not options.demo:
        _LOG.warning(_NO_STATE, options.state)
    if not has_database and (options.key_file.is_file() or (has_state and _was_served(options))):
        _LOG.warning(_NO_DATABASE, options.database)


def migrate_database(options: ServeOptions) -> None:
    """Make the tables of ``web.sqlite``, or bring them up to date.

    Raises
    ------
    StateError
        It is damaged, cannot be written, or a newer cxrbatch wrote it.
    """
    from django.core.management import call_command  # noqa: PLC0415 - the extra may be missing
    from django.db import DatabaseError, connection  # noqa: PLC0415
    from django.db.migrations.loader import MigrationLoader  # noqa: PLC0415

    try:
        loader = MigrationLoader(connection)
        if _of_a_newer_version(loader):
            raise StateError(f"{options.database}: a newer cxrbatch wrote it; use that one, or a newer one")
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise StateError(
            f"{options.database}: {error}; put a backup in its place, or move it away to begin anew"
        ) from error


def _of_a_newer_version(loader: Any) -> bool:
    return any(name[0] == "web" and name not in loader.disk_migrations for name in loader.applied_migrations)


def _bring_up_to_date(options: ServeOptions) -> None:
    try:
        with open_state(options.state, read_only=True):
            pass
    except OlderState:
        with suppress(Locked), persistent_state(options.state):
            pass


def _was_served(options: ServeOptions) -> bool:
    """Check whether somebody entered results by hand, which only these pages do."""
    with suppress(OlderState), open_state(options.state, read_only=True) as state:
        return has_entries_by_hand(state)
    return False

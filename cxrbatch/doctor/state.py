"""Check the state: its file, its content, and the processes that use it."""

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cxrbatch._lib.clock import Clock, night_of
from cxrbatch._lib.text import visible
from cxrbatch.doctor.check import Observation, Setup, from_error, ok, problem, warning
from cxrbatch.doctor.paths import nearest_folder
from cxrbatch.errors import StateError
from cxrbatch.screening import ScreenOptions
from cxrbatch.state import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Run,
    State,
    holder,
    lock_path,
    open_state,
    read_only_uri,
    schema_version,
)
from cxrbatch.triage import max_wait_warning

NETWORK_FILE_SYSTEMS = re.compile(
    r"9p|afs|beegfs|ceph|cifs|davfs|fuse\.(davfs2|glusterfs|rclone|sshfs)|glusterfs|gpfs|lustre|ncpfs|nfs4?|smb(fs|\d)"
)
"""Network types in ``/proc/mounts``. "WAL does not work over a network filesystem" (sqlite.org/wal.html)."""
QUIET_NIGHTS = 2
"""Number of nights without a run after which there is a warning."""

_MOUNTS = Path("/proc/self/mounts")
_BEFORE_AN_UPDATE = "the next run brings it up to date; back it up before (cxrbatch state backup)"


def state(setup: Setup) -> Iterator[Observation]:
    """Check everything about the state; yield nothing if no state is used."""
    path = setup.options.state
    if path is None:
        return
    yield _file_system(path)
    if not path.exists():
        yield _not_there_yet(path)
        return
    yield from _owner_and_mode(path)
    process = holder(lock_path(path))
    if process is not None:
        yield warning("state", f"process {process} is at work on it", "wait until it ends")
    version = _version(path)
    if version == SCHEMA_VERSION:
        yield ok("state", f"version {version}")
    elif 0 < version < SCHEMA_VERSION:
        yield warning(
            "state", f"version {version} of {SCHEMA_VERSION}, of an earlier cxrbatch", _BEFORE_AN_UPDATE
        )
        return
    try:
        with open_state(path, read_only=True) as opened_state:
            yield from _content(opened_state)
            yield from _nights(opened_state, setup.options.clock, running=process is not None)
            yield from _put_first(opened_state, setup.options)
    except StateError as error:
        yield from_error(error, "state")


def file_system_of(path: Path, mounts: str) -> str:
    """Find the type of the file system that holds a path.

    Parameters
    ----------
    path : Path
    mounts : str
        Content of ``/proc/mounts``. Of several equally long mount points that match, the last one is on top.

    Returns
    -------
    str
        Type as in ``/proc/mounts``; ``unknown`` if no mount point matches.
    """
    place, found, length = str(path.resolve()), "unknown", -1
    for line in mounts.splitlines():
        point, kind = line.split()[1:3]
        point = point.encode().decode("unicode_escape")  # blanks are written as \040 there
        if len(point) >= length and (Path(point) in (Path(place), *Path(place).parents)):
            found, length = kind, len(point)
    return found


def _file_system(path: Path) -> Observation:
    kind = file_system_of(nearest_folder(path), _MOUNTS.read_text()) if _MOUNTS.exists() else "unknown"
    if NETWORK_FILE_SYSTEMS.fullmatch(kind):
        return problem("state", f"lies on {kind}, a share", "choose a place on a local disk with --state")
    return ok("state", f"file system {kind}")


def _not_there_yet(path: Path) -> Observation:
    folder = nearest_folder(path)
    if os.access(folder, os.W_OK | os.X_OK):
        return ok("state", f"{visible(str(path))}: not there yet; the first run makes it")
    return problem(
        "state",
        f"{visible(str(path))}: not there yet, and {visible(str(folder))} cannot be written to",
        "let this user write there, or choose another place with --state",
    )


def _owner_and_mode(path: Path) -> Iterator[Observation]:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield problem("state", f"mode {mode:04o}: others may read who the patients are", f"chmod 600 {path}")
    else:
        yield ok("state", f"mode {mode:04o}: for its owner alone")
    if found.st_uid != os.geteuid():
        yield warning(
            "state",
            f"belongs to user {found.st_uid}, and this is user {os.geteuid()}",
            "run doctor as the user who runs the night",
        )


def _version(path: Path) -> int:
    """Return the version of the state; 0 where the file is no state or cannot be read, which `open_state` reports."""
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            return schema_version(connection) if application == APPLICATION_ID else 0
    except sqlite3.Error:
        return 0


def _content(opened_state: State) -> Iterator[Observation]:
    wrong = opened_state.problems()
    if wrong:
        advice = "move it away to begin anew, or put a backup in its place"
        yield problem("state", f"damaged: SQLite's check finds {len(wrong)} faults", advice)
    else:
        yield ok("state", f"whole; {opened_state.n_images()} images remembered")


def _nights(opened_state: State, clock: Clock, *, running: bool) -> Iterator[Observation]:
    tonight, last = night_of(clock()), opened_state.last_night()
    if last is None:
        yield ok("state", "no night yet")
    elif tonight < last:
        yield problem(
            "state",
            f"the last night was {last}, and the clock says {tonight}",
            "set the clock of this machine",
        )
    elif (tonight - last).days > QUIET_NIGHTS:
        advice = "see whether cron or the timer still starts the run, and what its log says"
        yield warning("state", f"the last night was {last}, {(tonight - last).days} nights ago", advice)
    else:
        yield ok("state", f"the last night was {last}")
    *_, run = (None, *opened_state.runs())
    if _was_cut_off(run) and not running:
        yield warning(
            "state", "the last run did not end well", "see its log; the next one goes on from there"
        )


def _put_first(opened_state: State, options: ScreenOptions) -> Iterator[Observation]:
    """Check whether those whom ``max_nights`` puts first need all swabs."""
    n_waited = opened_state.lists.n_put_first() if options.max_nights else 0
    found, _, advice = max_wait_warning(n_waited, options.capacity if n_waited else None).partition(". ")
    if found:
        yield warning("state", f"on the last list {found}", advice)


def _was_cut_off(run: Run | None) -> bool:
    return run is not None and run.finished is None

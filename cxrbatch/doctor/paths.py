"""Check folders and disks: export, report, key file and free space."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cxrbatch._lib.atomic import check_folder
from cxrbatch._lib.text import visible
from cxrbatch.doctor.check import Observation, Setup, from_error, ok, problem, warning
from cxrbatch.errors import CxrbatchError
from cxrbatch.report import Pseudonymiser, check_writable
from cxrbatch.terms import load_header_words

LEAST_FREE_BYTES = 100 * 2**20
"""Free space below which there is a problem: the next report or a growing state may not fit."""
GOOD_FREE_BYTES = 2**30
"""Free space below which there is a warning: a person should free some space."""


def export(setup: Setup) -> Iterator[Observation]:
    """Check whether the export exists and can be listed."""
    if setup.folder is None:
        return
    folder = visible(str(setup.folder))
    if not setup.folder.is_dir():
        yield problem("export", f"{folder}: no such folder", "mount the export, or correct the name")
        return
    try:
        n_entries = sum(1 for _ in os.scandir(setup.folder))
    except OSError as error:
        yield problem(
            "export", f"{folder}: cannot be listed: {error.strerror}", "let this user read the folder"
        )
        return
    if n_entries:
        yield ok("export", f"{folder}: {n_entries} entries at its top")
    else:
        yield warning("export", f"{folder}: empty", "make sure that the export is mounted")
    yield from _inside(setup.folder, {"--out": setup.out, "--state": setup.options.state})


def report(setup: Setup) -> Iterator[Observation]:
    """Check whether the report can be written; `Setup.out` may be its folder, if its name is made each night."""
    if setup.out is None:
        return
    try:
        if setup.out.is_dir():
            check_folder(setup.out)
        else:
            check_writable(setup.out)
    except CxrbatchError as error:
        yield from_error(error, "report")
    else:
        yield ok("report", f"{visible(str(setup.out))}: can be written")


def metrics(setup: Setup) -> Iterator[Observation]:
    """Check whether the file of metrics can be written; without it the night runs all the same."""
    if setup.metrics is None:
        return
    place = visible(str(setup.metrics))
    try:
        check_folder(setup.metrics.parent)
    except CxrbatchError as error:
        yield warning("metrics", from_error(error, "metrics").found, "let this user write to that folder")
    else:
        yield ok("metrics", f"{place}: can be written")


def notify(setup: Setup) -> Iterator[Observation]:
    """Check whether the program that is told of a list can be started; without it the night runs all the same."""
    if setup.notify is None:
        return
    program = visible(str(setup.notify))
    if setup.notify.is_file() and os.access(setup.notify, os.X_OK):
        yield ok("notify", f"{program}: can be started")
    else:
        yield warning(
            "notify", f"{program}: no program that this user may start", "correct the path, or chmod +x"
        )


def header_words(setup: Setup) -> Iterator[Observation]:
    """Check whether the words of the hospital can be used."""
    if setup.options.header_words:
        words = load_header_words(setup.options.header_words)
        yield ok("header words", f"{visible(str(setup.options.header_words))}: {words.n_words} words")


def pseudonyms(setup: Setup) -> Iterator[Observation]:
    """Check whether the key file holds a valid key."""
    if setup.options.pseudonym_key:
        Pseudonymiser.from_file(setup.options.pseudonym_key)
        yield ok("pseudonyms", "the key file holds a key")


def disk(setup: Setup) -> Iterator[Observation]:
    """Check whether there is enough free space for the report and the state."""
    for what, path in (("report", setup.out), ("state", setup.options.state)):
        if path is not None:
            yield _room(what, nearest_folder(path))


def nearest_folder(path: Path) -> Path:
    """Find the nearest folder that exists: the path itself or the closest folder above it."""
    resolved = path.resolve()
    return next(place for place in (resolved, *resolved.parents) if place.is_dir())


def _room(what: str, folder: Path) -> Observation:
    n_bytes = shutil.disk_usage(folder).free
    found = f"{n_bytes / 2**30:.1f} GiB free for the {what}"
    if n_bytes >= GOOD_FREE_BYTES:
        return ok("disk", found)
    make = warning if n_bytes >= LEAST_FREE_BYTES else problem
    return make("disk", f"{found}, in {visible(str(folder))}", "free some space")


def _inside(folder: Path, written: dict[str, Path | None]) -> Iterator[Observation]:
    for option, path in written.items():
        if path is not None and path.resolve().is_relative_to(folder.resolve()):
            yield problem(
                "export", f"{option} lies inside the export, which is only read", "choose another place"
            )

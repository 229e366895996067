"""Resolve every file found to its outcome: remembered from an earlier run, or made by an engine now.

Files found in, a `StoredOutcome` for each out. Each outcome is stored at once, so that a killed run can be resumed.
"""

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from tqdm import tqdm

from cxrbatch.discover import check_settled, classify_all
from cxrbatch.engines import Engine
from cxrbatch.errors import ExportVanished, NoImageFound
from cxrbatch.objects import is_there
from cxrbatch.reasons import Reason
from cxrbatch.records import (
    Failure,
    FoundFile,
    ImageRef,
    ObjectPrefix,
    Outcome,
    Place,
    Provenance,
    place_of,
)
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.state import RunContext, State, StoredOutcome

_LOG = logging.getLogger(__name__)
_ROWS_AT_ONCE = 64
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcomes:
    """Outcomes of all files of a folder.

    Attributes
    ----------
    files : tuple of StoredOutcome
        One for every file found, in any order.
    n_remembered : int
        Number of those whose outcome came from the state.
    """

    files: tuple[StoredOutcome, ...]
    n_remembered: int
    provenance: Provenance


class OutcomeResolver:
    """Resolves the files of one run.

    Parameters
    ----------
    engine : Engine
        Reads and scores the files that are not remembered; the outcomes do not depend on which engine it is.
    options : ScreenOptions
    state : State
        Queried before a file is opened; every outcome is stored in it.
    context : RunContext
        Stored beside each outcome.
    """

    def __init__(self, engine: Engine, options: ScreenOptions, state: State, context: RunContext) -> None:
        self._engine = engine
        self._options = options
        self._state = state
        self._context = context
        self._root = place_of(context.root)
        self._device = _device_number(self._root)
        self._now_ns = int(options.clock().timestamp() * 1e9)

    def __call__(self, found: deque[FoundFile]) -> RunOutcomes:
        """Resolve every file; `found` is emptied meanwhile, so that a file is in memory in one form at a time.

        Raises
        ------
        NoImageFound
            There is no image among the files.
        ExportVanished
            The folder disappeared; the files resolved before are remembered.
        """
        n_found = len(found)
        stored, failures, refs = self._from_state_or_head(found)
        if not (refs or any(map(_is_wanted, stored)) or any(_is_wanted(failure) for _, failure in failures)):
            raise NoImageFound(f"{self._root}: {n_found} files, not one image; is the export mounted?")
        n_remembered = len(stored)
        stored += self._put_all(failures)
        _LOG.debug("%d files remembered, %d images to read", n_remembered, len(refs))
        try:
            stored += self._put_all(self._with_progress(refs))
            self._state.follow_new_keys()
            provenance = self._engine.provenance
        finally:
            self._state.commit()
        return RunOutcomes(files=tuple(stored), n_remembered=n_remembered, provenance=provenance)

    def _with_progress(self, refs: deque[ImageRef]) -> "tqdm[tuple[ImageRef, Outcome]]":
        n_refs, show = len(refs), self._options.show_progress
        results = self._engine.run(_emptied(refs))
        return tqdm(results, total=n_refs, unit="file", disable=not show, leave=False)

    def _from_state_or_head(
        self, found: deque[FoundFile]
    ) -> tuple[list[StoredOutcome], list[tuple[FoundFile, Failure]], deque[ImageRef]]:
        """Sort the files: remembered, refused before they are read, and to be read."""
        stored: list[StoredOutcome] = []
        failures: list[tuple[FoundFile, Failure]] = []
        unknown: deque[FoundFile] = deque()
        for file in _emptied(found):
            known = self._known(file)
            if isinstance(known, StoredOutcome):
                stored.append(known)
            elif known:
                failures.append((file, known))
            else:
                unknown.append(file)
        refs: deque[ImageRef] = deque()
        for file, item in classify_all(_emptied(unknown)):
            if isinstance(item, ImageRef):
                refs.append(item)
            else:
                failures.append((file, item))
        return stored, failures, refs

    def _known(self, file: FoundFile) -> StoredOutcome | Failure | None:
        if file.failure:
            return file.failure
        if not self._options.rescore:
            known = self._state.get(file, self._context)
            if known:
                return known
        return check_settled(file, self._options.settle_s, self._now_ns)

    def _put_all(self, outcomes: Iterable[tuple[FoundFile | ImageRef, Outcome]]) -> list[StoredOutcome]:
        """Store outcomes, many at a time; those that are there are stored also where the rest does not come."""
        stored: list[StoredOutcome] = []
        waiting: list[tuple[FoundFile | ImageRef, Outcome]] = []
        try:
            for file, outcome in outcomes:
                waiting.append((file, self._checked(outcome)))
                if len(waiting) >= _ROWS_AT_ONCE:
                    stored += self._state.put_all(waiting, self._context)
                    waiting = []
        finally:
            stored += self._state.put_all(waiting, self._context)
        return stored

    def _checked(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Failure) and outcome.reason is Reason.UNREADABLE:
            self._check_export()
        if outcome.header is None:
            outcome = replace(outcome, header=self._options.patients.unread_header(outcome.name))
        return outcome

    def _check_export(self) -> None:
        if self._device is None or _device_number(self._root) != self._device:
            raise ExportVanished(
                f"{self._root}: went away during the run; is the share mounted? Nothing was reported, what was read "
                "is remembered: run again"
            )


def _emptied(items: deque[Item]) -> Iterator[Item]:
    """Yield the items, the first one first, and forget each."""
    while items:
        yield items.popleft()


def _is_wanted(item: StoredOutcome | Failure) -> bool:
    """Check whether a file is an image, or should have been one."""
    outcome = item.outcome if isinstance(item, StoredOutcome) else item
    return not (isinstance(outcome, Failure) and outcome.skipped)


def _device_number(folder: Place) -> int | None:
    """Return the number of the file system: an unmounted share leaves an empty folder on another file system.

    All stores have the same number, as long as they answer.
    """
    if isinstance(folder, ObjectPrefix):
        return 0 if is_there(folder) else None
    try:
        return os.stat(folder).st_dev  # noqa: PTH116
    except OSError:
        return None

"""Resolve every file found to its outcome: remembered from an earlier run, or made by an engine now.

Files found in, a `StoredOutcome` for each out. Each outcome is stored at once, so that a killed run can be resumed.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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

    def __call__(self, found: Sequence[FoundFile]) -> RunOutcomes:
        """Resolve every file.

        Raises
        ------
        NoImageFound
            There is no image among the files.
        ExportVanished
            The folder disappeared; the files resolved before are remembered.
        """
        files = {file.name: file for file in found}
        first = self._from_state_or_head(found)
        if not any(map(_is_wanted, first.values())):
            raise NoImageFound(f"{self._root}: {len(found)} files, not one image; is the export mounted?")
        stored = [item for item in first.values() if isinstance(item, StoredOutcome)]
        n_remembered = len(stored)
        stored += self._put_all(
            (files[name], item) for name, item in first.items() if isinstance(item, Failure)
        )
        refs = [item for item in first.values() if isinstance(item, ImageRef)]
        _LOG.debug("%d files remembered, %d images to read", n_remembered, len(refs))
        try:
            stored += self._put_all((files[ref.name], outcome) for ref, outcome in self._with_progress(refs))
            self._state.follow_new_keys()
            provenance = self._engine.provenance
        finally:
            self._state.commit()
        return RunOutcomes(files=tuple(stored), n_remembered=n_remembered, provenance=provenance)

    def _with_progress(self, refs: Sequence[ImageRef]) -> "tqdm[tuple[ImageRef, Outcome]]":
        results = self._engine.run(refs)
        return tqdm(
            results, total=len(refs), unit="file", disable=not self._options.show_progress, leave=False
        )

    def _from_state_or_head(
        self, found: Sequence[FoundFile]
    ) -> dict[str, StoredOutcome | ImageRef | Failure]:
        known = {file.name: self._known(file) for file in found}
        unknown = (file for file in found if known[file.name] is None)
        known.update((file.name, item) for file, item in classify_all(unknown))
        return {name: item for name, item in known.items() if item is not None}

    def _known(self, file: FoundFile) -> StoredOutcome | ImageRef | Failure | None:
        if file.failure:
            return file.failure
        if not self._options.rescore:
            # With a state, the list reads its thumbnails from there, and only those of its own patients.
            known = self._state.get(file, self._context, thumbnail=self._options.state is None)
            if known:
                return known
        return check_settled(file, self._options.settle_s, self._now_ns)

    def _put_all(self, outcomes: Iterable[tuple[FoundFile, Outcome]]) -> list[StoredOutcome]:
        """Store outcomes, many at a time; those that are there are stored also where the rest does not come."""
        stored: list[StoredOutcome] = []
        waiting: list[tuple[FoundFile, Outcome]] = []
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


def _is_wanted(item: StoredOutcome | ImageRef | Failure) -> bool:
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

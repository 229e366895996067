"""Resolve every file found to its outcome: remembered from an earlier run, or made by an engine now.

Files found in, an outcome for each out. Each outcome is stored at once, so that a killed run can be resumed.
"""

import logging
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from tqdm import tqdm

from cxrbatch._lib.packed import Packed
from cxrbatch.discover import check_settled
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
    outcomes : Packed of ImageScore and Failure
        One for every file found, in any order.
    nights : array of int
        Night on which each came in, as `datetime.date.toordinal` counts.
    n_remembered : int
        Number of those whose outcome came from the state.
    """

    outcomes: Packed[Outcome]
    nights: "array[int]"
    n_remembered: int
    provenance: Provenance


class _Resolved:
    """The outcomes so far."""

    def __init__(self) -> None:
        self.outcomes: Packed[Outcome] = Packed()
        self.nights = array("I")

    def add(self, files: Iterable[StoredOutcome]) -> None:
        for file in files:
            self.outcomes.append(file.outcome)
            self.nights.append(file.first_night.toordinal())


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

    def __call__(self, found: Packed[FoundFile]) -> RunOutcomes:
        """Resolve every file; `found` is emptied meanwhile, so that a file is in memory in one form at a time.

        Raises
        ------
        NoImageFound
            There is no image among the files.
        ExportVanished
            The folder disappeared; the files resolved before are remembered.
        """
        n_found, resolved = len(found), _Resolved()
        refused, refs = self._from_state_or_head(found, resolved)
        n_remembered = len(resolved.outcomes)
        not_read = chain(resolved.outcomes, (failure for _, failure in refused))
        if not (refs or any(map(_is_wanted, not_read))):
            raise NoImageFound(f"{self._root}: {n_found} files, not one image; is the export mounted?")
        self._put_all(refused.drained(), resolved)
        _LOG.debug("%d files remembered, %d images to read", n_remembered, len(refs))
        try:
            self._put_all(self._with_progress(refs), resolved)
            self._state.follow_new_keys()
            provenance = self._engine.provenance
        finally:
            self._state.commit()
        return RunOutcomes(
            outcomes=resolved.outcomes,
            nights=resolved.nights,
            n_remembered=n_remembered,
            provenance=provenance,
        )

    def _with_progress(self, refs: Packed[ImageRef]) -> "tqdm[tuple[ImageRef, Outcome]]":
        n_refs, show = len(refs), self._options.show_progress
        results = self._engine.run(refs.drained())
        return tqdm(results, total=n_refs, unit="file", disable=not show, leave=False)

    def _from_state_or_head(
        self, found: Packed[FoundFile], resolved: _Resolved
    ) -> tuple[Packed[tuple[FoundFile, Failure]], Packed[ImageRef]]:
        """Sort the files: remembered, refused before they are read, and to be read."""
        refused: Packed[tuple[FoundFile, Failure]] = Packed()
        refs: Packed[ImageRef] = Packed()
        for file, item in self._engine.recognise(self._unknown(found, resolved, refused)):
            if isinstance(item, ImageRef):
                refs.append(item)
            else:
                refused.append((file, item))
        return refused, refs

    def _unknown(
        self, found: Packed[FoundFile], resolved: _Resolved, refused: Packed[tuple[FoundFile, Failure]]
    ) -> Iterator[FoundFile]:
        """Yield the files of which nothing is known; the others are put where they belong."""
        for file in found.drained():
            known = self._known(file)
            if isinstance(known, StoredOutcome):
                resolved.add([known])
            elif known:
                refused.append((file, known))
            else:
                yield file

    def _known(self, file: FoundFile) -> StoredOutcome | Failure | None:
        if file.failure:
            return file.failure
        if not self._options.rescore:
            known = self._state.get(file, self._context)
            if known:
                return known
        return check_settled(file, self._options.settle_s, self._now_ns)

    def _put_all(self, outcomes: Iterable[tuple[FoundFile | ImageRef, Outcome]], resolved: _Resolved) -> None:
        """Store outcomes, many at a time; those that are there are stored also where the rest does not come."""
        waiting: list[tuple[FoundFile | ImageRef, Outcome]] = []
        try:
            for file, outcome in outcomes:
                waiting.append((file, self._checked(outcome)))
                if len(waiting) >= _ROWS_AT_ONCE:
                    resolved.add(self._state.put_all(waiting, self._context))
                    waiting = []
        finally:
            resolved.add(self._state.put_all(waiting, self._context))

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


def _is_wanted(outcome: Outcome) -> bool:
    """Check whether a file is an image, or should have been one."""
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

"""Interface of engines: image references in, outcomes out.

It separates what a run does (`cxrbatch.screening`, `cxrbatch.prediction`) from where it executes. The outcomes do not
depend on which engine it is.
"""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from cxrbatch.bundle import Bundle
from cxrbatch.engines.options import EngineOptions
from cxrbatch.prepare import PrepareOptions
from cxrbatch.records import Failure, FoundFile, ImageRef, Outcome, Place, Provenance

Recognised = tuple[FoundFile, ImageRef | Failure]
"""A file that was found, and what it is."""
Result = tuple[ImageRef, Outcome]
"""An outcome, and the reference that it belongs to."""


class Engine(Protocol):
    """Interface that lists files, and turns references to images into outcomes, on one machine or many.

    A context manager: leaving it ends everything that it has started, also after an exception.
    """

    def __enter__(self) -> Self:
        """Prepare the engine; nothing is read yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End everything that is running."""

    def discover(self, folder: Place) -> Iterator[FoundFile]:
        """List the files in a folder and below it; see `cxrbatch.discover.walk`."""

    def recognise(self, files: Iterable[FoundFile]) -> Iterator[Recognised]:
        """Recognise by their first bytes what files are; see `cxrbatch.discover.classify_all`.

        Parameters
        ----------
        files : iterable of FoundFile
            Consumed a bounded number ahead.

        Yields
        ------
        FoundFile
            The files in their order.
        ImageRef or Failure
            What each is.
        """

    def run(self, refs: Iterable[ImageRef]) -> Iterator[Result]:
        """Read, check, preprocess and score images.

        Parameters
        ----------
        refs : iterable of ImageRef
            Consumed lazily, a bounded number ahead of the outcomes; it may be endless. An engine may consume it in
            another thread. All outcomes of one call must be taken before the next call.

        Yields
        ------
        ImageRef
            One of `refs`.
        ImageScore or Failure
            Its outcome; one for every reference, in any order.

        Raises
        ------
        CxrbatchError
            The engine itself failed: workers that cannot start, a bundle that cannot be loaded, no such device.
        """

    @property
    def network(self) -> Any:
        """What `cxrbatch.explain.explain` takes: the bundle's network on this machine; starts it if need be."""

    @property
    def provenance(self) -> Provenance:
        """Provenance of the scores; starts the network if it is not started yet."""


EngineFactory = Callable[[Bundle, PrepareOptions, EngineOptions], Engine]
"""Makes an engine from a bundle, the options of preparing files, and the options of execution."""

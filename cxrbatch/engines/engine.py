"""The seam between what a run means and where it executes.

Whoever composes a run (`cxrbatch.screening`, `cxrbatch.prediction`) hands an engine references to images and gets
outcomes. Which engine it is decides no outcome.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from cxrbatch.bundle import Bundle
from cxrbatch.engines.options import EngineOptions
from cxrbatch.prepare import PrepareOptions
from cxrbatch.records import FoundFile, ImageRef, Outcome, Provenance

Result = tuple[ImageRef, Outcome]
"""An outcome, and the reference that it belongs to."""


class Engine(Protocol):
    """Turn references to images into outcomes, on this machine or on many.

    A context manager: leaving it ends whatever it has started, also after an exception.
    """

    def __enter__(self) -> Self:
        """Make ready; nothing is read yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End everything that runs."""

    def discover(self, folder: Path) -> Iterator[FoundFile]:
        """List what lies in a folder and below it; see `cxrbatch.discover.walk`."""

    def run(self, refs: Iterable[ImageRef]) -> Iterator[Result]:
        """Read, check, preprocess and score images.

        Parameters
        ----------
        refs : iterable of ImageRef
            Consumed lazily, a bounded number ahead of the outcomes; it may be endless. An engine may consume it in
            another thread. The outcomes of one call are to be taken before the next call.

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
    def provenance(self) -> Provenance:
        """What makes the scores; starts the network where it is not started yet."""


EngineFactory = Callable[[Bundle, PrepareOptions, EngineOptions], Engine]
"""Makes an engine: the network of a bundle, how files are prepared for it, how it executes."""

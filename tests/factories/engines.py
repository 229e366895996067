"""An engine whose outcomes a test decides."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self
from unittest import mock

from cxrbatch.discover import classify_all, walk
from cxrbatch.engines.engine import Engine, Recognised, Result
from cxrbatch.records import FoundFile, ImageRef, Outcome, Place, Provenance
from cxrbatch.screening import run


class MadeUpEngine:
    """Calls a function for each reference.

    Parameters
    ----------
    outcome : callable
        Reference → outcome; what it raises ends the run.
    after : callable, optional
        Called behind the last reference.
    """

    def __init__(
        self,
        outcome: Callable[[ImageRef], Outcome],
        bundle_sha256: str,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        self._outcome, self._after = outcome, after
        self.provenance = Provenance(
            bundle_id="made up",
            bundle_sha256=bundle_sha256,
            cxrbatch_version="",
            runtime="",
            device="",
            precision="",
            batch_size=1,
        )

    @property
    def network(self) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def discover(self, folder: Place) -> Iterator[FoundFile]:
        return walk(folder)

    def recognise(self, files: Iterable[FoundFile]) -> Iterator[Recognised]:
        return classify_all(files)

    def run(self, refs: Iterable[ImageRef]) -> Iterator[Result]:
        for ref in refs:
            yield ref, self._outcome(ref)
        self._after()


def screening_with(make: Callable[..., Engine]) -> Any:
    """Let `cxrbatch.screening` use another engine; `make` gets what `open_engine` gets. No image is read again."""
    return mock.patch.multiple(
        run,
        open_engine=mock.Mock(side_effect=make),
        with_large_images=lambda patients, *_: patients,
    )

"""Engine of one machine: image references in, outcomes out.

Worker processes read, the network runs in this process. Files are read while the network starts.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

from cxrbatch._lib.prefetch import prefetch
from cxrbatch._lib.version import __version__
from cxrbatch.bundle import Bundle
from cxrbatch.discover import classify_all, walk
from cxrbatch.engines.engine import Recognised, Result
from cxrbatch.engines.options import Decode, EngineOptions
from cxrbatch.engines.pool import default_workers, open_pool
from cxrbatch.engines.worker import Prepared
from cxrbatch.infer import Network, start_network
from cxrbatch.prepare import PrepareOptions
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FoundFile, ImageRef, Outcome, Place, Provenance

_LOG = logging.getLogger(__name__)
Key = TypeVar("Key")

_AHEAD_BYTES = 16 << 20
_BESIDE_PIXELS_BYTES = 8 << 10
"""Upper estimate for header and thumbnail of a prepared image; usually they take half of it."""


class LocalEngine:
    """Engine that reads in worker processes and scores in this process; see `cxrbatch.engines.Engine`.

    Parameters
    ----------
    bundle : Bundle
    prepare : PrepareOptions
    options : EngineOptions
    """

    def __init__(self, bundle: Bundle, prepare: PrepareOptions, options: EngineOptions) -> None:
        self._bundle = bundle
        self._prepare = prepare
        self._options = options
        self._results: Generator[Result, None, None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._results:
            self._results.close()  # this also ends the worker processes

    def discover(self, folder: Place) -> Iterator[FoundFile]:
        """List the files in a folder and below it; see `cxrbatch.discover.walk`."""
        return walk(folder)

    def recognise(self, files: Iterable[FoundFile]) -> Iterator[Recognised]:
        """Recognise files; see `cxrbatch.engines.Engine.recognise`."""
        return classify_all(files)

    def run(self, refs: Iterable[ImageRef]) -> Iterator[Result]:
        """Read, check, preprocess and score images; see `cxrbatch.engines.Engine.run`."""
        self._results = self._run(refs)
        return self._results

    @property
    def provenance(self) -> Provenance:
        """Provenance of the scores; starts the network if it is not started yet."""
        network = self._network
        return Provenance(
            bundle_id=self._bundle.id,
            bundle_sha256=self._bundle.sha256,
            cxrbatch_version=__version__,
            runtime=network.runtime,
            device=network.device,
            precision=network.precision,
            batch_size=network.batch_size,
            header_words_sha256=self._prepare.header_words.digest,
            decode=Decode.REDUCED if self._prepare.least_px else Decode.FULL,
        )

    @property
    def network(self) -> Any:
        """What explains scores; see `cxrbatch.engines.Engine.network`."""
        return self._network.explained_by

    def score(
        self, prepared: Iterable[tuple[Key, Prepared]], stop: Callable[[], object] = lambda: None
    ) -> Iterator[tuple[Key, Outcome]]:
        """Score prepared images in this process; see `cxrbatch.infer.Network.score`."""
        yield from self._network.score(prepared, stop)

    @cached_property
    def _network(self) -> Network:
        options = self._options
        network = start_network(
            self._bundle,
            runtime=options.runtime,
            device=options.device,
            precision=options.precision,
            batch_size=options.batch_size,
            n_processors=default_workers(),
        )
        _LOG.debug("started %s on %s in %s", network.runtime, network.device, network.precision)
        return network

    def _run(self, refs: Iterable[ImageRef]) -> Generator[Result, None, None]:
        with (
            open_pool(self._prepare, self._options) as pool,
            prefetch(pool.prepare(refs), n_ahead(self._prepare.spec), pool.stop) as prepared,
        ):
            yield from self.score(prepared, pool.stop)


def n_ahead(spec: PreprocessSpec) -> int:
    """Compute how many prepared images may wait: their memory must not depend on the size of the network's input."""
    return max(_AHEAD_BYTES // prepared_bytes(spec), 1)


def prepared_bytes(spec: PreprocessSpec) -> int:
    """Estimate the memory that a prepared image takes at most."""
    return spec.height * spec.width + _BESIDE_PIXELS_BYTES

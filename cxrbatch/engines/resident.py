"""Engine of one machine that stays: readers and network serve one run after another.

For a service that gets images all day. The outcomes are those of `cxrbatch.engines.local.LocalEngine`, which starts
readers for each run and ends them with it.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType

from cxrbatch.bundle import Bundle
from cxrbatch.engines.engine import Result
from cxrbatch.engines.local import LocalEngine
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import PreparedRef, WorkerPool, open_pool
from cxrbatch.prepare import PrepareOptions
from cxrbatch.records import ImageRef, ModelInput

OnInput = Callable[[ImageRef, ModelInput], object]


class ResidentEngine(LocalEngine):
    """Local engine whose worker processes are kept between runs.

    Parameters
    ----------
    on_input : callable, optional
        Gets the input of the network of each image before its score is computed, in another thread.
    """

    def __init__(
        self, bundle: Bundle, prepare: PrepareOptions, options: EngineOptions, on_input: OnInput | None = None
    ) -> None:
        super().__init__(bundle, prepare, options)
        self._on_input = on_input

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._stack.close()

    @cached_property
    def _stack(self) -> ExitStack:
        return ExitStack()

    @cached_property
    def _pool(self) -> WorkerPool:
        return self._stack.enter_context(open_pool(self._prepare, self._options))

    def _run(self, refs: Iterable[ImageRef]) -> Generator[Result, None, None]:
        yield from self._network.score(self._shown(self._pool.prepare(refs)), is_short=True)

    def _shown(self, prepared: Iterator[PreparedRef]) -> Iterator[PreparedRef]:
        for ref, item in prepared:
            if self._on_input and isinstance(item, ModelInput):
                self._on_input(ref, item)
            yield ref, item

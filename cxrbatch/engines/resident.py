"""Engine of one machine that stays: readers and network serve one run after another.

For a service that gets images all day. The outcomes are those of `cxrbatch.engines.local.LocalEngine`, which starts
readers for each run and ends them with it.
"""

from collections.abc import Generator, Iterable
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType

from cxrbatch.engines.engine import Result
from cxrbatch.engines.local import LocalEngine
from cxrbatch.engines.pool import WorkerPool, open_pool
from cxrbatch.records import ImageRef


class ResidentEngine(LocalEngine):
    """Local engine whose worker processes are kept between runs."""

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
        yield from self._network.score(self._pool.prepare(refs), is_short=True)

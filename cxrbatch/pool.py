"""Reader processes: files in, `ModelInput` or `Failure` out, in order.

A file that kills its reader costs only itself.
"""

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice, repeat
from types import TracebackType
from typing import Self

from cxrbatch.allocator import keep_freed_memory
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef, ModelInput

Prepared = ModelInput | Failure
Task = tuple[ImageRef, ...]
_FILES_PER_TASK = 4
_TASKS_PER_WORKER = 3
_options: PrepareOptions | None = None


def default_workers() -> int:
    """One reader per processor this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ReaderPool:
    """Prepares images in processes of their own.

    Parameters
    ----------
    options : PrepareOptions
        Sent to each process once.
    n_workers : int
        Processes; the results do not depend on it.
    """

    def __init__(self, options: PrepareOptions, n_workers: int) -> None:
        self._options = options
        self._n_workers = n_workers
        self._executor = self._start(n_workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def prepare(self, refs: Iterable[ImageRef]) -> Iterator[Prepared]:
        """Start preparing at once, and hand out the results in the order of `refs`.

        At most a fixed number of images is in flight, so memory does not grow with the folder.
        """
        waiting = _tasks(iter(refs), n_single=self._n_workers)
        first = islice(waiting, self._n_workers * _TASKS_PER_WORKER)
        in_flight = deque((task, self._submit(task)) for task in first)
        return self._results(waiting, in_flight)

    def _results(
        self, waiting: Iterator[Task], in_flight: deque[tuple[Task, Future[list[Prepared]]]]
    ) -> Iterator[Prepared]:
        while in_flight:
            task, future = in_flight.popleft()
            results = self._result(task, future)
            in_flight.extend((new, self._submit(new)) for new in islice(waiting, 1))
            yield from results

    def _submit(self, task: Task) -> Future[list[Prepared]]:
        try:
            return self._executor.submit(_prepare, task)
        except BrokenProcessPool:
            self._executor = self._start(self._n_workers)
            return self._executor.submit(_prepare, task)

    def _result(self, task: Task, future: Future[list[Prepared]]) -> list[Prepared]:
        try:
            return future.result()
        except BrokenProcessPool:
            return [self._alone(ref) for ref in task]

    def _alone(self, ref: ImageRef) -> Prepared:
        """Try again what was in flight when a reader died, one by one, to find the file that kills it."""
        with self._start(1) as executor:
            try:
                return executor.submit(_prepare, (ref,)).result()[0]
            except BrokenProcessPool:
                return Failure(
                    name=ref.name,
                    reason=Reason.CORRUPT,
                    detail="the reader process died on this file",
                    header=self._options.patients.unread_header(ref.name, ref.kind),
                )

    def _start(self, n_workers: int) -> ProcessPoolExecutor:
        # Not fork: TensorFlow's threads do not survive it. Not forkserver: killed, it leaves a temporary folder.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(n_workers, context, initializer=_initialise, initargs=(self._options,))


def _initialise(options: PrepareOptions) -> None:
    global _options  # noqa: PLW0603 - set once per process, so that it does not travel with every file
    _options = options
    keep_freed_memory()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this reader when its parent was killed: it would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _prepare(task: Task) -> list[Prepared]:
    if _options is None:
        raise RuntimeError("reader process was not initialised")
    return [prepare(ref, _options) for ref in task]


def _tasks(refs: Iterator[ImageRef], n_single: int) -> Iterator[Task]:
    """Give each reader one file, so that all begin at once, then a few: asking costs as much as a small file."""
    for size in chain(repeat(1, n_single), repeat(_FILES_PER_TASK)):
        task = tuple(islice(refs, size))
        if not task:
            return
        yield task

"""Prepare files in worker processes: files in, `ModelInput` or `Failure` out, in order.

A file that kills its worker, or takes too long, fails alone. Screening, single images, training and evaluation all
prepare their images here.
"""

import atexit
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.processes import open_launcher
from cxrbatch.engines.worker import Numbered, Prepared, Worker, WorkerDied
from cxrbatch.errors import WorkersFailed
from cxrbatch.limits import share_memory
from cxrbatch.prepare import PrepareOptions
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef

MOST_WAITING = 6
"""Files that a worker has at a time: enough not to wait for its parent, few enough to share the last ones evenly."""
_IN_FLIGHT = 12
"""Files in flight for each worker (being read, or read but not yet next in order): this bounds the memory."""

PreparedRef = tuple[ImageRef, Prepared]
"""The reference to a file, and its prepared image or failure."""


def default_workers() -> int:
    """Count the processors that this process may use: one worker for each."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerPool:
    """Pool of processes that prepare images.

    Parameters
    ----------
    options : PrepareOptions
        Sent to each process once.
    n_workers : int
        Largest number of processes; each is started when there are files for it. The results do not depend on it.
    memory_bytes : int, optional
        Memory that each process may take for reading a file; by default unlimited.
    """

    def __init__(self, options: PrepareOptions, n_workers: int, memory_bytes: int | None = None) -> None:
        self._options = options
        self._n_workers = n_workers
        self._memory_bytes = memory_bytes
        self._launcher = open_launcher()
        self._workers: list[Worker] = []
        self._files: Iterator[Numbered] = iter(())
        self._refs: dict[int, ImageRef] = {}
        self._done: dict[int, Prepared] = {}
        self._killed: set[int] = set()
        self._blamed: dict[int, Failure] = {}
        self._is_over = False
        self._has_ended = False

    def __enter__(self) -> Self:
        atexit.register(self._end)  # a generator that was left open is closed after modules were emptied
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._has_ended:
            atexit.unregister(self._end)
            self._end()

    def _end(self) -> None:
        self._has_ended = True
        self.stop()
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._launcher.close()

    def stop(self) -> None:
        """Kill the processes; the results end for a consumer that waits for one in another thread."""
        self._is_over = True
        for worker in self._workers:
            worker.kill()

    def prepare(self, refs: Iterable[ImageRef]) -> Iterator[PreparedRef]:
        """Start preparing at once, and return the results in the order of `refs`.

        At most a fixed number of images is in flight, so memory does not grow with the folder. All results of one
        call must be taken before the next call.

        Parameters
        ----------
        refs : iterable of ImageRef
            Consumed when workers need more; it may be endless.

        Returns
        -------
        iterator of (ImageRef, ModelInput or Failure)

        Raises
        ------
        WorkersFailed
            A process ended before it could read anything.
        """
        self._files = enumerate(refs)
        self._killed.clear()  # numbers of files of an earlier call
        self._blamed.clear()
        self._submit()
        return self._in_order()

    def _in_order(self) -> Iterator[PreparedRef]:
        for number in count():
            while number not in self._done:
                if self._is_over or not any(worker.waiting for worker in self._workers):
                    return
                self._collect()
                self._submit()
            result = self._done.pop(number)
            self._submit()
            yield self._refs.pop(number), result

    def _submit(self) -> None:
        """Submit files while more may be in flight and a worker needs one."""
        while self._n_in_flight() < self._n_workers * _IN_FLIGHT and self._wants_more():
            file = next(self._files, None)
            if file is None:
                return
            self._refs[file[0]] = file[1]
            self._freest().submit(file)

    def _n_in_flight(self) -> int:
        return len(self._done) + sum(len(worker.waiting) for worker in self._workers)

    def _wants_more(self) -> bool:
        return len(self._workers) < self._n_workers or len(self._freest().waiting) < MOST_WAITING

    def _freest(self) -> Worker:
        if len(self._workers) < self._n_workers:
            return self._start()
        return min(self._workers, key=lambda worker: len(worker.waiting))

    def _start(self) -> Worker:
        worker = Worker(self._launcher, self._options, self._memory_bytes)
        self._workers.append(worker)
        return worker

    def _collect(self) -> None:
        """Wait until a worker sends a result, or dies, and take the results."""
        ready = wait([worker.results for worker in self._workers])
        if self._is_over:
            return
        for worker in [worker for worker in self._workers if worker.results in ready]:
            try:
                if found := worker.receive():
                    number, self._done[number] = found
            except WorkerDied as death:
                self._replace(worker, death.exit_code)

    def _replace(self, dead: Worker, exit_code: int) -> None:
        """Give the files of a dead worker to a new one; of the file that ended it only the header is read."""
        if not dead.has_started:
            raise WorkersFailed(
                f"a reader process ended before it could read anything ({_ending(exit_code)}); cxrbatch doctor tells "
                "more, and with --max-memory it may have been given too little"
            )
        self._workers.remove(dead)
        if dead.waiting and self._is_to_blame(dead, exit_code):
            self._blame(dead, exit_code)
        if dead.waiting:
            successor = self._start()
            for file in dead.waiting:
                successor.submit(file, self._blamed.get(file[0]))

    def _blame(self, dead: Worker, exit_code: int) -> None:
        number, ref = dead.waiting[0]
        if number in self._blamed:  # not even its header can be read
            dead.waiting.popleft()
            self._done[number] = self._blamed[number]
        else:
            self._blamed[number] = self._failure(ref, exit_code)

    def _is_to_blame(self, dead: Worker, exit_code: int) -> bool:
        """Check whether the first waiting file ended a worker.

        An earlier file may have damaged the worker, or a person may have killed it. Where the kernel killed it for
        lack of memory, it will do so again: a file is blamed at the second time.
        """
        number, _ = dead.waiting[0]
        if exit_code == -signal.SIGKILL and number not in self._killed:
            self._killed.add(number)
            return False
        return dead.is_fresh or exit_code == -signal.SIGALRM

    def _failure(self, ref: ImageRef, exit_code: int) -> Failure:
        if exit_code == -signal.SIGALRM:
            reason, detail = Reason.TIMEOUT, f"not read within {self._options.limits.seconds:g} s"
        elif exit_code == -signal.SIGKILL:
            reason, detail = Reason.TOO_LARGE, "its reader was killed twice, as happens for want of memory"
        else:
            reason, detail = Reason.CORRUPT, f"the reader process died of this file ({_ending(exit_code)})"
        header = self._options.patients.unread_header(ref.name, ref.kind)
        return Failure(name=ref.name, reason=reason, detail=detail, header=header)


def _ending(exit_code: int) -> str:
    try:
        return signal.Signals(-exit_code).name if exit_code else "no valid answer"
    except ValueError:
        return f"exit code {exit_code}"


def open_pool(prepare: PrepareOptions, options: EngineOptions) -> WorkerPool:
    """Make a pool that stays within the memory of the run; see `cxrbatch.limits.share_memory`.

    Raises
    ------
    WorkersFailed
        This process may not start others, as those of ``multiprocessing.Pool``.
    """
    if multiprocessing.current_process().daemon:
        raise WorkersFailed(
            "worker processes cannot be started from a daemonic process, such as those of multiprocessing.Pool; "
            "use one that is not daemonic, such as those of concurrent.futures.ProcessPoolExecutor"
        )
    requested = options.n_workers or default_workers()
    return WorkerPool(prepare, *share_memory(requested, options.max_memory_bytes))


def prepare_in_order(
    found: Sequence[ImageRef | Failure], prepare: PrepareOptions, options: EngineOptions
) -> Iterator[Prepared]:
    """Prepare images in worker processes.

    Parameters
    ----------
    found : sequence of ImageRef or Failure
        From `cxrbatch.discover.classify`.

    Yields
    ------
    ModelInput or Failure
        One for each of `found`, in its order; a failure in `found` is passed on unchanged.
    """
    with open_pool(prepare, options) as pool:
        prepared = pool.prepare(item for item in found if isinstance(item, ImageRef))
        for item in found:
            yield item if isinstance(item, Failure) else next(prepared)[1]

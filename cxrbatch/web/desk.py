"""The desk: takes jobs in, hands them to the worker process, and has their outcomes stored.

The queue is bounded, and knows about how long it takes. A worker process that ends is started again, and what waited
is handed to the new one; after three that finished nothing, what waits is given up.
"""

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from cxrbatch.records import Outcome
from cxrbatch.web.maps import Maps
from cxrbatch.web.options import ServeOptions
from cxrbatch.web.worker import Finished, Job, Message, Notice, run_worker

_LOG = logging.getLogger(__name__)
_MOST_DEATHS = 3
_MOST_AT_ONCE = 64
_GATHER_S = 0.1
"""Outcomes that come within this time are stored in one transaction."""
_FIRST_GUESS_S = 0.2
_START_S = 15.0
_WEIGHT = 0.1

StoreOutcomes = Callable[[Sequence[tuple[Job, Outcome]]], None]
StoreMaps = Callable[[Sequence[Maps]], None]
GiveUp = Callable[[Sequence[Job]], None]
Work = Callable[[Connection, Connection, ServeOptions], None]


class QueueFull(Exception):
    """As many images wait as may."""


class Desk:
    """Hands jobs to the worker process; thread-safe.

    Parameters
    ----------
    options : ServeOptions
    store : callable
        Stores outcomes; called in the thread of the desk.
    give_up : callable
        Called with the jobs that will have no outcome.
    store_maps : callable
        Stores maps of where the network looked.
    work : callable
        What the worker process does.
    """

    def __init__(
        self,
        options: ServeOptions,
        store: StoreOutcomes,
        give_up: GiveUp,
        store_maps: StoreMaps,
        work: Work = run_worker,
    ) -> None:
        self._work = work
        self._options = options
        self._store = store
        self._give_up = give_up
        self._store_maps = store_maps
        self._maps_due: set[str] = set()
        self._lock = threading.Lock()
        self._pending: dict[str, Job] = {}
        self._last = time.monotonic()
        self._seconds_each = _FIRST_GUESS_S
        self._n_deaths = 0
        self._is_over = False
        self.bundle_id = ""
        self.error = ""
        self._process: Any = None
        self._jobs: Connection | None = None
        self._thread = threading.Thread(target=self._collect, name="desk", daemon=True)

    def start(self) -> None:
        """Start the worker process and the thread that takes its outcomes."""
        self._answers = self._start_worker()
        self._thread.start()

    def stop(self) -> None:
        """End the worker process."""
        self._is_over = True
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand in jobs, all or none.

        Raises
        ------
        QueueFull
            As many wait as may.
        """
        with self._lock:
            self._check_room(len(jobs))
            self._pending.update((job.id, job) for job in jobs)
            self._send(jobs)

    def check_room(self, n: int = 1) -> None:
        """Refuse before anything is received; see `submit`."""
        with self._lock:
            self._check_room(n)

    def _check_room(self, n: int) -> None:
        if len(self._pending) + n > self._options.max_queue:
            raise QueueFull(
                f"{len(self._pending)} images wait already, and {self._options.max_queue} may: try again in "
                f"{_in_words(self.seconds_left())}"
            )

    @property
    def n_waiting(self) -> int:
        """Number of images without an outcome."""
        return len(self._pending)

    @property
    def makes_maps(self) -> bool:
        """True while images that have their scores wait for their maps."""
        return bool(self._maps_due)

    @property
    def is_ready(self) -> bool:
        """True if the network is loaded."""
        return bool(self.bundle_id)

    def seconds_left(self) -> float:
        """Estimate how long what waits will take."""
        return len(self._pending) * self._seconds_each + (0 if self.is_ready else _START_S)

    def _start_worker(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        jobs, self._jobs = context.Pipe(duplex=False)
        answers, for_worker = context.Pipe(duplex=False)
        # Not daemonic: it starts readers of its own. It ends with this process, see `_die_with_parent`.
        self._process = context.Process(
            target=self._work, args=(jobs, for_worker, self._options), name="cxrbatch-scorer"
        )
        self._process.start()
        jobs.close()
        for_worker.close()
        return answers

    def _send(self, jobs: Sequence[Job]) -> None:
        try:
            for job in jobs:
                if self._jobs:
                    self._jobs.send(job)
        except OSError:
            pass  # it died: all that is pending is sent to the next one

    def _collect(self) -> None:
        while not self._is_over:
            try:
                messages = self._receive()
            except Exception:  # it ended, or what it sends cannot be understood
                self._restart()
                continue
            self._take(messages)

    def _receive(self) -> list[Message]:
        """Wait for a message, and for those that come soon after it: they are stored in one transaction."""
        messages = [self._answers.recv()]
        end = time.monotonic() + _GATHER_S
        while len(messages) < _MOST_AT_ONCE and self._answers.poll(max(end - time.monotonic(), 0)):
            messages.append(self._answers.recv())
        return messages

    def _take(self, messages: Sequence[Message]) -> None:
        for notice in (item for item in messages if isinstance(item, Notice)):
            self._note(notice)
        self._take_outcomes(messages)
        self._take_maps([item for item in messages if isinstance(item, Maps)])

    def _take_maps(self, maps: Sequence[Maps]) -> None:
        if not maps:
            return
        try:
            self._store_maps(maps)
        except Exception as error:
            _LOG.error("maps could not be stored (%s)", type(error).__name__)
        self._maps_due.difference_update(item.id for item in maps)

    def _take_outcomes(self, messages: Sequence[Message]) -> None:
        finished = [item for item in messages if isinstance(item, Finished) and item.id in self._pending]
        if not finished:
            return
        self._maps_due.update(item.id for item in finished if item.has_map_due)
        pairs = [(self._pending[item.id], item.outcome) for item in finished]
        try:
            self._store(pairs)
        except Exception as error:  # a full disk: the next ones are tried all the same
            _LOG.error("results could not be stored (%s)", type(error).__name__)
            self._give_up([job for job, _ in pairs])
        with self._lock:
            for item in finished:
                self._pending.pop(item.id, None)
            self._n_deaths = 0
        self._measure(len(finished))

    def _note(self, notice: Notice) -> None:
        if notice.kind == "ready":
            self.bundle_id, self._last = notice.text, time.monotonic()
        elif notice.kind == "failed":
            self.error = notice.text
            _LOG.error("%s", notice.text)

    def _measure(self, n: int) -> None:
        """Follow the time that an image takes while several wait."""
        now = time.monotonic()
        each, self._last = (now - self._last) / n, now
        if self._pending:
            self._seconds_each += _WEIGHT * n / (n + 4) * (min(each, 60.0) - self._seconds_each)

    def _restart(self) -> None:
        if self._is_over:
            return
        self._process.kill()
        self._process.join()
        self._answers.close()
        self._n_deaths += 1
        self.bundle_id = ""
        self._maps_due.clear()
        _LOG.warning("the scoring process ended (%s); it is started again", self._process.exitcode)
        with self._lock:
            given_up = list(self._pending.values()) if self._n_deaths >= _MOST_DEATHS else []
            for job in given_up:
                del self._pending[job.id]
            self._answers = self._start_worker()
            self._send(list(self._pending.values()))
        if given_up:
            self._give_up(given_up)
            time.sleep(min(2.0**self._n_deaths, 60.0))


def _in_words(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 90 else f"{round(seconds / 60)} min"

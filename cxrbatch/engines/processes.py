"""Start reader processes and end them: two pipes in, a process out.

On Linux one process imports what all readers need and forks them: they share its memory, and start at once. It is an
interpreter of its own, since TensorFlow's threads do not survive a fork; multiprocessing's fork server, when killed,
leaves a temporary folder behind. Elsewhere each reader is an interpreter of its own.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, Protocol

from cxrbatch.engines.reader import be_quiet, serve

_NAME = "cxrbatch-reader"
_PATIENCE_S = 60.0
"""A server that does not answer for so long has ended, or was never started."""
_STARTING = threading.Lock()
"""One process at a time is started, so that the right module and environment are put back."""
_N_THREADS = "OPENBLAS_NUM_THREADS"


class Process(Protocol):
    """A reader process."""

    @property
    def pid(self) -> int | None:
        """Process id; None where it was not started."""

    def kill(self) -> None:
        """Kill it at once; does nothing where it has ended."""

    def wait(self) -> int:
        """Wait for its end, and return its exit code; a negative one is the number of a signal."""


class Spawner:
    """Starts each reader as an interpreter of its own."""

    def start(self, files: Connection, results: Connection) -> Process:
        """Start a reader that serves two pipes; see `cxrbatch.engines.reader.serve`."""
        return Spawned(serve, files, results)

    def close(self) -> None:
        """Do nothing: no process but the readers was started."""


class ForkServer:
    """Starts readers by forking a process that has imported what they need; that process is started for the first."""

    def __init__(self) -> None:
        self._server: _Server | None = None

    def start(self, files: Connection, results: Connection) -> Process:
        """Start a reader that serves two pipes; see `cxrbatch.engines.reader.serve`. Does not wait for it."""
        if not self._server or not self._server.is_alive():
            self._server = _Server()
        return self._server.start(files, results)

    def close(self) -> None:
        """End the process that forks; readers stay."""
        if self._server:
            self._server.end()


Launcher = Spawner | ForkServer


def open_launcher() -> Launcher:
    """Choose how readers are started on this system."""
    return ForkServer() if sys.platform == "linux" else Spawner()


class Spawned:
    """A process with an interpreter of its own."""

    def __init__(self, target: Any, *arguments: Any) -> None:
        self._process = multiprocessing.get_context("spawn").Process(
            target=target, args=arguments, name=_NAME, daemon=True
        )
        with _STARTING, _without_main_module(), _without_threads():
            self._process.start()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it at once; does nothing where it has ended."""
        if self._process.is_alive():  # else there is nothing to kill, also while the interpreter ends
            self._process.kill()

    def wait(self) -> int:
        """Wait for its end, and return its exit code; a negative one is the number of a signal."""
        self._process.join()
        return self._process.exitcode or 0

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.is_alive()


class _Server:
    """The process that forks. It answers each request by its number, so that none is mistaken for another."""

    def __init__(self) -> None:
        self._requests, requests = multiprocessing.Pipe()
        self._process = Spawned(_serve_forks, requests)
        requests.close()
        self._lock = threading.Lock()
        self._n_requests = 0
        self._answers: dict[int, int] = {}

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._requests.close()

    def start(self, *pipes: Connection) -> "_Forked":
        with self._lock:
            with contextlib.suppress(OSError):  # it has ended; so have the pipes, as those of a dead reader
                self._send(None)
                for pipe in pipes:
                    send_handle(self._requests, pipe.fileno(), None)
            return _Forked(self, self._n_requests)

    def pid(self, number: int) -> int | None:
        """Return the process id of the reader of a request."""
        with self._lock:
            return self._answer(number)

    def wait(self, pid: int | None) -> int:
        """Wait for a reader; where that is not possible, the exit code is that of the server."""
        with self._lock, contextlib.suppress(OSError):
            answer = None if pid is None else self._answer(self._send(pid))
            if answer is not None:
                return answer
        self._process.kill()
        return self._process.wait()

    def _send(self, request: int | None) -> int:
        self._n_requests += 1
        self._requests.send((self._n_requests, request))
        return self._n_requests

    def _answer(self, number: int) -> int | None:
        """Wait for an answer; None if the server has ended."""
        try:
            while number not in self._answers:
                if not self._requests.poll(_PATIENCE_S):
                    return None
                answered, answer = self._requests.recv()
                self._answers[answered] = answer
        except (OSError, EOFError):
            return None
        return self._answers[number]


class _Forked:
    """A process that a server forked."""

    def __init__(self, server: _Server, number: int) -> None:
        self._server = server
        self._number = number
        self._exit_code: int | None = None

    @property
    def pid(self) -> int | None:
        return self._server.pid(self._number)

    def kill(self) -> None:
        # Until it was waited for, its id belongs to no other process.
        if self._exit_code is None and (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self) -> int:
        if self._exit_code is None:
            self._exit_code = self._server.wait(self.pid)
        return self._exit_code


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep a new process from importing the running script, which it does not need.

    A script without ``if __name__ == "__main__":`` would run again from its beginning and start further processes.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _without_threads() -> Iterator[None]:
    """Keep NumPy of a new process from starting threads, unless the environment states how many.

    There is a reader for each processor, and threads that wait for the next small product use processor time.
    """
    stated = os.environ.get(_N_THREADS)
    os.environ[_N_THREADS] = stated or "1"
    try:
        yield
    finally:
        if stated is None:
            del os.environ[_N_THREADS]


def _serve_forks(requests: Connection) -> None:
    """Start a reader for each request of None, and wait for a reader for each request of its process id."""
    be_quiet()
    gc.collect()
    gc.freeze()  # the collector would write to memory that all readers share
    while True:
        try:
            number, request = requests.recv()
        except EOFError:
            return
        requests.send((number, _fork(requests) if request is None else _end_of(request)))


def _end_of(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _fork(requests: Connection) -> int:
    files, results = recv_handle(requests), recv_handle(requests)
    if pid := os.fork():
        os.close(files)
        os.close(results)
        return pid
    exit_code = 1
    try:
        requests.close()
        serve(Connection(files, writable=False), Connection(results, readable=False))
        exit_code = 0
    finally:
        os._exit(exit_code)

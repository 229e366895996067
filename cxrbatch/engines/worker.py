"""One worker process: the code that runs in it, and the object by which its parent controls it.

A decoder that crashes, hangs or asks for too much memory ends this process and nothing else. Must not import
TensorFlow.
"""

import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import resource
import signal
import sys
import threading
import types
import warnings
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from cxrbatch._lib.crash_output import disable_core_dump
from cxrbatch.prepare import PrepareOptions, prepare, with_header
from cxrbatch.records import Failure, ImageRef, ModelInput

Prepared = ModelInput | Failure
Numbered = tuple[int, ImageRef]
_READY = "ready"
_RESULTS_PIPE_BYTES = 1 << 20
"""Size at which a worker need not wait while its parent is busy; the default, 64 KiB, holds two results."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGEST_IN_HEAP_BYTES = 32 << 20

_STARTING = threading.Lock()

_NICENESS = 5
"""The parent scores for all workers and has priority: else TensorFlow starts late and the network waits."""


class WorkerDied(Exception):
    """The worker process has ended, or its answers cannot be trusted.

    Attributes
    ----------
    exit_code : int
        As in `multiprocessing.Process`: a negative value is the number of a signal. 0: the process was alive, but
        its answer did not belong to the file.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Worker:
    """A worker process, and the files that it was given.

    Parameters
    ----------
    options : PrepareOptions
    memory_bytes : int or None
        Memory that it may take beyond what it needs to start; None: unlimited.

    Attributes
    ----------
    waiting : deque of (int, ImageRef)
        Files without a result; the first of them is being read.
    is_fresh : bool
        True until it has finished a file: only the first file can have ended a fresh worker.
    has_started : bool
        True if it has reported that it is ready.
    """

    def __init__(self, options: PrepareOptions, memory_bytes: int | None) -> None:
        # Not fork: TensorFlow's threads do not survive it. Not forkserver: killed, it leaves a temporary folder.
        context = multiprocessing.get_context("spawn")
        files, self._files = context.Pipe(duplex=False)
        self.results, results = context.Pipe(duplex=False)
        _enlarge(self.results)
        self.waiting: deque[Numbered] = deque()
        self.is_fresh = True
        self.has_started = False
        self._process = context.Process(
            target=_serve, args=(files, results, options, memory_bytes), name="cxrbatch-reader", daemon=True
        )
        with _without_main_module():
            self._process.start()
        files.close()
        results.close()

    def submit(self, file: Numbered, failure: Failure | None = None) -> None:
        """Send a file to the worker, to be read after those before it.

        Parameters
        ----------
        failure : Failure, optional
            Failure of a file that ended its worker: then only its header is read, to find its patient.
        """
        self.waiting.append(file)
        with contextlib.suppress(OSError):  # it died: `receive` raises, `waiting` has the rest
            self._files.send((file[1], failure))

    def receive(self) -> tuple[int, Prepared] | None:
        """Take the next result, or None for the message that the worker is ready; waits for either.

        Returns
        -------
        tuple of (int, ModelInput or Failure), or None
            Number of the file, and its result.

        Raises
        ------
        WorkerDied
            The process has ended, or its answer does not belong to the file.
        """
        try:
            result = self.results.recv()
        except Exception:
            raise WorkerDied(self.end()) from None
        if not self.has_started:
            self.has_started = result == _READY
            return None
        number, ref = self.waiting[0]
        if not isinstance(result, Prepared) or result.name != ref.name:
            self.end()
            raise WorkerDied(0)
        self.waiting.popleft()
        self.is_fresh = False
        return number, result

    def kill(self) -> None:
        """Kill the process at once."""
        if self._process.is_alive():  # else there is nothing to kill, also while the interpreter ends
            self._process.kill()

    def end(self) -> int:
        """End the process and return its exit code; a process that has ended already keeps its own."""
        self.kill()
        self._process.join()
        self._files.close()
        self.results.close()
        return self._process.exitcode or 0


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep a new process from importing the running script, which it does not need.

    A script without ``if __name__ == "__main__":`` would run again from its beginning and start further processes.
    One thread at a time, so that the right module is put back.
    """
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _enlarge(pipe: Connection) -> None:
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or too many pipes
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _RESULTS_PIPE_BYTES)


def _serve(files: Connection, results: Connection, options: PrepareOptions, memory_bytes: int | None) -> None:
    """Prepare files until there are no more."""
    _be_quiet()
    with contextlib.suppress(OSError):  # where that is not allowed, workers and parent compete
        os.nice(_NICENESS)
    retain_freed_memory()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if memory_bytes:
        _limit_memory(memory_bytes)
    results.send(_READY)
    while True:
        try:
            ref, failure = files.recv()
        except EOFError:
            return
        with _time_limit(options.limits.seconds):
            result = with_header(failure, ref, options) if failure else prepare(ref, options)
        results.send(result)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Let the kernel end this process after a time: no decoder can prevent that, even if it hangs."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _be_quiet() -> None:
    """Suppress output and memory dumps of decoders: they would contain patient data."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))
    disable_core_dump()
    if not os.environ.get("CXRBATCH_DEBUG"):
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)


def _die_with_parent() -> None:
    """End this worker when its parent has ended: it would wait for files for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _limit_memory(n_bytes: int) -> None:
    """Limit the memory of this process to what is in use now plus `n_bytes`; Linux only."""
    try:
        n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return
    most = n_pages * resource.getpagesize() + n_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def retain_freed_memory() -> None:
    """Set the C library's allocator to keep memory that was freed after an image (mallopt(3), glibc only).

    By default large arrays are mapped anew each time, and filled with zeros page by page by the kernel. This took a
    third of the time of reading an uncompressed radiograph. The memory kept is bounded: larger arrays are returned.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library: slower, not wrong
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)

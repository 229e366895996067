"""One reader process as its parent sees it: files in, results out, and how it ended."""

import contextlib
import fcntl
import multiprocessing
from collections import deque
from multiprocessing.connection import Connection

from cxrbatch.engines.processes import Launcher
from cxrbatch.engines.reader import READY
from cxrbatch.prepare import PrepareOptions
from cxrbatch.records import Failure, ImageRef, ModelInput

Prepared = ModelInput | Failure
Numbered = tuple[int, ImageRef]
_RESULTS_PIPE_BYTES = 1 << 20
"""Size at which a worker need not wait while its parent is busy; the default, 64 KiB, holds two results."""


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
    launcher : Launcher
        Starts the process.
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

    def __init__(self, launcher: Launcher, options: PrepareOptions, memory_bytes: int | None) -> None:
        files, self._files = multiprocessing.Pipe(duplex=False)
        self.results, results = multiprocessing.Pipe(duplex=False)
        _enlarge(self.results)
        self.waiting: deque[Numbered] = deque()
        self.is_fresh = True
        self.has_started = False
        self._process = launcher.start(files, results)
        files.close()
        results.close()
        with contextlib.suppress(OSError):  # it died: `receive` raises
            self._files.send((options, memory_bytes))

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
            self.has_started = result == READY
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
        self._process.kill()

    def end(self) -> int:
        """End the process and return its exit code; a process that has ended already keeps its own."""
        self._process.kill()
        exit_code = self._process.wait()
        self._files.close()
        self.results.close()
        return exit_code


def _enlarge(pipe: Connection) -> None:
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or too many pipes
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _RESULTS_PIPE_BYTES)

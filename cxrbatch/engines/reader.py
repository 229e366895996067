"""What runs in a reader process: file references in, prepared images out, until there are no more.

A decoder that crashes, hangs or asks for too much memory ends this process and nothing else. Must not import
TensorFlow.
"""

import contextlib
import ctypes
import os
import resource
import signal
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from cxrbatch._lib.crash_output import disable_core_dump
from cxrbatch._lib.parent import die_with_parent
from cxrbatch.objects import start_client
from cxrbatch.prepare import PrepareOptions, prepare, with_header

READY = "ready"
"""First message of a reader."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGEST_IN_HEAP_BYTES = 32 << 20

_CLIENT_BYTES = 512 << 20
"""Addresses that the threads of the store's client reserve and do not use: 216 MiB were measured."""
_NICENESS = 5
"""The parent scores for all readers and has priority: else TensorFlow starts late and the network waits."""


def serve(files: Connection, results: Connection) -> None:
    """Prepare files until there are no more.

    Parameters
    ----------
    files : Connection
        The first message is a `PrepareOptions`, and the memory that may be taken beyond what is in use, or None; each
        other one an `ImageRef`, and None or the failure of a file of which only the header is to be read.
    results : Connection
        `READY`; then a `ModelInput` or `Failure` for each file.
    """
    be_quiet()
    with contextlib.suppress(OSError):  # where that is not allowed, workers and parent compete
        os.nice(_NICENESS)
    retain_freed_memory()
    options: PrepareOptions
    options, memory_bytes = files.recv()
    die_with_parent()
    if options.from_store:
        start_client()
    if memory_bytes:
        _limit_memory(memory_bytes + options.from_store * _CLIENT_BYTES)
    results.send(READY)
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


def be_quiet() -> None:
    """Suppress output and memory dumps of decoders: they would contain patient data."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))
    disable_core_dump()
    if not os.environ.get("CXRBATCH_DEBUG"):
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)


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

"""The process that scores uploads: jobs in, outcomes out. It holds the network and the readers, and no Django.

Images of different uploads share the batches of the network. A reader that dies costs its file (`cxrbatch.engines`);
maps of where the network looked are made once no file comes (`cxrbatch.web.maps`). This process itself is started
again by `cxrbatch.web.desk.Desk`.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from cxrbatch._lib.crash_output import suppress_library_output
from cxrbatch._lib.parent import die_with_parent
from cxrbatch.bundle import load_bundle
from cxrbatch.discover import classify
from cxrbatch.engines import Engine, open_resident_engine
from cxrbatch.errors import CxrbatchError
from cxrbatch.records import Failure, ImageRef, Outcome
from cxrbatch.screening import screen
from cxrbatch.terms import load_header_words
from cxrbatch.web.maps import MapMaker, Maps
from cxrbatch.web.options import ServeOptions

_SHOWN_PX = 512
"""Long side at most of the image beside a result; it is the network's input, which is smaller with most bundles."""
_BATCH_SIZE = 8
"""Few images arrive at a time, and a batch that is not full takes as long as a full one; the scores are the same."""


_QUIET_S = 1.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be scored: the number of its image, its place in the spool, its name as uploaded."""

    id: str
    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a job; `has_map_due` if a `Maps` will follow."""

    id: str
    outcome: Outcome
    has_map_due: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """What the process says of itself: ``ready``, ``screened``, or an error that ends it."""

    kind: str
    text: str = ""


Message = Finished | Maps | Notice
_Jobs = queue.SimpleQueue[Job]


class Answers:
    """The way back to the parent; several threads send, and a message must not begin within another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message whole."""
        with self._lock:
            self._connection.send(message)


def run_worker(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    """Score jobs until the process is ended; the target of a new process."""
    suppress_library_output()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    waiting: _Jobs = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs, waiting), daemon=True).start()
    to_parent = Answers(answers)
    try:
        _work(waiting, to_parent, options)
    except CxrbatchError as error:
        to_parent.send(Notice("failed", str(error)))


def _receive(jobs: Connection, waiting: _Jobs) -> None:
    """Take jobs from the pipe at once, so that the parent never waits while the network starts."""
    try:
        while True:
            waiting.put(jobs.recv())
    except (EOFError, OSError):
        os._exit(1)


def _work(waiting: _Jobs, answers: Answers, options: ServeOptions) -> None:
    if options.demo and not options.state.exists():
        _screen_demo(options, options.demo)
        answers.send(Notice("screened"))
    bundle = load_bundle(options.bundle)
    words = load_header_words(options.header_words)
    how = replace(options.engine, batch_size=options.engine.batch_size or _BATCH_SIZE)
    maps = MapMaker(lambda: engine.network)
    with open_resident_engine(
        bundle, how, header_words=words, thumbnail_px=_SHOWN_PX, on_input=maps.keep
    ) as engine:
        answers.send(Notice("ready", engine.provenance.bundle_id))
        is_quiet = False
        while True:
            if maps.is_full or (maps.has_work and _stays_empty(waiting, 0 if is_quiet else _QUIET_S)):
                for made in maps.make_some():
                    answers.send(made)
                is_quiet = True
            else:
                _score_burst(engine, waiting, answers, maps)
                is_quiet = False


def _stays_empty(waiting: _Jobs, seconds: float) -> bool:
    """Check whether no job comes for a while: whoever uploads sends more files, and maps would slow them down."""
    end = time.monotonic() + seconds
    while waiting.empty() and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_S)
    return waiting.empty()


def _screen_demo(options: ServeOptions, folder: Path) -> None:
    tqdm.set_lock(threading.RLock())  # its own is shared between processes, and outlives this one
    screen(
        folder,
        out=options.folder / "report.csv",
        bundle=options.bundle,
        engine=options.engine,
        header_words=options.header_words,
        state=options.state,
        capacity=options.capacity,
    )


def _score_burst(engine: Engine, waiting: _Jobs, answers: Answers, maps: MapMaker) -> None:
    """Score jobs, those that arrive meanwhile too, until none is waiting; results then need no full batch."""
    id_of: dict[Path, str] = {}

    def refs() -> Iterator[ImageRef]:
        for job in _until_empty(waiting, maps):
            found = classify(job.path, job.name)
            if isinstance(found, Failure):
                answers.send(Finished(job.id, found))
            else:
                id_of[job.path] = job.id
                yield found

    for ref, outcome in engine.run(refs()):
        number = id_of.pop(ref.path)
        answers.send(Finished(number, outcome, maps.is_due(ref, number)))


def _until_empty(waiting: _Jobs, maps: MapMaker) -> Iterator[Job]:
    yield waiting.get()
    while not maps.is_full:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return

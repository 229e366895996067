"""Worker processes for the tests of the desk: they answer, die, or send what cannot be understood."""

import os
import time
from multiprocessing.connection import Connection

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure
from cxrbatch.web.maps import Maps
from cxrbatch.web.options import ServeOptions
from cxrbatch.web.worker import Finished, Notice


def dutiful(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    answers.send(Notice("ready", "bundle"))
    while True:
        job = jobs.recv()
        answers.send(Finished(job.id, Failure(name=job.name, reason=Reason.TOO_SMALL)))


def in_a_row(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    """Answer each job a moment after the one before, as a network does."""
    while True:
        job = jobs.recv()
        time.sleep(0.01)
        answers.send(Finished(job.id, Failure(name=job.name, reason=Reason.TOO_SMALL)))


def makes_maps(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    """Answer two jobs, make the map of the first and die before that of the second."""
    numbers = [jobs.recv().id for _ in range(2)]
    for number in numbers:
        answers.send(Finished(number, Failure(name="x", reason=Reason.TOO_SMALL), True))
    answers.send(Maps(numbers[0]))
    jobs.recv()
    os._exit(1)


def deadly(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    jobs.recv()
    os._exit(1)


def dies_once(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    mark = options.folder / "died"
    if not mark.exists():
        jobs.recv()
        mark.touch()
        os._exit(1)
    dutiful(jobs, answers, options)


def babbles_once(jobs: Connection, answers: Connection, options: ServeOptions) -> None:
    mark = options.folder / "babbled"
    if not mark.exists():
        mark.touch()
        answers.send_bytes(b"no message")
        jobs.recv()
    dutiful(jobs, answers, options)

"""Tasks and actors of a Ray cluster that go wrong. Ray imports this module in its own processes."""

import os
import signal
import time
from typing import Any

from cxrbatch.engines.ray_node import Job, read_block
from cxrbatch.records import ImageRef


def dying_of_03(job: Any, block: tuple[ImageRef, ...]) -> Any:
    """Read a block, in a process that one of the files ends."""
    if any(ref.name == "03.png" for ref in block):
        os.kill(os.getpid(), signal.SIGKILL)
    return read_block(job, block)


def sleep_long(*_: Any) -> Any:
    """Take a processor, and return nothing."""
    time.sleep(600)


class SleepingScorer:
    """Actor whose network never starts."""

    def __init__(self, job: Job) -> None:
        pass

    def start(self) -> None:
        """Sleep."""
        sleep_long()


class DyingScorer(SleepingScorer):
    """Actor whose process ends while the network starts."""

    def start(self) -> None:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)

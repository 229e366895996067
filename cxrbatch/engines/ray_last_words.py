"""State why a run ended that Ray itself has ended.

When the node through which a program uses a cluster is lost, Ray ends the process of the program within a call,
so that neither ``except`` nor ``finally`` is executed. A process beside it writes the sentence in its place.
"""

import multiprocessing
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from cxrbatch.engines.processes import Spawned

_ANSWER_S = 5.0

Address = tuple[str, int]
"""Host and port."""


def answers(address: Address) -> bool:
    """Check whether something accepts connections at an address; nothing is sent there.

    Waits at most 5 s.
    """
    with suppress(OSError):
        socket.create_connection(address, timeout=_ANSWER_S).close()
        return True
    return False


@contextmanager
def last_words(sentence: str, nodes: Sequence[Address]) -> Iterator[None]:
    """Write a sentence to stderr if this process ends within the block while one of the nodes is lost.

    Nothing is written where the block is left, by whatever way, or where the process ends and all nodes answer, as
    when it is killed.

    Parameters
    ----------
    sentence : str
    nodes : sequence of (str, int)
        Host and port of each.
    """
    process = Spawned(_wait_and_write, sentence, tuple(nodes))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_and_write(sentence: str, nodes: Sequence[Address]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    if parent := multiprocessing.parent_process():
        parent.join()
    if not all(map(answers, nodes)):
        print(f"Error: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - as the command would have

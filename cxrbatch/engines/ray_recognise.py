"""Recognise files on the nodes of a Ray cluster: files found in, references to images or refusals out.

To open a file and read its first bytes takes longer than to list it, above all over a network.
"""

import platform
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cxrbatch.discover import classify_all
from cxrbatch.engines.engine import Recognised
from cxrbatch.engines.ray_cluster import LOST, check_share, nodes_with_processors
from cxrbatch.engines.ray_node import is_missing
from cxrbatch.errors import WorkersFailed
from cxrbatch.records import Failure, FoundFile, ImageRef

_BLOCK = 512
_BLOCKS_AHEAD = 2
"""Blocks in flight for each processor."""
_MOST_BLOCKS = 32
"""Blocks in flight at most: so many processors keep up with the listing, and this process holds their files."""
_RETRIES = 3
_WAIT_S = 15.0
_SILENT_S = 120.0
"""Time after which a block that does not come back is recognised by this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecognised:
    """What a node has recognised.

    Attributes
    ----------
    node : str
        Name of the host.
    items : list of ImageRef or Failure
        One for each file, in their order.
    missing : tuple of int
        Positions of files that are not there, as this node sees it.
    """

    node: str
    items: list[ImageRef | Failure]
    missing: tuple[int, ...]


def recognise_block(files: Sequence[FoundFile]) -> BlockRecognised:
    """Recognise files; runs on a node."""
    items = [item for _, item in classify_all(files)]
    missing = tuple(
        n
        for n, (file, item) in enumerate(zip(files, items, strict=True))
        if not file.failure and is_missing(file, item)
    )
    return BlockRecognised(node=platform.node(), items=items, missing=missing)


def recognise(ray: Any, files: Iterable[FoundFile]) -> Iterator[Recognised]:
    """Recognise files on all nodes, a bounded number ahead; what is less than a block, and what is lost, here.

    Yields
    ------
    FoundFile
        The files in their order.
    ImageRef or Failure
        What each is.

    Raises
    ------
    WorkersFailed
        A node does not see files that this machine sees, or the first node is lost.
    """
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(recognise_block).options(scheduling_strategy="SPREAD")
    remaining = iter(files)
    waiting: deque[tuple[list[FoundFile], Any]] = deque()
    while True:
        n_ahead = _blocks_ahead(ray)  # it asks the cluster
        while len(waiting) < n_ahead and (block := list(islice(remaining, _BLOCK))):
            waiting.append((block, task.remote(block) if len(block) == _BLOCK else None))
        if not waiting:
            return
        block, reference = waiting.popleft()
        answer = _answer(ray, reference) if reference else None
        if answer is None:
            yield from classify_all(block)
        else:
            check_share(answer.node, (block[number].path for number in answer.missing))
            yield from zip(block, answer.items, strict=True)


def _blocks_ahead(ray: Any) -> int:
    n_processors = sum(int(node["Resources"]["CPU"]) for node in nodes_with_processors(ray))
    return min(max(_BLOCKS_AHEAD * n_processors, 1), _MOST_BLOCKS)


def _answer(ray: Any, reference: Any) -> BlockRecognised | None:
    """Wait for a block; None where it is lost, or does not come in time."""
    until = time.monotonic() + _SILENT_S
    while time.monotonic() < until:
        ready, _ = ray.wait([reference], timeout=_WAIT_S)
        if ready:
            try:
                answer: BlockRecognised = ray.get(reference)
            except ray.exceptions.RayError:
                return None
            return answer
        if not nodes_with_processors(ray):
            raise WorkersFailed(LOST)
    ray.cancel(reference, force=True)
    return None

"""Engine of many machines: image references in, outcomes out, on a Ray cluster.

Files are read in blocks by tasks, one for each processor; an actor on each node, or for each GPU, scores the blocks.
Pixels go from node to node; this process sees outcomes only.
"""

import logging
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from cxrbatch._lib.text import plural
from cxrbatch.bundle import Bundle
from cxrbatch.discover import walk
from cxrbatch.engines.engine import Recognised, Result
from cxrbatch.engines.local import LocalEngine, prepared_bytes
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import MOST_WAITING, default_workers
from cxrbatch.engines.ray_cluster import LOST, check_nodes, check_share, connected, nodes_with_processors
from cxrbatch.engines.ray_node import BlockRead, Job, expected_of, read_block
from cxrbatch.engines.ray_recognise import recognise
from cxrbatch.engines.ray_scorers import PlacedScorer, Scorers
from cxrbatch.errors import CxrbatchError, WorkersFailed
from cxrbatch.limits import share_memory
from cxrbatch.prepare import PrepareOptions
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FoundFile, ImageRef, Outcome, Place, Provenance

_LOG = logging.getLogger(__name__)

_BLOCK = 64
"""Files in a block: two batches of TensorFlow on a CPU, one on a GPU."""
_BLOCK_S = 60.0
"""No further file of a block is begun after this time, so that silence means that nothing is being read."""
_BLOCKS_AHEAD = 2
"""Blocks in flight for each processor and each actor: one in work and one waiting."""
_OBJECT_STORE_SHARE = 0.5
_READ_RETRIES = 3
_MOST_LOSSES = 3
"""How often a block may be lost after it was read."""
_WAIT_S = 15.0
_START_S = 300.0
"""Time within which every node has to give a processor, and a network to start."""
_SILENT_S = 600.0
"""Silence after which a run ends, beyond the time that the last files of a block may take."""


@dataclass(slots=True, eq=False)
class _Block:
    """Files that are read and scored together, and where they are."""

    refs: tuple[ImageRef, ...]
    prepared: Any = None
    scorer: PlacedScorer | None = None
    actor: Any = None
    n_lost: int = 0


class RayEngine:
    """Engine that reads and scores on the nodes of a Ray cluster; see `cxrbatch.engines.Engine`.

    Parameters
    ----------
    bundle : Bundle
    prepare : PrepareOptions
    options : EngineOptions
    """

    def __init__(self, bundle: Bundle, prepare: PrepareOptions, options: EngineOptions) -> None:
        self._options = options
        self._job = _job(bundle, prepare, options)
        self._here = LocalEngine(bundle, prepare, self._job.options)
        self._stack = ExitStack()
        self._flying: dict[Any, _Block] = {}
        self._unscored: deque[_Block] = deque()
        self._again: deque[_Block] = deque()
        self._read_by: dict[str, tuple[int, float]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._options))
            check_nodes(self._ray, self._job.expected, _START_S)
            self._job_ref = self._ray.put(self._job)
            self._scorers = Scorers(self._ray, self._job, self._get, _START_S)
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        for node, (n_files, seconds) in sorted(self._read_by.items()):
            _LOG.debug("node %s read %s in %.1f s", node, plural(n_files, "file"), seconds)

    def discover(self, folder: Place) -> Iterator[FoundFile]:
        """List the files in a folder and below it; see `cxrbatch.discover.walk`."""
        return walk(folder)

    def recognise(self, files: Iterable[FoundFile]) -> Iterator[Recognised]:
        """Recognise files on the nodes; see `cxrbatch.engines.Engine.recognise`."""
        return recognise(self._ray, files)

    @property
    def network(self) -> Any:
        """What explains scores on this machine, for the first patients of the list."""
        return self._here.network

    @property
    def provenance(self) -> Provenance:
        """Provenance of the scores, the same on all nodes; waits until a network has started."""
        return self._scorers.provenance()

    def run(self, refs: Iterable[ImageRef]) -> Iterator[Result]:
        """Read, check, preprocess and score images; see `cxrbatch.engines.Engine.run`."""
        remaining = iter(refs)
        while self._submit(remaining):
            reference = self._next_ready()
            if reference in self._scorers.starting:
                self._scorers.take(reference)
                continue
            block = self._flying.pop(reference)
            if block.scorer is None:
                yield from self._after_reading(reference, block)
            else:
                yield from self._after_scoring(reference, block, block.scorer)

    def _submit(self, remaining: Iterator[ImageRef]) -> bool:
        """Submit blocks while more may be in flight; False when none is left."""
        while self._unscored and (scorer := self._scorers.freest()):
            self._score(self._unscored.popleft(), scorer)
        most = self._most_in_flight()  # it asks the cluster
        while len(self._flying) + len(self._unscored) < most:
            block = self._again.popleft() if self._again else _Block(tuple(islice(remaining, _BLOCK)))
            if not block.refs:
                break
            self._read(block)
        return bool(self._flying or self._unscored)

    def _most_in_flight(self) -> int:
        """Compute how many blocks may be in flight: enough for all processors, few enough for the object stores."""
        nodes = nodes_with_processors(self._ray)
        n_processors = sum(int(node["Resources"]["CPU"]) for node in nodes)
        stores = [node["Resources"].get("object_store_memory", 0) for node in nodes]
        room_bytes = _OBJECT_STORE_SHARE * len(stores) * min(stores, default=0)
        n_fit = int(room_bytes // (_BLOCK * prepared_bytes(self._job.prepare.spec)))
        return max(min(_BLOCKS_AHEAD * (n_processors + len(self._scorers)), n_fit), 1)

    def _read(self, block: _Block) -> None:
        read = self._ray.remote(read_block).options(
            num_cpus=1, num_returns=2, max_retries=_READ_RETRIES, scheduling_strategy="SPREAD"
        )
        what_is_known, block.prepared = read.remote(self._job_ref, block.refs)
        self._flying[what_is_known] = block

    def _score(self, block: _Block, scorer: PlacedScorer) -> None:
        block.scorer, block.actor = scorer, scorer.actor
        scorer.n_blocks += 1
        self._flying[scorer.actor.score.remote(block.prepared)] = block

    def _next_ready(self) -> Any:
        """Wait for a block or an actor.

        Raises
        ------
        WorkersFailed
            No actor is ready in time, or nothing has come back for longer than the files of a block can take.
        """
        silent_s = _SILENT_S + MOST_WAITING * self._job.prepare.limits.seconds
        until = time.monotonic() + silent_s
        while time.monotonic() < until:
            self._scorers.check_start()
            references = [*self._flying, *self._scorers.starting]
            ready, _ = self._ray.wait(references, num_returns=1, timeout=_WAIT_S, fetch_local=False)
            if ready:
                return ready[0]
            if not nodes_with_processors(self._ray):
                raise WorkersFailed(LOST)
        raise WorkersFailed(
            f"the Ray cluster has sent nothing for {silent_s / 60:.0f} min; perhaps other programs have taken its "
            "processors, or a node hangs. What was scored is remembered: run again"
        )

    def _after_reading(self, reference: Any, block: _Block) -> Iterator[Result]:
        """Keep a block that was read for an actor; if its files end their processes, find out which of them."""
        try:
            known: BlockRead = self._get(reference)
        except self._ray.exceptions.RayError:
            yield from self._isolate(block)
            return
        n_files, seconds = self._read_by.get(known.node, (0, 0.0))
        self._read_by[known.node] = n_files + known.n_files, seconds + known.seconds
        check_share(known.node, (block.refs[number].path for number in known.missing))
        self._unscored.append(block)

    def _after_scoring(self, reference: Any, block: _Block, scorer: PlacedScorer) -> Iterator[Result]:
        block.scorer = None
        try:
            outcomes: list[Outcome] = self._get(reference)
        except self._ray.exceptions.RayActorError:
            self._scorers.replace(scorer, block.actor)
            self._lost(block, "the process that scored it ended", self._unscored)
        except self._ray.exceptions.RayError as error:
            self._lost(block, type(error).__name__, self._again)
        else:
            yield from zip(block.refs, outcomes, strict=False)
            self._read_later(block.refs[len(outcomes) :])
        if scorer.actor is block.actor:
            scorer.n_blocks -= 1

    def _read_later(self, refs: tuple[ImageRef, ...]) -> None:
        """Read the files of a block for which there was no time."""
        if refs:
            self._again.append(_Block(refs))

    def _isolate(self, block: _Block) -> Iterator[Result]:
        """Read the files of a block one by one; refuse one that has ended every process that read it."""
        if len(block.refs) > 1:
            self._again.extend(_Block((ref,)) for ref in block.refs)
            return
        (ref,) = block.refs
        header = self._job.prepare.patients.unread_header(ref.name, ref.kind)
        detail = f"{_READ_RETRIES + 1} processes that read it were killed, as happens for want of memory"
        yield ref, Failure(name=ref.name, reason=Reason.TOO_LARGE, detail=detail, header=header)

    def _lost(self, block: _Block, how: str, queue: deque[_Block]) -> None:
        block.n_lost += 1
        if block.n_lost > _MOST_LOSSES:
            raise WorkersFailed(
                f"a block of files was lost {block.n_lost} times ({how}); run cxrbatch doctor there"
            )
        queue.append(block)

    def _get(self, reference: Any) -> Any:
        """Return a result; an error of this package is raised as it was on the node."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, (CxrbatchError, self._ray.exceptions.RayError)):
                raise error.cause from None
            raise WorkersFailed(f"a task on the cluster failed ({type(error.cause).__name__})") from error

    def _stop(self) -> None:
        self._scorers.stop()
        for reference, block in self._flying.items():
            if block.scorer is None:
                self._ray.cancel(reference, force=True)
        self._flying.clear()
        self._unscored.clear()
        self._again.clear()


def _job(bundle: Bundle, prepare: PrepareOptions, options: EngineOptions) -> Job:
    _, reader_bytes = share_memory(options.n_workers or default_workers(), options.max_memory_bytes)
    return Job(
        id=uuid.uuid4().hex,
        expected=expected_of(bundle, from_store=prepare.from_store),
        prepare=prepare,
        options=options.on_this_machine(),  # a node starts no cluster
        reader_bytes=reader_bytes,
        block_s=_BLOCK_S,
    )

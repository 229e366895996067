"""Actors that score blocks of a run on Ray, one on each node or for each GPU: a job in, actors that are ready out.

A block is given to an actor only after that has said how it computes: all compute alike, or the run ends.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cxrbatch.engines.ray_cluster import nodes_with_processors, on_node
from cxrbatch.engines.ray_node import Job, Scorer
from cxrbatch.errors import WorkersFailed
from cxrbatch.infer import Device
from cxrbatch.records import Provenance

_LOG = logging.getLogger(__name__)

_MOST_ENDED = 3
"""How often the process of an actor may end before it is ready."""


@dataclass(slots=True, eq=False)
class PlacedScorer:
    """An actor, the node that it was meant for, and how many blocks it has."""

    node_id: str
    host: str
    actor: Any = None
    n_blocks: int = 0
    n_ended: int = 0
    is_ready: bool = False


class Scorers:
    """The actors of a run.

    Parameters
    ----------
    ray : module
    job : Job
    get : callable
        Returns the result of a reference; raises what went wrong on the node.
    start_s : float
        Time within which one of them has to be ready.

    Attributes
    ----------
    starting : dict of ObjectRef to PlacedScorer
        Actors that are not ready yet, by the reference to what they will say: `take` it.
    """

    def __init__(self, ray: Any, job: Job, get: Callable[[Any], Any], start_s: float) -> None:
        self._ray = ray
        self._job = job
        self._get = get
        self._start_s = start_s
        self._deadline: float | None = time.monotonic() + start_s
        self._stated: Provenance | None = None
        self.starting: dict[Any, PlacedScorer] = {}
        nodes = nodes_with_processors(ray)
        n_gpus = {node["NodeID"]: int(node["Resources"].get("GPU", 0)) for node in nodes}
        self._on_gpu = job.options.device is not Device.CPU and any(n_gpus.values())
        self._placed = [
            PlacedScorer(node["NodeID"], node["NodeManagerHostname"])
            for node in nodes
            for _ in range(n_gpus[node["NodeID"]] if self._on_gpu else 1)
        ]
        for scorer in self._placed:
            self._start(scorer)

    def __len__(self) -> int:
        return len(self._placed)

    def freest(self) -> PlacedScorer | None:
        """Choose the actor with the fewest blocks; None while none is ready."""
        ready = [scorer for scorer in self._placed if scorer.is_ready]
        return min(ready, key=lambda scorer: scorer.n_blocks, default=None)

    def take(self, reference: Any) -> None:
        """Take what an actor says when it is ready.

        Raises
        ------
        WorkersFailed
            It would score differently from the others, or its node is not as expected.
        """
        scorer = self.starting.pop(reference)
        try:
            stated: Provenance = self._get(reference)
        except self._ray.exceptions.RayError as error:
            self._start_again(scorer, error)
            return
        first = self._stated = self._stated or stated
        if stated != first:
            raise WorkersFailed(
                f"the nodes would score differently: {_arithmetic(first)}, and {_arithmetic(stated)}; "
                "choose with --runtime, --device, --precision and --batch-size"
            )
        scorer.is_ready, scorer.n_ended = True, 0

    def provenance(self) -> Provenance:
        """Return what the actors have said; waits until one has.

        Raises
        ------
        WorkersFailed
            None is ready in time.
        """
        while self._stated is None:
            ready, _ = self._ray.wait(list(self.starting), num_returns=1, timeout=1)
            for reference in ready:
                self.take(reference)
            self.check_start()
        return self._stated

    def check_start(self) -> None:
        """End a run for which no actor is ready in time; say which are not where others are.

        Raises
        ------
        WorkersFailed
        """
        if self._deadline is None or time.monotonic() < self._deadline:
            return
        self._deadline = None
        if not self.starting:
            return
        late = ", ".join(sorted({scorer.host for scorer in self.starting.values()}))
        place = "no GPU is free" if self._on_gpu else "the machine is overloaded"
        sentence = (
            f"node {late}: the network has not started within {self._start_s:.0f} s; perhaps {place} there"
        )
        if self._stated is None:
            raise WorkersFailed(f"{sentence}. Nothing is lost: run again")
        _LOG.warning("%s. The run goes on without it", sentence)

    def replace(self, scorer: PlacedScorer, actor: Any) -> None:
        """Start another actor where this one has ended for good, unless that was done already."""
        if scorer.actor is actor:
            scorer.n_blocks, scorer.is_ready = 0, False
            self._start(scorer)

    def stop(self) -> None:
        """End all actors."""
        for scorer in self._placed:
            self._ray.kill(scorer.actor)
        self._placed.clear()
        self.starting.clear()

    def _start_again(self, scorer: PlacedScorer, error: Exception) -> None:
        scorer.n_ended += 1
        if scorer.n_ended > _MOST_ENDED:
            raise WorkersFailed(
                f"node {scorer.host}: the network did not start in {scorer.n_ended} processes "
                f"({type(error).__name__}); run cxrbatch doctor there"
            ) from error
        self._start(scorer)

    def _start(self, scorer: PlacedScorer) -> None:
        # No processor is reserved: actors on every processor would leave none to read.
        placed = self._ray.remote(Scorer).options(
            num_cpus=0,
            num_gpus=int(self._on_gpu),
            max_restarts=0,  # who is started again says again how it computes
            scheduling_strategy=on_node(scorer.node_id, soft=True),
        )
        scorer.actor = placed.remote(self._job)
        self.starting[scorer.actor.start.remote()] = scorer


def _arithmetic(stated: Provenance) -> str:
    return f"{stated.runtime} on {stated.device} in {stated.precision}, batches of {stated.batch_size}"

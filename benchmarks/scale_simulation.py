"""A run on a cluster, block by block: a discrete-event simulation against which `scale_model.py` is checked.

Stages are queues with one server or several: the share's link, the links of the hosts, their processors (which read
and score), the process of the command. As in the engine, no more blocks are on their way than two for each processor
and each network, so that no queue grows. A block is 64 files whose formats are drawn; the model knows only means.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from benchmarks.scale_model import Cluster, Costs, bottleneck, duration_s

BLOCK = 64
_BLOCKS_AHEAD = 2
_MB_S = 1e3 / 8
"""Of a link with one Gbit/s."""


@dataclass(slots=True)
class _Stage:
    """Servers, of which each has one block at a time; who comes first is served first."""

    n_free: int
    waiting: deque[int]


def simulate(n_images: int, costs: Costs, cluster: Cluster, seed: int = 0) -> float:
    """Return the seconds until the last outcome is stored.

    Parameters
    ----------
    n_images : int
        In whole blocks; what is left over is not simulated.
    """
    chance = random.Random(seed)  # noqa: S311 - not a secret
    n_blocks = n_images // BLOCK
    spent = [_block_s(costs, cluster, chance) for _ in range(n_blocks)]
    servers = (1, cluster.n_hosts, cluster.n_hosts * cluster.n_processors, cluster.n_runs)
    stages = [_Stage(n, deque()) for n in servers]
    n_ahead = _BLOCKS_AHEAD * cluster.n_hosts * (cluster.n_processors + 1) * cluster.n_runs
    to_begin, order = iter(range(n_blocks)), count()
    ends: list[tuple[float, int, int, int]] = []
    now = 0.0

    def enter(block: int, stage: int) -> None:
        stages[stage].waiting.append(block)
        serve(stage)

    def serve(stage: int) -> None:
        here = stages[stage]
        while here.n_free and here.waiting:
            block = here.waiting.popleft()
            here.n_free -= 1
            heapq.heappush(ends, (now + spent[block][stage], next(order), block, stage))

    for _, block in zip(range(n_ahead), to_begin, strict=False):
        enter(block, 0)
    while ends:
        now, _, block, stage = heapq.heappop(ends)
        stages[stage].n_free += 1
        serve(stage)
        if stage + 1 < len(stages):
            enter(block, stage + 1)
        elif (following := next(to_begin, None)) is not None:
            enter(following, 0)
    return costs.start_s + n_images / cluster.n_runs * costs.listing_ms / 1e3 + now


def _block_s(costs: Costs, cluster: Cluster, chance: random.Random) -> tuple[float, ...]:
    """Draw the files of a block; returns the seconds that it takes at each stage."""
    shares = [group.share for group in costs.groups.values()]
    files = chance.choices([*costs.groups.values()], shares, k=BLOCK)
    n_mb = sum(file.file_mb for file in files)
    read_ms = sum(file.read_ms for file in files)
    after_ms = BLOCK * (costs.network_ms + costs.n_copies * costs.copy_ms)
    return (
        n_mb / (cluster.share_gbit * _MB_S),
        (n_mb + BLOCK * costs.prepared_mb) / (cluster.host_gbit * _MB_S),
        (read_ms + after_ms) / 1e3,
        BLOCK * costs.command_ms / 1e3,
    )


def compare(n_images: int, costs: Costs, host: Cluster) -> Iterator[str]:
    """Compare model and simulation on one to four hosts, in rows of a table."""
    n_images -= n_images % BLOCK
    yield "\n| hosts | model, s | simulation, s | apart | bottleneck |\n|---:|---:|---:|---:|---|"
    for n_hosts in (1, 2, 4):
        cluster = replace(host, n_hosts=n_hosts)
        model, simulated = duration_s(n_images, costs, cluster), simulate(n_images, costs, cluster)
        apart = f"{simulated / model - 1:+.1%}"
        yield f"| {n_hosts} | {model:.0f} | {simulated:.0f} | {apart} | {bottleneck(costs, cluster)} |"

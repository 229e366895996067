"""A run on a cluster that cannot get what it needs says so in a stated time; object stores keep room."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxrbatch import load_bundle
from cxrbatch.engines import EngineOptions, open_engine, ray, ray_cluster, ray_scorers
from cxrbatch.engines.local import prepared_bytes
from cxrbatch.errors import WorkersFailed
from cxrbatch.infer import Device
from cxrbatch.limits import Limits
from cxrbatch.records import ImageRef
from tests.factories.ray_faults import DyingScorer, SleepingScorer, sleep_long

needs_ray = pytest.mark.ray


@pytest.fixture
def engine(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> ray.RayEngine:
    monkeypatch.setattr(ray, "_WAIT_S", 0.2)
    options = EngineOptions(
        name="ray", device=Device.CPU, n_workers=2, batch_size=8, limits=Limits(seconds=0.1)
    )
    made = open_engine(load_bundle(tiny_bundle), options)
    assert isinstance(made, ray.RayEngine)
    return made


@pytest.fixture
def taken_processors(running_ray: Any) -> Iterator[None]:
    tasks = [running_ray.remote(num_cpus=1, max_retries=0)(sleep_long).remote() for _ in range(2)]
    yield
    for task in tasks:
        running_ray.cancel(task, force=True)


@needs_ray
def test_a_node_whose_processors_others_have_taken(
    taken_processors: None, engine: ray.RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "_START_S", 3.0)
    with pytest.raises(WorkersFailed, match="gave no processor within 3 s"), engine:
        pass


@needs_ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize(
    ("scorer", "start_s", "sentence"),
    [
        (SleepingScorer, 1.0, "has not started within 1 s"),
        (DyingScorer, 300.0, "did not start in 4 processes"),
    ],
)
def test_a_network_that_does_not_start(
    scorer: type,
    start_s: float,
    sentence: str,
    engine: ray.RayEngine,
    refs: list[ImageRef],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_scorers, "Scorer", scorer)
    monkeypatch.setattr(ray, "check_nodes", lambda *_: None)
    monkeypatch.setattr(ray, "_START_S", start_s)
    with pytest.raises(WorkersFailed, match=sentence), engine:
        list(engine.run(refs))


@needs_ray
def test_a_cluster_that_sends_nothing(
    running_ray: Any, engine: ray.RayEngine, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "read_block", sleep_long)
    monkeypatch.setattr(ray, "_SILENT_S", 1.0)
    with pytest.raises(WorkersFailed, match="has sent nothing for"), engine:
        list(engine.run(refs))


@needs_ray
def test_a_block_for_which_there_was_no_time(
    running_ray: Any, tiny_bundle: Path, refs: list[ImageRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file of a block is read, the others later; the outcomes are those of the local engine."""
    monkeypatch.setattr(ray, "_BLOCK_S", 0.0)
    bundle, outcomes = load_bundle(tiny_bundle), {}
    for name in ("ray", "local"):
        options = EngineOptions(name=name, device=Device.CPU, n_workers=2, batch_size=8)
        with open_engine(bundle, options) as engine:
            outcomes[name] = [(ref.name, outcome) for ref, outcome in engine.run(refs[:5])]
    assert len(outcomes["ray"]) == 5
    assert sorted(outcomes["ray"], key=lambda item: item[0]) == sorted(
        outcomes["local"], key=lambda item: item[0]
    )


@pytest.mark.parametrize(
    ("stores", "n_blocks"),
    [
        ([1 << 40], 2 * (4 + 1)),
        ([1 << 40, 1 << 40], 2 * (8 + 2)),
        ([12, 1 << 40], 12),  # as if all had the smallest
        ([0.1], 1),
    ],
)
def test_prepared_images_leave_room_in_the_object_stores(
    stores: list[float], n_blocks: int, engine: ray.RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores are given in blocks: half of what all have together is used."""
    block_bytes = ray._BLOCK * prepared_bytes(engine._job.prepare.spec)
    nodes = [
        {"Alive": True, "Resources": {"CPU": 4, "object_store_memory": store * block_bytes}}
        for store in stores
    ]
    first_node = {"Alive": True, "Resources": {"object_store_memory": 1}}
    dead = {"Alive": False, "Resources": {"CPU": 64}}
    monkeypatch.setattr(ray_cluster, "_require_first_node", lambda _: None)
    monkeypatch.setattr(
        engine, "_ray", SimpleNamespace(nodes=lambda: [first_node, dead, *nodes]), raising=False
    )
    monkeypatch.setattr(engine, "_scorers", stores, raising=False)
    assert engine._most_in_flight() == n_blocks

"""The cluster: the tables of the local engine, also when processes are killed; nodes that differ are refused."""

import os
import platform
import re
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxrbatch import load_bundle
from cxrbatch.engines import EngineOptions, open_engine, ray, ray_cluster
from cxrbatch.engines.ray_node import ENVIRONMENT, BlockRead, Expected, examine_node, expected_of
from cxrbatch.errors import UsageProblem, WorkersFailed
from cxrbatch.infer import Device
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef, Outcome
from cxrbatch.screening import screen
from tests.factories.cli_process import cxrbatch
from tests.factories.processes import is_below_this_process, processes
from tests.factories.ray_faults import dying_of_03
from tests.factories.stranger import NO_TOKENS, answers_to_grpc

needs_ray = pytest.mark.ray


# --- what is refused


@pytest.fixture
def expected(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return expected_of(load_bundle(tiny_bundle))


def sentence(expected: Expected) -> str:
    return examine_node(expected.bundle, expected.bundle_sha256, expected.versions, expected.store)


def test_a_node_that_is_as_expected(expected: Expected) -> None:
    assert sentence(expected) == ""


def test_a_node_with_another_version(expected: Expected) -> None:
    other = replace(expected, versions=expected.versions | {"cxrbatch": "9.9", "pydicom": "9.8"})
    assert ": cxrbatch " in sentence(other)
    assert ", here 9.9; pydicom " in sentence(other)


def test_a_node_with_another_bundle(expected: Expected) -> None:
    assert (
        f"bundle {expected.bundle} is {expected.bundle_sha256[:12]}, here 000000000000; see docs"
        in sentence(replace(expected, bundle_sha256="0" * 64))
    )
    assert "no such folder" in sentence(replace(expected, bundle="/nowhere"))


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_node_without_protection(name: str, expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    assert f"Ray was started there without {name}={ENVIRONMENT[name]}" in sentence(expected)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, ""),
        ({"AWS_SESSION_TOKEN": "other"}, ""),  # each node may have credentials of its own
        (
            {"AWS_SECRET_ACCESS_KEY": ""},
            "before ray start, set AWS_SECRET_ACCESS_KEY in the environment there",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://u:p@s"},
            "before ray start, AWS_ENDPOINT_URL: give http://HOST:PORT or ",
        ),
        (
            {"AWS_ENDPOINT_URL": "https://minio.other:9000"},
            "AWS_REGION or AWS_ENDPOINT_URL is another one there",
        ),
        ({"AWS_ENDPOINT_URL": ""}, "AWS_REGION or AWS_ENDPOINT_URL is another one there"),
        ({"AWS_REGION": "eu-central-1"}, "AWS_REGION or AWS_ENDPOINT_URL is another one there"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="object stores are read on Linux only")
def test_a_node_with_another_object_store(
    there: dict[str, str], said: str, expected: Expected, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    """The sentence repeats nothing of the environment; where files are read from a disk, nothing is asked."""
    here = {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
        "AWS_SECRET_ACCESS_KEY": "planted",
        "AWS_ENDPOINT_URL": "https://minio.hospital:9000",
        "AWS_REGION": "us-east-1",
    }
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    store = expected_of(load_bundle(tiny_bundle), from_store=True).store
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    assert sentence(expected) == ""
    wrong = sentence(replace(expected, store=store))
    assert wrong.startswith(f"node {platform.node()}: {said}") if said else not wrong
    assert not re.search("AKIA|planted|minio|u:p", wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ray_address": "auto"},
        {"name": "ray", "ray_address": "ray://host:10001"},
        {"name": "ray", "ray_address": "host"},
        {"name": "ray", "ray_address": "auto", "n_workers": 2},
        {"name": "ray", "ray_address": "host:6379", "max_memory_bytes": 8 << 30},
    ],
)
def test_wrong_addresses(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem, match="--ray-address"):
        EngineOptions(**wrong)


def test_work_on_this_machine_needs_no_cluster() -> None:
    options = EngineOptions(name="ray", ray_address="auto", batch_size=8)
    assert replace(options.on_this_machine(), n_workers=2) == EngineOptions(batch_size=8, n_workers=2)


def test_a_node_that_does_not_see_the_export(tmp_path: Path) -> None:
    """Files that are not here either are to blame themselves."""
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.touch()
    ray_cluster.check_share("node-7", [gone])
    with pytest.raises(WorkersFailed, match="node-7 does not see files that are here"):
        ray_cluster.check_share("node-7", [gone, here])


# --- nodes that are lost: with real ones, tests/hostile/test_ray_kills.py


class ClusterOfOne:
    """What `ray_cluster` asks of Ray, where nothing comes back."""

    exceptions = SimpleNamespace(RayError=OSError)

    def __init__(self, first_node: str, node_id: str) -> None:
        self.get_runtime_context = lambda: SimpleNamespace(gcs_address=first_node)
        self.nodes = lambda: [{"NodeID": node_id, "Alive": True, "Resources": {"CPU": 1.0}}]

    def get(self, _: object) -> None:
        raise OSError


def test_a_node_that_is_lost_while_it_is_examined(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cluster = ClusterOfOne(f"127.0.0.1:{listening.getsockname()[1]}", "a")
        there, lost = ({"NodeID": name, "NodeManagerHostname": f"host-{name}"} for name in "ab")
        assert "node host-a: could not be examined (OSError)" in ray_cluster._answer(cluster, there, None)
        assert not caplog.text
        assert ray_cluster._answer(cluster, lost, None) == ""
        assert "node host-b was lost; the run goes on without it" in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_the_first_node_is_lost(host: str) -> None:
    """Ray is not asked: it would wait."""
    with socket.create_server(("127.0.0.1", 0)) as ended:
        port = ended.getsockname()[1]
    with pytest.raises(WorkersFailed, match="has lost its nodes; start them and run again"):
        ray_cluster.nodes_with_processors(ClusterOfOne(f"{host}:{port}", "a"))


def test_what_each_node_has_read_is_logged_without_a_name(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(load_bundle(tiny_bundle), EngineOptions(name="ray"))
    assert isinstance(engine, ray.RayEngine)
    monkeypatch.setattr(engine, "_get", lambda known: known)
    monkeypatch.setattr(engine, "_ray", None, raising=False)
    for node, n_files, seconds in (("b", 64, 2.25), ("a", 1, 1.0), ("b", 5, 0.5)):
        known = BlockRead(node=node, n_files=n_files, seconds=seconds, missing=())
        assert list(engine._after_reading(known, ray._Block(()))) == []
    with caplog.at_level("DEBUG", "cxrbatch"):
        engine.__exit__(None, None, None)
    assert caplog.messages == ["node a read 1 file in 1.0 s", "node b read 69 files in 2.8 s"]


# --- the same tables


@needs_ray
def test_the_command_writes_the_tables_of_the_local_engine(
    running_ray: Any, sample_night: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    """It starts Ray itself, which leaves nothing behind."""
    screen(sample_night, tmp_path / "local.csv", bundle=tiny_bundle, n_workers=2)
    options = ("--bundle", tiny_bundle, "--engine", "ray", "--workers", "2")
    done = cxrbatch("screen", sample_night, "--out", tmp_path / "ray.csv", *options, timeout_s=900)
    assert done.returncode == 3, done.stderr
    assert not re.search(rb"raylet|Traceback|warning", done.stderr, re.IGNORECASE), done.stderr
    for table in (".csv", ".files.csv"):
        assert (tmp_path / f"ray{table}").read_bytes() == (tmp_path / f"local{table}").read_bytes()


# --- faults


def outcomes_of(name: str, bundle: Path, refs: list[ImageRef]) -> Iterator[tuple[str, Outcome]]:
    options = EngineOptions(name=name, device=Device.CPU, n_workers=2, batch_size=8)
    with open_engine(load_bundle(bundle), options) as engine:
        for ref, outcome in engine.run(refs):
            yield ref.name, outcome


def kill(title: str) -> int:
    """Kill the processes of Ray with a title; how many."""
    chosen = [pid for pid in processes(f"ray::{title}") if is_below_this_process(pid)]
    for pid in chosen:
        os.kill(pid, signal.SIGKILL)
    return len(chosen)


@needs_ray
def test_killed_processes_cost_nothing(
    running_ray: Any, refs: list[ImageRef], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers and actor: every file has its outcome once, and it is that of the local engine."""
    monkeypatch.setattr(ray, "_BLOCK", 4)
    results, n_killed = [], {"read_block": 0, "Scorer": 0}
    for n_taken, result in enumerate(outcomes_of("ray", tiny_bundle, refs)):
        results.append(result)
        if n_taken in (2, 14):
            n_killed = {title: n + kill(title) for title, n in n_killed.items()}
    assert n_killed["Scorer"] >= 1
    assert sorted(name for name, _ in results) == [ref.name for ref in refs]
    assert dict(results) == dict(outcomes_of("local", tiny_bundle, refs))


@needs_ray
def test_a_file_that_ends_every_process_is_refused_alone(
    running_ray: Any, refs: list[ImageRef], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "read_block", dying_of_03)
    monkeypatch.setattr(ray, "_READ_RETRIES", 1)
    monkeypatch.setattr(ray, "_BLOCK", 4)
    results = list(outcomes_of("ray", tiny_bundle, refs[:8]))
    refused = {name: item.reason for name, item in results if isinstance(item, Failure)}
    assert refused == {"03.png": Reason.TOO_LARGE, "07.png": Reason.TRUNCATED}
    assert sorted(name for name, _ in results) == [ref.name for ref in refs[:8]]


@needs_ray
def test_ray_that_is_started_here_is_for_this_machine(running_ray: Any) -> None:
    assert {node["NodeManagerAddress"] for node in running_ray.nodes()} == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_TOKEN"]
    assert not [pid for pid in processes("/dashboard/dashboard.py") if is_below_this_process(pid)]


@needs_ray
def test_a_stranger_without_the_token_gets_no_answer(running_ray: Any) -> None:
    """At every port that Ray has here; two hosts, `ray start` and drivers: tests/walks/two_hosts.py."""
    (node,) = running_ray.nodes()
    first_node = int(running_ray.get_runtime_context().gcs_address.rsplit(":", 1)[1])
    for port in (first_node, node["NodeManagerPort"], node["ObjectManagerPort"]):
        for token in NO_TOKENS:
            assert answers_to_grpc("127.0.0.1", port, token) == {"UNAUTHENTICATED"}
    right = {"authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    assert "UNAUTHENTICATED" not in answers_to_grpc("127.0.0.1", first_node, right)

"""8,000 files on two nodes of Ray have the tables of the local engine, also when processes, nodes, the command die.

Minutes: a step of .ci/run. Every node has processes of its own and was started as in docs/cluster.md.
"""

import importlib.util
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch._lib import litert
from cxrbatch.bundle import convert_bundle, load_bundle
from tests.factories.processes import is_below_this_process, processes
from tests.factories.ray_nodes import RayNodes, ray_nodes

pytestmark = [
    pytest.mark.ray_kills,
    pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not installed"),
]
N_FILES = 8000
N_KILLS = 10
MOST_S = 2400
ENDED_TOO_SOON = "the run ended before all were killed: it has too few files for this machine"
TABLES = (".csv", ".files.csv")
USES_RAY = """
import sys
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.ray_cluster import connected
with connected(EngineOptions(name="ray", ray_address=sys.argv[1])) as ray:
    print("connected", file=sys.stderr, flush=True)
    sys.stdin.read()
    ray.put(bytes(10_000_000))
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small radiographs of different exposure in folders; every 100th is cut off, every 100th is a copy."""
    export = tmp_path_factory.mktemp("export")
    levels = np.rint(255 * radiograph(200, 180, seed=7)).astype(np.uint8)
    for number, exposure in enumerate(np.linspace(0.6, 1.4, N_FILES)):
        path = export / f"{number // 500}" / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        curve = np.rint(255 * np.linspace(0, 1, 256) ** exposure).astype(np.uint8)
        Image.fromarray(curve[levels]).save(path, quality=90)
        if number % 100 == 50:
            path.write_bytes(path.read_bytes()[:2000])
        if number % 100 == 99:
            path.write_bytes(path.with_name(f"{number - 1:04}.jpg").read_bytes())
    return export


@pytest.fixture(scope="module")
def lite_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for LiteRT where that is installed: it starts sooner."""
    if not litert.is_installed():
        return tiny_bundle
    return convert_bundle(load_bundle(tiny_bundle), tmp_path_factory.mktemp("lite") / "bundle").path


@pytest.fixture(scope="module")
def command(export: Path, lite_bundle: Path) -> Callable[..., list[str]]:
    def make(out: Path, *options: str) -> list[str]:
        place = [str(export), "--out", str(out), "--bundle", str(lite_bundle), "--explain", "0"]
        return [sys.executable, "-m", "cxrbatch", "screen", *place, "--settle", "0", *options]

    return make


@pytest.fixture(scope="module")
def expected(command: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Tables of the local engine."""
    out = tmp_path_factory.mktemp("local") / "report.csv"
    done = subprocess.run(command(out), check=False, capture_output=True, timeout=MOST_S)
    assert done.returncode == 3, done.stderr
    return tables(out)


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with ray_nodes(1, 1) as started:
        yield started


def tables(out: Path) -> list[bytes]:
    return [out.with_suffix(suffix).read_bytes() for suffix in TABLES]


def start(command: list[str], nodes: RayNodes) -> subprocess.Popen[bytes]:
    cluster = ["--engine", "ray", "--ray-address", nodes.address]
    return subprocess.Popen(command + cluster, env=nodes.environment, stderr=subprocess.PIPE)


def finish(run: subprocess.Popen[bytes], n_known: int = 0) -> None:
    """Wait for the end of a run that remembers so many files."""
    _, said = run.communicate(timeout=MOST_S)
    assert run.returncode == 3, said
    assert f"{N_FILES - n_known} new, {n_known} remembered".encode() in said, said


def lost(run: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a run whose nodes are lost."""
    _, said = run.communicate(timeout=MOST_S)
    assert run.returncode == 1, said
    assert b"Error: the Ray cluster has lost its nodes" in said, said


def wait_for_files(n: int, state: Path, run: subprocess.Popen[bytes]) -> None:
    """Wait until the state has the outcomes of so many files."""
    until = time.monotonic() + MOST_S
    while not (state.exists() and _n_files(state) >= n):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until
        time.sleep(0.5)


def _n_files(state: Path) -> int:
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM image").fetchone()[0])
        except sqlite3.OperationalError:  # no tables yet
            return 0


def test_two_nodes(
    nodes: RayNodes, command: Callable[..., list[str]], expected: list[bytes], tmp_path: Path
) -> None:
    finish(start(command(tmp_path / "report.csv"), nodes))
    assert tables(tmp_path / "report.csv") == expected


def test_the_command_is_killed_and_run_again(
    nodes: RayNodes, command: Callable[..., list[str]], expected: list[bytes], tmp_path: Path
) -> None:
    out, state = tmp_path / "report.csv", tmp_path / "state.sqlite"
    run = start(command(out, "--state", str(state)), nodes)
    wait_for_files(N_FILES // 4, state, run)
    run.kill()
    run.communicate()
    n_known = _n_files(state)
    finish(start(command(out, "--state", str(state)), nodes), n_known)
    assert tables(out) == expected


def test_ten_kills(
    nodes: RayNodes, command: Callable[..., list[str]], expected: list[bytes], tmp_path: Path
) -> None:
    """Readers, networks and the second node die, in any order; a node that has died is started again."""
    out, state = tmp_path / "report.csv", tmp_path / "state.sqlite"
    starting = None
    victims = ["read_block"] * 4 + ["Scorer"] * 3 + ["node"] * (N_KILLS - 7)
    random.Random(0).shuffle(victims)
    run = start(command(out, "--state", str(state)), nodes)
    with ThreadPoolExecutor(1) as starter:
        for number, victim in enumerate(victims):
            wait_for_files(number * N_FILES // (N_KILLS + 2), state, run)
            if victim == "node":
                nodes.kill(starting.result() if starting else nodes.started[-1])
                starting = starter.submit(nodes.start, 1)  # meanwhile others are killed
            else:
                kill_one(f"ray::{victim}", run)
        assert run.poll() is None, ENDED_TOO_SOON
        finish(run)
    assert tables(out) == expected


def test_nodes_are_lost(command: Callable[..., list[str]], expected: list[bytes], tmp_path: Path) -> None:
    """One: its blocks are read on the other. Both: the run ends, and goes on when it is run with another one."""
    out, state = tmp_path / "report.csv", tmp_path / "state.sqlite"
    with ray_nodes(0, 1, 1) as nodes:
        _, one, other = nodes.started
        run = start(command(out, "--state", str(state)), nodes)
        wait_for_files(N_FILES // 4, state, run)
        nodes.kill(one)
        wait_for_files(N_FILES // 2, state, run)
        nodes.kill(other)
        lost(run)
        n_known = _n_files(state)
        assert n_known < N_FILES
        nodes.start(1)
        finish(start(command(out, "--state", str(state)), nodes), n_known)
    assert tables(out) == expected


def test_the_first_node_is_lost(command: Callable[..., list[str]], tmp_path: Path) -> None:
    out, state = tmp_path / "report.csv", tmp_path / "state.sqlite"
    with ray_nodes(1, 1) as nodes:
        run = start(command(out, "--state", str(state)), nodes)
        wait_for_files(N_FILES // 8, state, run)
        nodes.kill(nodes.started[0])
        lost(run)


def test_ray_ends_the_process() -> None:
    """Where the process is lost through which a program uses the cluster, Ray ends the program within a call."""
    with ray_nodes(1) as nodes:
        program = [sys.executable, "-c", USES_RAY, nodes.address]
        run = subprocess.Popen(program, env=nodes.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert run.stderr
        assert run.stderr.readline() == b"connected\n"
        node = nodes.started[0].pid
        (raylet,) = (pid for pid in processes("raylet/raylet") if is_below_this_process(pid, node))
        os.kill(raylet, signal.SIGKILL)
        lost(run)


def kill_one(title: str, run: subprocess.Popen[bytes]) -> None:
    """Kill a process of a node, as soon as there is one."""
    until = time.monotonic() + MOST_S
    while not (pids := [pid for pid in processes(title) if is_below_this_process(pid)]):
        assert run.poll() is None, ENDED_TOO_SOON
        assert time.monotonic() < until
        time.sleep(0.1)
    os.kill(random.Random(1).choice(pids), signal.SIGKILL)

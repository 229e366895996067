"""Nodes of a Ray cluster on this machine, started as in docs/cluster.md; each has processes of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cxrbatch.engines.ray_node import ENVIRONMENT

_HOST = "127.0.0.2"
"""Part of loopback on Linux; for 127.0.0.1 Ray would take an address that others reach."""
_START_S = 180
_TRIES = 5
"""A node gives up after 30 s without an answer of the first one, as happens on a machine that is overloaded."""


class RayNodes:
    """A cluster; `start` adds a node.

    Attributes
    ----------
    address : str
        For ``--ray-address``.
    environment : dict of str to str
        With the token; of every node, and of whoever uses them.
    started : list of Popen
        The nodes, the first node first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.address = f"{_HOST}:{_free_port()}"
        self.environment = {**os.environ, **ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32)}

    def start(self, n_processors: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        """Start a node, the first node first, and wait until it has joined."""
        log = self._folder / f"node-{len(self.started)}.log"
        for _ in range(_TRIES):
            node = self._try_to_start(n_processors, log, environment)
            if _has_started(node, log):
                self.started.append(node)
                return node
            self.kill(node)
        raise AssertionError(log.read_text())

    def _try_to_start(
        self, n_processors: int, log: Path, environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        port = self.address.rsplit(":", 1)[1]
        first = (
            "--head",
            f"--port={port}",
            f"--temp-dir={self._folder}",
            "--include-dashboard=false",
            f"--ray-client-server-port={_free_port()}",
        )
        place = (f"--address={self.address}",) if self.started else first
        with log.open("wb") as output:
            return subprocess.Popen(
                (
                    Path(sys.executable).with_name("ray"),
                    "start",
                    "--block",
                    "--disable-usage-stats",
                    *place,
                    f"--node-ip-address={_HOST}",
                    f"--num-cpus={n_processors}",
                    "--object-store-memory=200000000",
                ),
                stdout=output,
                stderr=output,
                env=self.environment | environment,
                start_new_session=True,
            )

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kill all processes of a node at once."""
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        """End all nodes, the first one last."""
        for node in reversed(self.started):
            if node.poll() is None:
                self.kill(node)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        port: int = free.getsockname()[1]
    return port


def _has_started(node: subprocess.Popen[bytes], log: Path) -> bool:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and node.poll() is None:
        if b"Ray runtime started" in log.read_bytes():
            return True
        time.sleep(0.2)
    return False


@contextmanager
def ray_nodes(*n_processors: int) -> Iterator[RayNodes]:
    """Start nodes with so many processors each."""
    with tempfile.TemporaryDirectory(prefix="cxr-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        nodes = RayNodes(Path(folder))
        try:
            for n in n_processors:
                nodes.start(n)
            yield nodes
        finally:
            nodes.stop()

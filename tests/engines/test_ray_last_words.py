"""A process that Ray ends is explained by a process beside it; Ray is not needed here: it ends a process by _exit."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cxrbatch.engines.ray_last_words import answers

SENTENCE = "the nodes are gone; run again"
PROGRAM = f"""
import os, signal, sys, time
from cxrbatch.engines.ray_last_words import last_words
nodes = [("127.0.0.1", int(port)) for port in sys.argv[2:]]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
with last_words({SENTENCE!r}, nodes):
    {{ends}}
"""
ENDS = {
    "by Ray": ("os._exit(1)", 1),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "interrupted": ("os.killpg(0, signal.SIGINT); time.sleep(30)", -2),
    "by an error": ("sys.exit(4)", 4),
    "as it should": ("pass", 0),
}


def errors_of(end: str, *ports: int) -> list[str]:
    """Run a program that ends in one of these ways, and return the errors that were written."""
    statement, code = ENDS[end]
    program = PROGRAM.format(ends=statement)
    run = subprocess.run(
        [sys.executable, "-c", program, "-", *map(str, ports)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert run.returncode == code, run.stderr
    return [line for line in run.stderr.splitlines() if line.startswith("Error:")]


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("end", ["by Ray", "killed"])
def test_a_process_that_ends_after_its_node_is_explained(end: str, open_port: int, closed_port: int) -> None:
    assert errors_of(end, open_port, closed_port) == [f"Error: {SENTENCE}"]


@pytest.mark.parametrize("end", ["by Ray", "killed"])
def test_a_process_whose_nodes_answer_is_not(end: str, open_port: int) -> None:
    assert errors_of(end, open_port) == []


@pytest.mark.parametrize("end", ["interrupted", "by an error", "as it should"])
def test_a_process_that_leaves_the_block_is_not(end: str, closed_port: int) -> None:
    assert errors_of(end, closed_port) == []


def test_answers(open_port: int, closed_port: int) -> None:
    assert answers(("127.0.0.1", open_port))
    assert not answers(("127.0.0.1", closed_port))
    assert not answers(("host.invalid", 1))

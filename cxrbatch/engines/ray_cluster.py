"""Start Ray on this machine, or join a cluster: options in, the module ``ray`` connected out.

Every node needs a token from whoever connects to it, serves no dashboard, and sends no usage statistics.
"""

import contextlib
import importlib
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import default_workers
from cxrbatch.engines.ray_last_words import Address, answers, last_words
from cxrbatch.engines.ray_node import ENVIRONMENT, Expected, examine_node
from cxrbatch.errors import UsageProblem, WorkersFailed
from cxrbatch.limits import share_memory

_LOG = logging.getLogger(__name__)

LOST = "the Ray cluster has lost its nodes; start them and run again. What was scored is remembered"

_ADDRESS = "127.0.0.1"
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0 Ray takes 127.0.0.1 as it is given; else it puts an address in its place that others reach."""
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_OWN_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns of what will be the default
    "RAY_task_oom_retries": "3",  # for ever is what Ray would do
    "RAY_grpc_client_keepalive_time_ms": "30000",  # else blocks wait many minutes for a node that hangs
    "RAY_grpc_client_keepalive_timeout_ms": "60000",
}


@contextmanager
def connected(options: EngineOptions) -> Iterator[Any]:
    """Start Ray or join a cluster; leave it, or end it, afterwards.

    A Python program that has connected to Ray itself stays connected.

    Yields
    ------
    module
        ``ray``.

    Raises
    ------
    UsageProblem
        Ray is not installed.
    WorkersFailed
        It cannot be started or joined.
    """
    ray = _import_ray(options.ray_address)
    if ray.is_initialized():
        yield ray
        return
    with ExitStack() as stack:
        where = (
            {"address": options.ray_address} if options.ray_address else stack.enter_context(_local(options))
        )
        try:
            _connect(ray, where)
            _end_dashboard()
            stack.enter_context(last_words(LOST, _needed_nodes(ray)))
            yield ray
        finally:
            ray.shutdown()  # within the last words: Ray may end this process here too


def _import_ray(address: str | None) -> Any:
    """Import Ray with its environment, which it reads once in a process and which therefore stays."""
    if "ray" in sys.modules and any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        settings = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        raise UsageProblem(f"this program imported ray without {settings}; set them before it starts")
    os.environ.update({**ENVIRONMENT, **_OWN_ENVIRONMENT})
    if not address:
        os.environ[_LOOPBACK] = "0"
        if not any(os.environ.get(name) for name in _TOKENS):
            os.environ[_TOKENS[0]] = secrets.token_hex(32)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageProblem("--engine ray: Ray is not installed; pip install 'cxrbatch[cluster]'") from error


@contextmanager
def _local(options: EngineOptions) -> Iterator[dict[str, Any]]:
    """Describe Ray on this machine alone: no other machine reaches it, and its files are private and temporary."""
    n_readers, _ = share_memory(options.n_workers or default_workers(), options.max_memory_bytes)
    # In /tmp whatever TMPDIR says: names of sockets must be short.
    with tempfile.TemporaryDirectory(
        prefix="cxrbatch-ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        yield {
            "address": "local",
            "num_cpus": n_readers,
            "include_dashboard": False,
            "_node_ip_address": _ADDRESS,
            "_temp_dir": folder,
        }


def _connect(ray: Any, where: dict[str, Any]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        place = where["address"] if where["address"] != "local" else "this machine"
        raise WorkersFailed(
            f"Ray on {place}: no connection ({type(error).__name__}); is it running, and is its token in "
            "RAY_AUTH_TOKEN or ~/.ray/auth_token? See docs/cluster.md"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there


def _end_dashboard() -> None:
    """End the dashboard's process, if this program started it: Ray starts one also where it serves no page."""
    with contextlib.suppress(AttributeError):  # not part of Ray's interface
        importlib.import_module("ray._private.worker")._global_node.kill_dashboard(check_alive=False)


def nodes_with_processors(ray: Any) -> list[dict[str, Any]]:
    """List the nodes that can read files: a first node may have none.

    Raises
    ------
    WorkersFailed
        The first node is lost. Ray would wait for it in silence, and after a minute end this process.
    """
    _require_first_node(ray)
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _require_first_node(ray: Any) -> None:
    if not answers(_first_node(ray)):
        raise WorkersFailed(LOST)


def _first_node(ray: Any) -> Address:
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


def _needed_nodes(ray: Any) -> list[Address]:
    """List the nodes without which Ray ends this process: the first one, and the one that connects it."""
    own = ray.get_runtime_context().get_node_id()
    here = [
        (node["NodeManagerAddress"], node["NodeManagerPort"]) for node in ray.nodes() if node["NodeID"] == own
    ]
    return [_first_node(ray), *here]


def check_nodes(ray: Any, expected: Expected, most_s: float) -> None:
    """Check every node before anything is read, on a processor of the node, so that it is known to give one.

    A node that is lost meanwhile is not waited for.

    Raises
    ------
    WorkersFailed
        A node has other versions or another bundle, was started without protection, or does not answer in time.
    """
    nodes = nodes_with_processors(ray)
    if not nodes:
        raise WorkersFailed("the Ray cluster has no node with processors")
    examine = ray.remote(num_cpus=1, max_retries=1)(examine_node)
    facts = (expected.bundle, expected.bundle_sha256, expected.versions, expected.store)
    answers = {
        examine.options(scheduling_strategy=on_node(node["NodeID"])).remote(*facts): node for node in nodes
    }
    answered, late = ray.wait(list(answers), num_returns=len(answers), timeout=most_s)
    wrong = [sentence for answer in answered if (sentence := _answer(ray, answers[answer], answer))]
    wrong += [_no_answer(answers[answer], most_s) for answer in late]
    for answer in late:
        ray.cancel(answer, force=True)
    if wrong:
        raise WorkersFailed("\n".join(wrong))
    if not nodes_with_processors(ray):
        raise WorkersFailed(LOST)


def _no_answer(node: dict[str, Any], most_s: float) -> str:
    return (
        f"node {node['NodeManagerHostname']}: gave no processor within {most_s:.0f} s; perhaps other programs have "
        "taken its processors, or it is overloaded"
    )


def _answer(ray: Any, node: dict[str, Any], answer: Any) -> str:
    host = node["NodeManagerHostname"]
    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        if node["NodeID"] not in {alive["NodeID"] for alive in nodes_with_processors(ray)}:
            _LOG.warning("node %s was lost; the run goes on without it", host)
            return ""
        cause = getattr(error, "cause", None) or error
        return (
            f"node {host}: could not be examined ({type(cause).__name__}); is cxrbatch "
            "installed there? See docs/cluster.md"
        )


def check_share(node: str, missing: Iterable[Path]) -> None:
    """End the run where a node does not see files that this machine sees: they are not to blame.

    Parameters
    ----------
    node : str
        Name of the host.
    missing : iterable of Path
        Files that are not there, as the node sees it.

    Raises
    ------
    WorkersFailed
        One of them is here.
    """
    if any(map(os.path.lexists, missing)):
        raise WorkersFailed(
            f"node {node} does not see files that are here; is the export mounted there, at the same path?"
        )


def on_node(node_id: str, *, soft: bool = False) -> Any:
    """Make the strategy that places a task on one node; `soft`: elsewhere when it is gone."""
    scheduling = importlib.import_module("ray.util.scheduling_strategies")
    return scheduling.NodeAffinitySchedulingStrategy(node_id, soft=soft)

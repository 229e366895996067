"""Somebody who reaches a cluster of Ray and has no business there.

``python stranger.py ADDRESS FILE`` lets the cluster make a file, if it may. ``python stranger.py HOST`` asks every
open port of a host for something that only members of the cluster get, without a token and with a wrong one; exit
code 1 if one of them answers, or none is open.
"""

import http.client
import importlib
import socket
import sys
from pathlib import Path

_QUESTIONS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "InternalKVGcsService/InternalKVGet",
    "NodeManagerService/RequestWorkerLease",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",
    "RayletDriver/Init",
)
"""One of each service of Ray: those of the first node, of every node, of a process of a node, and of Ray's client."""
NO_TOKENS: tuple[dict[str, str], ...] = ({}, {"authorization": f"Bearer {'0' * 64}"})
_REFUSED = {"401", "403", "UNAUTHENTICATED"}
_MOST_S = 5


def leave_a_trace(path: str) -> None:
    """Make a file."""
    Path(path).touch()


def intrude(address: str, path: str) -> int:
    """Run code on the cluster, or fail."""
    ray = importlib.import_module("ray")
    ray.init(address, log_to_driver=False)
    ray.get(ray.remote(leave_a_trace).remote(path))
    return 0


def is_open(host: str, port: int) -> bool:
    """Try a port."""
    with socket.socket() as probe:
        probe.settimeout(_MOST_S)
        return not probe.connect_ex((host, port))


def answer_to_http(host: str, port: int, token: dict[str, str]) -> str:
    """Ask the agent of a node; its status, or nothing where no agent listens."""
    connection = http.client.HTTPConnection(host, port, timeout=_MOST_S)
    try:
        connection.request("POST", "/get_runtime_envs_info", b"", token)
        return str(connection.getresponse().status)
    except (http.client.HTTPException, OSError):
        return ""
    finally:
        connection.close()


def answers_to_grpc(host: str, port: int, token: dict[str, str]) -> set[str]:
    """Ask all questions; the names of the status of those that the port knows."""
    grpc = importlib.import_module("grpc")
    found = set()
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        for question in _QUESTIONS:
            try:
                ask = channel.unary_unary(f"/ray.rpc.{question}")
                ask(b"", timeout=_MOST_S, metadata=tuple(token.items()))
                found.add("OK")
            except grpc.RpcError as error:
                found.add(error.code().name)
    return found - {"UNIMPLEMENTED"}


def answers(host: str, port: int, token: dict[str, str]) -> set[str]:
    """Ask for everything at a port."""
    status = answer_to_http(host, port, token)
    return {status} if status else answers_to_grpc(host, port, token)


def knock(host: str) -> int:
    """Ask at all doors, and tell the answers."""
    found = {}
    for port in filter(lambda port: is_open(host, port), range(1, 1 << 16)):
        for token in NO_TOKENS:
            said = answers(host, port, token)
            if is_open(host, port):  # its process has not ended meanwhile
                found[port, "wrong" if token else "no"] = said
    for (port, which), said in found.items():
        sys.stdout.write(f"{host}:{port} {which} token: {' '.join(sorted(said))}\n")
    return int(not found or any(not said or not said <= _REFUSED for said in found.values()))


if __name__ == "__main__":
    sys.exit(intrude(*sys.argv[1:]) if len(sys.argv) > 2 else knock(sys.argv[1]))

"""Hosts on a network, made of namespaces of this machine (Linux, root): each has an address, processes and /tmp/ray.

The first process of a host ends when whoever made the host ends, and then the kernel ends all others of the host and
takes its network away.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PRIVATE = Path("/tmp/ray")  # noqa: S108 - as Ray has it
"""Where `ray start` keeps its files."""
_MOST_S = 1200
_UNSHARE = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")
_FIRST_PROCESS = 'hostname "$1" && mount --bind "$2" "$3" && ip link set lo up && echo ready && read'


class Host:
    """A host without a network card; `home` is the home of its user, `pid` its first process.

    Parameters
    ----------
    name : str
    folder : Path
        For what it writes.

    Raises
    ------
    RuntimeError
        The kernel makes no namespaces for this user.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.home, private = folder / name / "home", folder / name / "tmp"
        for made in (self.home, private):
            made.mkdir(parents=True)
        first = ("bash", "-c", _FIRST_PROCESS, "bash", name, private, _PRIVATE)
        self._outer = subprocess.Popen((*_UNSHARE, *first), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._outer.stdout
        if self._outer.stdout.readline() != b"ready\n":
            self.switch_off()
            raise RuntimeError("no namespaces; this needs root, and Linux with unshare and ip")
        self.pid = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text())

    def start(self, command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command for a shell; stdout has its messages too."""
        there = (f"--target={self.pid}", "--net", "--mount", "--uts", "--pid")
        return subprocess.Popen(
            ("nsenter", *there, "bash", "-uc", command),
            env={**os.environ, "HOME": str(self.home), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command for a shell; its exit code, and what it has written."""
        running = self.start(command, environment)
        said, _ = running.communicate(timeout=_MOST_S)
        return running.returncode, said

    def switch_off(self) -> None:
        """End all processes at once, as when a host loses its power: it tells nobody."""
        self._outer.kill()
        self._outer.communicate()


@contextmanager
def network(folder: Path, **addresses: str) -> Iterator[dict[str, Host]]:
    """Make hosts, by name, that reach each other and nobody else.

    Yields
    ------
    dict of str to Host
    """
    is_new = not _PRIVATE.exists()
    _PRIVATE.mkdir(exist_ok=True)
    with ExitStack() as stack:
        if is_new:
            stack.callback(_PRIVATE.rmdir)
        switch = _switched_on("switch", folder, stack)
        _ip(switch, "link add switch up type bridge")
        hosts = {name: _switched_on(name, folder, stack) for name in addresses}
        for name, address in addresses.items():
            card = f"type veth peer name eth0 netns {hosts[name].pid}"
            _ip(switch, f"link add name {name} up master switch {card}")
            _ip(hosts[name], f"address add {address}/24 dev eth0")
            _ip(hosts[name], "link set eth0 up")
        yield hosts


def _switched_on(name: str, folder: Path, stack: ExitStack) -> Host:
    host = Host(name, folder)
    stack.callback(host.switch_off)
    return host


def _ip(host: Host, arguments: str) -> None:
    """Run iproute2 in the network of a host, with the process numbers of this machine."""
    subprocess.run(("nsenter", f"--target={host.pid}", "--net", "ip", *arguments.split()), check=True)

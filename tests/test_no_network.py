"""The program needs no network and does not ask for one, but where SECURITY.md says so."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.factories.cli_process import cxrbatch, hooked

SAMPLE = REPOSITORY / "sample_data"
HARMLESS = (
    "socket.__new__ AF_UNIX ",
    "socket.sendmsg (None,) python3.11/multiprocessing/reduction.py",
    "socket.__new__ AF_INET6 urllib3/util/connection.py",
    "socket.bind (('::1', 0),) urllib3/util/connection.py",
)
"""Between processes of this machine; and urllib3, which TensorFlow imports, tries whether there is an IPv6 here."""
NAMESPACES = (("unshare", "--net"), ("unshare", "--net", "--map-root-user"))


@pytest.fixture(scope="module")
def without_network() -> tuple[str, ...]:
    """Command that runs another one where no network interface is up; nothing, where no such place can be made."""
    for command in NAMESPACES if shutil.which("unshare") else ():
        if not subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            return command
    return ()


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def sockets(environment: dict[str, str]) -> list[str]:
    """What was done with sockets, but for what is harmless."""
    done = Path(environment["WATCH_RECORD"]).read_text().splitlines()
    return [line for line in done if not line.startswith(HARMLESS)]


def connects(port: int, *before: str, **environment: str) -> bool:
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
    command = [*before, sys.executable, "-c", code]
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_the_namespace_has_no_network_and_the_hook_would_notice(
    without_network: tuple[str, ...], port: int, tmp_path: Path
) -> None:
    environment = hooked(tmp_path)
    assert connects(port, **environment)
    done = sockets(environment)
    assert done[0].startswith("socket.getaddrinfo ")
    assert done[1].startswith("socket.__new__ AF_INET ")
    assert done[2].startswith("socket.connect (('127.0.0.1',")
    if not without_network:
        pytest.skip("no network namespace can be made here; the other tests only look for sockets")
    assert not connects(port, *without_network)


def test_screening_without_network_gives_the_same_bytes(
    without_network: tuple[str, ...], tmp_path: Path, tiny_bundle: Path
) -> None:
    environment = hooked(tmp_path)
    for name, before, env in (("with", (), {}), ("without", without_network, environment)):
        (tmp_path / name).mkdir()
        options = ("--bundle", tiny_bundle, "--state", tmp_path / name / "s.sqlite")
        result = cxrbatch(
            *("screen", SAMPLE, "--out", tmp_path / name / "report.csv", *options), before=before, env=env
        )
        assert result.returncode == 3, result.stderr
    for table in ("report.csv", "report.files.csv"):
        assert (tmp_path / "with" / table).read_bytes() == (tmp_path / "without" / table).read_bytes()
    assert sockets(environment) == []


@pytest.mark.parametrize("command", ["predict", "doctor"])
def test_other_commands_without_network(
    command: str, without_network: tuple[str, ...], tmp_path: Path, tiny_bundle: Path
) -> None:
    environment = hooked(tmp_path)
    image = SAMPLE / "night" / "pictures" / "SAMPLE-023.png"
    what = (image, "--out", tmp_path / "pictures") if command == "predict" else (SAMPLE,)
    result = cxrbatch(command, *what, "--bundle", tiny_bundle, before=without_network, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sockets(environment) == []

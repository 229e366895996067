"""The walk of an engineer with two machines, and of a stranger: docs/cluster.md, on hosts of a network.

Then the stranger is given the token: its host joins, and loses its power while it reads.

``python tests/walks/two_hosts.py`` from the repository, as root on Linux, with cxrbatch[cluster] and grpcio installed
in the same environment. The hosts are namespaces of this machine (`tests.factories.hosts`), so the document's
addresses are theirs; what they see of the disk is the same, as on a shared file system.
"""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "sample_data")]

from phantom import radiograph  # noqa: E402

from tests.factories.hosts import Host, network  # noqa: E402
from tests.factories.processes import is_below_this_process, processes  # noqa: E402

N_IMAGES = 400
INCOMPLETE = 3
TRIES = 5
JOIN = 6379
CLIENT = 10001
STRANGER = REPOSITORY / "tests" / "factories" / "stranger.py"
TOKEN_MODE = {"RAY_AUTH_MODE": "token"}


def shell_blocks(page: Path) -> list[str]:
    """Commands of the blocks of a document that are meant for a shell."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def report(line: str) -> None:
    """Say what was found."""
    sys.stderr.write(f"{line}\n")


def draw_export(folder: Path) -> None:
    """Write radiographs of different exposure; every 100th is cut off."""
    levels = np.rint(255 * radiograph(320, 280, seed=7)).astype(np.uint8)
    for number, exposure in enumerate(np.linspace(0.6, 1.4, N_IMAGES)):
        path = folder / f"{number // 100}" / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        curve = np.rint(255 * np.linspace(0, 1, 256) ** exposure).astype(np.uint8)
        Image.fromarray(curve[levels]).save(path, quality=90)
        if number % 100 == 50:
            path.write_bytes(path.read_bytes()[:2000])


def write_recipe(folder: Path, export: Path) -> None:
    """Write the recipe of the repository, with a folder and a state of this walk."""
    text = (REPOSITORY / "pipelines" / "cluster.toml").read_text(encoding="utf-8")
    text = text.replace("/export/pacs", str(export)).replace("~/.local/share/cxrbatch", str(folder))
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "cluster.toml").write_text(text, encoding="utf-8")


def succeed(host: Host, command: str, expected: int = 0, environment: Mapping[str, str] | None = None) -> str:
    """Run a command on a host; it has to end with an exit code."""
    report(f"{host.name}$ {command.strip()}")
    code, said = host.run(command, environment)
    assert code == expected, f"ended with {code}, expected {expected}: {said}"
    return said


def give_token(host: Host, token: str) -> None:
    """Write the token where the document wants it."""
    path = host.home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(token, encoding="ascii")


def n_nodes(first: Host) -> int:
    """Ask the first host how many nodes there are."""
    count = "import ray; ray.init('auto', log_to_driver=False); print('nodes:', len(ray.nodes()))"
    said = succeed(first, f'{sys.executable} -c "{count}"', environment=TOKEN_MODE)
    return int(said.rsplit("nodes:", 1)[1])


def wait_for_reading(host: Host, run: subprocess.Popen[str]) -> None:
    """Wait until files are read on a host."""
    while not any(is_below_this_process(pid, host.pid) for pid in processes("ray::read_block")):
        assert run.poll() is None, run.communicate()
        time.sleep(0.5)


def screen(first: Host, second: Host, stranger: Host, command: str) -> str:
    """Screen; while its processes work, a stranger asks at every open port of both hosts."""
    report(f"first$ {command}")
    run = first.start(command)
    wait_for_reading(second, run)
    report(succeed(stranger, f"{sys.executable} {STRANGER} 10.0.0.1 && {sys.executable} {STRANGER} 10.0.0.2"))
    said, _ = run.communicate()
    assert run.returncode == INCOMPLETE, said
    return said


def compare_with_local(folder: Path) -> None:
    """Check that the tables have the bytes of the local engine."""
    for table in (".csv", ".files.csv"):
        assert (folder / f"report{table}").read_bytes() == (folder / f"local{table}").read_bytes(), table
    report("The tables of the cluster and of the local engine have the same bytes.")


def lose(first: Host, third: Host, command: str) -> None:
    """Screen again; a host loses its power while it reads."""
    report(f"first$ {command}")
    run = first.start(command)
    wait_for_reading(third, run)
    third.switch_off()
    report("the third host is switched off")
    said, _ = run.communicate()
    assert run.returncode == INCOMPLETE, said


def refuse(stranger: Host, join: str, folder: Path) -> None:
    """Without the token, or with a wrong one, nobody joins as a node, and nobody runs code as a driver or client."""
    tokens = {
        "no token": {"RAY_AUTH_MODE": "disabled"},
        "wrong token": TOKEN_MODE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)},
    }
    trace = folder / "trace"
    tries = {
        "node": join,
        "driver": f"{sys.executable} {STRANGER} 10.0.0.1:{JOIN} {trace}",
        "client": f"{sys.executable} {STRANGER} ray://10.0.0.1:{CLIENT} {trace}",
    }
    running = {
        f"{who} with {which}": stranger.start(command, environment)
        for which, environment in tokens.items()
        for who, command in tries.items()
    }
    for who, process in running.items():
        said, _ = process.communicate()
        assert process.returncode == 1, f"{who} was let in: {said}"
        report(f"{who}: refused, {said.strip().splitlines()[-1][:100]}")
    assert not trace.exists()


def welcome(stranger: Host, join: str, folder: Path, token: str) -> None:
    """With the token all of this is possible: it was the token that was missing."""
    own = TOKEN_MODE | {"RAY_AUTH_TOKEN": token}
    run_code(stranger, f"ray://10.0.0.1:{CLIENT}", folder / "trace-of-client", own)
    succeed(stranger, join, environment=own)  # a driver needs a node of its own
    run_code(stranger, f"10.0.0.1:{JOIN}", folder / "trace-of-driver", own)


def run_code(stranger: Host, address: str, trace: Path, environment: Mapping[str, str]) -> None:
    """Run code on the cluster; again where a machine that is busy is late with starting Ray's processes."""
    for _ in range(TRIES):
        _, said = stranger.run(f"{sys.executable} {STRANGER} {address} {trace}", environment)
        if trace.exists():
            report(f"{address} with the token: has run code")
            return
    raise AssertionError(said)


def main() -> None:
    """Walk."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("ended by a signal")
    )  # so that everything is cleaned up
    blocks = shell_blocks(REPOSITORY / "docs" / "cluster.md")
    environment, start, command = blocks[2:5]
    environment = re.sub(r" *#.*", "", environment)
    first_start, second_start = start.splitlines()
    join = second_start.replace("10.0.0.2 ", "10.0.0.3 ")
    token = secrets.token_hex(32)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="cxr-hosts-", dir="/tmp") as name:
        folder = Path(name)
        export = folder / "export"
        draw_export(export)
        write_recipe(folder, export)
        addresses = {"first": "10.0.0.1", "second": "10.0.0.2", "stranger": "10.0.0.3"}
        with network(folder / "hosts", **addresses) as hosts:
            first, second, stranger = hosts.values()
            for host, node in ((first, first_start), (second, second_start)):
                give_token(host, token)
                succeed(host, environment + node)
            screen_all = f"cd {folder}\n{environment}{command.strip()} --settle 0 --explain 0 --verbose"
            said = screen(first, second, stranger, screen_all)
            report("\n".join(line for line in said.splitlines() if re.search("node .* read", line)))
            assert re.search(r"node first read \d+ files", said), said
            assert re.search(r"node second read \d+ files", said), said
            local = f"cxrbatch screen {export} --out {folder}/local.csv --settle 0 --explain 0"
            succeed(first, local, INCOMPLETE)
            compare_with_local(folder)
            refuse(stranger, join, folder)
            assert n_nodes(first) == 2
            welcome(stranger, environment + join, folder, token)
            assert n_nodes(first) == 3
            for table in folder.glob("report*.csv"):
                table.unlink()
            lose(first, stranger, screen_all.replace("--verbose", f"--state {folder}/other.sqlite"))
            compare_with_local(folder)
            for host in (first, second):
                succeed(host, "ray stop")
    report("The walk on two hosts went well.")


if __name__ == "__main__":
    main()

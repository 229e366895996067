"""Runs on one and two nodes of Ray against `scale_model.py`: ``python benchmarks/scale_nodes.py [--files 400 1600]``.

Nodes are processes of this machine, started as in docs/cluster.md. What each further image costs is the difference of
two runs, so that the start does not count, in processor time, since machines are shared: of the nodes by what they
do, and of the command. Beside it stands what the model says of these files, from the same measurements as
`scale_costs.py`. The seconds by the clock say something only where the machine has nothing else to do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.growth import parent_and_processor_s, write_folder
from benchmarks.scale_costs import copies, network_ms, of_command, reading, stated_provenance
from benchmarks.scale_model import Cluster, Costs, Group, duration_s
from benchmarks.scale_simulation import simulate
from tests.factories.ray_nodes import RayNodes, ray_nodes

_POLL_S = 0.25
_N_SAMPLED = 64
LAYOUTS = ((1,), (2,), (1, 1))
_KINDS = {"Scorer": "scoring", "read_block": "reading", "spawn_main": "reading", "IDLE": "reading"}
_RAYS_OWN = "Ray itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run took: seconds by the clock, and processor seconds of the command and, by kind, of the nodes."""

    n_files: int
    clock_s: float
    command_s: float
    nodes_s: Mapping[str, float]


class ProcessorTimes:
    """Processor time of all processes below some, also of those that end meanwhile: polled in a thread."""

    def __init__(self, parents: Sequence[int]) -> None:
        self._parents = parents
        self._before = dict(self._read())
        self._last = dict(self._before)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """Return the seconds since the beginning, by kind."""
        self._stopped.set()
        self._thread.join()
        spent: defaultdict[str, float] = defaultdict(float)
        for pid, (kind, seconds) in self._last.items():
            spent[kind] += seconds - self._before.get(pid, ("", 0.0))[1]
        return dict(spent)

    def _poll(self) -> None:
        while not self._stopped.wait(_POLL_S):
            for pid, (kind, seconds) in self._read():
                known = self._last.get(pid, (_RAYS_OWN, 0.0))[0]
                self._last[pid] = (known if kind == _RAYS_OWN else kind, seconds)

    def _read(self) -> Iterator[tuple[int, tuple[str, float]]]:
        parents: dict[int, int] = {}
        seconds: dict[int, float] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            pid = int(folder.name)
            if found := parent_and_processor_s(pid):
                parents[pid], seconds[pid] = found
        for pid in parents:
            if _is_below(pid, parents, self._parents):
                yield pid, (_kind(pid), seconds[pid])


def _is_below(pid: int, parents: Mapping[int, int], wanted: Sequence[int]) -> bool:
    while pid > 1 and pid not in wanted:
        pid = parents.get(pid, 0)
    return pid in wanted


def _kind(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        line = ""
    return next((kind for part, kind in _KINDS.items() if part in line), _RAYS_OWN)


def run(nodes: RayNodes, folder: Path, n_files: int, out: Path) -> Spent:
    """Screen a folder on the nodes."""
    place = ["screen", str(folder), "--out", str(out), "--state", str(out.with_suffix(".sqlite"))]
    ray = ["--engine", "ray", "--ray-address", nodes.address, "--explain", "0", "--settle", "0"]
    times, began = ProcessorTimes([node.pid for node in nodes.started]), time.monotonic()
    command = subprocess.Popen(
        [sys.executable, "-m", "cxrbatch", *place, *ray], env=nodes.environment, stderr=subprocess.PIPE
    )
    said = command.stderr.read() if command.stderr else b""
    _, status, used = os.wait4(command.pid, 0)
    command.returncode = os.waitstatus_to_exitcode(status)
    if command.returncode:
        raise RuntimeError(said.decode())
    clock_s = time.monotonic() - began
    return Spent(
        n_files=n_files, clock_s=clock_s, command_s=used.ru_utime + used.ru_stime, nodes_s=times.stop()
    )


def further(few: Spent, many: Spent) -> dict[str, float]:
    """Compute milliseconds of a further image, by what was done."""
    n_files = many.n_files - few.n_files
    spent = {name: many.nodes_s.get(name, 0) - few.nodes_s.get(name, 0) for name in _NODE_KINDS}
    spent |= {"command": many.command_s - few.command_s, "clock": many.clock_s - few.clock_s}
    return {name: seconds / n_files * 1e3 for name, seconds in spent.items()}


_NODE_KINDS = ("reading", "scoring", _RAYS_OWN)
_COLUMNS = (*_NODE_KINDS, "command", "clock")


def costs_of(folder: Path, scratch: Path) -> Costs:
    """Measure what these files cost, stage by stage, without Ray."""
    files = sorted(folder.iterdir())[:_N_SAMPLED]
    read_ms, prepared = reading(files)
    copy_ms, prepared_mb = copies(prepared)
    file_mb = sum(path.stat().st_size for path in files) / len(files) / 1e6
    return Costs(
        groups={"these": Group(share=1.0, read_ms=read_ms, file_mb=file_mb)},
        network_ms=network_ms(),
        copy_ms=copy_ms,
        n_copies=3,
        prepared_mb=prepared_mb,
        start_s=0.0,
        **of_command(scratch, stated_provenance()),
    )


def predicted(costs: Costs, n_files: int, layout: Sequence[int]) -> dict[str, float]:
    """Compute what the model says of a further image; by the clock, on processors of one's own."""
    cluster = Cluster(n_hosts=len(layout), n_processors=layout[0], host_gbit=1e3, share_gbit=1e3)
    return {
        "reading": costs.groups["these"].read_ms + 2 * costs.copy_ms,
        "scoring": costs.network_ms + costs.copy_ms,
        _RAYS_OWN: 0.0,
        "command": costs.outcome_ms + costs.listing_ms,
        "clock": duration_s(n_files, costs, cluster) / n_files * 1e3,
        "simulation": simulate(n_files, costs, cluster) / n_files * 1e3,
    }


def compare(scratch: Path, n_files: Sequence[int]) -> Iterator[str]:
    """Measure all layouts; rows of a table."""
    folders = {n: scratch / f"{n}" for n in n_files}
    for n, folder in folders.items():
        folder.mkdir()
        write_folder(folder, n)
    costs = costs_of(folders[max(n_files)], scratch)
    yield f"{costs}\n\n| nodes × processors | | {' | '.join(_COLUMNS)} | simulation |"
    yield "|---|---|" + "---:|" * (len(_COLUMNS) + 1)
    for layout in LAYOUTS:
        name = f"{len(layout)} × {layout[0]}"
        with ray_nodes(*layout) as nodes:
            run(nodes, folders[min(n_files)], 0, scratch / f"{name}-warm.csv")  # what only the first run does
            few, many = (
                run(nodes, folder, n, scratch / f"{len(layout)}{layout[0]}{n}.csv")
                for n, folder in folders.items()
            )
        yield f"| {name} | measured | {_row(further(few, many))} | |"
        says = predicted(costs, max(n_files), layout)
        yield f"| | model | {_row(says)} | {says['simulation']:.2f} |"


def _row(spent: Mapping[str, float]) -> str:
    return " | ".join(f"{spent[name]:.2f}" for name in _COLUMNS)


def main() -> None:
    """Measure in a temporary folder, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs=2, default=[400, 1600], help="of the two runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for text in compare(Path(scratch), sorted(options.files)):
            print(text, flush=True)


if __name__ == "__main__":
    main()

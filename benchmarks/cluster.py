"""What the engine ``ray`` costs beside the engine ``local``, on one machine, as the folder grows.

``python benchmarks/cluster.py [--files 1000 4000] [OPTIONS OF screen]`` writes small radiographs (JPEG, 200 × 180)
that are all different into a temporary place, and screens the first of them with either engine in turn and a state.
It prints wall time, processor time of all processes, those of Ray included, and the peak memory of the main process
(proportional set size, Linux only), and what each further image and the start take. Both must write the same tables.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from phantom import radiograph

from benchmarks.growth import parent_and_processor_s, pss_kib, tree

ENGINES = ("local", "ray")
TABLES = (".csv", ".files.csv")
_ROWS, _COLUMNS = 200, 180
_MARK_PX = 4
_POLL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run took; `processor_s` is of all its processes, `driver_mib` the peak of the main process."""

    n_files: int
    wall_s: float
    processor_s: float
    driver_mib: float


def write_files(folder: Path, numbers: range) -> None:
    """Write radiographs in changing exposure, each with its number as a row of light and dark squares."""
    levels = np.rint(255 * radiograph(_ROWS, _COLUMNS, seed=7)).astype(np.uint8)
    for number in numbers:
        curve = np.linspace(0, 1, 256) ** (0.6 + 0.8 * (number * 0.618 % 1))
        grey = np.rint(255 * curve).astype(np.uint8)[levels]
        for bit in range(20):
            left = bit * _MARK_PX
            grey[:_MARK_PX, left : left + _MARK_PX] = 230 if number >> bit & 1 else 20
        path = folder / f"{number // 500:04}" / f"{number:07}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(grey).save(path, quality=90)


def screen(folder: Path, out: Path, engine: str, n_files: int, more: Sequence[str]) -> Cost:
    """Run the command with a new state, and watch it."""
    place = [str(folder), "--out", str(out), "--state", str(out.with_suffix(".sqlite")), "--settle", "0"]
    command = [sys.executable, "-m", "cxrbatch", "screen", *place, "--engine", engine, *more]
    started = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    watch = _Watch(process.pid)
    _, said = process.communicate()
    wall_s = time.monotonic() - started
    watch.stop()
    if process.returncode or f"= {n_files} scored" not in said:
        raise RuntimeError(said)
    return Cost(
        n_files=n_files, wall_s=wall_s, processor_s=watch.processor_s, driver_mib=watch.peak_kib / 1024
    )


class _Watch:
    """Processor time of a process and all below it, and the peak memory of the process itself, polled in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seconds: dict[int, float] = {}
        self.peak_kib = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    @property
    def processor_s(self) -> float:
        return sum(self._seconds.values())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stopped.wait(_POLL_S):
            self.peak_kib = max(self.peak_kib, pss_kib(self._pid))
            for pid in tree(self._pid):
                if found := parent_and_processor_s(pid):
                    _, self._seconds[pid] = found


def measure(n_files: int, folder: Path, scratch: Path, more: Sequence[str]) -> dict[str, Cost]:
    """Screen a folder with either engine; refuse other tables."""
    costs, tables = {}, []
    for engine in ENGINES:
        out = scratch / f"{engine}-{n_files}.csv"
        costs[engine] = cost = screen(folder, out, engine, n_files, more)
        tables.append([out.with_suffix(ending).read_bytes() for ending in TABLES])
        print(
            f"| {engine} | {n_files} | {cost.wall_s:.1f} | {cost.processor_s:.1f} | {cost.driver_mib:.0f} |",
            flush=True,
        )
    if tables[0] != tables[1]:
        raise RuntimeError("the engines wrote different tables")
    return costs


def _sentence(what: str, first: float, last: float, n_first: int, n_last: int) -> str:
    each = (last - first) / (n_last - n_first)
    return f"{what} {1000 * each:.2f} ms for each further image, {first - each * n_first:.1f} s for the start"


def main() -> None:
    """Print a line for each engine and size, and what the engines differ in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 4000])
    options, more = parser.parse_known_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}\n")
    print(
        "| engine | files | seconds | processor seconds | main process, peak MiB |\n|---|---:|---:|---:|---:|"
    )
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder, written = Path(place) / "export", 0
        folder.mkdir()
        for n_files in sorted(options.files):
            write_files(folder, range(written, n_files))
            written = n_files
            found.append(measure(n_files, folder, Path(place), more))
    for engine in ENGINES if len(found) > 1 else ():
        first, last = found[0][engine], found[-1][engine]
        sizes = first.n_files, last.n_files
        print(f"\n{engine}: {_sentence('wall', first.wall_s, last.wall_s, *sizes)};")
        print(f"{_sentence('processors', first.processor_s, last.processor_s, *sizes)};")
        print(f"memory of the main process × {last.driver_mib / first.driver_mib:.2f}")


if __name__ == "__main__":
    main()

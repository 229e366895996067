"""Time and memory of `cxrbatch screen` as the folder grows.

``python benchmarks/growth.py [--files 1000 4000] [--size 512 448] [--workers N] [--plot growth.svg]`` writes folders
of phantoms (PNG) into a temporary place, screens each as a user would, and prints wall time, images per second and
peak memory of all processes together (proportional set size, Linux only) as a Markdown table, with a straight line
fitted to the seconds; and draws both as a plot.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from phantom import radiograph

from benchmarks.command import summary_line
from benchmarks.growth_plot import Growth, sentence, svg

_SIZE, _N_DRAWN = (512, 448), 12
_POLL_S = 0.1
_TICKS_S = os.sysconf("SC_CLK_TCK")


def write_folder(folder: Path, n_files: int, size: tuple[int, int] = _SIZE) -> None:
    """Write files that are all different: a few drawings in changing exposure, with their number in a corner."""
    drawn = [radiograph(*size, seed=seed) for seed in range(_N_DRAWN)]
    for number in range(n_files):
        picture = drawn[number % _N_DRAWN] ** np.float32(0.6 + 0.8 * number / n_files)
        levels = np.rint(picture * 255).astype(np.uint8)
        levels[-1, -4:] = list(number.to_bytes(4))
        Image.fromarray(levels).save(folder / f"{number:06}.png", compress_level=1)


def screen(folder: Path, out: Path, workers: int | None, *more: str) -> tuple[float, float, str]:
    """Run the command, with more options; returns seconds, peak MiB and its last line."""
    command = [sys.executable, "-m", "cxrbatch", "screen", str(folder), "--out", str(out), *more]
    command += ["--workers", str(workers)] if workers else []
    started = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    peak = _Peak(process.pid)
    _, stderr = process.communicate()
    return time.monotonic() - started, peak.stop(), summary_line(stderr)


class _Peak:
    """Largest memory of a process and all below it, polled in a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_kib = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def stop(self) -> float:
        self._stopped.set()
        self._thread.join()
        return self._peak_kib / 1024

    def _poll(self) -> None:
        while not self._stopped.wait(_POLL_S):
            self._peak_kib = max(self._peak_kib, sum(pss_kib(pid) for pid in tree(self._pid)))


def tree(pid: int) -> list[int]:
    """List a process and all below it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(child))]


def parent_and_processor_s(pid: int) -> tuple[int, float] | None:
    """Read the parent of a process and the processor seconds that it took; None where it has ended (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS_S


def pss_kib(pid: int) -> int:
    """Read the proportional set size of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(n_files: int, workers: int | None, size: tuple[int, int] = _SIZE) -> Growth:
    """Screen a folder of so many files."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "export"
        folder.mkdir()
        write_folder(folder, n_files, size)
        seconds, mib, summary = screen(folder, Path(scratch) / "report.csv", workers)
    if f"= {n_files} scored" not in summary:
        raise RuntimeError(f"expected {n_files} files to be scored: {summary}")
    return Growth(n_files=n_files, seconds=seconds, mib=mib)


def main() -> None:
    """Print one line for each folder size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--size", type=int, nargs=2, default=_SIZE, metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--workers", type=int)
    parser.add_argument(
        "--plot", type=Path, metavar="SVG", help="draw it too; at least three sizes say something"
    )
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}\n")
    print("| files | seconds | images/s | peak MiB |\n|---:|---:|---:|---:|")
    found = []
    for n_files in options.files:
        one = measure(n_files, options.workers, tuple(options.size))
        print(f"| {n_files} | {one.seconds:.1f} | {n_files / one.seconds:.1f} | {one.mib:.0f} |", flush=True)
        found.append(one)
    if len(found) > 1:
        print(f"\n{sentence(found)}")
    if options.plot:
        options.plot.write_text(svg(found), encoding="utf-8")


if __name__ == "__main__":
    main()

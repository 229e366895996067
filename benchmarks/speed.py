"""How near `cxrbatch screen` comes to what the machine can decode and multiply, for each file format.

``python benchmarks/speed.py [--groups RLE mixed] [--compare] [--cores 2]`` writes full-size phantoms
(3000 × 2500; a folder for each format, and one in which all take turns), screens them as a user would, and prints
Markdown tables.

How it is measured:

* **images/s** of the command: a short run is subtracted from a long one, wall seconds and processor seconds alike, so
  that the start and the end are in neither; without large images and maps (``--explain 0``), of which a longer list
  has no more. The short one holds as many files as may have been read when the network is ready: were it fewer, those
  read during the start would count as free. Median of the repeats, and their range.
* Nothing watches these runs. Peak memory (proportional set size of all processes) is that of another one.
* **cheapest decode** and **full-size codec** are written without the program's code but for two formats
  (`decoders.py`): processor time, in one process with the machine otherwise idle, and in one for each processor at
  once.
* **network**: processor time on ready batches while the other processors decode (`network.py`).
* **limit** = processors / (cheapest decode with all processors busy + network), in processor seconds per image.
  **efficiency** = images/s / limit. **overhead** = processor time of a further image − cheapest decode − network:
  whatever is neither.
* **in processor time**: (cheapest decode + network) / processor time of a further image. It is the efficiency of a
  machine that nobody else uses: where a virtual processor is taken away, seconds pass and processor time does not.
  **the same, by libraries**: with decoding by what libraries offer in place of the cheapest decode, which holds this
  program's own ways to decode PNG and JPEG 2000.
* **reading**: header and pixels to presentation values, by the program's own code, as its readers do it. **of reading
  + network** = images/s / the limit with this in place of the cheapest decode.
* **naive** (`naive.py`): one process, `pydicom.pixel_array`, full-size float32, resize, `model.predict` one by one;
  without its start. * marks formats pydicom cannot decode here: the fastest decoder known did.
* **× codec**: images/s / those of the full-size codec alone on all processors at once.
* **taken by others**: the largest share of the processors that anything but the command took during a run. Above a
  few per cent the figures say little.
* The files lie in the page cache: the disk is not measured. Up to ``--gigabytes`` of a group they are different
  images of different patients; a longer run has hard links to them, which cost the same to read but are second
  copies to the report.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import growth
from benchmarks.command import Run, printed_json, screen, screen_watched
from benchmarks.comparison import compare, sentence
from benchmarks.decoders import alone, by_libraries, cheapest, full
from benchmarks.reading import reading
from benchmarks.speed_figures import Figures, Further, Spread, costs, limit, ratios, table
from benchmarks.speed_files import FULL_SIZE, GROUPS, MIXED, draw, formats_of, linked, write_group
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.engines.local import n_ahead

_N_DECODED = 4
_N_AHEAD = n_ahead(load_bundle().preprocess)
_PACKAGES = ("tensorflow", "numpy", "pillow", "pydicom", "imagecodecs")


# --- measuring


def n_further(images_per_s: float, seconds: float, least: int) -> int:
    """How many files more the long run needs to be about `seconds` longer."""
    return max(round(images_per_s * seconds), least)


def n_short(images_per_s: float, start_s: float, most: int, least: int) -> int:
    """How many files may have been read when the network is ready.

    Parameters
    ----------
    images_per_s : float
        At most.
    start_s : float
        How long the start takes.
    most : int
        That the program reads before any is scored.
    """
    return max(min(ceil(images_per_s * start_s), most), least)


class Bench:
    """Measures groups of files one after the other.

    Parameters
    ----------
    place : Path
        Where the files are made.
    network_s : float
        Processor seconds per image.
    """

    def __init__(self, place: Path, network_s: float, options: argparse.Namespace) -> None:
        self._place = place
        self._network_s = network_s
        self._options = options
        self._drawn = draw(options.size)
        self._start_s = 0.0

    @contextmanager
    def files(self, group: str) -> Iterator[list[Path]]:
        """Make the files of a group, unless they were kept, and remove them after, unless they are to be."""
        folder, options = self._place / group, self._options
        if folder.exists():
            yield sorted(folder.iterdir())
            return
        written = write_group(folder, group, self._drawn, options.different, round(options.gigabytes * 1e9))
        os.sync()  # so that nothing is written to the disk while something is measured
        yield written
        if not options.keep:
            shutil.rmtree(folder)

    def measure(self, group: str, files: Sequence[Path]) -> Figures:
        """Measure everything about a group."""
        options = self._options
        few = files[: max(_N_DECODED, len(formats_of(group)))]
        light, light_busy, codec, codec_busy = (
            alone(decode, few, n_processes, options.rounds)
            for decode in (cheapest, full)
            for n_processes in (1, options.cores)
        )
        own, libraries = (alone(how, few, options.cores, options.rounds) for how in (reading, by_libraries))
        naive = printed_json("naive.py", *map(str, few))
        at_most = limit(light.processor_s, self._network_s, options.cores)
        self._start_s = self._start_s or self.run(files, 1).wall
        n_few = n_short(at_most, self._start_s, _N_AHEAD, options.short)
        peak_mib = self._peak_mib(files, n_few)
        n_more = n_further(at_most, options.seconds, options.short)
        pairs = [(self.run(files, n_few), self.run(files, n_few + n_more)) for _ in range(options.repeats)]
        return Figures(
            n_files=n_few + n_more,
            n_different=min(n_few + n_more, len(files)),
            cores=options.cores,
            long=Spread.of(long.wall for _, long in pairs),
            others=max(one.others / one.wall for pair in pairs for one in pair) / options.cores,
            further=tuple(Further.between(short, long, n_more) for short, long in pairs),
            cheapest=light,
            cheapest_busy=light_busy,
            libraries_busy=libraries,
            codec=codec,
            codec_busy=codec_busy,
            reading_busy=own,
            network_s=self._network_s,
            naive_s=naive["seconds"],
            naive_mark=naive["mark"],
            peak_mib=peak_mib,
        )

    def run(self, files: Sequence[Path], n_files: int) -> Run:
        """Screen so many files; nothing watches.

        Raises
        ------
        RuntimeError
            Not every different file was scored: then no figure would mean anything.
        """
        with linked(files, n_files) as folder, tempfile.TemporaryDirectory() as out:
            run = screen(folder, Path(out) / "report.csv", *self._workers, "--explain", "0")
        _check(run.summary, min(n_files, len(files)))
        return run

    def _peak_mib(self, files: Sequence[Path], n_files: int) -> float:
        """Peak memory of a run that is watched."""
        with linked(files, n_files) as folder, tempfile.TemporaryDirectory() as out:
            _, mib, summary = growth.screen(folder, Path(out) / "report.csv", self._options.workers)
        _check(summary, min(n_files, len(files)))
        return mib

    def start(self, files: Sequence[Path]) -> Iterator[str]:
        """Measure the start, and the report at the end, by runs of their own."""
        options = self._options
        one = Spread.of(self.run(files, 1).wall for _ in range(options.repeats))
        yield f"one file: {one.text(2)} s until its report is written"
        with linked(files, options.watched) as folder, tempfile.TemporaryDirectory() as out:
            report = Path(out) / "report.csv"
            marks = [screen_watched(folder, report, *self._workers) for _ in range(options.repeats)]
        first, report_s = Spread.of(mark.first for mark in marks), Spread.of(mark.report for mark in marks)
        yield f"{options.watched} files: first image scored after {first.text(2)} s"
        yield f"{options.watched} files: report written in {report_s.text(2)} s"

    def against_full(self, files: Sequence[Path]) -> str:
        """Compare the reports of reduced and of full decoding."""
        with linked(files, len(files)) as folder, tempfile.TemporaryDirectory() as out:
            reduced, whole = Path(out) / "reduced.csv", Path(out) / "whole.csv"
            screen(folder, reduced, *self._workers)
            screen(folder, whole, *self._workers, "--decode", "full")
            return sentence(compare(reduced, whole))

    @property
    def _workers(self) -> tuple[str, ...]:
        return "--workers", str(self._options.workers)


def _check(summary: str, n_scored: int) -> None:
    if f"= {n_scored} scored" not in summary:
        raise RuntimeError(f"expected {n_scored} files to be scored: {summary}")


# --- the program


def benchmark(place: Path, options: argparse.Namespace) -> Iterator[str]:
    """Make the files, measure, and give what is to be printed."""
    network = printed_json("network.py", str(options.cores))
    network_s = min(network["processor_busy_s"], network["wall_s"] * options.cores)
    yield machine(options.cores)
    yield (
        f"bundle `{network['bundle']}` by {network['runtime']} on {network['device']}, batches of "
        f"{network['batch_size']}\n"
    )
    yield (
        f"* network alone: {1 / network['wall_s']:.0f} images/s, {network['processor_s'] * 1000:.2f} CPU ms for an "
        f"image; {network['processor_busy_s'] * 1000:.2f} while the other processors decode"
    )
    found: dict[str, Figures] = {}
    try:
        yield from _groups(Bench(place, network_s, options), options, found)
    finally:  # what was measured before something failed is not lost
        for rows in (ratios, costs):
            yield from _table_or_nothing([rows(group, figures) for group, figures in found.items()])


def _groups(bench: Bench, options: argparse.Namespace, found: dict[str, Figures]) -> Iterator[str]:
    for group in options.groups:
        with bench.files(group) as files:
            found[group] = bench.measure(group, files)
            print(*ratios(group, found[group]).values(), sep=" | ", file=sys.stderr, flush=True)
            if group == options.groups[-1]:
                yield from (f"* {line}" for line in bench.start(files))
            if group == MIXED and options.compare:
                yield f"* against `--decode full`, {bench.against_full(files)}"


def _table_or_nothing(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    if rows:
        yield ""
        yield from table(rows)


def machine(cores: int) -> str:
    """Name processors and versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"{cores} processors ({_processor_name()}), Python {platform.python_version()}, {versions};"


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((text.split(": ")[1] for text in lines if text.startswith("model name")), platform.machine())


def parser() -> argparse.ArgumentParser:
    """Parse the command line."""
    available = len(os.sched_getaffinity(0))
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP")
    found.add_argument("--repeats", type=int, default=3, help="of the pair of runs")
    found.add_argument("--seconds", type=float, default=8, help="by which the long run is longer")
    found.add_argument("--short", type=int, default=64, help="files of the short run, at least")
    found.add_argument("--watched", type=int, default=300, help="files of the run that shows the start")
    found.add_argument("--rounds", type=int, default=3, help="of decoding alone")
    found.add_argument("--cores", type=int, default=available, help="processors to use")
    found.add_argument("--workers", type=int, help="reader processes; one per processor by default")
    found.add_argument("--compare", action="store_true", help="also compare scores with --decode full")
    found.add_argument("--different", type=int, default=400, help="different files of a group, at most")
    found.add_argument("--gigabytes", type=float, default=3, help="of different files of a group, at most")
    found.add_argument("--size", type=int, nargs=2, default=FULL_SIZE, metavar=("ROWS", "COLUMNS"))
    found.add_argument("--keep", type=Path, metavar="FOLDER", help="where to make the files, and leave them")
    return found


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep:
        yield keep
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def main() -> None:
    """Print the tables."""
    options = parser().parse_args()
    options.workers = options.workers or options.cores
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with _place(options.keep) as place:
        for line in benchmark(place, options):
            print(line, flush=True)


if __name__ == "__main__":
    main()

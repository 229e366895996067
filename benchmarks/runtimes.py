"""TensorFlow against LiteRT on one folder: seconds, processor time, memory, and how far scores are apart.

``python benchmarks/runtimes.py FOLDER [--bundle BUNDLE] [--repeats 2]`` converts the bundle, screens the folder with
each runtime in turn, page and maps included, and prints a Markdown table and what differs. Needs cxrbatch[litert].
Memory (proportional set size of all processes) is watched in a run of its own.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.command import Run, screen
from benchmarks.growth import screen as screen_watched
from cxrbatch.bundle import DEFAULT_BUNDLE, convert_bundle, load_bundle

RUNTIMES = ("litert", "tensorflow")
_SCORES = ("score_covid", "score_pneumonia", "score_normal")
_HEAD = "| runtime | seconds | CPU seconds | taken by others, CPU s | peak MiB |\n|---|--:|--:|--:|--:|"

Scores = Mapping[str, tuple[float, ...]]
"""Scores by the name of the file."""


def read_scores(table: Path) -> Scores:
    """Read the scores of a ``.files.csv``."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["status"] == "scored"]
    return {row["file"]: tuple(float(row[name]) for name in _SCORES) for row in rows}


def compare(found: Scores, expected: Scores) -> Iterator[str]:
    """State how far scores are apart, and by how much an order by the first lets a lower one of the second go before.

    Raises
    ------
    ValueError
        Not the same files have a score.
    """
    if found.keys() != expected.keys():
        raise ValueError(f"{len(found.keys() ^ expected.keys())} files have a score in one runtime only")
    names = list(found)
    one, other = (np.array([scores[name] for name in names]) for scores in (found, expected))
    apart = np.abs(one - other).max(axis=1)
    in_order = other[np.argsort(-one[:, 0], kind="stable"), 0]
    inversion = float((in_order - np.minimum.accumulate(in_order)).max())
    quantiles = ", ".join(f"{value:.1e}" for value in np.quantile(apart, (0.5, 0.9, 0.99, 1)))
    yield f"* {len(names)} scored; median, 90th, 99th percentile and largest difference of a score: {quantiles}"
    n_far = int((apart > 1e-5).sum())
    yield f"* {n_far} differ by more than 1e-5; largest inversion of two COVID-19 scores: {inversion:.1e}"


def row(runtime: str, runs: list[Run], peak_mib: float) -> str:
    """Write a row of the table: median and range."""
    columns = ([run.wall for run in runs], [run.processor for run in runs], [run.others for run in runs])
    cells = [f"{np.median(values):.1f} ({min(values):.1f}–{max(values):.1f})" for values in columns]
    return f"| {runtime} | {' | '.join(cells)} | {peak_mib:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        bundle = convert_bundle(load_bundle(options.bundle), place / "bundle")
        stated = {name: ("--bundle", str(bundle.path), "--runtime", name) for name in RUNTIMES}
        runs: dict[str, list[Run]] = {name: [] for name in RUNTIMES}
        for _ in range(options.repeats):
            for runtime in RUNTIMES:
                runs[runtime].append(screen(options.folder, place / f"{runtime}.csv", *stated[runtime]))
        print(runs["litert"][0].summary, _HEAD, sep="\n\n")
        for runtime in RUNTIMES:
            _, peak, _ = screen_watched(options.folder, place / "watched.csv", None, *stated[runtime])
            print(row(runtime, runs[runtime], peak), flush=True)
        print(*compare(*(read_scores(place / f"{name}.files.csv") for name in RUNTIMES)), sep="\n")


if __name__ == "__main__":
    main()

"""Damage thousands of files, screen them with the real command line, and check that every one is accounted for.

    python tests/fuzz/screen_many.py --files 10000 --seed 1 --out FOLDER

Run by hand (`make fuzz`). FOLDER must be new; it keeps the files, so that what was found can be looked at.
"""

import argparse
import csv
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "sample_data")]

from tests.fuzz import seeds
from tests.fuzz.lenient_dicom_header import modalities
from tests.fuzz.mutations import mutated

_RADIOGRAPHS = {"CR", "DX", "RG"}
_SCORED = "scored"
_VAGUE = re.compile(r"^$|while reading$")
_SUMMARY_LINES = 4
"""What was found, the summary, the reasons, the page."""
_MANY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of ``report.files.csv``."""

    file: str
    status: str
    reason: str
    detail: str

    @property
    def label(self) -> str:
        """Reason, or why there is none."""
        return self.reason or self.status


def main() -> int:
    """Exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="FORMAT", help="seeds of these formats")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.out / "files"
    folder.mkdir(parents=True)
    kinds = {**write_mutated(folder, arguments.seed, arguments.files, arguments.only), **copy_pydicom(folder)}
    started = time.monotonic()
    run = screen(folder, arguments.out / "report.csv")
    took_s = time.monotonic() - started
    outcomes = read_outcomes(arguments.out / "report.files.csv")
    show(kinds, outcomes)
    print(
        f"{len(kinds)} files, {took_s:.0f} s, {1000 * took_s / len(kinds):.1f} ms each; exit code {run.returncode}"
    )
    print(f"stderr: {run.stderr.strip()}")
    problems = [
        *problems_of_run(run),
        *problems_of_books(folder, run, outcomes),
        *problems_of_outcomes(folder, outcomes),
    ]
    print(*problems[:_MANY], sep="\n")
    print(f"{len(problems)} problems")
    return bool(problems)


def write_mutated(folder: Path, seed: int, n_files: int, only: list[str] | None = None) -> dict[str, str]:
    """Write damaged files, of all formats or of some; gives the kind of each."""
    known = [*seeds.small(folder.parent) * 3, *seeds.large(folder.parent), *seeds.of_pydicom()]
    known = [one for one in known if only is None or one.format in only]
    kinds = {}
    for number in range(n_files):
        file = mutated(known, seed, number)
        place = folder / f"{number // _MANY:02}"
        place.mkdir(exist_ok=True)
        (place / file.name).write_bytes(file.data)
        kinds[f"{place.name}/{file.name}"] = file.kind
    return kinds


def copy_pydicom(folder: Path) -> dict[str, str]:
    """Copy the files that come with pydicom as they are."""
    source = Path(pydicom.__file__).parent / "data"
    shutil.copytree(source, folder / "pydicom", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return {
        path.relative_to(folder).as_posix(): "pydicom"
        for path in (folder / "pydicom").rglob("*")
        if path.is_file()
    }


def screen(folder: Path, report: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line."""
    command = [sys.executable, "-m", "cxrbatch", "screen", str(folder), "--out", str(report)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_outcomes(table: Path) -> list[Outcome]:
    """Rows of the report."""
    csv.field_size_limit(1 << 28)
    with table.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [Outcome(**{name: row[name] for name in ("file", "status", "reason", "detail")}) for row in rows]


def problems_of_run(run: "subprocess.CompletedProcess[str]") -> Iterator[str]:
    """The run must end well and say little."""
    if run.returncode not in (0, 3):
        yield f"exit code {run.returncode}"
    if len(run.stderr.strip().splitlines()) > _SUMMARY_LINES:
        yield "more than a summary on stderr"


def problems_of_books(
    folder: Path, run: "subprocess.CompletedProcess[str]", outcomes: list[Outcome]
) -> Iterator[str]:
    """Every file has one row, and the counts of the summary are those of the rows."""
    found = Counter(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    rows = Counter(outcome.file for outcome in outcomes)
    yield from (
        f"{name}: {rows[name]} rows for {found[name]} file"
        for name in found | rows
        if rows[name] != found[name]
    )
    stated = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", run.stderr)]
    counts = Counter(outcome.status for outcome in outcomes)
    yield from (f"{n} {status} is not in the summary" for status, n in counts.items() if n not in stated)


def problems_of_outcomes(folder: Path, outcomes: list[Outcome]) -> Iterator[str]:
    """Refusals say why, and what is no radiograph has no score."""
    for outcome in outcomes:
        if outcome.status == _SCORED:
            others = modalities((folder / outcome.file).read_bytes()) - _RADIOGRAPHS
            if others:
                yield f"{outcome.file}: scored, with modality {others}"
        elif not outcome.reason or _VAGUE.search(outcome.detail):
            yield f"{outcome.file}: {outcome.label}, but why: {outcome.detail!r}"


def show(kinds: dict[str, str], outcomes: list[Outcome]) -> None:
    """Print how many files of each kind had which outcome."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        table[kinds.get(outcome.file, "?")][outcome.label] += 1
    for kind in sorted(table):
        print(f"{kind:24}", ", ".join(f"{n} {label}" for label, n in table[kind].most_common()))
    print(
        f"{'all':24}", ", ".join(f"{n} {label}" for label, n in sum(table.values(), Counter()).most_common())
    )


if __name__ == "__main__":
    sys.exit(main())

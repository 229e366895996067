"""What a large state costs: filled through the program's own writer, then two nights with it.

``python benchmarks/large_state.py [--images 100000 --nights 1000 --old 10000 --new 100]`` fills a state night by
night, in transactions of 64 rows as a run does, and prints a line for each tenth of the images: rows a second in the
writer alone, its processor time, what it wrote, the size of the file. Then `cxrbatch screen
--state` runs over a folder of which nearly all is known, as a user would, and again with other new files, watched
from inside (`benchmarks/remembered.py`). The numbers of patients and of instances are scattered, so that each row
goes to another place of every index: the worst case.

``--times 40`` then makes 40 times as many images of it in SQL, with patients of their own, without indexes, which are
made afterwards: ten million in less than an hour. The writer adds a few nights to that too (``--further``), and says
what it manages there. Such indexes are packed: a state that has grown is larger by what its lines say.
"""

import argparse
import datetime as dt
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.growth import screen, write_folder
from benchmarks.remembered import (
    Past,
    add_common_options,
    before,
    gone,
    learn,
    patient,
    processor_s,
    scored,
    watched,
    where,
    write_old,
)
from cxrbatch.discover import walk
from cxrbatch.records import FoundFile, Outcome
from cxrbatch.state.connection import open_state
from cxrbatch.state.records import PcrResult, RunContext
from cxrbatch.state.store import State

_ROWS_AT_ONCE = 64
_N_NUMBERS = 10**8
_STRIDE = 61_803_399
"""Has no factor in common with the numbers, so that no two rows get the same one."""

_HEAD = """| images | rows/s | processor µs a row | KiB written a row | MiB | bytes an image |
|---:|---:|---:|---:|---:|---:|"""

Row = tuple[FoundFile, Outcome]


def scattered(number: int) -> int:
    """Make the number of the patient of an image: those of images that follow each other are far apart."""
    return number * _STRIDE % _N_NUMBERS


@dataclass
class Written:
    """What the writer has done since the last line that was printed."""

    n_rows: int = 0
    seconds: float = 0.0
    processor_s: float = 0.0
    n_bytes: int = 0

    def line(self, state: Path, n_images: int) -> str:
        """Show it as a row of a table."""
        mib = sum(path.stat().st_size for path in state.parent.glob(f"{state.name}*")) / 2**20
        rate, cost_us = self.n_rows / self.seconds, self.processor_s / self.n_rows * 1e6
        kib = self.n_bytes / self.n_rows / 1024
        size = f"{mib:.0f} | {mib * 2**20 / n_images:.0f}"
        return f"| {n_images} | {rate:.0f} | {cost_us:.0f} | {kib:.1f} | {size} |"


def fill(state: State, path: Path, past: Past, in_folder: list[FoundFile], tonight: RunContext) -> None:
    """Remember all images, night by night, each with the results of its patients; print a line for each tenth."""
    print(_HEAD)
    chance = random.Random(0)  # noqa: S311 - made-up scores
    written, tenth = Written(), past.n_images // 10
    for night in range(past.n_nights):
        numbers = range(_first(past, night), _first(past, night + 1))
        context = before(tonight, past.n_nights - night)
        _put(state, _rows(numbers, past, in_folder, chance), context, written)
        state.pcr.add(_results(numbers, past, context.night, chance), context.moment)
        if numbers.stop // tenth > numbers.start // tenth:
            print(written.line(path, numbers.stop), flush=True)
            written = Written()


def add(state: State, path: Path, past: Past, n_rows: int, n_there: int, tonight: RunContext) -> None:
    """Remember further images of yesterday, with their results, and print a line."""
    chance, context = random.Random(1), before(tonight, 1)  # noqa: S311 - made-up scores
    numbers, written = range(past.n_images, past.n_images + n_rows), Written()
    rows = ((gone(number), scored(gone(number).name, scattered(number), 1, chance)) for number in numbers)
    _put(state, rows, context, written)
    state.pcr.add(_results(numbers, past, context.night, chance), context.moment)
    print(f"{_HEAD}\n{written.line(path, n_there + n_rows)}", flush=True)


def _put(state: State, rows: Iterator[Row], context: RunContext, written: Written) -> None:
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        _write(state, block, context, written)


def _first(past: Past, night: int) -> int:
    """Find the number of the first image of a night."""
    return night * past.n_images // past.n_nights


def _rows(numbers: range, past: Past, in_folder: list[FoundFile], chance: random.Random) -> Iterator[Row]:
    n_gone = past.n_images - len(in_folder)
    for number in numbers:
        file = in_folder[number - n_gone] if number >= n_gone else gone(number)
        yield file, scored(file.name, scattered(number), past.nights_ago(number), chance)


def _write(state: State, block: list[Row], context: RunContext, written: Written) -> None:
    began, used, n_bytes = time.perf_counter(), time.process_time(), _n_bytes_written()
    state.put_all(block, context)
    written.seconds += time.perf_counter() - began
    written.processor_s += time.process_time() - used
    written.n_bytes += _n_bytes_written() - n_bytes
    written.n_rows += len(block)


def _n_bytes_written() -> int:
    """Read how many bytes this process has handed to the system (Linux); 0 where that does not say."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def _results(numbers: range, past: Past, night: dt.date, chance: random.Random) -> Iterator[PcrResult]:
    for number in numbers:
        if chance.random() < past.tested:
            yield PcrResult(
                patient_key=patient(scattered(number)),
                date=night + dt.timedelta(days=1),
                positive=chance.random() < 0.2,
            )


# --- many times as many

_COPY_IMAGES = """
INSERT INTO image SELECT NULL, root, replace(replace(name, 'gone/', :folder), 'old/', :folder || 'old/'), size_bytes,
    mtime_ns, ctime_ns, first_night, first_seen, settings, bundle_sha256, judged, status, reason, score_covid,
    replace(patient_key, 'HOSPITAL', :issuer), patient_id, :issuer, :issuer || accession_number,
    sop_instance_uid || :uid, replace(replace(replace(replace(record, 'HOSPITAL', :issuer), '"gone/', '"' || :folder),
        '"old/', '"' || :folder || 'old/'), sop_instance_uid, sop_instance_uid || :uid),
    thumbnail, duplicate_of, former_key, tag FROM image WHERE id <= :last AND patient_key LIKE '["dicom"%'
"""
_COPY_RESULTS = """
INSERT INTO result SELECT replace(patient_key, 'HOSPITAL', :issuer), date, import, positive FROM result
    WHERE patient_key < '["dicom", "HOSPITAL"]' AND patient_key > '["dicom", "HOSPITAL",'
"""


def multiply(path: Path, times: int) -> None:
    """Give every image so many copies of other patients, less the one that is there."""
    began = time.monotonic()
    with closing(sqlite3.connect(path)) as connection:
        for setting in (
            "journal_mode = DELETE",
            "journal_mode = OFF",
            "synchronous = OFF",
            "cache_size = -500000",
        ):
            connection.execute(f"PRAGMA {setting}")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        (last,) = connection.execute("SELECT max(id) FROM image").fetchone()
        for number in range(1, times):
            names = {"folder": f"gone/{number:02}/", "issuer": f"HOSPITAL{number:02}", "uid": f".{number:02}"}
            connection.execute(_COPY_IMAGES, names | {"last": last})
            connection.execute(_COPY_RESULTS, names)
            connection.commit()
        print(f"copied in {time.monotonic() - began:.0f} s", flush=True)
        for name, sql in indexes:
            connection.execute(sql)
            print(f"{name} after {time.monotonic() - began:.0f} s", flush=True)
        connection.execute("PRAGMA journal_mode = WAL")


def measure(scratch: Path, options: argparse.Namespace) -> None:
    """Make everything below a folder, run and print."""
    export, new, out, state = (scratch / name for name in ("export", "new", "report.csv", "state.sqlite"))
    write_folder(_folder(new), 2 * options.new)
    write_folder(_folder(export / "new"), 1)
    tonight = learn(export, state, out)
    write_old(export, options.old)
    in_folder = [file for file in walk(export) if file.name.startswith("old/")]
    past = Past(n_images=options.images, n_nights=options.nights, tested=options.tested)
    with open_state(state) as memory:
        fill(memory, state, past, in_folder, tonight)
    if options.times > 1:
        multiply(state, options.times)
        with open_state(state) as memory:
            add(memory, state, past, options.further, options.images * options.times, tonight)
    _move(new, export / "new", options.new)
    used = processor_s()
    seconds, mib, summary = screen(export, out, options.workers, "--state", str(state))
    print(f"\na night: {seconds:.1f} s, {processor_s() - used:.1f} s of processors, peak {mib:.0f} MiB")
    print(";".join(summary.split(";")[:3]))
    _move(new, export / "new", options.new)
    print("\n".join(where(watched(export, out, state))))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _move(source: Path, target: Path, n_files: int) -> None:
    for path in sorted(source.iterdir())[:n_files]:
        shutil.move(path, target / path.name)


def main() -> None:
    """Fill and screen in a temporary folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000, help="images in the state")
    parser.add_argument("--nights", type=int, default=1000, help="over which the images came in")
    parser.add_argument(
        "--old", type=int, default=10_000, help="of them, those whose files are in the folder"
    )
    parser.add_argument("--new", type=int, default=100, help="new files of a night")
    parser.add_argument("--times", type=int, default=1, help="how many times as many, by copies in SQL")
    parser.add_argument("--further", type=int, default=20_000, help="images that the writer then adds")
    add_common_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        measure(Path(scratch), options)


if __name__ == "__main__":
    main()

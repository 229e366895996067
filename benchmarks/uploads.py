"""Twenty people upload twenty radiographs each, at once: processor time of `cxrbatch serve` against the command line.

``python benchmarks/uploads.py FOLDER [--turns 5] [--people 20] [--each 20]`` takes the files of a folder. Each turn
runs the command line on them once, and twice in a row: the difference is without the start. Then the people upload
them to a server that has started, in groups as the page does, and ask for news as often as the page does. Prints
milliseconds of processor time for each image until the last has its scores (of the pages, until the last one knows),
of all processes (Linux only), and how long people waited. Maps, which come later, are not counted.
"""

import argparse
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # reader processes come here too: nothing heavy up here

_GROUP_FILES = 16
_WARM = 24
_PREDICT = """import sys
from cxrbatch import predict
if __name__ == '__main__':
    list(predict(sys.stdin.read().splitlines()))
"""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Turn:
    """Processor milliseconds for each image, and seconds of people."""

    command_ms: float
    server_ms: dict[str, float]
    groups_s: list[float]
    people_s: list[float]

    @property
    def ratio(self) -> float:
        """Throughput of the server by processor time, as a share of the command line's."""
        return self.command_ms / sum(self.server_ms.values())


@dataclass(slots=True)
class People:
    """Those who upload, each in a thread; `failures` of any."""

    port: int
    cookies: dict[str, str]
    token: str
    groups_s: list[float] = field(default_factory=list)
    people_s: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def upload(self, files: Sequence[Path]) -> None:
        """Do what the page does: open, send in groups, ask for news until all have an answer."""
        try:
            self._upload(files)
        except Exception as error:  # said at the end
            self.failures.append(repr(error))

    def _upload(self, files: Sequence[Path]) -> None:
        from tests.factories.web_client import Client  # noqa: PLC0415

        client, began = Client(self.port), time.monotonic()
        client.cookies = dict(self.cookies)
        page = client.open_upload(self.token)
        for start in range(0, len(files), _GROUP_FILES):
            group = files[start : start + _GROUP_FILES]
            sent = time.monotonic()
            client.add_files(page, [(path.name, path.read_bytes()) for path in group], self.token)
            self.groups_s.append(time.monotonic() - sent)
        self.answered.append(client.follow_news(page))
        self.people_s.append(time.monotonic() - began)


def command_ms(files: Sequence[Path]) -> float:
    """Measure a further image on the command line: two runs of other lengths, each in a process of its own."""
    few, many = (_command_s(list(files) * times) for times in (1, 2))
    return (many - few) / len(files) * 1000


def _command_s(files: Sequence[Path]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", _PREDICT],
        input="\n".join(map(str, files)),
        text=True,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def processes(root: int) -> dict[int, float]:
    """Read the processor seconds of a process and of all below it."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        number = int(path.parent.name)
        parents[number], used[number] = int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS
    found = {root}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: used[one] for one in sorted(found) if one in used}


def wait_for_outcomes(database: Path, n_images: int) -> None:
    """Wait until so many images have an outcome."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        query = "SELECT COUNT(*) FROM web_uploadedimage WHERE status <> 'waiting'"
        while connection.execute(query).fetchone()[0] < n_images:
            time.sleep(0.1)


def measure(files: Sequence[Path], n_people: int, each: int, scratch: Path) -> Turn:
    """Measure one turn: the command line, then the server, with the same images."""
    from tests.factories.web_client import first_admin, serving  # noqa: PLC0415

    command = command_ms(files)
    with serving("--state", scratch / "state.sqlite") as server:
        admin = first_admin(server)
        while not json.loads(admin.send("GET", f"{admin.open_upload(admin.token('/uploads/new/'))}news/")[2])[
            "ready"
        ]:
            time.sleep(1)
        admin.follow_news(admin.upload([(path.name, path.read_bytes()) for path in files[:_WARM]]))
        people = People(server.port, admin.cookies, admin.token("/uploads/new/"))
        before = processes(server.process.pid)
        threads = [
            threading.Thread(target=people.upload, args=(files[start : start + each],))
            for start in range(0, n_people * each, each)
        ]
        for thread in threads:
            thread.start()
        wait_for_outcomes(scratch / "web.sqlite", len(files) + len(files[:_WARM]))
        scored = processes(server.process.pid)  # maps begin a second later
        for thread in threads:
            thread.join()
        after = scored | {server.process.pid: processes(server.process.pid)[server.process.pid]}
    if people.failures or sum(people.answered) != n_people * each:
        raise SystemExit(f"{sum(people.answered)} of {n_people * each} answered; {people.failures[:3]}")
    spent = {one: (seconds - before.get(one, 0)) / len(files) * 1000 for one, seconds in after.items()}
    return Turn(command, _by_part(spent, server.process.pid), people.groups_s, people.people_s)


def _by_part(spent: dict[int, float], server: int) -> dict[str, float]:
    """Name the processes: the server, the scoring process (which spends most of the others), the readers."""
    others = {one: ms for one, ms in spent.items() if one != server}
    scorer = max(others, key=lambda one: others[one])
    return {"pages": spent[server], "scoring": others.pop(scorer), "readers": sum(others.values())}


def main() -> None:
    """Measure in turns, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--each", type=int, default=20)
    options = parser.parse_args()
    found = sorted(path for path in options.folder.rglob("*") if path.is_file())
    files = list(islice(cycle(found), options.people * options.each))
    print("| command line | server | its pages | scoring | readers | ratio | group p95, s | person p95, s |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    turns = []
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as scratch:
            turn = measure(files, options.people, options.each, Path(scratch))
        turns.append(turn)
        parts = " | ".join(f"{ms:.1f}" for ms in turn.server_ms.values())
        print(
            f"| {turn.command_ms:.1f} | {sum(turn.server_ms.values()):.1f} | {parts} | {turn.ratio:.2f} | "
            f"{_p95(turn.groups_s):.2f} | {_p95(turn.people_s):.1f} |",
            flush=True,
        )
    print(f"\nmedian ratio {statistics.median(turn.ratio for turn in turns):.2f}")


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


if __name__ == "__main__":
    main()

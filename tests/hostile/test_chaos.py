"""A run over a folder in which everything changes meanwhile: no row has the score of another file.

``CXRBATCH_CHAOS_SEEDS=100`` does it a hundred times; by default twice.
"""

import os
import random
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from cxrbatch.engines.options import EngineOptions
from cxrbatch.infer.runtime import Device
from cxrbatch.screening import ScreenOptions, screen
from tests.hostile.places import Place, cell, end, write_dcm, write_png

N_SEEDS = int(os.environ.get("CXRBATCH_CHAOS_SEEDS", "2"))
N_PICTURES, N_FILES, N_CALM, N_OUTSIDE = 260, 200, 30, 20
FOLDERS = ("s", "s/t", "u")
Told = tuple[str, str, str]
"""The three scores, as a table gives them."""


@dataclass(frozen=True)
class Pictures:
    """Files to copy from, and what each scores when nothing disturbs.

    Attributes
    ----------
    contents : list of bytes
        Every second one is a DICOM file of a patient of its own.
    told : list of Told
    """

    contents: list[bytes]
    told: list[Told]

    def patient_of(self, number: int, name: str) -> str:
        return f"P{number:04}" if number % 2 else cell(name)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Pictures:
    place = Place(tmp_path_factory.mktemp("calm"), tiny_bundle)
    place.export.mkdir()
    for number in range(N_PICTURES):
        (write_dcm if number % 2 else write_png)(place.export / f"{number:04}", number)
    screen(
        place.export, place.out, ScreenOptions(bundle=tiny_bundle, engine=EngineOptions(device=Device.CPU))
    )
    told = [scores_of(row) for row in place.rows()]
    assert len(set(told)) == N_PICTURES  # or one could stand for another
    return Pictures([path.read_bytes() for path in sorted(place.export.iterdir())], told)


def scores_of(row: dict[str, str]) -> Told:
    return row["score_covid"], row["score_pneumonia"], row["score_normal"]


@dataclass
class Chaos:
    """Does to a folder whatever can be done to it, and keeps a ledger: which pictures stood under which name.

    What is about to stand there is entered before it does.
    """

    root: Path
    outside: Path
    contents: list[bytes]
    random: random.Random
    ledger: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    calm: dict[str, int] = field(default_factory=dict)
    n_done: Counter[str] = field(default_factory=Counter)
    n_new: int = 0

    def __post_init__(self) -> None:
        for folder in ("", *FOLDERS):
            (self.root / folder).mkdir(exist_ok=True)
        for index in range(N_FILES):
            name = f"{self.random.choice(['', '', 's/', 's/t/', 'u/'])}{index:03}"
            self.put(name, index, self.root / name)
            if "/" not in name and len(self.calm) < N_CALM:
                self.calm[name] = index
        self.names = sorted(self.ledger.keys() - self.calm.keys())
        self.outside.mkdir()
        for index in range(N_OUTSIDE):
            (self.outside / f"{index:03}").write_bytes(contents_of_outside(self.contents, index))

    def put(self, name: str, number: int, path: Path) -> None:
        self.ledger[name].add(number)
        path.write_bytes(self.contents[number])

    @contextmanager
    def going_on(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(stop, self.random.choice([0.001, 0.005, 0.02])))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            subprocess.run(["chmod", "-R", "u+rwx", self.root], check=True)

    def _go_on(self, stop: threading.Event, pause_s: float) -> None:
        deeds = [deed for deed in vars(Chaos) if deed.startswith("do_")]
        while not stop.is_set():
            deed = self.random.choice(deeds)
            with suppress(OSError):  # what is to be changed may be gone, locked, or something else by now
                getattr(self, deed)(self.random.choice(self.names))
                self.n_done[deed] += 1
            time.sleep(self.random.random() * pause_s)

    def _any(self) -> int:
        return self.random.randrange(N_PICTURES - N_OUTSIDE)

    def _aside(self) -> Path:
        """A place with nothing in it, from which things are moved to where they are to stand."""
        path = self.root.parent / "aside"
        path.unlink(missing_ok=True)
        return path

    def do_replace(self, name: str) -> None:
        aside = self._aside()
        self.put(name, self._any(), aside)
        aside.replace(self.root / name)

    def do_write_over(self, name: str) -> None:
        self._unless_special(name, lambda path: self.put(name, self._any(), path))

    def do_write_slowly(self, name: str) -> None:
        self._unless_special(name, partial(self._write_slowly, name))

    def _write_slowly(self, name: str, path: Path) -> None:
        number = self._any()
        self.ledger[name].add(number)
        same_size = path.stat().st_size == len(self.contents[number])
        with path.open("r+b" if same_size else "wb", buffering=0) as stream:
            for begin in range(0, len(self.contents[number]), 4096):
                stream.write(self.contents[number][begin : begin + 4096])
                time.sleep(0.0005)

    def do_truncate(self, name: str) -> None:
        self._unless_special(name, lambda path: os.truncate(path, self.random.randrange(5000)))

    def _unless_special(self, name: str, write: Callable[[Path], object]) -> None:
        """Not through a link, and not into a pipe, where nobody reads."""
        path = self.root / name
        if path.is_file() and not path.is_symlink():
            write(path)

    def do_delete(self, name: str) -> None:
        (self.root / name).unlink()

    def do_put_back(self, name: str) -> None:
        if not os.path.lexists(self.root / name):
            self.put(name, self._any(), self.root / name)

    def do_change_mode(self, name: str) -> None:
        path = self.root / name
        if not path.is_symlink():
            path.chmod(self.random.choice([0o000, 0o200, 0o400, 0o644, 0o644]))

    def do_exchange(self, name: str) -> None:
        other = self.random.choice(self.names)
        both = self.ledger[name] | self.ledger[other]
        self.ledger[name] |= both
        self.ledger[other] |= both
        aside = self._aside()
        (self.root / name).rename(aside)
        (self.root / other).rename(self.root / name)
        aside.rename(self.root / other)

    def do_show_another_for_a_moment(self, name: str) -> None:
        path, hidden = self.root / name, self.root.parent / "hidden"
        path.rename(hidden)
        with suppress(OSError):
            self.put(name, self._any(), path)
            time.sleep(self.random.random() * 0.002)
        hidden.replace(path)

    def do_pipe(self, name: str) -> None:
        self._special(name, os.mkfifo)

    def do_link_out(self, name: str) -> None:
        target = self.outside / f"{self.random.randrange(N_OUTSIDE):03}"
        self._special(name, lambda path: path.symlink_to(target))

    def do_link_to_calm(self, name: str) -> None:
        target, number = self.random.choice(list(self.calm.items()))
        self.ledger[name].add(number)
        self._special(name, lambda path: path.symlink_to(self.root / target))

    def _special(self, name: str, make: Callable[[Path], object]) -> None:
        aside = self._aside()
        make(aside)
        aside.replace(self.root / name)

    def do_add(self, _: str) -> None:
        self.n_new += 1
        name = f"{self.random.choice(['', 's/', 'new/'])}n{self.n_new}"
        (self.root / "new").mkdir(exist_ok=True)
        self.put(name, self._any(), self.root / name)

    def do_hide_folder(self, _: str) -> None:
        """A link to the folder outside takes its place for a moment; what lies there has the same names."""
        folder = self.root / self.random.choice(FOLDERS)
        away = self.root.parent / "away"
        folder.rename(away)
        if self.random.random() < 0.5:
            folder.symlink_to(self.outside)
            time.sleep(self.random.random() * 0.004)
            folder.unlink()
        away.rename(folder)


def contents_of_outside(contents: list[bytes], index: int) -> bytes:
    """Of pictures that are never in the folder."""
    return contents[N_PICTURES - N_OUTSIDE + index]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_a_row_has_a_score_that_its_file_had(
    pictures: Pictures, tiny_bundle: Path, tmp_path: Path, seed: int
) -> None:
    place = Place(tmp_path, tiny_bundle)
    place.export.mkdir()
    chaos = Chaos(place.export, tmp_path / "outside", pictures.contents, random.Random(seed))
    with chaos.going_on():
        state = ["--state", tmp_path / "state"] if seed % 2 else []
        done = end(place.start("--log-format", "json", *state))
    rows = place.rows()
    assert len({row["file"] for row in rows}) == len(rows) == done["n_found"]
    ledger = {cell(name): (name, numbers) for name, numbers in chaos.ledger.items()}
    for row in rows:
        assert row["file"] in ledger or row["file"].rstrip("/") in (*FOLDERS, "new")
        if row["status"] == "scored":
            name, numbers = ledger[row["file"]]
            fitting = [number for number in numbers if pictures.told[number] == scores_of(row)]
            assert [pictures.patient_of(number, name) for number in fitting] == [row["patient_id"]], name
    assert_calm_ones_are_as_ever(rows, chaos.calm, pictures)
    print_outcomes(rows, chaos)


def assert_calm_ones_are_as_ever(
    rows: list[dict[str, str]], calm: dict[str, int], pictures: Pictures
) -> None:
    """Unless the same picture was met under another name before."""
    of_calm = {row["file"]: row for row in rows if row["file"] in calm}
    assert of_calm.keys() == calm.keys()
    for name, number in calm.items():
        row = of_calm[name]
        assert row["reason"] in ("", "duplicate")
        assert row["status"] != "scored" or scores_of(row) == pictures.told[number]


def print_outcomes(rows: list[dict[str, str]], chaos: Chaos) -> None:
    """Shown with ``pytest -s``: whether there was any chaos."""
    outcomes = Counter(f"{row['status']} {row['reason']}".strip() for row in rows)
    print(dict(outcomes), sum(chaos.n_done.values()), "deeds")  # noqa: T201

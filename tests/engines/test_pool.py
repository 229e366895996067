"""Reader processes: order, bounds, and files that kill their reader, keep it, or fill its memory."""

import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrbatch.engines.pool import WorkerPool
from cxrbatch.engines.processes import Spawner
from cxrbatch.engines.worker import Prepared
from cxrbatch.errors import WorkersFailed
from cxrbatch.limits import Limits
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import GreyImage, PreprocessSpec
from cxrbatch.read import PatientRule
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, ImageRef, ModelInput
from tests.factories.dicom_files import write_dicom

SPEC = PreprocessSpec(height=16, width=16)


class Trap:
    """A pixel check that does to its process what a decoder may do, by the mean grey of the picture."""

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        level = round(float(np.mean(image)), 1)  # type: ignore[arg-type]
        if level in _TRAPS:
            _TRAPS[level]()
        return ""


class LeavesDamage(Trap):
    """The first file of a process leaves damage that the third one dies of."""

    n_seen = 0

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        self.n_seen += 1
        if self.n_seen == 3:
            os.abort()
        return ""


class DiesAlways(Trap):
    """Ends its process at every picture."""

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        os.abort()


class CountsThreads(Trap):
    """Refuses each image with the number of threads that compute in its process, after a product of matrices."""

    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        square = np.ones((512, 512), np.float32)
        assert (square @ square == 512).all()
        n_started_by_python = threading.active_count() - 1
        return f"{len([*Path('/proc/self/task').iterdir()]) - n_started_by_python} computing"


class DeadlyHeaders(Limits):
    """Limits that end a reader which looks how deep a DICOM header is nested."""

    def __getattribute__(self, name: str) -> Any:
        if name == "nesting" and multiprocessing.parent_process():
            os.abort()
        return super().__getattribute__(name)


class CannotStart(Trap):
    """Ends its process as soon as that has imported it."""

    def __setstate__(self, state: object) -> None:
        os._exit(7)

    def __getstate__(self) -> object:
        return "anything"


def _hang() -> None:
    """For ever, in C and with the interpreter's lock held: no thread of the process runs any more."""
    ctypes.PyDLL(None).pause()


def _fill_memory() -> None:
    np.ones(10**10)


def _ends_by(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


_DIES, _HANGS, _FILLS, _KILLED = 1.0, 0.9, 0.8, 0.7
_TRAPS: dict[float, Callable[[], None]] = {
    _DIES: _ends_by(signal.SIGSEGV),
    _HANGS: _hang,
    _FILLS: _fill_memory,
    _KILLED: _ends_by(signal.SIGKILL),
}


def write(folder: Path, name: str, trap: float | None = None) -> ImageRef:
    seed = abs(hash(name)) % 2**32
    pixels = np.random.default_rng(seed).integers(0, 256, (130, 130), np.uint8)
    if trap:
        pixels = np.full((130, 130), round(255 * trap), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return ImageRef(path=folder / name, name=name, kind=FileKind.PNG)


def options(**changed: Any) -> PrepareOptions:
    given: dict[str, Any] = {"spec": SPEC, "pixel_check": Trap()}
    return PrepareOptions(**given | changed)


def results(
    refs: list[ImageRef], n_workers: int, asked: PrepareOptions | None = None
) -> list[tuple[str, bytes | Reason]]:
    with WorkerPool(asked or options(), n_workers, memory_bytes=1 << 30) as pool:
        return [
            (item.name, item.reason if isinstance(item, Failure) else item.pixels.tobytes())
            for ref, item in pool.prepare(refs)
            if ref.name == item.name
        ]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_order_and_pixels_are_those_of_a_plain_loop(tmp_path: Path, n_workers: int) -> None:
    refs = [write(tmp_path, f"{i}.png") for i in range(40)]
    expected = []
    for ref in refs:
        image = prepare(ref, PrepareOptions(spec=SPEC))
        assert isinstance(image, ModelInput)
        expected.append((ref.name, image.pixels.tobytes()))
    assert results(refs, n_workers) == expected


@pytest.mark.parametrize("n_workers", [1, 2])
def test_files_that_kill_keep_or_fill_their_reader_cost_only_themselves(
    tmp_path: Path, n_workers: int
) -> None:
    traps = {0: _DIES, 5: _DIES, 6: _HANGS, 13: _FILLS, 19: _DIES}
    expected = {_DIES: Reason.CORRUPT, _HANGS: Reason.TIMEOUT, _FILLS: Reason.TOO_LARGE}
    refs = [write(tmp_path, f"{i}.png", traps.get(i)) for i in range(20)]
    outcome = results(refs, n_workers, options(limits=Limits(seconds=2)))
    assert [name for name, _ in outcome] == [ref.name for ref in refs]
    refused = {i: result for i, (_, result) in enumerate(outcome) if isinstance(result, Reason)}
    assert refused == {i: expected[trap] for i, trap in traps.items()}
    alive = [ref for i, ref in enumerate(refs) if i not in traps]
    assert [item for i, item in enumerate(outcome) if i not in traps] == results(alive, 2)


def test_what_a_file_did_to_its_reader_is_said(tmp_path: Path) -> None:
    traps = {"dies.png": _DIES, "hangs.png": _HANGS, "killed.png": _KILLED}
    refs = [write(tmp_path, name, trap) for name, trap in traps.items()]
    with WorkerPool(options(limits=Limits(seconds=1.5)), 1) as pool:
        said = [(item.reason, item.detail) for _, item in pool.prepare(refs) if isinstance(item, Failure)]
    assert said == [
        (Reason.CORRUPT, "the reader process died of this file (SIGSEGV)"),
        (Reason.TIMEOUT, "not read within 1.5 s"),
        (Reason.TOO_LARGE, "its reader was killed twice, as happens for want of memory"),
    ]


def test_whose_picture_ended_its_reader_is_told(tmp_path: Path) -> None:
    """The header is read again, by itself."""
    stored = np.random.default_rng(0).integers(0, 256, (130, 130), np.uint8)
    path = write_dicom(tmp_path / "a.dcm", stored, PatientID="P-17")
    ref = ImageRef(path=path, name="a.dcm", kind=FileKind.DICOM)
    others = [write(tmp_path, f"{i}.png", _DIES) for i in range(2)]
    with WorkerPool(options(pixel_check=DiesAlways()), 1) as pool:
        failures = [failure for _, failure in pool.prepare([others[0], ref, others[1]])]
    assert [whose(failure) for failure in failures] == ["0.png", "P-17", "1.png"]
    assert {failure.reason for failure in failures if isinstance(failure, Failure)} == {Reason.CORRUPT}


def test_a_header_that_ends_its_reader_as_well_is_given_up(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (130, 130), np.uint8)
    path = write_dicom(tmp_path / "a.dcm", stored, PatientID="P-17")
    deadly, good = ImageRef(path=path, name="a.dcm", kind=FileKind.DICOM), write(tmp_path, "b.png")
    with WorkerPool(options(limits=DeadlyHeaders()), 1) as pool:
        (_, failure), (_, image) = pool.prepare([deadly, good])
    assert (whose(failure), failure.name) == ("a.dcm", "a.dcm")
    assert isinstance(image, ModelInput)


def whose(item: Prepared) -> str:
    assert item.header is not None
    return item.header.patient_id


def test_a_file_is_not_blamed_for_a_reader_that_somebody_killed(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    with WorkerPool(options(), 1) as pool:
        prepared = pool.prepare([ref] * 9)
        for kills in range(3):
            assert isinstance(next(prepared)[1], ModelInput), kills
            pool._workers[0]._process.kill()
        assert [isinstance(item, ModelInput) for _, item in prepared] == [True] * 6


def test_a_file_is_not_blamed_for_damage_that_another_may_have_left(tmp_path: Path) -> None:
    refs = [write(tmp_path, f"{i}.png") for i in range(9)]
    damaging = options(pixel_check=LeavesDamage())
    assert results(refs, 1, damaging) == results(refs, 1)


def test_a_reader_that_cannot_start_is_no_fault_of_the_files(tmp_path: Path) -> None:
    refs = [write(tmp_path, "a.png")]
    with pytest.raises(WorkersFailed, match=r"before it could read anything \(exit code 7\)"):
        results(refs, 1, options(pixel_check=CannotStart()))


def test_a_result_under_another_name_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [write(tmp_path, "a.png"), write(tmp_path, "b.png")]
    with WorkerPool(options(), 1) as pool:
        prepared = pool.prepare(refs)
        pool._workers[0].waiting.reverse()  # as if the reader had mixed them up
        reasons = [item.reason for _, item in prepared if isinstance(item, Failure)]
    assert reasons == [Reason.CORRUPT]


def test_processes_are_started_when_there_are_files_for_them(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    with WorkerPool(options(), 3) as pool:
        assert list(pool.prepare([])) == []
        assert len(pool._workers) == 0
        assert len(list(pool.prepare([ref, ref]))) == 2
        assert len(pool._workers) == 2


def test_the_patient_of_a_file_that_kills_its_reader_is_kept(tmp_path: Path) -> None:
    (tmp_path / "p7").mkdir()
    ref = replace(write(tmp_path / "p7", "a.png", _DIES), name="p7/a.png")
    with WorkerPool(options(patients=PatientRule("folder")), 1) as pool:
        ((_, failure),) = pool.prepare([ref])
    assert isinstance(failure, Failure)
    assert failure.header is not None
    assert failure.header.patient_id == "p7"


def test_files_in_flight_are_bounded(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    taken = 0

    def endless() -> Iterator[ImageRef]:
        nonlocal taken
        while True:
            taken += 1
            yield ref

    with WorkerPool(PrepareOptions(spec=SPEC), 1) as pool:
        stream = pool.prepare(endless())
        assert taken == 6  # what one reader is given at a time
        for _ in range(5):
            next(stream)
        time.sleep(0.3)
        assert 6 + 5 <= taken <= 5 + 12


def servers() -> set[int | None]:
    """Processes that fork readers; another test of this process may have left one to the garbage collector."""
    return {child.pid for child in multiprocessing.active_children() if child.name == "cxrbatch-reader"}


def test_who_waits_for_a_result_in_another_thread_can_be_let_go(tmp_path: Path) -> None:
    refs = [write(tmp_path, "good.png"), write(tmp_path, "hangs.png", _HANGS), write(tmp_path, "after.png")]
    got: list[str] = []
    before = servers()
    with WorkerPool(options(limits=Limits(seconds=60)), 1) as pool:
        other = threading.Thread(target=lambda: got.extend(item.name for _, item in pool.prepare(refs)))
        other.start()
        deadline = time.monotonic() + 20
        while not got and time.monotonic() < deadline:
            time.sleep(0.01)
        pool.stop()
        other.join(20)
        assert not other.is_alive()
    assert got == ["good.png"]
    assert servers() <= before


def test_readers_are_forked_by_a_process_of_their_own(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    before = servers()
    with WorkerPool(options(), 2) as pool:
        assert len(list(pool.prepare([ref] * 3))) == 3
        readers = [reader._process.pid for reader in pool._workers]
        (server,) = servers() - before
        assert [parent_of(pid) for pid in readers] == [server, server]
    assert not any(Path(f"/proc/{pid}").exists() for pid in (server, *readers))


def test_a_reader_computes_with_one_thread_unless_the_environment_states_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a reader for each processor already."""
    asked, refs = options(pixel_check=CountsThreads()), [write(tmp_path, "a.png")]
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    for stated, n_threads in ((None, 1), ("2", min(2, os.cpu_count() or 1))):
        if stated:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", stated)
        with WorkerPool(asked, 1) as pool:
            ((_, refused),) = pool.prepare(refs)
        assert isinstance(refused, Failure)
        assert refused.detail == f"{n_threads} computing"
        assert os.environ.get("OPENBLAS_NUM_THREADS") == stated


def test_readers_outlive_the_process_that_forked_them(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    with WorkerPool(options(), 1) as pool:
        prepared = pool.prepare([ref] * 9)
        for ended in ("server", "reader", "both"):
            assert isinstance(next(prepared)[1], ModelInput), ended
            reader = pool._workers[0]._process
            assert reader.pid
            server = parent_of(reader.pid)
            if ended != "reader":
                os.kill(server, signal.SIGKILL)
            if ended != "server":
                reader.kill()
        assert [isinstance(item, ModelInput) for _, item in prepared] == [True] * 6


def test_where_nothing_can_be_forked_each_reader_is_an_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [write(tmp_path, "a.png"), write(tmp_path, "dies.png", _DIES), write(tmp_path, "b.png")]
    forked = results(refs, 2)
    monkeypatch.setattr("cxrbatch.engines.pool.open_launcher", Spawner)
    assert results(refs, 2) == forked


def parent_of(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"PPid:\t(\d+)", status)[0])


def test_readers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """The child prints the process ids of its readers and is killed with work in flight."""
    write(tmp_path, "a.png")
    code = f"""
import itertools, multiprocessing, pathlib
from cxrbatch.errors import WorkersFailed
from cxrbatch.limits import Limits
from cxrbatch.engines.pool import WorkerPool
from cxrbatch.prepare import PrepareOptions
from cxrbatch.preprocess import GreyImage, PreprocessSpec
from cxrbatch.records import FileKind, ImageRef

if __name__ == "__main__":
    ref = ImageRef(path=pathlib.Path({str(tmp_path / "a.png")!r}), name="a.png", kind=FileKind.PNG)
    pool = WorkerPool(PrepareOptions(spec=PreprocessSpec()), 2)
    results = pool.prepare(itertools.repeat(ref))
    next(results)
    readers = [reader._process.pid for reader in pool._workers]
    print(*readers, *(child.pid for child in multiprocessing.active_children()), flush=True)
    for _ in results:
        pass
"""
    (tmp_path / "parent.py").write_text(code)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 3  # and the process that forked them
        parent.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)

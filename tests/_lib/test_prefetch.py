"""Items taken before they are asked for: all of them, in order, not too many, and no thread left."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch._lib.prefetch import prefetch
from cxrbatch.engines import pool
from cxrbatch.engines.local import n_ahead
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.pool import PreparedRef, WorkerPool
from cxrbatch.infer import runtime
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import ImageRef
from cxrbatch.screening import ScreenOptions, screen

PATIENCE_S = 20.0


def nothing() -> None:
    """An iterator that never waits needs no telling."""


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def no_thread_is_left() -> bool:
    return all(thread.name != "ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("n", [0, 1, 5, 500])
@pytest.mark.parametrize("n_ahead", [1, 3, 1000])
def test_items_come_in_order(n: int, n_ahead: int) -> None:
    with prefetch(range(n), n_ahead, nothing) as items:
        assert list(items) == list(range(n))
    assert no_thread_is_left()


def test_so_many_wait_and_no_more() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(len(taken))
            yield taken[-1]

    with prefetch(endless(), 7, nothing) as items:
        assert comes_true(lambda: len(taken) == 8)  # one more is in the hand of the thread
        assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
        assert comes_true(lambda: len(taken) == 13)
        time.sleep(0.1)
        assert len(taken) == 13
    assert no_thread_is_left()


def test_what_goes_wrong_is_raised_behind_the_items_before() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    found: list[int] = []
    with prefetch(breaks(), 5, nothing) as items, pytest.raises(OSError, match="gone"):
        found.extend(items)
    assert found == [1]
    assert no_thread_is_left()


def test_an_iterator_that_waits_is_told_to_stop() -> None:
    told = threading.Event()

    def waits() -> Iterator[int]:
        yield 1
        told.wait(PATIENCE_S)

    started = time.monotonic()
    with prefetch(waits(), 5, told.set) as items:
        assert next(items) == 1
    assert no_thread_is_left()
    assert time.monotonic() - started < PATIENCE_S / 2


def test_an_error_of_the_caller_ends_it_too() -> None:
    def fail() -> None:
        with prefetch(iter(int, 1), 3, nothing):
            raise ValueError("of the caller")

    with pytest.raises(ValueError, match="of the caller"):
        fail()
    assert no_thread_is_left()


def test_whoever_waits_for_an_item_elsewhere_is_let_go() -> None:
    told = threading.Event()
    got: list[int] = []

    def waits() -> Iterator[int]:
        told.wait(PATIENCE_S)
        yield from ()

    with prefetch(waits(), 5, told.set) as items:
        other = threading.Thread(target=lambda: got.extend(items))
        other.start()
    other.join(PATIENCE_S)
    assert not other.is_alive()
    assert got == []


@pytest.mark.parametrize(("side", "expected"), [(160, 496), (512, 62), (4096, 1)])
def test_larger_inputs_wait_in_smaller_number(side: int, expected: int) -> None:
    assert n_ahead(PreprocessSpec(height=side, width=side)) == expected


def test_files_are_read_while_tensorflow_starts(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more than the readers are given at a time, or may have in flight."""
    read: list[str] = []

    class Counted(WorkerPool):
        def prepare(self, refs: Iterable[ImageRef]) -> Iterator[PreparedRef]:
            for ref, item in super().prepare(refs):
                read.append(item.name)
                yield ref, item

    start = runtime.start_runtime

    def late(*given: object) -> runtime.Runtime:
        assert comes_true(lambda: len(read) == 60)
        return start(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(pool, "WorkerPool", Counted)
    monkeypatch.setattr(runtime, "start_runtime", late)
    folder = tmp_path / "export"
    folder.mkdir()
    pixels = np.rint(radiograph(380, 280, seed=1) * 255).astype(np.uint8)
    for number in range(60):
        Image.fromarray(pixels[number : number + 320]).save(folder / f"{number:02}.png")
    run = screen(
        folder, tmp_path / "report.csv", ScreenOptions(bundle=tiny_bundle, engine=EngineOptions(n_workers=1))
    )
    assert len(run.images) + len(run.failures) == run.n_found == 60
    assert read[:60] == sorted(read[:60])  # later: the large images of the page

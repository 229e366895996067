"""The desk: nothing that waits is lost when its worker process ends, and nothing waits for ever."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.web import ServeOptions
from cxrbatch.web.desk import Desk, QueueFull
from cxrbatch.web.worker import Job
from tests.factories import desk_workers


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., tuple[Desk, list[str], list[str]]]]:
    desks = []

    def make(work: Any, fails: bool = False) -> tuple[Desk, list[str], list[str]]:
        stored: list[str] = []
        given_up: list[str] = []

        def store(pairs: Any) -> None:
            if fails:
                raise OSError
            stored.extend(job.id for job, _ in pairs)

        options = ServeOptions(state=tmp_path / "state.sqlite", max_queue=5)
        desk = Desk(options, store, lambda jobs: given_up.extend(job.id for job in jobs), print, work)
        desks.append(desk)
        desk.start()
        return desk, stored, given_up

    yield make
    for desk in desks:
        desk.stop()


def jobs(n: int) -> list[Job]:
    return [Job(str(number), Path("x"), "x.png") for number in range(n)]


@pytest.mark.parametrize("work", [desk_workers.dutiful, desk_workers.dies_once, desk_workers.babbles_once])
def test_all_that_waits_has_an_outcome(work: Any, opened: Callable[..., Any]) -> None:
    desk, stored, given_up = opened(work)
    desk.submit(jobs(5))
    wait_for(lambda: desk.n_waiting == 0)
    assert (sorted(stored), given_up) == (["0", "1", "2", "3", "4"], [])
    wait_for(lambda: desk.is_ready)


def test_outcomes_that_come_soon_after_each_other_are_stored_together(tmp_path: Path) -> None:
    stored: list[int] = []
    options = ServeOptions(state=tmp_path / "state.sqlite", max_queue=5)
    desk = Desk(
        options, lambda pairs: stored.append(len(pairs)), lambda _: None, print, desk_workers.in_a_row
    )
    desk.start()
    desk.submit(jobs(5))
    wait_for(lambda: desk.n_waiting == 0)
    desk.stop()
    assert sum(stored) == 5
    assert len(stored) < 5


def test_maps_are_stored_and_none_is_waited_for_when_the_process_ends(tmp_path: Path) -> None:
    mapped: list[str] = []
    options = ServeOptions(state=tmp_path / "state.sqlite", max_queue=5)
    desk = Desk(
        options,
        lambda _: None,
        lambda _: None,
        lambda maps: mapped.extend(one.id for one in maps),
        desk_workers.makes_maps,
    )
    desk.start()
    desk.submit(jobs(2))
    wait_for(lambda: mapped == ["0"])
    assert desk.makes_maps
    desk.submit(jobs(3)[2:])
    wait_for(lambda: not desk.makes_maps)
    desk.stop()


def test_what_ends_three_processes_is_given_up(opened: Callable[..., Any]) -> None:
    desk, stored, given_up = opened(desk_workers.deadly)
    desk.submit(jobs(2))
    wait_for(lambda: len(given_up) == 2)
    assert (stored, sorted(given_up), desk.n_waiting) == ([], ["0", "1"], 0)


def test_what_cannot_be_stored_is_given_up(opened: Callable[..., Any]) -> None:
    desk, _, given_up = opened(desk_workers.dutiful, fails=True)
    desk.submit(jobs(1))
    wait_for(lambda: given_up == ["0"])
    assert desk.n_waiting == 0


def test_a_full_queue_takes_all_or_none(opened: Callable[..., Any]) -> None:
    desk, _, _ = opened(desk_workers.deadly)
    with pytest.raises(QueueFull, match="5 may: try again in"):
        desk.submit(jobs(6))
    assert desk.n_waiting == 0

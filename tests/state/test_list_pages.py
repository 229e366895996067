"""Pages of a list: what is found, in which order, and nothing of another patient."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.reasons import Flag, Reason
from cxrbatch.results import enter_result, undo_entry
from cxrbatch.state import ListQuery, State, open_state
from tests.factories.nights import JPEG, line, write_night
from tests.factories.stored import moment

PATIENTS = [
    line(1, "A%", 0.9, nights_waiting=1),
    line(2, "B_", 0.8, nights_waiting=3, flags=(Flag.LOSSY,)),
    line(3, "b1", 0.7),
    line(4, "D", reason=Reason.LATERAL_VIEW),
]
DAY = dt.date(2026, 3, 2)


def key(name: str) -> tuple[str, str, str]:
    return ("dicom", "", name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state with two nights; the run of the second is number 2."""
    path = tmp_path / "state.sqlite"
    write_night(path, PATIENTS[:1])
    assert write_night(path, PATIENTS, 1) == 2
    return path


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with open_state(path) as opened:
        yield opened


def found(state: State, **query: Any) -> list[str]:
    rows, n_found = state.pages.find(ListQuery(run=2, **query))
    assert n_found >= len(rows)
    return [row.patient_id for row in rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["A%", "B_", "b1", "D"]),
        ({"status": "ranked"}, ["A%", "B_", "b1"]),
        ({"status": "not_scored"}, ["D"]),
        ({"sort": "score"}, ["A%", "B_", "b1", "D"]),
        ({"sort": "nights"}, ["B_", "A%", "b1", "D"]),
        ({"sort": "patient"}, ["A%", "B_", "D", "b1"]),
        ({"priority": "high"}, ["A%", "B_", "b1"]),
        ({"flag": "lossy"}, ["B_"]),
        ({"text": "%"}, ["A%"]),
        ({"text": "_"}, ["B_"]),
        ({"text": "b"}, ["B_", "b1"]),
        ({"text": '"'}, []),
        ({"text": "' OR 1=1 --"}, []),
    ],
)
def test_what_is_asked_for_is_found_in_order(
    query: dict[str, str], expected: list[str], state: State
) -> None:
    assert found(state, **query) == expected


@pytest.mark.parametrize("sort", ["position", "score", "nights", "patient"])
def test_pages_follow_each_other(sort: str, state: State) -> None:
    pages = [found(state, sort=sort, offset=offset, limit=3) for offset in (0, 3, 6)]
    assert [*pages[0], *pages[1]] == found(state, sort=sort)
    assert pages[2] == []


def test_what_was_entered_since_the_run_is_a_mark_until_it_is_undone(path: Path) -> None:
    number = enter_result(path, key("A%"), DAY, None, "eva", clock=lambda: moment(2))
    with open_state(path) as state:
        assert found(state, open_only=True) == ["B_", "b1", "D"]
        assert state.pages.counts(2)["marked"] == 1
        row = state.pages.at(2, 1)
        assert row is not None
        assert row.mark is not None
        assert (row.mark.word, row.mark.by) == ("swabbed", "web:eva")
    undo_entry(path, key("A%"), number, "eva", clock=lambda: moment(2))
    with open_state(path) as state:
        assert found(state, open_only=True)[0] == "A%"
        assert [mark.undone_by for mark in state.pages.marks(key("A%"))] == ["web:eva"]


def test_a_patient_has_images_and_nights_of_its_own(state: State) -> None:
    (image,) = state.pages.images(key("A%"))
    assert (image.name, image.has_thumbnail) == ("A%.dcm", True)
    assert image.scores is not None
    assert image.scores[0] == 0.9
    assert [entry.position for entry in state.pages.history(key("A%"))] == [1, 1]
    assert [entry.position for entry in state.pages.history(key("b1"))] == [3]
    assert state.pages.at(2, 5) is None
    assert state.pages.thumbnail(image.id, key("A%")) == JPEG
    assert state.pages.thumbnail(image.id, key("B_")) == b""


def test_the_large_image_is_that_of_the_patient(state: State) -> None:
    state.large_images.replace([(key("B_"), "folder/B_.dcm", JPEG)])
    assert state.pages.large_image(key("B_")) == ("folder/B_.dcm", JPEG)
    assert state.pages.large_image(key("A%")) is None

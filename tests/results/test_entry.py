"""Swabs and results that are entered by hand, also while a run holds its lock."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from cxrbatch.errors import UsageProblem
from cxrbatch.results import enter_result, list_imports, undo_entry
from cxrbatch.state import open_state, persistent_state
from tests.factories.records import image_score
from tests.factories.stored import context, found, moment

KEY, OTHER = ("dicom", "", "A"), ("dicom", "", "B")
DAY = dt.date(2026, 3, 1)


def clock() -> dt.datetime:
    return moment(1)


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    path = tmp_path / "state.sqlite"
    with open_state(path) as state:
        state.put(found("a"), image_score("a", 0.5, "A"), context())
    return path


def enter(path: Path, day: dt.date = DAY, positive: bool | None = None) -> int:
    return enter_result(path, KEY, day, positive, "anna", clock=clock)


def test_an_entry_is_an_import_of_one_row_and_can_be_taken_back(state_path: Path) -> None:
    assert enter(state_path) == 1
    assert enter(state_path, positive=True) == 2
    first, second = list_imports(state_path)
    assert (first.imported_by, first.n_swabbed, second.n_positive) == ("web:anna", 1, 1)
    assert undo_entry(state_path, KEY, 2, "ben", clock=clock).word == "positive"
    assert list_imports(state_path)[1].undone_by == "web:ben"
    with open_state(state_path, read_only=True) as state:
        assert [(mark.word, mark.undone is None) for mark in state.pages.marks(KEY)] == [
            ("positive", False),
            ("swabbed", True),
        ]


def test_a_run_that_holds_the_lock_is_not_waited_for(state_path: Path) -> None:
    with persistent_state(state_path):
        assert enter(state_path) == 1


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (enter, "stored already"),
        (lambda path: enter(path, positive=False), "take that back first"),
        (lambda path: enter(path, positive=True), "stored already"),
        (lambda path: enter(path, DAY + dt.timedelta(days=9)), "in the future"),
        (lambda path: enter(path, dt.date(1999, 1, 1)), "before the first PCR"),
        (lambda path: undo_entry(path, OTHER, 1, "anna"), "not entered by hand for this patient"),
        (lambda path: undo_entry(path, KEY, 9, "anna"), "not entered by hand for this patient"),
        (lambda path: enter(path.with_name("none")), "no such file"),
    ],
)
def test_what_contradicts_is_refused_and_nothing_changes(
    attempt: Callable[[Path], object], message: str, state_path: Path
) -> None:
    enter(state_path)
    enter(state_path, positive=True)
    with pytest.raises(UsageProblem, match=message):
        attempt(state_path)
    assert len(list_imports(state_path)) == 2


def test_imports_of_files_and_what_is_undone_cannot_be_undone_here(state_path: Path) -> None:
    number = enter(state_path)
    undo_entry(state_path, KEY, number, "anna", clock=clock)
    with pytest.raises(UsageProblem, match="undone already"):
        undo_entry(state_path, KEY, number, "anna")
    with open_state(state_path) as state:
        (mark,) = state.pages.marks(KEY)
        imported = state.pcr.add([], clock(), "root")
    assert mark.undone
    with pytest.raises(UsageProblem, match="not entered by hand"):
        undo_entry(state_path, KEY, imported, "anna")

"""Lists of all runs: what a night's lists say together, and how older states come to hold them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cxrbatch._lib.packed import Packed
from cxrbatch.reasons import Reason
from cxrbatch.records import Priority
from cxrbatch.screening.large_images import with_earlier_entries
from cxrbatch.state import schema
from cxrbatch.state.connection import open_state
from cxrbatch.state.store import State
from tests.factories.audits import Line, _patient, _run
from tests.factories.stored import context, moment, night


def run_lists(state: State, number: int, *patients: str, finished: bool = True) -> int:
    """A run of the n-th night, whose list names these patients in this order."""
    run_id = state.begin(context(number))
    if finished:
        lines = [Line(patient=patient, score=0.5) for patient in patients]
        state.finish(run_id, _run(lines, moment(number)), moment(number))
    return run_id


def test_whoever_a_finished_run_listed_was_listed_where_the_last_such_run_says(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        first = run_lists(state, 0, "A", "B", "C")
        second = run_lists(state, 0, "C", "B")
        run_lists(state, 0, finished=False)
        third = run_lists(state, 1, "B")
        entries = [(e.run, e.night, e.patient_key[2], e.position) for e in state.lists.entries()]
        later = [(e.run, e.patient_key[2]) for e in state.lists.entries(since=night(1))]
    assert entries == [
        (first, night(0), "A", 1),
        (second, night(0), "C", 1),
        (second, night(0), "B", 2),
        (third, night(1), "B", 1),
    ]
    assert later == [(third, "B")]


def test_places_on_earlier_nights_are_those_of_this_wait(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        run_lists(state, 0, "A", "B")
        run_lists(state, 2, "C", "B", "A")
        run_lists(state, 3, "A", "B", "C")
        run_lists(state, 4, "A", "B", "C")
        waited = {"A": 2, "B": 4, "C": 0}
        patients = Packed(
            _patient(1, Line(patient=p, score=0.5, nights_waiting=n)) for p, n in waited.items()
        )
        shown = with_earlier_entries(patients, state, night(4))
    places = {p.patient_id: [(one.night, one.position) for one in p.earlier] for p in shown}
    assert places == {
        "A": [(night(2), 3), (night(3), 1)],
        "B": [(night(0), 2), (night(2), 2), (night(3), 2)],
        "C": [],
    }


def test_lines_hold_what_the_report_said_and_the_last_run_who_came_first(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        for number, waited in ((0, 2), (1, 1), (2, None)):
            lines = [Line(patient=f"{i}", score=0.5, max_wait=i < (waited or 0)) for i in range(3)]
            run = _run(lines, moment(number))
            failed = replace(run.patients[2], rank=None, score=None, priority=None, reason=Reason.TRUNCATED)
            ranked = (replace(patient, priority=Priority.HIGH) for patient in run.patients[:2])
            run = replace(run, patients=(*ranked, failed))
            run_id = state.begin(context(number))
            if waited is not None:
                state.finish(run_id, run, moment(number))
        assert state.lists.n_put_first() == 1
        entries = [(e.priority, e.reason, e.flags, e.status) for e in state.lists.entries()][-3:]
    assert entries == [
        ("high", "", ("max_wait",), "ranked"),
        ("high", "", (), "ranked"),
        ("", "truncated", (), "not_scored"),
    ]


def test_the_list_of_an_unfinished_run_is_no_list(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        run_id = state.begin(context(0))
        state.lists.add(run_id, [_patient(1, Line(patient="A", score=0.5))])
        assert list(state.lists.entries()) == []


def test_lists_of_an_older_state_belong_to_the_last_finished_run_of_their_night(tmp_path: Path) -> None:
    """Three runs of a night, of which the last was killed: version 1 kept the list of the second."""
    path = tmp_path / "state"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema.STEPS[0])
        connection.executemany(
            "INSERT INTO run (id, night, started, finished, folder, bundle_sha256) VALUES (?, ?, '', ?, '', 'b')",
            [(1, "2026-03-01", "x"), (2, "2026-03-01", "x"), (3, "2026-03-01", None), (4, "2026-03-02", "x")],
        )
        rows = [("2026-03-01", "A", 1), ("2026-03-01", "B", 2), ("2026-03-02", "A", 1)]
        connection.executemany(
            "INSERT INTO listed VALUES (?, '[\"dicom\", \"\", \"' || ? || '\"]', ?, 'ranked', 0.5, 'high', 0, "
            "'lossy;max_wait', '', 'b')",
            rows,
        )
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    with open_state(path) as state:
        entries = list(state.lists.entries())
    assert [(e.run, e.night.isoformat(), e.patient_key[2], e.position) for e in entries] == [
        (2, "2026-03-01", "A", 1),
        (2, "2026-03-01", "B", 2),
        (4, "2026-03-02", "A", 1),
    ]
    assert {(e.flags, e.score, e.bundle_sha256) for e in entries} == {(("lossy", "max_wait"), 0.5, "b")}


def test_the_previous_page_is_that_of_the_last_finished_run_under_another_name(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a.html", "b \u00e9.html", "c.html"))
    with open_state(tmp_path / "state") as state:
        assert state.lists.previous_page(first) is None
        for number, page in ((0, first), (1, second), (1, second), (2, None)):
            run_id = state.begin(context(number))
            state.finish(run_id, _run([], moment(number)), moment(number), page)
        state.begin(context(3))
        assert state.lists.previous_page(second) == (night(0), first)
        assert state.lists.previous_page(third) == (night(1), second)
        assert [run.page for run in state.runs()] == [str(first), str(second), str(second), "", ""]

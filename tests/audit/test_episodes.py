"""The unit of an audit: where a wait begins and ends, and which result is its own."""

import datetime as dt
from pathlib import Path

import pytest

from cxrbatch.audit.episodes import RESULT_DAYS, Episode, _arrived
from cxrbatch.reasons import Reason
from cxrbatch.state.records import ImageSummary
from tests.factories.audits import Line, Night, audited, day, one_night


def listed(number: int, nights_waiting: int | None, score: float | None = 0.5) -> Night:
    """A night whose list holds P, or nobody."""
    lines = [] if nights_waiting is None else [Line(patient="P", score=score, nights_waiting=nights_waiting)]
    return Night(number, [{"P": 0.5}] if nights_waiting == 0 else [{}], lines)


def episodes(
    tmp_path: Path, *nights: Night, results: list[tuple[str, int, bool]] | None = None
) -> tuple[Episode, ...]:
    return audited(tmp_path, *nights, results=results or []).found.episodes


def stretches(found: tuple[Episode, ...]) -> list[tuple[dt.date, dt.date]]:
    return [(episode.first_night, episode.last_night) for episode in found]


def test_neighbouring_nights_are_one_wait(tmp_path: Path) -> None:
    assert stretches(episodes(tmp_path, listed(0, 0), listed(1, 1), listed(2, 2))) == [(day(0), day(2))]


def test_nights_without_a_run_part_nothing(tmp_path: Path) -> None:
    assert stretches(episodes(tmp_path, listed(0, 0), listed(4, 4))) == [(day(0), day(4))]


def test_off_the_list_parts_and_so_does_an_empty_list(tmp_path: Path) -> None:
    found = episodes(tmp_path, listed(0, 0), listed(1, None), listed(2, 2))
    assert stretches(found) == [(day(0), day(0)), (day(2), day(2))]
    assert [episode.is_open for episode in found] == [False, True]


def test_waiting_anew_parts(tmp_path: Path) -> None:
    found = episodes(tmp_path, listed(0, 0), listed(1, 0), listed(2, 1))
    assert stretches(found) == [(day(0), day(0)), (day(1), day(2))]


def test_a_later_begin_parts_though_it_is_not_tonight(tmp_path: Path) -> None:
    """A result ended the first wait, and an image that came in meanwhile goes on waiting."""
    found = episodes(tmp_path, listed(0, 0), listed(1, 1), listed(2, 1), listed(3, 2))
    assert stretches(found) == [(day(0), day(1)), (day(2), day(3))]
    assert [episode.since for episode in found] == [day(0), day(1)]


def test_an_earlier_begin_parts_nothing(tmp_path: Path) -> None:
    (episode,) = episodes(tmp_path, listed(1, 0), listed(2, 2))
    assert (episode.first_night, episode.since) == (day(1), day(0))


def test_a_result_between_two_runs_of_a_night_keeps_its_wait(tmp_path: Path) -> None:
    """Listed by the first run, off the list of the second: that was a wait, and it has ended."""
    made = audited(
        tmp_path,
        listed(0, 0),
        Night(0, [{"Q": 0.4}], [Line(patient="Q", score=0.4)]),
        results=[("P", 0, True)],
    )
    of_p, of_q = made.found.episodes
    assert (of_p.patient_key[2], of_p.is_positive, of_p.is_open) == ("P", True, False)
    assert (of_q.patient_key[2], of_q.is_open, made.found.n_results_outside) == ("Q", True, 0)


def test_an_unfinished_run_is_no_night(tmp_path: Path) -> None:
    import sqlite3

    made = audited(tmp_path, listed(0, 0), listed(1, None), listed(2, 2))
    assert len(made.found.episodes) == 2
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("UPDATE run SET finished = NULL WHERE night = ?", (day(1).isoformat(),))
    connection.close()
    from cxrbatch.audit.figures import audit
    from tests.factories.audits import a_bundle

    again = audit(tmp_path / "state.sqlite", a_bundle())
    assert (again.n_nights, stretches(again.found.episodes)) == (2, [(day(0), day(2))])


@pytest.mark.parametrize(
    ("swab", "fits"), [(-2, False), (-1, True), (0, True), (3 + RESULT_DAYS, True), (4 + RESULT_DAYS, False)]
)
def test_the_window_of_a_result(tmp_path: Path, swab: int, *, fits: bool) -> None:
    made = audited(tmp_path, listed(0, 0), listed(3, 3), results=[("P", swab, True)])
    (episode,) = made.found.episodes
    assert episode.is_positive is (True if fits else None)
    assert made.found.n_results_outside == (not fits)


def test_the_first_result_counts(tmp_path: Path) -> None:
    (episode,) = episodes(tmp_path, listed(0, 0), results=[("P", 5, True), ("P", 2, False)])
    assert (episode.is_positive, episode.swabbed, episode.nights) == (False, day(2), 2)


@pytest.mark.parametrize(("swab", "owner"), [(1, 0), (3, 0), (4, 1), (9, 1)])
def test_a_result_belongs_to_the_later_wait_that_had_begun(tmp_path: Path, swab: int, owner: int) -> None:
    found = episodes(tmp_path, listed(0, 0), listed(1, 1), listed(4, 0), results=[("P", swab, True)])
    assert [episode.is_positive for episode in found] == [
        True if index == owner else None for index in (0, 1)
    ]


def test_a_swab_the_day_before_belongs_to_the_wait_unless_an_earlier_one_had_begun(tmp_path: Path) -> None:
    (episode,) = episodes(tmp_path, listed(4, 0), results=[("P", 3, True)])
    assert (episode.is_positive, episode.nights) == (True, 0)


def test_somebody_else_is_not_given_the_result(tmp_path: Path) -> None:
    made = audited(tmp_path, listed(0, 0), results=[("Q", 0, True)])
    assert (made.found.episodes[0].is_positive, made.found.n_results, made.found.n_results_outside) == (
        None,
        1,
        1,
    )


def test_place_and_score_are_those_of_the_first_night(tmp_path: Path) -> None:
    first = one_night(0, {"P": 0.4, "Q": 0.6})
    second = Night(1, [{}], [Line(patient="P", score=0.9, nights_waiting=1)])
    by_patient = {episode.patient_key[2]: episode for episode in episodes(tmp_path, first, second)}
    assert (by_patient["P"].position, by_patient["P"].score, by_patient["P"].week) == (2, 0.4, "2026-W45")


def test_not_scored_on_the_first_night_stays_so(tmp_path: Path) -> None:
    first = Night(0, [{"P": Reason.CORRUPT}], [Line(patient="P", score=None)])
    second = Night(1, [{"P": 0.9}], [Line(patient="P", score=0.9, nights_waiting=1)])
    (episode,) = episodes(tmp_path, first, second)
    assert not episode.is_ranked


def test_arrival_is_the_run_that_found_the_first_image_of_the_wait(tmp_path: Path) -> None:
    lines = [Line(patient="P", score=0.5), Line(patient="Q", score=0.4)]
    night = Night(0, [{"Q": 0.4}, {"P": 0.5}], lines)
    by_patient = {episode.patient_key[2]: episode.arrived.hour for episode in episodes(tmp_path, night)}
    assert by_patient == {"Q": 20, "P": 21}


@pytest.mark.parametrize(("written", "arrived"), [(None, 20), (19, 19), (21, 20)])
def test_a_file_arrives_when_it_is_written_or_found(written: int | None, arrived: int) -> None:
    moments = {hour: dt.datetime(2026, 11, 2, hour, tzinfo=dt.UTC) for hour in (19, 20, 21)}
    image = ImageSummary(
        first_night=dt.date(2026, 11, 2),
        first_seen=moments[20],
        written=moments[written] if written else None,
        patient_key=("dicom", "", "P"),
        study_date="",
        bundle_sha256="",
        status="scored",
        reason="",
        score_covid=0.5,
        duplicate_of="",
    )
    assert _arrived(image) == moments[arrived]

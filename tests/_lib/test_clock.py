"""Nights last from noon to noon."""

import datetime as dt

import pytest

from cxrbatch._lib.clock import Stopwatch, night_of, system_clock


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("2026-03-01T23:50", "2026-03-01"),
        ("2026-03-02T00:10", "2026-03-01"),
        ("2026-03-02T11:59", "2026-03-01"),
        ("2026-03-02T12:00", "2026-03-02"),
        ("2027-01-01T02:00", "2026-12-31"),
        ("2026-03-29T04:00+02:00", "2026-03-28"),  # the night on which summer time begins
    ],
)
def test_night_of(moment: str, night: str) -> None:
    assert night_of(dt.datetime.fromisoformat(moment)) == dt.date.fromisoformat(night)


def test_the_clock_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1772400000")
    assert system_clock() == dt.datetime.fromtimestamp(1772400000, dt.UTC)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    before = dt.datetime.now(dt.UTC)
    assert before <= system_clock() <= dt.datetime.now(dt.UTC)
    assert system_clock().tzinfo is not None


def test_a_stopwatch_adds_what_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 10.5, 12.0, 12.25])
    monkeypatch.setattr("cxrbatch._lib.clock.time.perf_counter", lambda: next(moments))
    ended = Stopwatch()
    for stage in ("read", "list", "read"):
        ended(stage)
    assert ended.seconds == {"read": 0.75, "list": 1.5}

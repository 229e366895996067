"""A state that commit 9847cd3 wrote over the sample night: every file is read again, and keeps its first night.

It holds two nights of the 31 files and six PCR results. Only what a copy of the night cannot have in common with the
one that was screened then, place, sizes and times of its files, is put right before. No patient of that night has
another key now; `tests.state.test_changed_keys` has those.
"""

import datetime as dt
import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.read import READING_VERSION
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore
from cxrbatch.screening import run as run_module
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.run import _settings, screen
from cxrbatch.state.codec import decode, encode
from cxrbatch.state.connection import open_state
from tests.factories.former_release import STATE as WRITTEN

NIGHT_AFTER = dt.datetime(2025, 11, 30, 22, tzinfo=dt.UTC)


def test_every_file_is_read_again_and_keeps_its_first_night(night: Path, state: Path, tmp_path: Path) -> None:
    options = ScreenOptions(state=state, clock=lambda: NIGHT_AFTER)
    run = screen(night, tmp_path / "report.csv", options)
    assert (run.n_found, run.n_remembered) == (31, 0)
    assert (run.n_scored, run.n_not_scored, run.n_skipped) == (22, 7, 2)
    ranked = [patient for patient in run.patients if patient.is_ranked]
    assert (len(ranked), len(run.patients) - len(ranked)) == (15, 5)  # six have a result
    assert {patient.nights_waiting for patient in run.patients} == {2}
    assert not any(Flag.PATIENT_CHANGED in patient.flags for patient in run.patients)
    assert [patient.rank for patient in ranked] == list(range(1, 16))
    assert all((one.score or 0) >= (other.score or 0) for one, other in pairwise(ranked))


def test_its_records_are_written_as_they_were() -> None:
    """The JSON is that of 9847cd3, key by key, whatever the attributes are called now."""
    with closing(sqlite3.connect(f"{WRITTEN.as_uri()}?immutable=1", uri=True)) as connection:
        records = [text for (text,) in connection.execute("SELECT record FROM image")]
    assert len(records) == 31
    assert [encode(decode(text)) for text in records] == records


def test_flags_and_reasons_of_its_records_are_those_stored() -> None:
    with closing(sqlite3.connect(f"{WRITTEN.as_uri()}?immutable=1", uri=True)) as connection:
        records = [decode(text) for (text,) in connection.execute("SELECT record FROM image")]
    by_name = {record.name: record for record in records}
    scored = by_name["emergency/SAMPLE-005/IM0001.dcm"]
    assert isinstance(scored, ImageScore)
    assert scored.flags == {Flag.LOSSY}
    assert scored.header.patient_key == ("dicom", "", "SAMPLE-005")
    failed = by_name["salle de réanimation/SAMPLE-021.png"]
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.skipped) == (Reason.NOT_AN_IMAGE, False)


def test_its_lists_runs_and_results_are_read(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    shutil.copyfile(WRITTEN, path)
    with open_state(path) as state:
        assert [run.n_found for run in state.runs()] == [31, 31]
        assert [result.positive for result in state.pcr.results()].count(True) == 3
        nights = [line.night for line in state.lists.entries()]
    assert {night: nights.count(night) for night in nights} == {
        dt.date(2025, 11, 28): 26,
        dt.date(2025, 11, 29): 20,
    }


def test_what_another_version_read_has_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a state would keep outcomes of files that are read otherwise now."""
    now = _settings(load_bundle(), ScreenOptions())
    assert now == _settings(load_bundle(), ScreenOptions())
    monkeypatch.setattr(run_module, "READING_VERSION", READING_VERSION + 1)
    assert _settings(load_bundle(), ScreenOptions()) != now

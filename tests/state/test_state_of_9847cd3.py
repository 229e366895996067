"""A state that commit 9847cd3 wrote over the sample night is read as if this version had written it.

It holds two nights of the 31 files and six PCR results. Only what a copy of the night cannot have in common with the
one that was screened then, place and times of its files, is put right before; and the hash of the settings, which
holds that of the bundle that was shipped then.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageScore
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.run import _settings, screen
from cxrbatch.state.codec import decode, encode
from cxrbatch.state.connection import open_state

WRITTEN = Path(__file__).with_name("state_of_9847cd3.sqlite")
BUNDLE = "4722a13d9cba"
NIGHT_AFTER = dt.datetime(2025, 11, 30, 22, tzinfo=dt.UTC)


@pytest.fixture
def night(sample_night: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample_night, tmp_path / "night"))


@pytest.fixture
def state(night: Path, tmp_path: Path) -> Path:
    """The state, as if it had been written over this copy of the night with this bundle."""
    path = tmp_path / "state.sqlite"
    shutil.copyfile(WRITTEN, path)
    settings, sha256 = _settings(load_bundle(), ScreenOptions()), load_bundle().sha256
    with closing(sqlite3.connect(path)) as connection:
        for id_, name in connection.execute("SELECT id, name FROM image").fetchall():
            found = (night / json.loads(name)).stat()
            connection.execute(
                "UPDATE image SET root = ?, mtime_ns = ?, ctime_ns = ?, settings = ?, bundle_sha256 = ? WHERE id = ?",
                (json.dumps(str(night)), found.st_mtime_ns, found.st_ctime_ns, settings, sha256, id_),
            )
        connection.commit()
    return path


def test_every_file_is_remembered_and_none_is_read(night: Path, state: Path, tmp_path: Path) -> None:
    options = ScreenOptions(state=state, clock=lambda: NIGHT_AFTER)
    run = screen(night, tmp_path / "report.csv", options)
    assert (run.n_found, run.n_remembered) == (31, 31)
    assert (run.n_scored, run.n_not_scored, run.n_skipped) == (22, 7, 2)
    ranked = [patient for patient in run.patients if patient.is_ranked]
    assert (len(ranked), len(run.patients) - len(ranked)) == (15, 5)  # six have a result
    assert {patient.nights_waiting for patient in run.patients} == {2}
    assert (ranked[0].patient_id, ranked[0].score) == ("pictures/SAMPLE-024.png", 0.479706)


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
    with open_state(path, read_only=True) as state:
        assert [run.n_found for run in state.runs()] == [31, 31]
        assert [result.positive for result in state.results()].count(True) == 3
        nights = [line.night for line in state.list_entries()]
    assert {night: nights.count(night) for night in nights} == {
        dt.date(2025, 11, 28): 26,
        dt.date(2025, 11, 29): 20,
    }


def test_the_settings_have_the_hash_that_they_had() -> None:
    """Otherwise everything that is remembered would be read again after an update."""
    with closing(sqlite3.connect(f"{WRITTEN.as_uri()}?immutable=1", uri=True)) as connection:
        ((stored, sha256),) = connection.execute(
            "SELECT DISTINCT settings, bundle_sha256 FROM image"
        ).fetchall()
    assert sha256.startswith(BUNDLE)
    options = [sha256, "0.1.0", "file", "auto", "auto", "reduced"]
    limits = [1 << 30, 12_000 * 12_000, 1000, 16, 0]
    expected = hashlib.sha256(json.dumps([*options, *limits, None]).encode()).hexdigest()
    then = dataclasses.replace(load_bundle(), sha256=sha256)
    assert _settings(then, ScreenOptions()) == stored == expected

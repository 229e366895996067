"""A hospital that ran 0.1.0 installs this version: same recipe, state and bundle; nothing of it is lost.

What an upgrader is told: ``docs/upgrade.md``.
"""

import csv
import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cxrbatch import load_bundle
from cxrbatch.cli.app import cli
from cxrbatch.errors import StateError
from cxrbatch.state.connection import open_state
from tests.factories.former_release import write_former_bundle, write_former_recipe

NIGHT = dt.datetime(2025, 11, 30, 22, tzinfo=dt.UTC)
"""The one after the two in the state."""


def run(*words: object, nights_later: int = 0, code: int = 0) -> Result:
    moment = NIGHT + dt.timedelta(days=nights_later)
    clock = {"SOURCE_DATE_EPOCH": str(int(moment.timestamp())), "TZ": "UTC"}
    arguments = [str(word) for word in words]
    result = CliRunner().invoke(cli, arguments, env=clock, standalone_mode=False, catch_exceptions=False)
    assert (result.return_value or 0) == code, result.output
    return result


def rows_of(path: Path) -> dict[str, Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["patient_id"]: row for row in csv.DictReader(stream)}


def read_former(state: Path, what: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(state)) as connection:
        return connection.execute(what).fetchall()


def who(key: object) -> tuple[str, ...]:
    """Return the patient of a key; where a file names none it has a hash of the folder, which is another one here."""
    kind, *parts = json.loads(str(key))
    return (kind, parts[0]) if kind == "file" else (kind, *parts)


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return write_former_bundle(tmp_path / "former bundle", tiny_bundle)


def test_two_nights_after_an_upgrade(night: Path, state: Path, bundle: Path, tmp_path: Path) -> None:
    recipe = write_former_recipe(tmp_path / "nightly.toml", night, state, bundle)
    lists = read_former(state, "SELECT night, patient_key, position, nights_waiting FROM listed")
    results = read_former(state, "SELECT patient_key, date, positive FROM result")
    assert (len(lists), len(results)) == (46, 6)

    run("state", "backup", "--state", state, "--out", tmp_path / "backup.sqlite")
    assert read_former(tmp_path / "backup.sqlite", "SELECT * FROM listed") == read_former(
        state, "SELECT * FROM listed"
    )

    # The first night reads all files again, ranks by the old bundle, and keeps who waits, and since when.
    first = run("screen", "--recipe", recipe, "--out", tmp_path / "first.csv", code=3)
    assert "31 new, 0 remembered" in first.stderr
    waiting = rows_of(tmp_path / "first.csv")
    assert {row["nights_waiting"] for row in waiting.values()} == {"2"}
    loaded = load_bundle(bundle)
    assert loaded.id in (tmp_path / "first.html").read_text(encoding="utf-8")
    assert loaded.operating_points is not None
    for row in waiting.values():
        if row["status"] == "ranked":
            assert row["priority"] == loaded.operating_points.priority(float(row["score"]))

    with open_state(state) as opened:
        kept = [(str(one.night), json.dumps(one.patient_key), one.position) for one in opened.lists.entries()]
        kept_results = [
            (json.dumps(one.patient_key), str(one.date), one.positive) for one in opened.pcr.results()
        ]
    assert sorted(kept_results) == sorted(results)
    assert sorted(line for line in kept if line[0] < "2025-11-30") == sorted(line[:3] for line in lists)
    tonight = [who(key) for day, key, *_ in kept if day == "2025-11-30"]
    before = {who(key) for day, key, *_ in lists if day == "2025-11-29"}
    assert sorted(tonight) == sorted(before - {who(key) for key, *_ in results})

    # A result comes back, and the second night remembers.
    swabbed = next(name for name, row in waiting.items() if row["rank"] == "1")
    (tmp_path / "pcr.csv").write_text(f"patient_id,date,result\n{swabbed},2025-12-01,positive\n")
    run("results", "import", tmp_path / "pcr.csv", "--state", state, nights_later=1)
    second = run("screen", "--recipe", recipe, "--out", tmp_path / "second.csv", nights_later=1, code=3)
    assert "0 new, 31 remembered" in second.stderr
    assert set(rows_of(tmp_path / "second.csv")) == set(waiting) - {swabbed}
    assert {row["nights_waiting"] for row in rows_of(tmp_path / "second.csv").values()} == {"3"}

    # The audit knows the nights and the results of both versions.
    table = tmp_path / "audit.csv"
    run("audit", "--state", state, "--bundle", bundle, "--out", table, "--capacity", 5, nights_later=1)
    with table.open(encoding="utf-8", newline="") as stream:
        counts = {
            row["quantity"]: row["value"]
            for row in csv.DictReader(stream)
            if (row["section"], row["week"]) == ("at_k", "all")
        }
    # 26 waits of then, and three of files without a patient, whose folder is another one in this test.
    assert (counts["n_waits"], counts["n_with_result"], counts["n_positive"]) == ("29", "7", "4")


def test_what_reads_only_leaves_a_state_of_then_as_it_was(state: Path) -> None:
    before = state.read_bytes()
    with pytest.raises(StateError, match="the next run brings it up to date"):
        run("results", "list", "--state", state)
    assert state.read_bytes() == before


def test_a_bundle_of_format_1_states_what_it_stated(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert (loaded.name, loaded.aggregation, loaded.licence) == ("default", "mean", None)
    assert loaded.calibration is not None
    assert loaded.calibration.slope == pytest.approx(0.7653741780214984, abs=0)
    assert loaded.caveats[0].startswith("The bands urgent and high are of little use with this bundle")
    assert loaded.worth
    shown = run("bundle", "show", bundle).stdout
    assert loaded.id in shown

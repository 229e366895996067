"""The tables of a report in further formats have the values of its frames."""

import dataclasses
import importlib.util
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import pytest

from cxrbatch.errors import OutputError, UsageProblem
from cxrbatch.records import FILE_COLUMNS, PATIENT_COLUMNS, Failure, TriageRun
from cxrbatch.report.formats import check_formats, more_paths, more_tables
from cxrbatch.report.table import patients_csv
from cxrbatch.report.write import write_csv, write_report


def test_json_row_for_row(run: TriageRun, tmp_path: Path) -> None:
    tables = more_tables(run, tmp_path / "report.csv", ("csv", "json"))
    assert [path.name for path in tables] == ["report.json", "report.files.json"]
    patients, files = map(json.loads, tables.values())
    assert [tuple(row) for row in patients] == [PATIENT_COLUMNS] * 3
    assert [tuple(row) for row in files] == [FILE_COLUMNS] * 5
    assert patients[0] == {
        **{
            "rank": 1,
            "status": "ranked",
            "priority": "urgent",
            "patient_id": "4711",
            "accession_number": "A1",
        },
        **{"study_date": "2026-11-21", "score": 0.875, "score_covid": 0.875, "score_pneumonia": 0.1},
        **{"score_normal": 0.025, "n_images": 2, "top_image": "a/1", "nights_waiting": 1},
        **{"flags": "age_unknown;lossy", "reason": "", "issuer_of_patient_id": "WARD"},
        **{"probability": None, "swabbed": ""},
    }
    assert (patients[1]["score"], patients[2]["rank"], patients[2]["score"]) == (1 / 3, None, None)
    assert patients[2]["reason"] == "truncated"
    assert tables[tmp_path / "report.json"].count(b"\n") == 3 + 2


NAMES = ["a\udcffb.dcm", "=cmd.dcm", "line\nend.dcm"]


def with_names(run: TriageRun, names: Sequence[str]) -> TriageRun:
    more = tuple(Failure(name=name, reason=run.failures[0].reason, detail="") for name in names)
    failures = tuple(sorted((*run.failures, *more), key=attrgetter("name")))
    return dataclasses.replace(run, failures=failures, n_found=run.n_found + len(more))


def test_names_are_escaped_and_not_neutralised(run: TriageRun, tmp_path: Path) -> None:
    tables = more_tables(with_names(run, NAMES), tmp_path / "report.csv", ("json",))
    found = {row["file"] for row in json.loads(tables[tmp_path / "report.files.json"])}
    assert found >= {r"a\xFFb.dcm", "=cmd.dcm", r"line\nend.dcm"}


def test_an_empty_table_is_json_too(run: TriageRun, tmp_path: Path) -> None:
    empty = dataclasses.replace(run, patients=())
    assert json.loads(more_tables(empty, tmp_path / "r.csv", ("json",))[tmp_path / "r.json"]) == []


def test_the_csv_and_the_page_do_not_depend_on_further_formats(run: TriageRun, tmp_path: Path) -> None:
    for name, formats in (("plain", ("csv",)), ("more", ("csv", "json"))):
        (tmp_path / name).mkdir()
        write_report(run, tmp_path / name / "r.csv", formats=formats)
    names = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert names == ["r.csv", "r.files.csv", "r.html"]
    for name in names:
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "more").iterdir()) == sorted(
        [*names, "r.json", "r.files.json"]
    )


def test_parquet_without_its_package_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check_formats(("csv", "json"))
    with pytest.raises(UsageProblem, match=r"pip install 'cxrbatch\[parquet\]'"):
        check_formats(("csv", "parquet"))


def test_paths() -> None:
    assert more_paths(Path("x/r.csv"), ("csv",)) == []
    assert [str(path) for path in more_paths(Path("x/r.csv"), ("parquet", "json"))] == [
        *("x/r.json", "x/r.files.json", "x/r.parquet", "x/r.files.parquet")
    ]


@pytest.mark.parquet
def test_parquet_is_the_frame(run: TriageRun, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    out = tmp_path / "report.csv"
    write_report(with_names(run, NAMES), out, formats=("csv", "parquet"))
    patients = pd.read_parquet(out.with_suffix(".parquet"))
    pd.testing.assert_frame_equal(patients, run.patients_frame())
    files = pd.read_parquet(out.with_suffix(".files.parquet"))
    assert r"a\xFFb.dcm" in set(files["file"])
    assert tuple(files) == FILE_COLUMNS


@pytest.mark.parquet
def test_a_name_that_is_not_utf8_is_in_the_frame(run: TriageRun) -> None:
    pytest.importorskip("pyarrow")
    assert NAMES[0] in set(with_names(run, NAMES).files_frame()["file"])


def test_a_stream_gets_the_csv(run: TriageRun) -> None:
    stream = io.BytesIO()
    write_csv(run, stream)
    assert stream.getvalue() == b"".join(patients_csv(run))


def test_a_stream_that_cannot_be_written_is_an_output_error(run: TriageRun) -> None:
    with (
        suppress(OSError),  # when it is closed
        Path("/dev/full").open("wb") as stream,
        pytest.raises(OutputError, match="No space left"),
    ):
        write_csv(run, stream)

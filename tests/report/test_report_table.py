import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib.csv import csv_bytes
from cxrbatch._lib.text import meant, neutralise, shown, visible
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, PatientTriage, TriageRun
from cxrbatch.report import table as tables


def patients_csv(run: TriageRun, encoding: str = "utf-8") -> bytes:
    return b"".join(tables.patients_csv(run, encoding))


def files_csv(run: TriageRun, encoding: str = "utf-8") -> bytes:
    return b"".join(tables.files_csv(run, encoding))


ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)


def test_patients_table_byte_for_byte(run: TriageRun) -> None:
    assert patients_csv(run).decode("utf-8") == (
        "rank,status,priority,patient_id,accession_number,study_date,score,score_covid,score_pneumonia,score_normal,"
        "n_images,top_image,nights_waiting,flags,reason,issuer_of_patient_id,probability,swabbed\n"
        "1,ranked,urgent,4711,A1,2026-11-21,0.875000,0.875000,0.100000,0.025000,2,a/1,1,age_unknown;lossy,,WARD,,\n"
        "2,ranked,routine,b.png,,,0.333333,0.333333,0.333333,0.333333,1,b.png,0,,,,,\n"
        ",not_scored,,c.dcm,,,,,,,1,c.dcm,0,,truncated,,,\n"
    )


def test_whoever_waits_for_a_result_has_its_day(run: TriageRun) -> None:
    first, *others = run.patients
    waiting = dataclasses.replace(first, rank=None, swabbed=dt.date(2026, 11, 20))
    table = patients_csv(dataclasses.replace(run, patients=(*others, waiting))).decode()
    cells = list(csv.DictReader(io.StringIO(table)))[-1]
    assert (cells["rank"], cells["status"], cells["score"], cells["swabbed"]) == (
        "",
        "swabbed",
        "0.875000",
        "2026-11-20",
    )


def test_probabilities_have_a_column(run: TriageRun) -> None:
    first, *others = run.patients
    patients = (dataclasses.replace(first, probability=4 / 23), *others)
    cells = [
        line.split(",")[-2]
        for line in patients_csv(dataclasses.replace(run, patients=patients, prevalence=0.05))
        .decode()
        .splitlines()
    ]
    assert cells == ["probability", "0.173913", "", ""]


@pytest.mark.parametrize("table", [patients_csv, files_csv])
def test_a_byte_order_mark_on_request(table: Callable[..., bytes], run: TriageRun) -> None:
    assert table(run, "utf-8-sig") == b"\xef\xbb\xbf" + table(run)


def test_files_table_byte_for_byte(run: TriageRun) -> None:
    assert files_csv(run).decode("utf-8") == (
        "file,status,reason,detail,patient_id,study_instance_uid,sop_instance_uid,view_position,"
        "score_covid,score_pneumonia,score_normal\n"
        "a/1,scored,,,4711,1.2.3,1.2.3.4,PA,0.875000,0.100000,0.025000\n"
        "a/2,not_scored,lateral_view,ViewPosition LL,4711,1.2.3,1.2.3.4,PA,,,\n"
        "b.png,scored,,,b.png,,,,0.333333,0.333333,0.333333\n"
        'c.dcm,not_scored,truncated,"ends, too early",,,,,,,\n'
        "readme.txt,skipped,not_an_image,,,,,,,,\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        (" =1", "' =1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("a;=1", "a;'=1"),
        ("'=1", "''=1"),
        ("a;'=1", "a;''=1"),
        ("'\tx", "''\tx"),
        ("'a", "'a"),
        ("4711", "4711"),
        ("a=b", "a=b"),
        ("a-b@c", "a-b@c"),
        ("", ""),
    ],
)
def test_text_that_a_spreadsheet_would_take_for_a_formula(text: str, expected: str) -> None:
    assert neutralise(text) == expected


@pytest.mark.parametrize(
    "column", ["patient_id", "accession_number", "issuer_of_patient_id", "study_date", "top_image"]
)
def test_every_text_cell_is_neutralised(column: str, run: TriageRun, ranked: PatientTriage) -> None:
    changes: dict[str, Any] = {column: "=HYPERLINK(1)"}
    hostile = dataclasses.replace(ranked, **changes)
    (row,) = _rows(patients_csv(dataclasses.replace(run, patients=(hostile,))))
    assert row[column] == "'=HYPERLINK(1)"
    assert row["score"] == "0.875000"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"caf\xe9.dcm".decode("utf-8", "surrogateescape"), r"caf\xE9.dcm"),
        ("two\nlines\r.dcm", r"two\nlines\r.dcm"),
        ("\u202egpj.dcm", r"\u202egpj.dcm"),
        ('quo"te, comma', 'quo"te, comma'),
        ("Müller/מטופל.dcm", "Müller/מטופל.dcm"),
        ("-rf", "'-rf"),
        (r"two\nlines.dcm", r"two\\nlines.dcm"),
    ],
)
def test_any_file_name_is_one_row(name: str, expected: str, run: TriageRun) -> None:
    failures = (Failure(name=name, reason=Reason.CORRUPT, detail=name),)
    content = files_csv(dataclasses.replace(run, images=(), failures=failures))
    assert content.count(b"\n") == 2
    (row,) = _rows(content)
    assert (row["file"], row["detail"]) == (expected, expected)


@given(ANY)
def test_no_text_breaks_a_line_an_encoding_or_starts_a_formula(text: str) -> None:
    shown = visible(neutralise(text))
    shown.encode("utf-8")
    assert len(f"{shown}.".splitlines()) == 1
    assert not shown.lstrip().startswith(tuple("=+-@＝＋－＠"))  # noqa: RUF001


@given(ANY | st.text("=;'\\nx85uE9\udc85\x85\t"))
def test_what_a_cell_means_is_what_was_written(text: str) -> None:
    assert meant(shown(text)) == text


@pytest.mark.parametrize("cell", ["12\\34", "'A", "\\xE", "\\udce9", "\\xe9", "\\", "", "a;'b", "\\q"])
def test_a_cell_that_was_not_written_here_means_itself(cell: str) -> None:
    assert meant(cell) == cell


@given(st.lists(st.text("=';\\ntx0\t\n\udcff", min_size=1, max_size=5), min_size=2, unique=True))
def test_no_two_names_look_alike(names: list[str]) -> None:
    """Or the row of one file would pass for that of another."""
    content = csv_bytes(("file",), ({"file": name} for name in names))
    assert len({row["file"] for row in _rows(content)}) == len(names)


@pytest.mark.parametrize("table", [patients_csv, files_csv])
def test_same_run_same_bytes(table: Callable[[TriageRun], bytes], run: TriageRun) -> None:
    assert table(run) == table(dataclasses.replace(run, duration_s=1.0, notes=("another night",)))


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))

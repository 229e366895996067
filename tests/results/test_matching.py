"""PCR results back in: what becomes of every row, and what is stored."""

import csv
import datetime as dt
import hashlib
import io
import os
import pwd
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib.csv import csv_bytes
from cxrbatch.cli.app import cli
from cxrbatch.errors import CxrbatchError, Locked, StateError, UsageProblem
from cxrbatch.reasons import Reason
from cxrbatch.records import FoundFile, PatientKey, dicom_key
from cxrbatch.results.importing import (
    forget_patient,
    import_results,
    is_known,
    list_imports,
    summarise_rows,
    undo_import,
    user_name,
)
from cxrbatch.results.lab_file import Columns, LabFormat, LabRow, read_lab_file
from cxrbatch.results.matching import RowClass, SortedRow, sort_rows
from cxrbatch.results.words import WORD_OPTIONS, WORDS, Answer, meanings
from cxrbatch.state.connection import open_state
from cxrbatch.state.lock import lock_path, locked
from cxrbatch.state.records import PcrResult, RunContext
from tests.cli.test_cli import cxrbatch as in_a_process
from tests.cli.test_cli import one_line
from tests.conftest import REPOSITORY
from tests.factories.records import failure, image_score

NOW = dt.datetime(2026, 11, 22, 6, 0, tzinfo=dt.UTC)
TODAY = NOW.date()
DAY = dt.date(2026, 11, 21)
JUDGEMENT = RunContext(root="/export", settings="s", bundle_sha256="b", night=TODAY, moment=NOW)

PATIENTS: tuple[dict[str, Any], ...] = (
    {"patient": "0042", "accession_number": "A1"},
    {"patient": "0042", "accession_number": "A2"},
    {"patient": "42", "accession_number": "A3"},
    {
        "patient": "77",
        "accession_number": "B1",
        "issuer_of_patient_id": "NORTH",
        "patient_key": ("dicom", "NORTH", "77"),
    },
    {
        "patient": "77",
        "accession_number": "B2",
        "issuer_of_patient_id": "SOUTH",
        "patient_key": ("dicom", "SOUTH", "77"),
    },
    {"patient": "80", "accession_number": "C1"},
    {"patient": "81", "accession_number": "C1"},
    {"patient": "82", "accession_number": ""},
)
"""Two IDs that are the same number; one ID of two issuers; one accession number of two patients; one without."""


def key(patient_id: str, issuer: str = "") -> PatientKey:
    return ("dicom", issuer, patient_id)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.sqlite"
    with open_state(path) as opened_state:
        for number, fields in enumerate(PATIENTS):
            name = f"{number}.dcm"
            opened_state.put(
                FoundFile(path=Path(name), name=name), image_score(name, 0.5, **fields), JUDGEMENT
            )
    return path


def run(state: Path, content: str | bytes, *, dry_run: bool = False, **how: Any) -> list[SortedRow]:
    file = state.with_name("pcr.csv")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_results(file, state, LabFormat(**how), dry_run=dry_run, clock=lambda: NOW)


def classes(rows: Sequence[SortedRow]) -> list[tuple[int, str]]:
    return [(item.row.number, item.decision.row_class.value) for item in rows]


def stored(state: Path) -> list[PcrResult]:
    with open_state(state, read_only=True) as opened_state:
        return opened_state.pcr.results()


def result(patient: PatientKey, positive: bool, day: dt.date = DAY) -> PcrResult:
    return PcrResult(patient_key=patient, date=day, positive=positive)


# --- who is meant


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0042,,", key("0042")),
        ("42,,", key("42")),
        ("  0042  ,,", key("0042")),
        ('="0042",,', key("0042")),
        (",,A2", key("0042")),
        (",,A3", key("42")),
        ("0042,,A1", key("0042")),
        ("77,NORTH,", key("77", "NORTH")),
        ("77,,B2", key("77", "SOUTH")),
        (",SOUTH,B2", key("77", "SOUTH")),
        ("81,,C1", key("81")),
        ("82,,", key("82")),
        ("042,,", "unmatched"),
        ("00042,,", "unmatched"),
        ("4 2,,", "unmatched"),
        ("77,WEST,", "unmatched"),
        (",,a1", "unmatched"),
        (",NORTH,B2", "unmatched"),
        ("99,,Z9", "unmatched"),
        ("77,,", "ambiguous"),
        (",,C1", "ambiguous"),
        ("42,,A1", "contradictory"),
        ("0042,,Z9", "contradictory"),
        ("99,,A1", "contradictory"),
        ("80,,B1", "contradictory"),
        (",,", "not_understood"),
        (",NORTH,", "not_understood"),
    ],
)
def test_matching_is_exact(state: Path, row: str, expected: PatientKey | str) -> None:
    content = f"patient_id,issuer,accession_number,date,result\n{row},2026-11-21,positive\n"
    rows = run(state, content, columns=Columns(issuer_of_patient_id="issuer"))
    if isinstance(expected, str):
        assert classes(rows) == [(2, expected)]
        assert stored(state) == []
    else:
        assert classes(rows) == [(2, "new")]
        assert stored(state) == [result(expected, positive=True)]


def test_the_problem_of_a_row_is_said(state: Path) -> None:
    """Also where several are of one class."""
    problems = {
        ",N,,2026-11-21,pos": "neither PatientID nor accession number",
        "82,,,,pos": "the date is missing or not understood",
        "82,,,2026-11-21,": "the result is empty",
        "82,,,2026-11-21,maybe": "the word for the result is unknown",
        "82,,,2026-11-21,invalid": "neither positive nor negative",
        "82,,,2026-11-23,pos": "in the future: today is 2026-11-22",
        "82,,,2019-12-31,pos": "before 2020-01-01, the first of all PCRs",
        "82,,,2026-11-21,pos,x": "more cells than columns, so that nobody knows which is which",
        "99,,,2026-11-21,pos": "nobody with these identifiers was screened",
        "99\u200b,,,2026-11-21,pos": "nobody with these identifiers was screened, and they hold characters that "
        "cannot be seen",
        "77,,,2026-11-21,pos": "several patients have these identifiers",
        "unknown,,,2026-11-21,pos": "a PatientID that stands for many patients, and no accession number",
        "unknown,,X,2026-11-21,pos": "nobody with these identifiers was screened",
        "80,,B1,2026-11-21,pos": "PatientID and accession number are of different patients",
        "82,,X,2026-11-21,pos": "the PatientID is known, the other identifier is not",
        "99,,A1,2026-11-21,pos": "the accession number is known, the other identifier is not",
    }
    content = "\n".join(["patient_id,issuer,accession_number,date,result", *problems])
    rows = run(state, content, columns=Columns(issuer_of_patient_id="issuer"))
    assert [row.decision.problem for row in rows] == list(problems.values())
    assert all(row.decision.what_to_do for row in rows)


def test_what_was_not_scored_is_matched_and_what_is_no_radiograph_is_not(state: Path) -> None:
    with open_state(state) as opened_state:
        for name, patient, skipped in (("n.dcm", "90", False), ("s.dcm", "91", True)):
            outcome = failure(name, Reason.LATERAL_VIEW, patient, skipped=skipped)
            opened_state.put(FoundFile(path=Path(name), name=name), outcome, JUDGEMENT)
    rows = run(state, "patient_id,date,result\n90,2026-11-21,neg\n91,2026-11-21,neg\n")
    assert classes(rows) == [(2, "new"), (3, "unmatched")]
    assert stored(state) == [result(key("90"), positive=False)]


def test_accession_numbers_of_the_laboratory_are_left_aside(state: Path) -> None:
    content = "patient_id,accession_number,date,result\n82,LAB-1,2026-11-21,neg\n"
    (row,) = run(state, content)
    assert row.decision.row_class is RowClass.CONTRADICTORY
    assert "--accession-column ''" in row.decision.what_to_do
    assert classes(run(state, content, columns=Columns(accession_number=""))) == [(2, "new")]


# --- dates


@pytest.mark.parametrize(
    ("date", "date_format", "expected"),
    [
        ("2026-11-21", "", "new"),
        ("2026-11-21T23:59:59", "", "new"),
        ("2026-11-21 08:15", "", "new"),
        ("2026-11-21T23:30:00-08:00", "", "new"),  # the day that is written, wherever that is
        ("20261121", "", "new"),
        ("21.11.2026", "%d.%m.%Y", "new"),
        ("11/21/26", "%m/%d/%y", "new"),
        ("20261121081500", "%Y%m%d%H%M%S", "new"),
        ("1.9.2026 8:05", "%d.%m.%Y %H:%M", "new"),
        ("20261121", "%Y%m%d", "new"),
        ("2026-W47-6", "", "new"),
        ("2026-W47", "", "not_understood"),
        ("2026-11", "", "not_understood"),
        ("202611", "%Y%m%d", "not_understood"),
        ("2026111", "%Y%m%d", "not_understood"),
        ("21.11.2026", "", "not_understood"),
        ("2026-11-21", "%d.%m.%Y", "not_understood"),
        ("21.11.2026 08:15", "%d.%m.%Y", "not_understood"),
        ("2026-11-31", "", "not_understood"),
        ("", "", "not_understood"),
        ("yesterday", "", "not_understood"),
        ("46347", "", "not_understood"),  # the same day as a spreadsheet counts
        ("2026-11-23", "", "not_understood"),
        ("2019-12-31", "", "not_understood"),
        ("0026-11-21", "", "not_understood"),
    ],
)
def test_dates(state: Path, date: str, date_format: str, expected: str) -> None:
    rows = run(state, f"patient_id,date,result\n82,{date},positive\n", date_format=date_format)
    assert classes(rows) == [(2, expected)]
    day = dt.date(2026, 9, 1) if date.startswith("1.9.") else DAY
    assert stored(state) == ([result(key("82"), positive=True, day=day)] if expected == "new" else [])


def test_today_and_the_first_day_are_possible(state: Path) -> None:
    rows = run(state, "patient_id,date,result\n82,2026-11-22,pos\n82,2020-01-01,neg\n")
    assert classes(rows) == [(2, "new"), (3, "new")]


def test_a_date_in_the_future_says_what_today_is(state: Path) -> None:
    (row,) = run(state, "patient_id,date,result\n82,2026-11-23,pos\n")
    assert row.decision.problem == "in the future: today is 2026-11-22"


@pytest.mark.parametrize("date_format", ["%d.%m.", "%H:%M", "%Y-%m", "no format", "%Y-%m-%d %!"])
def test_formats_without_day_month_and_year(date_format: str) -> None:
    with pytest.raises(UsageProblem, match="day, month and year"):
        LabFormat(date_format=date_format)


# --- words


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *((word, "new") for answer in (Answer.POSITIVE, Answer.NEGATIVE) for word in WORDS[answer]),
        *((word, "inconclusive") for word in WORDS[Answer.INCONCLUSIVE]),
        *((word, "swabbed") for word in WORDS[Answer.SWABBED]),
        ("POSITIVE", "new"),
        ("Not  Detected", "new"),
        ("NOT_DETECTED", "new"),
        ("", "not_understood"),
        ("maybe", "not_understood"),
        ("positive?", "not_understood"),
        ("1", "not_understood"),
        ("n", "not_understood"),
    ],
)
def test_words(state: Path, word: str, expected: str) -> None:
    assert classes(run(state, f"patient_id,date,result\n82,2026-11-21,{word}\n")) == [(2, expected)]
    assert len(stored(state)) == (expected == "new")


def test_words_say_what_they_say() -> None:
    """The words by themselves: another one would read a file of last year otherwise."""
    known = {
        "positive": ("positive", "pos", "positiv", "detected"),
        "negative": ("negative", "neg", "negativ", "not detected", "undetected"),
        "inconclusive": ("inconclusive", "indeterminate", "equivocal", "invalid", "presumptive positive"),
        "swabbed": ("swabbed", "pending"),
    }
    assert {answer.value: words for answer, words in WORDS.items()} == known
    assert meanings() == {word: Answer(answer) for answer, words in known.items() for word in words}
    assert [WORD_OPTIONS[answer] for answer in Answer] == [
        "--positive",
        "--negative",
        "--inconclusive",
        "--pending",
    ]


def test_words_of_ones_own_come_first(state: Path) -> None:
    own = {Answer.POSITIVE: ["1", "Nachweis"], Answer.NEGATIVE: ["0"], Answer.INCONCLUSIVE: ["pos"]}
    content = "patient_id,date,result\n82,2026-11-21,1\n80,2026-11-21,0\n81,2026-11-21,pos\n42,2026-11-21,NACHWEIS\n"
    rows = run(state, content, words=meanings(own))
    assert classes(rows) == [(2, "new"), (3, "new"), (4, "inconclusive"), (5, "new")]
    assert stored(state) == [
        result(key("42"), positive=True),
        result(key("80"), positive=False),
        result(key("82"), positive=True),
    ]


def test_a_word_cannot_mean_both() -> None:
    with pytest.raises(UsageProblem, match="--positive and --negative: 'X ' cannot mean both"):
        meanings({Answer.POSITIVE: ["x"], Answer.NEGATIVE: ["X "]})


# --- the same patient and day again


def lab_row(number: int, word: str, **fields: Any) -> LabRow:
    row = LabRow(
        number=number,
        patient_id="82",
        issuer_of_patient_id="",
        accession_number="",
        date="",
        result=word.strip("*"),
        day=DAY,
        answer=meanings().get(word.strip("*")),
        corrects=word.endswith("*"),
    )
    return replace(row, **fields)


@pytest.mark.parametrize(
    ("fields", "expected", "problem"),
    [
        ({"other_test": True, "fault": "x"}, "other_test", ""),
        ({"fault": "lab/1.hl7: a fault", "surplus": True}, "not_understood", "lab/1.hl7: a fault"),
        ({"other_ids": ("82",)}, "new", ""),
        (
            {"patient_id": "", "other_ids": ("82",)},
            "not_understood",
            "neither PatientID nor accession number",
        ),
        ({"patient_id": "80", "other_ids": ("81",)}, "ambiguous", "several patients have these identifiers"),
        ({"patient_id": "ANONYMOUS", "other_ids": ("82",)}, "new", ""),
        ({"patient_id": "99"}, "unmatched", "nobody with these identifiers was screened"),
        ({"corrects": True, "answer": None}, "not_understood", "the word for the result is unknown"),
        (
            {"corrects": True, "day": TODAY + dt.timedelta(1)},
            "not_understood",
            "in the future: today is 2026-11-22",
        ),
    ],
)
def test_what_only_messages_say(fields: dict[str, Any], expected: str, problem: str) -> None:
    (item,) = sort_rows([lab_row(1, "pos", **fields)], matching, standing(), TODAY)
    assert (item.decision.row_class, item.decision.problem) == (expected, problem)
    assert item.is_taken is (not problem)


def test_a_correction_says_what_it_corrects() -> None:
    rows = [lab_row(1, "pos"), lab_row(2, "neg*"), lab_row(3, "neg*")]
    sorted_rows = sort_rows(rows, matching, standing(), TODAY)
    assert [item.decision.problem for item in sorted_rows] == ["row 2 corrects it", "", ""]
    for stored_one, word in ((True, "positive"), (False, "negative")):
        known = standing({(key("82"), DAY): stored_one})
        (back,) = sort_rows([lab_row(1, "invalid*")], matching, known, TODAY)
        assert back.decision.problem == (
            f"stored for this patient and day is: {word}, and the laboratory takes that back"
        )
        (unknown,) = sort_rows([lab_row(1, "invalid*", patient_id="99")], matching, standing(), TODAY)
        assert unknown.decision.row_class is RowClass.INCONCLUSIVE


@pytest.mark.parametrize(
    ("known", "answers", "expected"),
    [
        ([], "pending", "swabbed"),
        ([], "pending pending", "swabbed known"),
        ([None], "pending", "known"),
        ([True], "pending", "known"),
        ([], "pending neg", "known new"),
        ([], "neg pending", "new known"),
        ([], "invalid pending", "inconclusive swabbed"),
        ([], "pos pos", "new known"),
        ([], "pos neg pending", "contradictory contradictory known"),
        ([None], "neg", "new"),
        ([None], "pos", "new"),
        ([True], "pos", "known"),
        ([True], "neg", "contradictory"),
        ([False], "neg", "known"),
        ([False], "pos pos", "contradictory contradictory"),
        ([False], "pos neg", "contradictory contradictory"),
        ([True], "invalid", "inconclusive"),
        ([], "pos neg*", "known new"),
        ([], "neg* pos", "new known"),
        ([], "neg* pos neg*", "new known known"),
        ([], "pos neg* pos*", "known contradictory contradictory"),
        ([], "pos invalid*", "known inconclusive"),
        ([], "pos* invalid*", "new inconclusive"),
        ([], "pending neg*", "known new"),
        ([None], "invalid*", "inconclusive"),
        ([True], "neg*", "new"),
        ([True], "pos*", "known"),
        ([True], "invalid*", "contradictory"),
        ([True], "neg neg*", "known new"),
    ],
)
def test_rows_of_one_patient_and_day(known: list[bool | None], answers: str, expected: str) -> None:
    """Compared with each other and with what is stored; what is of another day or patient does not count.

    An asterisk is a correction, as HL7 messages state it.
    """
    rows = [lab_row(number, word) for number, word in enumerate(answers.split(), start=2)]
    others = {(key("82"), DAY - dt.timedelta(1)): False, (key("42"), DAY): True}
    sorted_rows = sort_rows(
        rows, matching, standing(others | {(key("82"), DAY): positive for positive in known}), TODAY
    )
    assert [item.decision.row_class for item in sorted_rows] == expected.split()
    positives = {"pos": True, "neg": False, "pending": None}
    assert [item.result for item in sorted_rows] == [
        PcrResult(patient_key=key("82"), date=DAY, positive=positives[row.result])
        if kind in ("new", "swabbed")
        else None
        for row, kind in zip(rows, expected.split(), strict=True)
    ]


def test_one_patient_and_day_with_two_answers_stores_neither(state: Path) -> None:
    content = (
        "patient_id,accession_number,date,result\n"
        "0042,,2026-11-21,pos\n"
        "82,,2026-11-21,pos\n"
        ",A2,2026-11-21T10:00,neg\n"  # the same patient by accession number
        "0042,,2026-11-21,pos\n"
        "0042,,2026-11-20,neg\n"
    )
    rows = run(state, content)
    assert classes(rows) == [
        (2, "contradictory"),
        (3, "new"),
        (4, "contradictory"),
        (5, "contradictory"),
        (6, "new"),
    ]
    assert [row.decision.problem for row in rows] == [
        "the same patient and day as row 4, with another result",
        "",
        "the same patient and day as row 2, with another result",
        "the same patient and day as row 4, with another result",
        "",
    ]
    assert stored(state) == [
        result(key("0042"), positive=False, day=dt.date(2026, 11, 20)),
        result(key("82"), positive=True),
    ]


def test_the_state_is_never_overruled(state: Path) -> None:
    run(state, "patient_id,date,result\n82,2026-11-21,neg\n")
    before = stored(state)
    (row,) = run(state, "patient_id,date,result\n82,2026-11-21,pos\n")
    assert row.decision.row_class is RowClass.CONTRADICTORY
    assert row.decision.problem == "stored for this patient and day is: negative"
    both = run(state, "patient_id,date,result\n82,2026-11-21,neg\n82,2026-11-21,pos\n")
    assert classes(both) == [(2, "contradictory"), (3, "contradictory")]
    assert stored(state) == before == [result(key("82"), positive=False)]


def test_an_inconclusive_row_contradicts_nothing(state: Path) -> None:
    rows = run(state, "patient_id,date,result\n82,2026-11-21,invalid\n82,2026-11-21,pos\n82,2026-11-21,POS\n")
    assert classes(rows) == [(2, "inconclusive"), (3, "new"), (4, "known")]


def test_again_is_known_and_new_days_are_new(state: Path) -> None:
    content = "patient_id,date,result\n82,2026-11-20,neg\n77,2026-11-21,neg\n"
    assert classes(run(state, content)) == [(2, "new"), (3, "ambiguous")]
    before = stored(state)
    assert classes(run(state, content)) == [(2, "known"), (3, "ambiguous")]
    assert stored(state) == before
    assert classes(run(state, content + "82,2026-11-21,pos\n"))[2:] == [(4, "new")]


def test_unmatched_rows_come_in_later(state: Path) -> None:
    content = "patient_id,date,result\nLATE,2026-11-21,pos\n"
    assert classes(run(state, content)) == [(2, "unmatched")]
    with open_state(state) as opened_state:
        file = FoundFile(path=Path("late.dcm"), name="late.dcm")
        opened_state.put(file, image_score("late.dcm", 0.1, "LATE"), JUDGEMENT)
    assert classes(run(state, content)) == [(2, "new")]


# --- swabbed, and undone


def test_a_swab_is_stored_until_its_result_comes(state: Path) -> None:
    def swabs() -> list[PcrResult]:
        with open_state(state, read_only=True) as opened_state:
            return opened_state.pcr.swabs()

    taken = PcrResult(patient_key=key("82"), date=DAY, positive=None)
    assert classes(run(state, "patient_id,date,result\n82,2026-11-21,pending\n")) == [(2, "swabbed")]
    assert (stored(state), swabs()) == ([], [taken])
    rows = run(
        state, "patient_id,date,result\n82,2026-11-21,Swabbed\n82,2026-11-21,neg\n82,2026-11-20,pending\n"
    )
    assert classes(rows) == [(2, "known"), (3, "new"), (4, "swabbed")]
    assert stored(state) == [result(key("82"), positive=False)]
    assert swabs()[1] == taken


def test_a_list_of_the_swabbed_needs_no_results(state: Path) -> None:
    content = "patient_id,date,result\n82,2026-11-21,neg\n42,2026-11-21,\nX,2026-11-21,\n"
    assert classes(run(state, content, all_swabbed=True)) == [
        (2, "swabbed"),
        (3, "swabbed"),
        (4, "unmatched"),
    ]
    content = "patient_id,date\n82,2026-11-20\n"
    columns = Columns(result="Result")
    assert classes(run(state, content, all_swabbed=True, columns=columns)) == [(2, "swabbed")]
    with pytest.raises(UsageProblem, match="no column 'date'"):
        run(state, "patient_id,result\n82,pos\n", all_swabbed=True)
    assert stored(state) == []


def test_imports_are_listed_and_undone_in_any_order(state: Path) -> None:
    first_file = "82,2026-11-20,pos\n82,2026-11-19,neg\n82,2026-11-21,pending"
    for content in (first_file, "82,2026-11-21,neg", "82,2026-11-21,neg"):
        run(state, f"patient_id,date,result\n{content}\n")
    first, second = list_imports(state)
    assert (first.id, first.n_positive, first.n_negative, first.n_swabbed) == (1, 1, 1, 1)
    assert (second.id, second.n_negative, second.imported, second.undone) == (2, 1, NOW, None)
    assert second.source_sha256 == hashlib.sha256(state.with_name("pcr.csv").read_bytes()).hexdigest()
    assert second.imported_by == user_name()
    undo_import(state, 1, clock=lambda: NOW)
    assert stored(state) == [result(key("82"), positive=False)]
    undo_import(state, 2, clock=lambda: NOW)
    assert stored(state) == []
    assert [one.undone for one in list_imports(state)] == [NOW, NOW]
    for number, message in ((2, "was undone already, on 2026-11-22"), (3, "there is none")):
        with pytest.raises(UsageProblem, match=message):
            undo_import(state, number)
    assert classes(run(state, "patient_id,date,result\n82,2026-11-21,pos\n")) == [(2, "new")]


def test_commands_list_and_undo(cxrbatch: Any, state: Path) -> None:
    done = cxrbatch("patient_id,date,result\n82,2026-11-20,pos\n80,2026-11-20,pending\n")
    assert done.stderr == "2 rows = 1 new + 0 known + 1 swabbed; 1 result and 1 swab stored\n"

    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, ["results", *words, "--state", str(state)], standalone_mode=False)

    digest = hashlib.sha256(state.with_name("pcr.csv").read_bytes()).hexdigest()
    columns = "import,imported,imported_by,source_sha256,n_positive,n_negative,n_swabbed,undone,undone_by\n"
    line = f"1,2026-11-22T06:00:00Z,{user_name()},{digest},1,0,1,"
    assert call("list").stdout == f"{columns}{line},\n"
    undone = call("undo", "1")
    assert (undone.return_value, undone.stdout) == (0, "")
    assert undone.stderr.startswith("import 1 of 2026-11-22 undone: 1 positive, 0 negative, 1 swabbed; ")
    assert call("list").stdout == f"{columns}{line}2026-11-22T06:00:00Z,{user_name()}\n"
    assert isinstance(call("undo", "1").exception, UsageProblem)


# --- what a report of cxrbatch wrote


def add(state: Path, *patients: str) -> None:
    with open_state(state) as opened_state:
        for number, patient in enumerate(patients):
            file = FoundFile(path=Path("x"), name=f"x{number}")
            opened_state.put(file, image_score(file.name, 0.5, patient), JUDGEMENT)


@pytest.mark.parametrize(
    "patient", ["-4711", "=9+9", "'-1", "a;-b", "a\\b", "a\u200bb", "a\udcffb", "+49", "' x"]
)
def test_identifiers_of_a_report_are_taken_back(state: Path, patient: str) -> None:
    add(state, patient)
    table = csv_bytes(
        ("patient_id", "date", "result"), [{"patient_id": patient, "date": str(DAY), "result": "pos"}]
    )
    assert classes(run(state, table)) == [(2, "new")]
    assert stored(state) == [result(key(patient), positive=True)]


def test_both_readings_of_one_identifier_are_ambiguous(state: Path) -> None:
    add(state, "-4711", "'-4711")
    rows = run(
        state, "patient_id,date,result\n'-4711,2026-11-21,pos\n-4711,2026-11-21,neg\n''-4711,2026-11-21,neg\n"
    )
    assert classes(rows) == [(2, "ambiguous"), (3, "new"), (4, "new")]
    assert stored(state) == [result(key("'-4711"), positive=False), result(key("-4711"), positive=False)]


def test_what_cannot_be_seen_is_shown(cxrbatch: Any, state: Path) -> None:
    done = cxrbatch("patient_id,date,result\n82\u200b,2026-11-20,pos\n4\xa02,2026-11-20,pos\n")
    (first, second) = csv.DictReader(io.StringIO(done.stdout))
    assert (first["patient_id"], second["patient_id"]) == ("82\\u200b", "4\\u00a02")
    assert first["problem"].endswith("they hold characters that cannot be seen")
    with pytest.raises(UsageProblem, match=r"is 'patient id\\u200b' meant"):
        cxrbatch("patient_id\u200b,date,result\n82,2026-11-20,pos\n")


def test_the_same_advice_is_given_once(cxrbatch: Any) -> None:
    rows = "".join(f"X{number},2026-11-20,pos\n" for number in range(25))
    done = cxrbatch(f"patient_id,date,result\n{rows}77,2026-11-20,pos\n")
    advice = [row["what_to_do"] for row in csv.DictReader(io.StringIO(done.stdout))]
    assert advice[0].startswith("check them")
    assert advice[1:-1] == ["as in row 2"] * 24
    assert advice[-1].startswith("say which one")
    done = cxrbatch("patient_id,date,result\n82,2026-11-20,pos\n80,2026-11-20,pos\n", "--dry-run")
    assert [row["what_to_do"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["", ""]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"PK\3\4" + b"\0" * 50, "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "an old office document"),
        (b"%PDF-1.7\n", "a PDF document"),
    ],
)
def test_a_workbook_by_the_name_of_a_csv(state: Path, content: bytes, name: str) -> None:
    with pytest.raises(CxrbatchError, match=f"is no text, but {name}; if it is an Excel workbook") as error:
        run(state, content)
    assert error.value.exit_code == 1


# --- how laboratories write files


def test_a_byte_order_mark_is_no_part_of_a_name(state: Path) -> None:
    content = "\ufeffpatient_id,date,result\n82,2026-11-21,pos\n"
    assert classes(run(state, content, encoding="utf-8")) == [(2, "new")]


@pytest.mark.parametrize(
    "content",
    [
        "patient_id,date,result\n0042,2026-11-21,pos\n",
        "patient_id;date;result\n0042;2026-11-21;pos\n",
        "patient_id;date;result\r\n0042;2026-11-21;pos\r\n\x1a",
        "patient_id\tdate\tresult\n0042\t2026-11-21\tpos\n",
        "\ufeffpatient_id,date,result\r\n0042,2026-11-21,pos\r\n",
        "patient_id,date,result\r0042,2026-11-21,pos",
        '"patient_id","date","result"\n"0042","2026-11-21","pos"\n',
        "PATIENT_ID , Date , RESULT\n 0042 , 2026-11-21 , pos \n",
        'patient_id, date, result\n"0042", "2026-11-21", "pos"\n',
        'sep=;\r\npatient_id;date;result\r\n="0042";2026-11-21;pos\r\n',
        "sep=|\npatient_id|date|result\n0042|2026-11-21|pos\n",
        "order,patient_id,date,result,comment\n7,0042,2026-11-21,pos\n",
        "patient_id,date,result\n0042,2026-11-21,pos,,\n",
        "patient_id,,date,result,\n0042,,2026-11-21,pos\n",
        "family, first, middle name;patient_id;date;result\nDoe, J., R.;0042;2026-11-21;pos\n",
        'name;"ward; floor";patient_id;result;date\n"Doe, J.";"A\nB";0042;pos;2026-11-21\n',
    ],
)
def test_ways_to_write_the_same(state: Path, content: str) -> None:
    (row,) = run(state, content)
    assert (row.row.patient_id, row.row.date, row.row.result) == ("0042", "2026-11-21", "pos")
    assert stored(state) == [result(key("0042"), positive=True)]


def test_rows_are_numbered_as_in_a_spreadsheet(state: Path) -> None:
    content = (
        '\npatient_id,date,result,note\n\n82,2026-11-21,pos,"two\nlines"\n,,,\n  \n80,2026-11-21,neg\n\n'
    )
    assert classes(run(state, content)) == [(4, "new"), (7, "new")]


def test_cells_at_the_end_may_be_left_out(state: Path) -> None:
    rows = run(state, "patient_id,date,result\n82,2026-11-21\n82\n82,2026-11-21,pos\n")
    assert [(item.row.date, item.row.result) for item in rows] == [
        ("2026-11-21", ""),
        ("", ""),
        ("2026-11-21", "pos"),
    ]
    assert classes(rows) == [(2, "not_understood"), (3, "not_understood"), (4, "new")]


def test_shifted_cells_are_not_read(state: Path) -> None:
    content = "patient_id,name,date,result\n82,Doe, J.,2026-11-21,pos\n80,Roe,2026-11-21,neg\n"
    rows = run(state, content)
    assert classes(rows) == [(2, "not_understood"), (3, "new")]
    assert rows[0].decision.problem == "more cells than columns, so that nobody knows which is which"


@pytest.mark.parametrize("delimiter", ["tab", "TAB", "\\t", "\t"])
def test_delimiter_by_name(state: Path, delimiter: str) -> None:
    content = "patient_id\tdate\tresult\n82\t2026-11-21\tpos\n"
    assert classes(run(state, content, delimiter=delimiter)) == [(2, "new")]


def test_the_delimiter_of_the_option_comes_first(state: Path) -> None:
    content = "sep=;\npatient_id|date|result;,\n82|2026-11-21|pos\n"
    columns = Columns(result="result;,")
    assert classes(run(state, content, delimiter="|", columns=columns)) == [(2, "new")]


@pytest.mark.parametrize("delimiter", ["::", '"', "\r", "\n", " "])
def test_delimiters_that_cannot_be(delimiter: str) -> None:
    with pytest.raises(UsageProblem, match="give one character, or tab"):
        LabFormat(delimiter=delimiter)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8"])
def test_encodings(state: Path, encoding: str) -> None:
    content = "patient_id,date,résultat\n82,2026-11-21,détecté\n".encode(encoding)
    own = meanings({Answer.POSITIVE: ["détecté"]})
    rows = run(state, content, encoding=encoding, words=own, columns=Columns(result="résultat"))
    assert classes(rows) == [(2, "new")]


@pytest.mark.parametrize(
    ("encoding", "name", "likely"),
    [
        ("latin-1", "Müller", "cp1252"),
        ("utf-16", "Müller", "utf-16"),
        ("utf-32", "Müller", "utf-32"),
        ("utf-16-le", "Miller", "utf-16-le"),
        ("utf-16-be", "Miller", "utf-16-be"),
    ],
)
def test_another_encoding_than_stated(state: Path, encoding: str, name: str, likely: str) -> None:
    with pytest.raises(CxrbatchError, match=f"is not utf-8; .* probably --encoding {likely}$") as error:
        run(state, f"patient_id,name,date,result\n82,{name},2026-11-21,pos\n".encode(encoding))
    assert error.value.exit_code == 1
    assert stored(state) == []


def test_a_stray_nul_is_no_utf_16(state: Path) -> None:
    with pytest.raises(CxrbatchError, match=r"is not utf-8; .* probably --encoding cp1252$"):
        run(state, b"date\0,r\xe9sultat\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, without even a header line"),
        (b"\n \n", "is empty, without even a header line"),
        (b'patient_id,date,result\n"82,2026-11-21,pos\n80,2026-11-21,neg\n', "do the quotes match"),
        (b'patient_id,date,result\n"82,2026-11-21,pos\n"80",2026-11-21,neg\n', "do the quotes match"),
        (b"\n<html><td>patient_id,date,result</td></html>", "is no CSV, but HTML or XML"),
    ],
)
def test_files_that_cannot_be_read(state: Path, content: bytes, message: str) -> None:
    with pytest.raises(CxrbatchError, match=message) as error:
        run(state, content)
    assert error.value.exit_code == 1


def test_a_message_names_the_file_and_shows_what_cannot_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "a\u200b.csv"
    for content, message in (
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty, without even a header line; did the export fail?"),
        (
            b"date,result\n",
            "no column 'patient_id' or 'accession_number' among the 2 of its first line; name yours "
            "with --patient-column or --accession-column",
        ),
    ):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CxrbatchError) as error:
            read_lab_file(file, LabFormat())
        assert str(error.value) == f"{tmp_path}/a\\u200b.csv: {message}"


def test_missing_and_unreadable_files(state: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(CxrbatchError, match="cannot be read") as error:
            import_results(path, state, LabFormat())
        assert error.value.exit_code == 1


def test_a_night_without_results(state: Path) -> None:
    rows = run(state, "patient_id,date,result\n")
    assert rows == []
    assert summarise_rows(rows, dry_run=False) == "0 rows = 0 new + 0 known; 0 results stored"


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        (
            "patient_id,date",
            {},
            "no column 'result' among the 2 of its first line; name yours with --result-column$",
        ),
        (
            "patient_id,result",
            {},
            "no column 'date' among the 2 of its first line; name yours with --date-column$",
        ),
        (
            "date,result",
            {},
            "no column 'patient_id' or 'accession_number' among the 2 of its first line; "
            "name yours with --patient-column or --accession-column$",
        ),
        ("patient_id,date,result", {"accession_number": "Order"}, "no column 'Order'.*--accession-column$"),
        (
            "patient_id,date,result",
            {"issuer_of_patient_id": "Issuer"},
            "no column 'Issuer'.*--issuer-column$",
        ),
        ("accession_number,date,result", {"patient_id": "MRN"}, "no column 'MRN'.*--patient-column$"),
        ("patientid,date,result", {}, "is 'patientid' meant"),
        ("Dante,0042,2026-11-21", {}, "no column 'date' among the 3 of its first line; .*name yours"),
        ("patient_id,date,date,result", {}, "column 'date' is there twice"),
        ("0042,Doe,2026-11-21", {}, "among the 3 of its first line; are these the names of the columns"),
        ("0042,Doe,dante,", {}, "no column 'date' among the 4 of its first line; are these the names"),
    ],
)
def test_missing_columns(state: Path, header: str, columns: dict[str, str], message: str) -> None:
    with pytest.raises(UsageProblem, match=message) as error:
        run(state, f"{header}\n1,2,3,4\n", columns=Columns(**columns))
    assert error.value.exit_code == 2
    said = str(error.value).removeprefix(str(state.parent))
    assert not any(text in said.lower() for text in ("0042", "doe", "dante"))


def test_unknown_encoding() -> None:
    for encoding in ("klingon", "base64", "undefined", ""):
        with pytest.raises(UsageProblem, match=f"--encoding '{encoding}': unknown; such as utf-8, cp1252"):
            LabFormat(encoding=encoding)


def test_many_rows_in_a_few_seconds(tmp_path: Path) -> None:
    state, n_patients, n_days = tmp_path / "state.sqlite", 1000, 100
    with open_state(state) as opened_state:
        for number in range(n_patients):
            outcome = image_score(f"{number}", 0.5, f"{number:05}", accession_number=f"A{number}")
            opened_state.put(FoundFile(path=Path(f"{number}"), name=f"{number}"), outcome, JUDGEMENT)
    days = [TODAY - dt.timedelta(days=age) for age in range(n_days)]
    lines = (f"{number:05},{day},neg\n" for day in days for number in range(n_patients))
    content = "patient_id,date,result\n" + "".join(lines)
    before = time.process_time()
    rows = run(state, content)
    assert time.process_time() - before < 15  # measured: 2 s; much more would be quadratic
    assert summarise_rows(rows, dry_run=False) == "100000 rows = 100000 new + 0 known; 100000 results stored"
    assert len(stored(state)) == 100_000


# --- storing


def test_a_dry_run_stores_nothing(state: Path) -> None:
    before = state.read_bytes()
    rows = run(state, "patient_id,date,result\n82,2026-11-21,pos\nX,2026-11-21,pos\n", dry_run=True)
    assert classes(rows) == [(2, "new"), (3, "unmatched")]
    assert state.read_bytes() == before
    assert stored(state) == []


def test_all_or_none(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection:
        connection.execute(
            "CREATE TRIGGER full AFTER INSERT ON result WHEN (SELECT count(*) FROM result) = 3 "
            "BEGIN SELECT RAISE(ABORT, 'third'); END"
        )
        connection.commit()
    with pytest.raises(StateError, match="third"):
        run(state, "patient_id,date,result\n42,2026-11-21,pos\n80,2026-11-21,neg\n82,2026-11-21,neg\n")
    assert stored(state) == []


def test_a_run_at_work_is_waited_for(state: Path) -> None:
    content = "patient_id,date,result\n82,2026-11-21,pos\n"
    with locked(lock_path(state), "state"):
        assert classes(run(state, content, dry_run=True)) == [(2, "new")]
        with pytest.raises(Locked, match="in use by process") as error:
            run(state, content)
    assert error.value.exit_code == 5
    assert stored(state) == []
    assert classes(run(state, content)) == [(2, "new")]
    assert not lock_path(state).exists()


def test_a_state_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "pcr.csv"
    file.write_text("patient_id,date,result\n82,2026-11-21,pos\n")
    for dry_run in (False, True):
        with pytest.raises(
            UsageProblem, match="no such file; name the one that cxrbatch screen --state made"
        ):
            import_results(file, tmp_path / "state.sqlite", LabFormat(), dry_run=dry_run)
    commands: list[Callable[[Path], object]] = [
        list_imports,
        lambda state: undo_import(state, 1),
        lambda state: forget_patient(state, "82"),
        lambda state: is_known(state, "82"),
    ]
    for command in commands:
        with pytest.raises(UsageProblem, match="no such file; name the one"):
            command(tmp_path / "state.sqlite")
    assert list(tmp_path.iterdir()) == [file]


def test_whether_a_patient_is_known(state: Path) -> None:
    people = (("82",), ("77", "NORTH"), ("77", "WEST"), ("99",))
    assert [is_known(state, *names) for names in people] == [True, True, False, False]


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert user_name() == str(os.getuid())


def test_a_state_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "pcr.csv"
    file.write_text("patient_id,date,result\n82,2026-11-21,pos\n")
    for dry_run in (False, True):
        with pytest.raises(StateError, match="no state"):
            import_results(file, file, LabFormat(), dry_run=dry_run)
    assert file.read_text() == "patient_id,date,result\n82,2026-11-21,pos\n"


# --- the command


@pytest.fixture
def cxrbatch(state: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command on the state, at a fixed time; it raises what `cxrbatch.cli.app.main` turns into a line."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(NOW.timestamp())))

    def call(content: str, *options: str) -> Result:
        state.with_name("pcr.csv").write_text(content, encoding="utf-8")
        arguments = ["results", "import", str(state.with_name("pcr.csv")), "--state", str(state), *options]
        return CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False)

    return call


MIXED = "patient_id,date,result\n82,2026-11-20,pos\n=9+9,2026-11-20,neg\n77,2026-11-20,neg\n"


def test_command_stores_and_is_quiet_when_all_is_well(cxrbatch: Any, state: Path) -> None:
    done = cxrbatch("patient_id,date,result\n82,2026-11-20,pos\n")
    assert (done.return_value, done.stdout) == (0, "")
    assert done.stderr == "1 row = 1 new + 0 known; 1 result stored\n"
    again = cxrbatch("patient_id,date,result\n82,2026-11-20,pos\n")
    assert (again.return_value, again.stdout) == (0, "")
    assert again.stderr == "1 row = 0 new + 1 known; 0 results stored\n"


def test_command_lists_what_was_not_taken(cxrbatch: Any, state: Path) -> None:
    done = cxrbatch(MIXED)
    assert done.return_value == 3
    assert done.stdout == (
        "row,class,patient_id,issuer_of_patient_id,accession_number,date,result,problem,what_to_do\n"
        "3,unmatched,'=9+9,,,2026-11-20,neg,nobody with these identifiers was screened,"
        '"check them (zeros at the start, issuer); if the radiograph is still to come, import again after it"\n'
        "4,ambiguous,77,,,2026-11-20,neg,several patients have these identifiers,"
        '"say which one: PatientID with its issuer (--issuer-column), or PatientID and accession number"\n'
    )
    assert done.stderr == "3 rows = 1 new + 0 known + 1 unmatched + 1 ambiguous; 1 result stored\n"
    assert stored(state) == [result(key("82"), positive=True, day=dt.date(2026, 11, 20))]


def test_the_table_has_all_identifiers_of_a_row(cxrbatch: Any) -> None:
    content = "patient_id,accession_number,issuer,date,result\nX,A9,NORTH,2026-11-20,pos\n"
    done = cxrbatch(content, "--issuer-column", "issuer")
    assert done.stdout.splitlines()[1].startswith("2,unmatched,X,NORTH,A9,2026-11-20,pos,nobody with these")


def test_imports_are_listed_without_a_change_of_the_state(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(StateError, match="the next run brings it up to date"):
        list_imports(state)


def test_command_dry_run_shows_every_row(cxrbatch: Any, state: Path) -> None:
    done = cxrbatch(MIXED, "--dry-run")
    assert done.return_value == 3
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["row"], row["class"]) for row in rows] == [
        ("2", "new"),
        ("3", "unmatched"),
        ("4", "ambiguous"),
    ]
    assert done.stderr == (
        "3 rows = 1 new + 0 known + 1 unmatched + 1 ambiguous; dry run, nothing stored (1 result would be)\n"
    )
    assert stored(state) == []


def test_command_writes_the_whole_table(cxrbatch: Any, state: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    done = cxrbatch(MIXED, "--out", str(out))
    assert (done.return_value, done.stdout) == (3, "")
    assert "77" not in done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    with out.open(encoding="utf-8", newline="") as stream:
        assert [row["class"] for row in csv.DictReader(stream)] == ["new", "unmatched", "ambiguous"]


def test_command_takes_a_german_excel_file(cxrbatch: Any, state: Path) -> None:
    content = (
        "Fallnummer;Abnahme;Befund\r\n"
        '="0042";21.11.2026 08:15;nicht nachgewiesen\r\n'
        "82;21.11.2026 09:00;POS\r\n"
    )
    columns = ("--patient-column", "Fallnummer", "--date-column", "Abnahme", "--result-column", "Befund")
    done = cxrbatch(content, *columns, "--date-format", "%d.%m.%Y %H:%M", "--negative", "nicht nachgewiesen")
    assert done.return_value == 0
    assert stored(state) == [result(key("0042"), positive=False), result(key("82"), positive=True)]


@pytest.mark.parametrize("name", ["pcr.csv", "state.sqlite", ".", "nowhere/rows.csv"])
def test_command_replaces_no_input(cxrbatch: Any, state: Path, tmp_path: Path, name: str) -> None:
    before = state.read_bytes()
    with pytest.raises(UsageProblem, match="--out"):
        cxrbatch(MIXED, "--out", str(tmp_path / name))
    assert state.read_bytes() == before
    assert (tmp_path / "pcr.csv").read_text() == MIXED


def import_options() -> list[click.Option]:
    group = cli.commands["results"]
    assert isinstance(group, click.Group)
    return [option for option in group.commands["import"].params if isinstance(option, click.Option)]


def test_help_names_every_known_word() -> None:
    text = {option.name: option.help or "" for option in import_options()}
    for answer, words in WORDS.items():
        assert ", ".join(words) in text[WORD_OPTIONS[answer].removeprefix("--")]


def test_the_page_names_every_class_and_options_are_left_to_the_reference() -> None:
    page = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
    assert [kind for kind in RowClass if f"| `{kind}` |" not in page] == []
    assert [option.opts for option in import_options() if f"| `{option.opts[-1]}" in page] == []


@pytest.mark.parametrize(
    ("content", "options", "code", "message"),
    [
        ("patient_id,date,result\n82,2020-11-20,pos\n", [], 0, "1 row = 1 new"),
        ("", [], 1, "is empty"),
        ("patient,date,result\n", [], 2, "name yours with --patient-column"),
        ("patient_id,date,result\n", ["--date-format", "%d"], 2, "day, month and year"),
        ("patient_id,date,result\n82,2020-11-20,DOE\n", [], 3, "1 not_understood"),
    ],
)
def test_one_line_and_the_right_exit_code(
    state: Path, tmp_path: Path, content: str, options: list[str], code: int, message: str
) -> None:
    (tmp_path / "pcr.csv").write_text(content)
    done = in_a_process("results", "import", tmp_path / "pcr.csv", "--state", state, *options)
    assert done.returncode == code
    assert message in one_line(done)
    assert "DOE" not in done.stderr


def test_a_pipe_is_read_once(state: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"patient_id,date,result\n82,2026-11-21,positive\n")
    os.close(writer)
    try:
        rows = import_results(Path(f"/dev/fd/{reader}"), state, LabFormat(), clock=lambda: NOW)
    finally:
        os.close(reader)
    assert classes(rows) == [(2, "new")]


def test_exit_code_while_a_run_is_on(state: Path, tmp_path: Path) -> None:
    (tmp_path / "pcr.csv").write_text("patient_id,date,result\n82,2020-11-20,pos\n")
    with locked(lock_path(state), "state"):
        done = in_a_process("results", "import", tmp_path / "pcr.csv", "--state", state)
    assert done.returncode == 5
    assert f"in use by process {os.getpid()}" in one_line(done)


# --- properties

CELLS = {
    "patient_id": ("0042", "42", "77", "80", "81", "82", "nobody", ""),
    "issuer_of_patient_id": ("", "", "NORTH", "SOUTH"),
    "accession_number": ("", "", "A1", "A2", "A3", "B1", "C1", "nobody"),
    "date": ("2026-11-20", "2026-11-21", "2026-11-23", "1999-01-01", "soon"),
    "result": ("pos", "POSITIVE", "neg", "not detected", "invalid", "pending", "maybe", ""),
}
LAB_ROWS = st.lists(st.tuples(*map(st.sampled_from, CELLS.values())), max_size=12)
KNOWN = st.dictionaries(
    st.tuples(
        st.sampled_from([key("0042"), key("42"), key("82")]),
        st.sampled_from([dt.date(2026, 11, 20), dt.date(2026, 11, 21)]),
    ),
    st.sampled_from([True, False, None]),
)


def matching(**identifiers: str | None) -> list[PatientKey]:
    """As the state does it, from the list of patients."""
    headers = [image_score("x", 0.5, **fields).header for fields in PATIENTS]
    wanted = {name: value for name, value in identifiers.items() if value is not None}
    fitting = [h for h in headers if all(getattr(h, name) == value for name, value in wanted.items())]
    return sorted({header.patient_key for header in fitting})


Known = Mapping[tuple[PatientKey, dt.date], bool | None]


def standing(known: Known = MappingProxyType({})) -> Callable[[PatientKey], dict[dt.date, bool | None]]:
    """As the state does it, from a table of what is stored."""
    return lambda patient: {day: positive for (who, day), positive in known.items() if who == patient}


def written(rows: Sequence[tuple[str, ...]], delimiter: str = ",") -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows([tuple(CELLS), *rows])
    return stream.getvalue()


def read(rows: Sequence[tuple[str, ...]], folder: Path, delimiter: str = ",") -> list[LabRow]:
    (folder / "rows.csv").write_text(written(rows, delimiter), encoding="utf-8", newline="")
    columns = Columns(issuer_of_patient_id="issuer_of_patient_id")
    return read_lab_file(folder / "rows.csv", LabFormat(columns=columns)).rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def expected_classes(
    rows: Sequence[tuple[str, ...]], known: dict[tuple[PatientKey, dt.date], bool | None]
) -> list[str]:
    """The rules once more, row against row."""
    words = {"pos": True, "POSITIVE": True, "neg": False, "not detected": False, "pending": None}
    days = {"2026-11-20": dt.date(2026, 11, 20), "2026-11-21": dt.date(2026, 11, 21)}

    def person(cells: tuple[str, ...]) -> str | PatientKey:
        patient, issuer, accession, *_ = cells
        fit = [set(matching(patient_id=patient, issuer_of_patient_id=issuer or None))] if patient else []
        fit += (
            [set(matching(accession_number=accession, issuer_of_patient_id=issuer or None))]
            if accession
            else []
        )
        both = set.intersection(*fit)
        if not both:
            return "contradictory" if any(fit) else "unmatched"
        return "ambiguous" if len(both) > 1 else both.pop()

    def claim(cells: tuple[str, ...]) -> str | tuple[PatientKey, dt.date, bool | None]:
        if not (cells[0] or cells[2]) or cells[3] not in days or cells[4] not in {*words, "invalid"}:
            return "not_understood"
        if cells[4] == "invalid":
            return "inconclusive"
        who = person(cells)
        return who if isinstance(who, str) else (who, days[cells[3]], words[cells[4]])

    claims = [claim(cells) for cells in rows]
    accounted = []
    for index, mine in enumerate(claims):
        if isinstance(mine, str):
            accounted.append(mine)
            continue
        who, day, positive = mine
        if positive is None:
            told = (who, day) in known or {(who, day, True), (who, day, False)} & set(claims)
            accounted.append("known" if told or mine in claims[:index] else "swabbed")
        elif (who, day, not positive) in claims or known.get((who, day)) is (not positive):
            accounted.append("contradictory")
        else:
            again = known.get((who, day)) is not None or mine in claims[:index]
            accounted.append("known" if again else "new")
    return accounted


@given(rows=LAB_ROWS, known=KNOWN, delimiter=st.sampled_from(",;\t"))
def test_every_row_lands_in_exactly_one_class(
    rows: list[tuple[str, ...]],
    known: dict[tuple[PatientKey, dt.date], bool | None],
    delimiter: str,
    folder: Path,
) -> None:
    rows = [cells for cells in rows if any(cells)]
    sorted_rows = sort_rows(read(rows, folder, delimiter), matching, standing(known), TODAY)
    assert [item.row.number for item in sorted_rows] == list(range(2, len(rows) + 2))
    assert [item.decision.row_class.value for item in sorted_rows] == expected_classes(rows, known)
    for item in sorted_rows:
        assert (item.result is not None) == (item.decision.row_class in (RowClass.NEW, RowClass.SWABBED))
        assert bool(item.decision.problem) == bool(item.decision.what_to_do) == (not item.is_taken)


@given(rows=LAB_ROWS, known=KNOWN)
def test_twice_stores_nothing_new_and_changes_nothing(
    rows: list[tuple[str, ...]], known: dict[tuple[PatientKey, dt.date], bool | None], folder: Path
) -> None:
    lab_rows = read(rows, folder)
    first = sort_rows(lab_rows, matching, standing(known), TODAY)
    new = {(r.patient_key, r.date): r.positive for item in first if (r := item.result)}
    assert len(new) == sum(item.result is not None for item in first)
    assert all(known[swab] is None and new[swab] is not None for swab in new.keys() & known.keys())
    second = sort_rows(lab_rows, matching, standing(known | new), TODAY)
    for before, after in zip(first, second, strict=True):
        expected = RowClass.KNOWN if before.is_taken else before.decision.row_class
        assert after.decision.row_class is expected
        assert after.result is None


@given(rows=LAB_ROWS)
def test_order_of_the_rows_does_not_decide_what_is_stored(rows: list[tuple[str, ...]], folder: Path) -> None:
    def results(ordered: Sequence[tuple[str, ...]]) -> set[PcrResult]:
        return {
            r for item in sort_rows(read(ordered, folder), matching, standing(), TODAY) if (r := item.result)
        }

    assert results(rows) == results(rows[::-1])


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    start=st.sampled_from(["", "patient_id,date,result\n", 'patient_id;date;result\n"']),
)
def test_any_text_is_read_or_refused_in_one_line(text: str, start: str, folder: Path) -> None:
    (folder / "any.csv").write_text(start + text, encoding="utf-8", newline="")
    said: list[str] = []
    try:
        rows = read_lab_file(folder / "any.csv", LabFormat()).rows
    except CxrbatchError as error:
        said, rows = str(error).splitlines(), []
    assert len(said) <= 1
    assert len({row.number for row in rows}) == len(rows)


# --- identifiers as the report writes them

WRITTEN = (
    ("12\\34", ""),
    ("12", ""),
    ("M\udcd6LLER", ""),
    ("M\udcdcLLER", ""),
    (r"M\udcdcLLER", ""),
    (r"M\xDCLLER", ""),
    ("47\x85", ""),
    ("47\udc85", ""),
    ("-4711", ""),
    ("'-4711", ""),
    ("a;=b", ""),
    ("a\tb\n", ""),
    ("\u202e12", ""),
    ("77", "H&1.2.1&ISO"),
    ("77", "H&1.2.2&ISO"),
    ("77", "A&E"),
    ("77", "A"),
    ("77", "=N"),
)


OF_TWO = ("M\udcdcLLER", "-4711")
"""Their cells are identifiers of others, too: those that hold the text of the escape, or the sign before it."""


def of_report(issuer: str, patient_id: str) -> PatientKey:
    local, _, rest = issuer.partition("&1")
    universal = f"1{rest}".removesuffix("&ISO")
    return dicom_key(patient_id, local, [("UniversalEntityID", universal)] if rest else [])


def test_what_the_report_writes_finds_its_patient(tmp_path: Path) -> None:
    """PatientID, issuer and accession number: the cells of the report, each alone and together."""
    path = tmp_path / "state.sqlite"
    keys = [of_report(issuer, patient_id) for patient_id, issuer in WRITTEN]
    with open_state(path) as opened_state:
        for number, ((patient_id, issuer), patient_key) in enumerate(zip(WRITTEN, keys, strict=True)):
            named = {"patient_key": patient_key, "issuer_of_patient_id": issuer}
            scored = image_score(
                f"{number}", 0.5, patient_id, accession_number=f"{patient_id}/{issuer}", **named
            )
            opened_state.put(FoundFile(path=Path(f"{number}"), name=f"{number}"), scored, JUDGEMENT)
    columns = ("patient_id", "issuer", "accession_number", "date", "result")
    same: dict[str, Any] = {"date": "2026-11-21", "result": "positive"}
    cells = [
        {"patient_id": patient_id, "issuer": issuer, "accession_number": f"{patient_id}/{issuer}"} | same
        for patient_id, issuer in WRITTEN
    ]
    how: dict[str, Any] = {"columns": Columns(issuer_of_patient_id="issuer")}
    expected = [
        None if patient_id in OF_TWO else patient_key
        for (patient_id, _), patient_key in zip(WRITTEN, keys, strict=True)
    ]
    for table in (cells, [{**row, "accession_number": ""} for row in cells]):
        sorted_rows = run(path, csv_bytes(columns, table), dry_run=True, **how)
        assert [item.result and item.result.patient_key for item in sorted_rows] == expected
        assert {item.decision.row_class for item in sorted_rows} == {RowClass.NEW, RowClass.AMBIGUOUS}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("ANONYMOUS,,", "unmatched"),
        ("ANONYMOUS,,P1", ("study", "1.2.1")),
        (",,P1", ("study", "1.2.1")),
        ("ANONYMOUS,,P9", "unmatched"),
        ("1.2.1,,", "unmatched"),
        ("88,H,", ("dicom", "H", "88", "UniversalEntityID=1.2.1")),
        ("88,1.2.1,", ("dicom", "H", "88", "UniversalEntityID=1.2.1")),
        ("88,H&1.2.1,", ("dicom", "H", "88", "UniversalEntityID=1.2.1")),
        ("88,1.2,", "unmatched"),
    ],
)
def test_placeholders_and_issuers_of_two_names(tmp_path: Path, row: str, expected: PatientKey | str) -> None:
    path = tmp_path / "state.sqlite"
    with open_state(path) as opened_state:
        anonymous = image_score("1", 0.5, "ANONYMOUS", patient_key=("study", "1.2.1"), accession_number="P1")
        issued = image_score(
            "2",
            0.5,
            "88",
            patient_key=dicom_key("88", "H", [("UniversalEntityID", "1.2.1")]),
            issuer_of_patient_id="H&1.2.1",
        )
        for scored in (anonymous, issued):
            opened_state.put(FoundFile(path=Path(scored.name), name=scored.name), scored, JUDGEMENT)
    content = f"patient_id,issuer,accession_number,date,result\n{row},2026-11-21,positive\n"
    (item,) = run(path, content, columns=Columns(issuer_of_patient_id="issuer"))
    assert (item.result.patient_key if item.result else item.decision.row_class) == expected

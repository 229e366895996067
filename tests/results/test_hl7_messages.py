"""Laboratory messages: who, when and what are found, and matched as exactly as those of a CSV."""

import datetime as dt
import hashlib
import sys
from pathlib import Path

import pytest

from cxrbatch.errors import CxrbatchError, UsageProblem
from cxrbatch.results.hl7_messages import is_hl7, read_hl7
from cxrbatch.results.importing import import_results, list_imports
from cxrbatch.results.lab_file import Columns, LabFormat, LabRow
from cxrbatch.results.matching import SortedRow
from cxrbatch.results.words import Answer
from tests.results.test_matching import DAY, NOW, classes, key, result, state, stored

__all__ = ["state"]

pytest.importorskip("hl7apy")
pytestmark = pytest.mark.hl7

MSH = "MSH|^~\\&|LIS|LAB|PACS|HOSP|20261122||ORU^R01^ORU_R01|1|P|2.5.1"
COVID, FLU = "94500-6^SARS-CoV-2 RNA^LN", "92142-9^Influenza A RNA^LN"


def message(
    patient: str = "82",
    value: str = "260373001^Detected^SCT",
    *,
    test: str = COVID,
    status: str = "F",
    taken: str = "202611211530",
    after: tuple[str, ...] = (),
    kind: str = "CWE",
    head: str = MSH,
) -> str:
    segments = (
        head,
        f"PID|1||{patient}||DOE^JANE||19700101|F",
        "ORC|RE",
        f"OBR|1|P1|F1|{COVID}|||{taken}|||||||||||||||20261122||LAB|F",
        f"OBX|1|{kind}|{test}||{value}||||||{status}|||",
        "ZXX|of the laboratory",
        *after,
    )
    return "\r".join(segments) + "\r"


def run(state: Path, content: str | bytes, **how: object) -> list[SortedRow]:
    file = state.with_name("lab.hl7")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_results(file, state, LabFormat(**how), clock=lambda: NOW)  # type: ignore[arg-type]


def only(content: str | bytes, **how: object) -> LabRow:
    """Read the one row of messages."""
    data = content if isinstance(content, bytes) else content.encode()
    (row,) = read_hl7(data, LabFormat(**how)).rows  # type: ignore[arg-type]
    return row


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"value": "260415000^Not detected^SCT"}, False),
        ({"value": "^negative"}, False),
        ({"value": "NEG", "kind": "ST"}, False),
        ({"value": "Not_Detected", "kind": "TX"}, False),
        ({"value": "10828004^^SCT", "status": "C"}, True),
        ({"patient": "82^^^HOSP^MR"}, True),
        ({"patient": "82^^^HOSP^MR~999^^^SSA^SS"}, True),
        ({"patient": "ANONYMOUS~82"}, True),
        ({"test": "X1^own^L^94500-6^SARS^LN"}, True),
        ({"taken": "", "after": ("SPM|1|||NP|||||||||||||202611211200",)}, True),
        ({"taken": "20261122", "after": ("SPM|1|||NP|||||||||||||20261121^20261122",)}, True),
        ({"taken": "20261121233000-0800"}, True),
        ({"test": "94500-6 ^SARS-CoV-2^LN", "value": " 260373001 ^"}, True),
        ({"head": MSH.replace("ORU^R01^ORU_R01", "ORU")}, True),
        ({"head": MSH.replace("ORU^R01^ORU_R01", "oru^r01")}, True),
        ({"head": MSH.replace("2.5.1", "2.3")}, True),
    ],
)
def test_a_final_result_is_stored(state: Path, given: dict[str, str], expected: bool) -> None:
    assert classes(run(state, message(**given))) == [(1, "new")]  # type: ignore[arg-type]
    assert stored(state) == [result(key("82"), positive=expected)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status": "P"}, "swabbed"),
        ({"status": "I", "value": ""}, "swabbed"),
        ({"status": "X", "value": ""}, "inconclusive"),
        ({"status": "W"}, "not_understood"),
        ({"value": "82334004^Indeterminate^SCT"}, "inconclusive"),
        ({"value": "260373001^not detected^SCT"}, "not_understood"),
        ({"value": ""}, "not_understood"),
        ({"value": "see comment"}, "not_understood"),
        ({"test": FLU}, "other_test"),
        ({"head": MSH.replace("ORU^R01^ORU_R01", "ADT^A08^ADT_A01"), "test": FLU}, "other_test"),
        ({"patient": "082"}, "unmatched"),
        ({"patient": ""}, "not_understood"),
        ({"patient": "77^^^NORTH"}, "ambiguous"),
        ({"patient": "42~0042"}, "ambiguous"),
        ({"taken": ""}, "not_understood"),
        ({"taken": "20261123"}, "not_understood"),
        ({"taken": "202611"}, "not_understood"),
        ({"taken": "2026"}, "not_understood"),
        ({"taken": "20261131"}, "not_understood"),
        ({"head": MSH.replace("ORU^R01^ORU_R01", "OUL^R22^OUL_R22")}, "not_understood"),
        ({"head": MSH.replace("ORU^R01^ORU_R01", "OUL^R22^OUL_R22"), "test": FLU}, "other_test"),
        ({"head": "MSH|^~\\&|x"}, "not_understood"),
    ],
)
def test_anything_else_has_its_class(state: Path, given: dict[str, str], expected: str) -> None:
    assert classes(run(state, message(**given))) == [(1, expected)]  # type: ignore[arg-type]
    assert stored(state) == []


@pytest.mark.parametrize(
    "code", ["94500-6", "94309-2", "94759-8", "94565-9", "94845-5", "95406-5", "95608-6"]
)
def test_codes_of_loinc(state: Path, code: str) -> None:
    assert classes(run(state, message(test=f"{code}^RNA^LN"))) == [(1, "new")]


POS, NEG, UNSURE, SWAB = Answer.POSITIVE, Answer.NEGATIVE, Answer.INCONCLUSIVE, Answer.SWABBED


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        *(("260373001", POS), ("10828004", POS), ("260415000", NEG), ("260385009", NEG)),
        *(("419984006", UNSURE), ("82334004", UNSURE), ("280416009", UNSURE), ("1", None)),
        *(("260373001^positive", POS), ("260373001^see comment", POS), ("positive^negative", None)),
        *(("^negative", NEG), ("^", None)),
    ],
)
def test_answers_of_snomed(value: str, answer: Answer | None) -> None:
    row = only(message(value=value))
    assert (row.answer, row.result) == (answer, value.replace("^", " ").strip())


@pytest.mark.parametrize(
    ("status", "answer", "corrects", "fault"),
    [
        *((status, POS, False, "") for status in ("F", "U", "", " F ")),
        ("C", POS, True, ""),
        *((status, SWAB, False, "") for status in "IPRS"),
        ("X", UNSURE, False, ""),
        *((status, POS, False, f"its status (OBX-11) is {status!r}") for status in ("D", "W", "f")),
    ],
)
def test_status_of_a_result(status: str, answer: Answer, fault: str, *, corrects: bool) -> None:
    row = only(message(status=status))
    assert (row.answer, row.corrects, row.fault) == (answer, corrects, fault)


@pytest.mark.parametrize(
    ("specimen", "order", "observation", "date"),
    [
        ("20261119^20261122", "20261120", "20261121", "20261119"),
        ("", "20261120", "20261121", "20261120"),
        ("^20261119", "20261120", "20261121", "20261120"),
        ("", "", "20261121", "20261121"),
        ("", "", "", ""),
    ],
)
def test_the_day_is_that_of_the_specimen(specimen: str, order: str, observation: str, date: str) -> None:
    content = message(taken=order, after=(f"SPM|1{'|' * 16}{specimen}",))
    row = only(content.replace("|F|||\r", f"|F|||{observation}\r"))
    assert (row.date, row.day) == (date, dt.date.fromisoformat(date) if date else None)


def test_each_order_of_a_message_has_its_own_day() -> None:
    orders = [message(taken=day).split("\r", 2)[2] for day in ("20261119", "20261120")]
    rows = read_hl7((message().partition("ORC")[0] + "".join(orders)).encode(), LabFormat()).rows
    assert [(row.patient_id, row.date) for row in rows] == [("82", "20261119"), ("82", "20261120")]
    assert [row.result for row in rows] == ["260373001 Detected"] * 2


@pytest.mark.parametrize(
    "line", ["COVID positive", "see 12|x", "", " ", "x", "BTS|1", "BHS|^~\\&|LIS", "ZX9|"]
)
def test_lines_that_are_no_segment_of_a_result_are_passed_over(line: str) -> None:
    """Such as the rest of a comment with a line break in it."""
    content = message().replace("\r", f"\r{line}\r")
    assert (only(content).answer, only(content).fault) == (Answer.POSITIVE, "")


def test_the_code_of_a_test_is_no_text() -> None:
    assert only(message(test="X^94500-6^L^Y^94500-6^L")).other_test
    assert not only(message(test="X^RNA^L^94500-6^RNA^LN")).other_test


def test_without_hl7apy_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hl7apy.parser", None)
    with pytest.raises(UsageProblem, match=r"HL7 messages need .* pip install 'cxrbatch\[hl7\]'$"):
        only(message())


UNUSABLE = (
    (message(head="MSH|^~\\&|x"), "a message without a type"),
    (message(head="MSH|^~\\&|a|b|c|d|1|s"), "a message without a type"),
    (message(head="MSH|^^^^|x"), "a message that cannot be parsed"),
    (message(head=MSH.replace("2.5.1", "9.9")), "a message that cannot be parsed"),
    (message().partition("OBX")[0], "a message without any result (OBX)"),
    (
        message(head=MSH.replace("ORU^R01^ORU_R01", "oul^r22^OUL_R22")),
        "results in a message of type OUL^R22; only ORU^R01 is read",
    ),
    (
        message(head=MSH.replace("ORU^R01^ORU_R01", "ORU^R30")),
        "results in a message of type ORU^R30; only ORU^R01 is read",
    ),
    (
        message(head=MSH.replace("ORU^R01^ORU_R01", "ACK^R01")),
        "results in a message of type ACK^R01; only ORU^R01 is read",
    ),
    ("patient_id,date,result\n", "a file that is no HL7 message"),
)


@pytest.mark.parametrize(("content", "fault"), UNUSABLE)
def test_what_cannot_be_used_is_said(content: str, fault: str) -> None:
    row = only(content)
    assert (row.number, row.patient_id, row.day, row.answer, row.other_test) == (1, "", None, None, False)
    assert row.fault == fault


def test_a_message_that_cannot_be_used_is_no_end() -> None:
    rows = read_hl7(
        "".join(content for content, _ in UNUSABLE[:-1]).encode() + message().encode(), LabFormat()
    ).rows
    assert [(row.number, row.fault) for row in rows] == [
        *enumerate((fault for _, fault in UNUSABLE[:-1]), start=1),
        (len(UNUSABLE), ""),
    ]


@pytest.mark.parametrize("kind", ["ORU", "ORU^", "ORU^^ORU_R01", "oru^r01"])
def test_types_of_messages_with_results(kind: str) -> None:
    row = only(message(head=MSH.replace("ORU^R01^ORU_R01", kind)))
    assert (row.fault, row.answer) == ("", Answer.POSITIVE)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"MSH|", True),
        (b"\x0bMSH|", True),
        (b"\r\n \xef\xbb\xbfMSH^", True),
        (b"FHS|", True),
        (b"BHS|", True),
        (b"MSHA", False),
        (b"PID|", False),
        (b"x MSH|", False),
        (b"", False),
    ],
)
def test_how_messages_begin(content: bytes, *, expected: bool) -> None:
    assert is_hl7(content) is expected


def test_codes_of_the_laboratory(state: Path) -> None:
    own = message(test="SC2^PCR^L")
    assert classes(run(state, own)) == [(1, "other_test")]
    assert classes(run(state, own, tests=("SC2",))) == [(1, "new")]


def test_the_issuer_counts_when_asked_for(state: Path) -> None:
    columns = Columns(issuer_of_patient_id="PID-3.4")
    assert classes(run(state, message("77^^^NORTH&1.2&ISO^MR"), columns=columns)) == [(1, "new")]
    assert stored(state) == [result(key("77", "NORTH"), positive=True)]


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ("77^^^NORTH", ("77", "NORTH", ())),
        ("77^^^NORTH\\S\\1&1.2&ISO^MR", ("77", "NORTH^1", ())),
        ("77", ("77", "", ())),
        ("77^5^M10", ("77", "", ())),
        ("^^^SOUTH~ 77 ^^^NORTH", ("77", "NORTH", ())),  # of the repetition that has the number
        ("~77^^^NORTH~^^^SOUTH", ("77", "NORTH", ())),
        ("77^^^NORTH~78^^^NORTH~ ", ("77", "", ("78",))),  # of several numbers, none is believed
        ("^^^NORTH", ("", "", ())),
    ],
)
def test_identifiers_of_a_patient(patient: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    row = only(message(patient), columns=Columns(issuer_of_patient_id="PID-3.4"))
    assert (row.patient_id, row.issuer_of_patient_id, row.other_ids) == expected
    row = only(message(patient))
    assert (row.patient_id, row.issuer_of_patient_id, row.other_ids) == (expected[0], "", expected[2])


def test_a_correction_replaces_and_its_undoing_restores(state: Path) -> None:
    assert classes(run(state, message())) == [(1, "new")]
    assert classes(run(state, message(value="^negative"))) == [(1, "contradictory")]
    assert classes(run(state, message(value="^negative", status="C"))) == [(1, "new")]
    assert stored(state) == [result(key("82"), positive=False)]
    assert classes(run(state, message(value="^negative", status="C"))) == [(1, "known")]
    from cxrbatch.results.importing import undo_import

    undo_import(state, list_imports(state)[-1].id, clock=lambda: NOW)
    assert stored(state) == [result(key("82"), positive=True)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("corrected", "expected", "stands"),
    [
        ("^negative", ["known", "new"], [False]),
        ("82334004^Indeterminate^SCT", ["known", "inconclusive"], []),
    ],
)
def test_a_correction_in_the_same_file_counts_alone(
    state: Path, corrected: str, expected: list[str], stands: list[bool], *, turned: bool
) -> None:
    """Also where the folder has the later message first; imported again, nothing changes."""
    content = [message(), message(value=corrected, status="C")]
    classes_in_order = expected[::-1] if turned else expected
    rows = run(state, "".join(content[::-1] if turned else content))
    assert [name for _, name in classes(rows)] == classes_in_order
    assert rows[turned].decision.problem == f"row {1 if turned else 2} corrects it"
    assert stored(state) == [result(key("82"), positive=positive) for positive in stands]
    again = {name for _, name in classes(run(state, "".join(content)))}
    assert again == ({"known"} if stands else {"known", "inconclusive"})
    assert len(list_imports(state)) == len(stands)


def test_corrections_that_disagree_are_contradictory(state: Path) -> None:
    rows = run(state, message() + message(status="C") + message(value="^negative", status="C"))
    assert classes(rows) == [(1, "known"), (2, "contradictory"), (3, "contradictory")]
    assert stored(state) == []


def test_a_stored_result_that_is_taken_back_is_said(state: Path) -> None:
    run(state, message())
    back = message(value="82334004^Indeterminate^SCT", status="C")
    (row,) = run(state, back)
    assert classes([row]) == [(1, "contradictory")]
    assert "positive, and the laboratory takes that back" in row.decision.problem
    assert "results undo" in row.decision.what_to_do
    assert classes(run(state, back.replace("||82||", "||999||"))) == [(1, "inconclusive")]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_many_messages_in_a_batch_and_in_frames(state: Path, end: str) -> None:
    inner = "".join(f"\x0b{message(patient)}\x1c\r" for patient in ("82", "0042"))
    content = f"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r{inner}BTS|2\rFTS|1\r".replace("\r", end)
    assert classes(run(state, content * 2)) == [(1, "new"), (2, "new"), (3, "known"), (4, "known")]


def test_each_result_is_of_the_patient_before_it(state: Path) -> None:
    """Several patients in one message, the last of them without an order; and a batch that holds none."""
    next_one = message("0042", "^negative").partition("\r")[2]
    last = f"PID|1||A9\rOBX|1|CWE|{COVID}||^positive||||||F|||20261121\r"
    rows = run(state, "\r\n " + message() + next_one + last)
    assert [(row.row.patient_id, row.row.answer, row.row.day) for row in rows] == [
        ("82", "positive", DAY),
        ("0042", "negative", DAY),
        ("A9", "positive", DAY),
    ]
    assert classes(run(state, message().partition("OBX")[0])) == [(1, "not_understood")]  # cut off
    assert run(state, "FHS|^~\\&|LIS\rBHS|^~\\&|LIS\rBTS|0\rFTS|1\r") == []


def test_escaped_separators_are_part_of_an_identifier(state: Path) -> None:
    (row,) = run(state, message(r"a\S\b\R\c\E\d\T\e\F\f"))
    assert row.row.patient_id == "a^b~c\\d&e|f"


@pytest.mark.parametrize(
    ("stated", "encoding", "name"),
    [
        ("8859/2", "iso8859-2", "\u0159"),
        ("8859/5~ISO IR87", "iso8859-5", "\u0434"),
        ("UNICODE UTF-8", "utf-8", "\u0434\u0159"),
        ("", "cp1250", "\u0159"),
    ],
)
def test_characters_are_those_that_the_message_states(
    state: Path, stated: str, encoding: str, name: str
) -> None:
    head = f"{MSH}||||||{stated}"
    (row,) = run(state, message(name, head=head).encode(encoding), encoding="cp1250")
    assert row.row.patient_id == name


@pytest.mark.parametrize(
    ("stated", "codec", "name"),
    [
        ("8859/1", "iso8859-1", "\u00ff"),
        ("8859/2", "iso8859-2", "\u0159"),
        ("8859/3", "iso8859-3", "\u0127"),
        ("8859/4", "iso8859-4", "\u0138"),
        ("8859/5", "iso8859-5", "\u0434"),
        ("8859/6", "iso8859-6", "\u0634"),
        ("8859/7", "iso8859-7", "\u03c9"),
        ("8859/8", "iso8859-8", "\u05d0"),
        ("8859/9", "iso8859-9", "\u011f"),
        ("8859/15", "iso8859-15", "\u20ac"),
        ("UNICODE UTF-8", "utf-8", "\u20ac"),
        (" UNICODE ", "utf-8", "\u20ac"),
        ("GB 18030-2000", "gb18030", "\u4e2d"),
        ("KS X 1001", "euc_kr", "\ud55c"),
        ("BIG-5", "big5", "\u4e2d"),
        ("UNICODE UTF-8~8859/1", "utf-8", "\u20ac"),
        ("ASCII", "cp437", "\u00e9"),
        ("", "cp437", "\u00e9"),
    ],
)
def test_character_sets_of_hl7(stated: str, codec: str, name: str) -> None:
    """Of table 0211; all else is as the option says."""
    assert only(message(name, head=f"{MSH}||||||{stated}").encode(codec), encoding="cp437").patient_id == name


def test_what_cannot_be_decoded_is_read_all_the_same() -> None:
    for head in (f"{MSH}||||||UNICODE UTF-8", f"{MSH}|||||", MSH):
        row = only(message(head=head).replace("JANE", "J\xc4NE").encode("latin-1"), encoding="ascii")
        assert (row.patient_id, row.answer, row.fault) == ("82", Answer.POSITIVE, "")


@pytest.mark.parametrize(("separators", "turned"), [("$%~&", "#"), ("^~\\&", "|"), ("@~\\&", "!")])
def test_separators_are_those_that_the_message_states(state: Path, separators: str, turned: str) -> None:
    table = str.maketrans("|^~\\&", turned + separators)
    content = message("82^^^HOSP^MR").translate(table)
    assert classes(run(state, content)) == [(1, "new")]


def test_a_folder_of_messages_is_one_import(state: Path) -> None:
    folder = state.with_name("lab")
    folder.mkdir()
    with pytest.raises(CxrbatchError, match="a folder without any HL7 message"):
        import_results(folder, state, LabFormat())
    (folder / "1.hl7").write_bytes(message().encode())
    (folder / "2.hl7").write_bytes(message("0042").replace("JANE", "J\xc4NE").encode("latin-1"))
    (folder / "below").mkdir()
    (folder / "below" / "3.hl7").write_bytes(message("42").encode())
    (folder / "below" / "4.hl7").write_bytes(message("42").partition("OBX")[0].encode())
    (folder / "notes").write_text("no message")
    rows = import_results(folder, state, LabFormat(), clock=lambda: NOW)
    assert classes(rows) == [(1, "new"), (2, "new"), (3, "new"), (4, "not_understood"), (5, "not_understood")]
    assert [row.decision.problem for row in rows[3:]] == [
        "below/4.hl7: a message without any result (OBX)",
        "notes: a file that is no HL7 message",
    ]
    (one,) = list_imports(state)
    names = ("1.hl7", "2.hl7", "below/3.hl7", "below/4.hl7", "notes")
    digests = b"".join(hashlib.sha256((folder / name).read_bytes()).digest() for name in names)
    assert (one.n_positive, one.source_sha256) == (3, hashlib.sha256(digests).hexdigest())
    assert {item.row.day for item in rows if item.result} == {DAY}


def test_no_name_is_said(state: Path) -> None:
    said = "".join(f"{item.decision}{item.row.fault}" for item in run(state, message(patient="999")))
    assert "DOE" not in said
    assert dt.date(1970, 1, 1).isoformat() not in said

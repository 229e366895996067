"""Read PCR results from HL7 v2 messages (ORU^R01): bytes in, rows out, one for each result (OBX).

The parser is hl7apy (MIT), an extra: ``pip install 'cxrbatch[hl7]'``. Fields are those of HL7 v2.5.1, chapters 3
(PID) and 7 (OBR, OBX, SPM).
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbatch._lib.text import visible
from cxrbatch.errors import CxrbatchError, UsageProblem
from cxrbatch.results.lab_file import LabFile, LabFormat, LabRow, read_once
from cxrbatch.results.words import Answer, plain

PCR_TESTS = frozenset(("94500-6", "94309-2", "94759-8", "94565-9", "94845-5", "95406-5", "95608-6"))
"""LOINC codes (loinc.org) of tests for RNA of SARS-CoV-2, presence as a whole; those of single genes are not here."""

_BEGINNING = re.compile(rb"[\s\x0b]*(?:\xef\xbb\xbf)?(?:MSH|FHS|BHS)\W")
_NEW_MESSAGE = re.compile(r"(?:^|[\r\n\x0b])[ \t]*(?=MSH\W)")
_CHARACTER_SETS = {
    **{f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 10), 15)},
    **dict.fromkeys(("UNICODE UTF-8", "UNICODE"), "utf-8"),
    **{"GB 18030-2000": "gb18030", "KS X 1001": "euc_kr", "BIG-5": "big5"},
}  # HL7 table 0211
_SNOMED: Mapping[str, Answer] = {
    **dict.fromkeys(("260373001", "10828004"), Answer.POSITIVE),  # Detected, Positive
    **dict.fromkeys(("260415000", "260385009"), Answer.NEGATIVE),  # Not detected, Negative
    **dict.fromkeys(("419984006", "82334004", "280416009"), Answer.INCONCLUSIVE),
}
_FINAL, _PENDING, _FAILED = ("F", "C", "U", ""), ("I", "P", "R", "S"), ("X",)  # HL7 table 0085
_ESCAPES = {"F": 0, "S": 1, "R": 2, "E": 3, "T": 4}


def is_hl7(content: bytes) -> bool:
    """Check whether a file begins as HL7 v2 messages do, also in a batch or with the frame of MLLP."""
    return _BEGINNING.match(content) is not None


def read_hl7(content: bytes, how: LabFormat) -> LabFile:
    """Read all results of the content of a file.

    Raises
    ------
    UsageProblem
        hl7apy is not installed.
    """
    return LabFile(rows=_numbered(_results(content, how)), sha256=hashlib.sha256(content).hexdigest())


def read_hl7_folder(folder: Path, how: LabFormat) -> LabFile:
    """Read all results of all files in a folder and the folders below it, by name.

    Raises
    ------
    CxrbatchError
        A file cannot be read, or there is no message in the folder.
    UsageProblem
        hl7apy is not installed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    contents = {visible(str(path.relative_to(folder))): read_once(path) for path in files}
    if not any(map(is_hl7, contents.values())):
        raise CxrbatchError(f"{visible(str(folder))}: cannot be read: a folder without any HL7 message")
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents.values()))
    found = (_in_file(cells, name) for name, content in contents.items() for cells in _results(content, how))
    return LabFile(rows=_numbered(found), sha256=digest.hexdigest())


def _numbered(found: Iterable[dict[str, Any]]) -> list[LabRow]:
    return [LabRow(number=number, **cells) for number, cells in enumerate(found, start=1)]


def _in_file(cells: dict[str, Any], name: str) -> dict[str, Any]:
    """Say in which file of the folder a fault was found: rows are counted through all of them."""
    return {**cells, "fault": f"{name}: {cells['fault']}"} if cells["fault"] else cells


def _results(content: bytes, how: LabFormat) -> Iterator[dict[str, Any]]:
    if not is_hl7(content):
        yield _nothing(fault="a file that is no HL7 message")
        return
    text = _text(content, how.encoding)
    for raw in _NEW_MESSAGE.split(text)[1:]:
        try:
            message = _Message.parse(raw)
        except UsageProblem:
            raise
        except Exception:  # what hl7apy raises is not documented, and its text holds patient data
            yield _nothing(fault="a message that cannot be parsed")
            continue
        yield from message.results(how)


def _text(content: bytes, encoding: str) -> str:
    header = re.search(rb"MSH\W[^\r\n]*", content)  # there is none in an empty batch
    first = header[0].decode("latin-1") if header else ""
    fields = first.split(first[3:4] or None)
    stated = _CHARACTER_SETS.get(fields[17].split(first[5])[0].strip()) if len(fields) > 17 else None
    try:
        return content.decode(stated or encoding)
    except UnicodeError:
        return content.decode("latin-1")  # a byte of a name or comment is no reason to lose the result


def _nothing(fault: str = "", *, other_test: bool = False) -> dict[str, Any]:
    texts = dict.fromkeys(("patient_id", "issuer_of_patient_id", "accession_number", "date", "result"), "")
    return {**texts, "day": None, "answer": None, "fault": fault, "other_test": other_test}


@dataclass(frozen=True, slots=True)
class _Message:
    """Segments of a message, MSH first, each a list of fields as text; field 0 is the name of the segment."""

    segments: list[list[str]]
    separators: str

    @classmethod
    def parse(cls, raw: str) -> "_Message":
        try:
            from hl7apy.consts import VALIDATION_LEVEL  # noqa: PLC0415 - an extra
            from hl7apy.parser import parse_message  # noqa: PLC0415
        except ImportError as error:
            raise UsageProblem("HL7 messages need the package hl7apy: pip install 'cxrbatch[hl7]'") from error
        lines = [line for line in re.split(r"[\r\n\x0b\x1c]+", raw) if re.match(r"[A-Z][A-Z0-9]{2}\W", line)]
        parsed = parse_message("\r".join(lines), VALIDATION_LEVEL.TOLERANT, find_groups=False)
        own = parsed.encoding_chars
        separators = "".join(
            own[name] for name in ("FIELD", "COMPONENT", "REPETITION", "ESCAPE", "SUBCOMPONENT")
        )
        return cls([segment.to_er7().split(separators[0]) for segment in parsed.children], separators)

    def results(self, how: LabFormat) -> Iterator[dict[str, Any]]:
        """Make the cells of a row for each result; the order that it belongs to (OBR) comes before it."""
        kind = [part.upper() for part in self._components(self.segments[0], 8)]
        rows = [row for patient, order in self._orders() for row in self._of_order(patient, order, how)]
        if not kind[0]:
            yield _nothing(fault="a message without a type")
        elif kind[0] == "ORU" and kind[1:2] in ([], [""], ["R01"]):  # old messages state no event
            yield from rows or [_nothing(fault="a message without any result (OBX)")]
        elif all(row["other_test"] for row in rows):
            yield _nothing(other_test=True)
        else:
            yield _nothing(
                fault=f"results in a message of type {visible('^'.join(kind[:2]))}; only ORU^R01 is read"
            )

    def _orders(self) -> Iterator[tuple[list[str], list[list[str]]]]:
        """Split the segments before each patient (PID) and order (OBR); each part comes with its patient.

        A message may hold several patients (HL7 v2.5.1, 7.3.1: PATIENT_RESULT repeats).
        """
        patient, order = list[str](), list[list[str]]()
        for segment in self.segments:
            if segment[0] in ("PID", "OBR"):
                yield patient, order
                order = []
            if segment[0] == "PID":
                patient = segment
            order.append(segment)
        yield patient, order

    def _of_order(
        self, patient: Sequence[str], order: Sequence[Sequence[str]], how: LabFormat
    ) -> Iterator[dict[str, Any]]:
        for segment in order:
            if segment[0] == "OBX":
                yield {**_nothing(), **self._patient(patient, how), **self._observation(segment, order, how)}

    def _patient(self, pid: Sequence[str], how: LabFormat) -> dict[str, Any]:
        """Find the identifiers of PID-3; all of its repetitions are looked for, and have to be of one patient."""
        every = [self._split(item) for item in _field(pid, 3).split(self.separators[2])]
        ids = [one for one in every if one[0].strip()]
        texts = [self._plain(one[0]).strip() for one in ids]
        issuer = ids[0][3].split(self.separators[4])[0] if len(ids) == 1 and len(ids[0]) > 3 else ""
        return {
            "patient_id": texts[0] if texts else "",
            "other_ids": tuple(texts[1:]),
            "issuer_of_patient_id": self._plain(issuer) if how.columns.issuer_of_patient_id else "",
        }

    def _observation(
        self, segment: Sequence[str], order: Sequence[Sequence[str]], how: LabFormat
    ) -> dict[str, Any]:
        test = self._components(segment, 3)
        if not (PCR_TESTS | set(how.tests)) & {test[0], *test[3:4]}:
            return {"other_test": True}
        value, status = self._components(segment, 5), _field(segment, 11).strip()
        date = self._date(segment, order)
        return {
            "date": date,
            "day": _day(date),
            "result": " ".join(part for part in value[:2] if part),
            "answer": _answer(value, status, how.words),
            "corrects": status == "C",
            "fault": "" if status in (*_FINAL, *_PENDING, *_FAILED) else f"its status (OBX-11) is {status!r}",
        }

    def _date(self, segment: Sequence[str], order: Sequence[Sequence[str]]) -> str:
        """Find when the specimen was taken: SPM-17, else OBR-7, else OBX-14."""
        specimen, request = (
            next((one for one in order if one[0] == name), [name]) for name in ("SPM", "OBR")
        )
        candidates = (self._components(specimen, 17)[0], _field(request, 7), _field(segment, 14))
        return next((text for text in candidates if text), "")

    def _components(self, segment: Sequence[str], number: int) -> list[str]:
        return [self._plain(part).strip() for part in self._split(_field(segment, number))]

    def _split(self, text: str) -> list[str]:
        return text.split(self.separators[1])

    def _plain(self, text: str) -> str:
        """Replace the escapes of separators (HL7 v2.5.1, 2.7)."""
        escape = re.escape(self.separators[3])
        order = {name: self.separators[index] for name, index in _ESCAPES.items()}
        return re.sub(f"{escape}([FSRET]){escape}", lambda match: order[match[1]], text)


def _field(segment: Sequence[str], number: int) -> str:
    return segment[number] if number < len(segment) else ""


def _answer(value: Sequence[str], status: str, words: Mapping[str, Answer]) -> Answer | None:
    """Find the meaning of OBX-5, by code or word; None if none is known, or if they disagree."""
    if status in _PENDING:
        return Answer.SWABBED
    if status in _FAILED:
        return Answer.INCONCLUSIVE
    found = {answer for part in value for answer in (words.get(plain(part)), _SNOMED.get(part)) if answer}
    return found.pop() if len(found) == 1 else None


def _day(text: str) -> dt.date | None:
    """Read a day; a text that states only the year or the month (HL7 v2.5.1, 2.A.77) states none."""
    try:
        return dt.datetime.strptime(text[:8], "%Y%m%d").date() if re.match(r"[0-9]{8}", text) else None
    except ValueError:
        return None

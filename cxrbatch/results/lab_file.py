"""Read the file of PCR results that a laboratory exports: CSV in, typed rows out.

Every cell is read as text first, so a PatientID keeps its leading zeros.
"""

import csv
import datetime as dt
import difflib
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cxrbatch._lib.file_formats import HEAD_BYTES, recognise
from cxrbatch._lib.text import visible
from cxrbatch.errors import CxrbatchError, UsageProblem
from cxrbatch.results.words import Answer, meanings, plain

_DELIMITERS = (",", ";", "\t")
_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t"}
_SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n?|\n)", re.IGNORECASE)  # first line; Excel states the delimiter
_TEXT_AS_FORMULA = re.compile(r'="(.*)"', re.DOTALL)
"""``="00123"``: laboratory systems write this so that a spreadsheet does not drop leading zeros."""
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2, the container of .xls
_ISO_DAY = re.compile(r"\d{4}-?(?:\d\d-?\d\d|W\d\d-?\d)")  # a week alone would be its Monday
_WITHOUT_SEPARATORS = re.compile("%[A-Za-z]%[A-Za-z]")
_END_OF_FILE = "\x1a"  # programs that come from DOS write it
_PROBE = dt.datetime(2026, 11, 22, 8, 9, 10, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns; an empty name is not used. Upper and lower case are the same."""

    patient_id: str = "patient_id"
    issuer_of_patient_id: str = ""
    accession_number: str = "accession_number"
    date: str = "date"
    result: str = "result"


_OPTIONS = {
    "patient_id": "--patient-column",
    "issuer_of_patient_id": "--issuer-column",
    "accession_number": "--accession-column",
    "date": "--date-column",
    "result": "--result-column",
}
_REQUIRED = ("date", "result")
_EITHER = ("patient_id", "accession_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFormat:
    """Format of the file of a laboratory.

    Attributes
    ----------
    delimiter : str
        Empty: detected from the header line (comma, semicolon, tab).
    encoding : str
        Python's name of the encoding; a byte order mark is dropped.
    date_format : str
        As for ``strptime``; empty: ISO 8601.
    words : mapping of str to Answer
        From `meanings`.
    tests : tuple of str
        Further codes of PCR tests for SARS-CoV-2 in HL7 messages.
    all_swabbed : bool
        Every row states a swab whose result is pending; no column of results is read.

    Raises
    ------
    UsageProblem
        The delimiter, the encoding or the date format is not valid.
    """

    columns: Columns = Columns()
    delimiter: str = ""
    encoding: str = "utf-8-sig"
    date_format: str = ""
    words: Mapping[str, Answer] = field(default_factory=meanings)
    tests: tuple[str, ...] = ()
    all_swabbed: bool = False

    def __post_init__(self) -> None:
        delimiter = _NAMED_DELIMITERS.get(self.delimiter.lower(), self.delimiter)
        if len(delimiter) > 1 or delimiter in ('"', "\r", "\n", " "):
            raise UsageProblem(f"--delimiter {self.delimiter!r}: give one character, or tab")
        object.__setattr__(self, "delimiter", delimiter)
        try:
            " ".encode(self.encoding)
        except (LookupError, UnicodeError) as error:
            raise UsageProblem(f"--encoding {self.encoding!r}: unknown; such as utf-8, cp1252") from error
        if self.date_format and not _is_date_format(self.date_format):
            raise UsageProblem(
                f"--date-format {self.date_format!r}: has to hold day, month and year, such as %d.%m.%Y"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRow:
    """A row of the file; blanks around its cells are dropped.

    Attributes
    ----------
    number : int
        Row number as in a spreadsheet: the header is 1, empty rows count.
    patient_id, issuer_of_patient_id, accession_number, date, result : str
        The cells; empty if there is none.
    day : datetime.date or None
        None if the date was not understood.
    answer : Answer or None
        None if the word is unknown.
    surplus : bool
        True if there are more cells than columns, so that cells cannot be assigned to columns.
    other_ids : tuple of str
        Further PatientIDs of the same person; of HL7 messages only, as are the rest.
    other_test : bool
        True if it is no PCR for SARS-CoV-2.
    corrects : bool
        True if it states that it corrects an earlier result.
    fault : str
        Why it cannot be used; empty if it can.
    """

    number: int
    patient_id: str
    issuer_of_patient_id: str
    accession_number: str
    date: str
    result: str
    day: dt.date | None
    answer: Answer | None
    surplus: bool = False
    other_ids: tuple[str, ...] = ()
    other_test: bool = False
    corrects: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFile:
    """The rows of a file, and the SHA-256 of its bytes in hexadecimal."""

    rows: list[LabRow]
    sha256: str


def read_once(path: Path) -> bytes:
    """Read a file as a whole, and only once: it may be a pipe.

    Raises
    ------
    CxrbatchError
        The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CxrbatchError(f"{_shown(path)}: cannot be read: {error.strerror}") from error


def read_lab_file(path: Path, how: LabFormat, content: bytes | None = None) -> LabFile:
    """Read the rows of a file that are not empty.

    Parameters
    ----------
    path : Path
    how : LabFormat
    content : bytes or None
        Its content, where it was read before.

    Raises
    ------
    CxrbatchError
        The file cannot be read, is empty, in another encoding, or its quotes do not match.
    UsageProblem
        A column is missing or occurs twice.
    """
    content = read_once(path) if content is None else content
    text = _text(content, path, how.encoding)
    separator = _SEPARATOR_LINE.match(text)
    text = text[separator.end() :] if separator else text
    delimiter = how.delimiter or (separator[1] if separator else _detected_delimiter(text, how.columns))
    try:
        records = _records(text, delimiter)
        _, header = next(records, (0, []))
        if not header:
            raise CxrbatchError(f"{_shown(path)}: is empty, without even a header line; did the export fail?")
        positions = _positions(header, how, path)
        rows = [_row(number, cells, len(header), positions, how) for number, cells in records]
    except csv.Error as error:
        raise CxrbatchError(f"{_shown(path)}: no CSV: {error}; do the quotes match?") from error
    return LabFile(rows=rows, sha256=hashlib.sha256(content).hexdigest())


def _is_date_format(date_format: str) -> bool:
    """Check whether a date written in this format can be read again."""
    written = _PROBE.strftime(date_format)
    others = (_PROBE.replace(**{part: getattr(_PROBE, part) + 1}) for part in ("year", "month", "day"))
    if written in (other.strftime(date_format) for other in others):
        return False  # return before strptime, which warns about days without a year
    try:
        return dt.datetime.strptime(written, date_format).date() == _PROBE.date()
    except ValueError:
        return False


def _text(content: bytes, path: Path, encoding: str) -> str:
    found = recognise(content[:HEAD_BYTES], path.suffix.lower())
    if found or content.startswith(_OLD_EXCEL):
        raise CxrbatchError(
            f"{_shown(path)}: is no text, but {found.name if found else 'an old office document'}; if it is an Excel "
            "workbook, whatever its name, export the results once more as CSV"
        )
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:  # its own message would show the content of the file
        raise _other_encoding(content, path, encoding) from error
    if "\0" in re.split(r"[\r\n]", text, maxsplit=1)[0]:
        raise _other_encoding(content, path, encoding)
    if text.lstrip().startswith("<"):
        raise CxrbatchError(
            f"{_shown(path)}: is no CSV, but HTML or XML, as some programs write for Excel; export the results as CSV"
        )
    return text.removesuffix(_END_OF_FILE)


def _other_encoding(content: bytes, path: Path, encoding: str) -> CxrbatchError:
    return CxrbatchError(
        f"{_shown(path)}: is not {encoding.removesuffix('-sig')}; save it as UTF-8, or say what it is, "
        f"probably --encoding {_likely_encoding(content)}"
    )


def _likely_encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in content[:4]:
        return "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    return "cp1252"


def _detected_delimiter(text: str, columns: Columns) -> str:
    """Find the delimiter with which the header has most of the wanted columns."""
    wanted = {plain(name) for name in asdict(columns).values()}

    def fit(delimiter: str) -> tuple[int, int]:
        header = _header(text, delimiter)
        return len(wanted & {plain(name) for name in header}), len(header)

    return max(_DELIMITERS, key=fit)


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(_records(text, delimiter), (0, []))[1]
    except csv.Error:
        return []


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Read the rows that are not empty, with their numbers."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    for number, cells in enumerate(reader, start=1):
        cleaned = [_cell(cell) for cell in cells]
        if any(cleaned):
            yield number, cleaned


def _cell(text: str) -> str:
    stripped = text.strip()
    formula = _TEXT_AS_FORMULA.fullmatch(stripped)
    return formula[1].strip() if formula else stripped


def _positions(header: Sequence[str], how: LabFormat, path: Path) -> dict[str, int]:
    """Find the positions of the columns in the header."""
    columns = replace(how.columns, result="") if how.all_swabbed else how.columns
    names = [plain(name) for name in header]
    positions = {}
    for part, name in asdict(columns).items():
        n_there = names.count(plain(name)) if name else 0
        if n_there > 1:
            raise UsageProblem(f"{_shown(path)}: column {name!r} is there twice; rename one of them")
        if n_there:
            positions[part] = names.index(plain(name))
        elif (part in _REQUIRED and not (how.all_swabbed and part == "result")) or name not in (
            "",
            getattr(Columns(), part),
        ):
            raise UsageProblem(f"{_shown(path)}: {_missing([part], columns, names)}")
    if not positions.keys() & set(_EITHER):
        raise UsageProblem(f"{_shown(path)}: {_missing(_EITHER, columns, names)}")
    return positions


def _missing(parts: Sequence[str], columns: Columns, names: Sequence[str]) -> str:
    """Write the message that a column is missing.

    It does not quote the first line: if that is not a header, it holds patient data.
    """
    wanted = " or ".join(repr(getattr(columns, part)) for part in parts)
    options = " or ".join(_OPTIONS[part] for part in parts)
    is_header = any(plain(name) in names for name in asdict(columns).values() if name)
    close = difflib.get_close_matches(plain(getattr(columns, parts[0])), names, n=1) if is_header else []
    hint = (
        f"is {close[0]!r} meant? " if close else "" if is_header else "are these the names of the columns? "
    )
    return f"no column {wanted} among the {len(names)} of its first line; {hint}name yours with {options}"


def _row(
    number: int, cells: Sequence[str], n_columns: int, positions: Mapping[str, int], how: LabFormat
) -> LabRow:
    # A row may be too short: Excel leaves out empty cells at the end.
    texts: dict[str, Any] = {
        part: cells[positions[part]] if part in positions and positions[part] < len(cells) else ""
        for part in _OPTIONS
    }
    return LabRow(
        number=number,
        **texts,
        day=_day(texts["date"], how.date_format),
        answer=Answer.SWABBED if how.all_swabbed else how.words.get(plain(texts["result"])),
        surplus=any(cells[n_columns:]),
    )


def _day(text: str, date_format: str) -> dt.date | None:
    try:
        if date_format:
            read = dt.datetime.strptime(text, date_format)
            # Of %Y%m%d, 202611 would be the first of January.
            is_whole = not _WITHOUT_SEPARATORS.search(date_format) or read.strftime(date_format) == text
            return read.date() if is_whole else None
        return dt.datetime.fromisoformat(text).date() if _ISO_DAY.match(text) else None
    except ValueError:
        return None


def _shown(path: Path) -> str:
    return visible(str(path))

"""Write tables as CSV without spreadsheet formulas: rows in, bytes out (UTF-8, LF, numbers with six decimals).

Text is neutralised for spreadsheets and escaped so that one record is one line (`cxrbatch._lib.text`).
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from cxrbatch._lib.text import shown

Cell = str | int | float | None
Row = Mapping[str, Cell]
_ROWS_AT_ONCE = 1000


def csv_bytes(columns: tuple[str, ...], rows: Iterable[Row], encoding: str = "utf-8") -> bytes:
    """Write rows as a table, text neutralised and escaped; a column that a row does not have is an empty cell.

    With the encoding ``utf-8-sig`` it begins with a byte order mark, by which Excel knows UTF-8.
    """
    return b"".join(csv_pieces(columns, rows, encoding))


def csv_pieces(columns: tuple[str, ...], rows: Iterable[Row], encoding: str = "utf-8") -> Iterator[bytes]:
    """Write a table as `csv_bytes` does, some rows at a time."""
    yield _lines([columns]).encode(encoding)
    cells = ([_cell(row.get(column)) for column in columns] for row in rows)
    while piece := _lines(islice(cells, _ROWS_AT_ONCE)):
        yield piece.encode("utf-8")


def _lines(rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return shown(value)
    return str(value) if isinstance(value, int) else f"{value:.6f}"

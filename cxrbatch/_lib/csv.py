"""Write tables as CSV without spreadsheet formulas: rows in, bytes out (UTF-8, LF, numbers with six decimals).

Text is neutralised for spreadsheets and escaped so that one record is one line (`cxrbatch._lib.text`).
"""

import csv
import io
from collections.abc import Iterable, Mapping

from cxrbatch._lib.text import shown

Cell = str | int | float | None
Row = Mapping[str, Cell]


def csv_bytes(columns: tuple[str, ...], rows: Iterable[Row], encoding: str = "utf-8") -> bytes:
    """Write rows as a table, text neutralised and escaped; a column that a row does not have is an empty cell.

    With the encoding ``utf-8-sig`` it begins with a byte order mark, by which Excel knows UTF-8.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return stream.getvalue().encode(encoding)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return shown(value)
    return str(value) if isinstance(value, int) else f"{value:.6f}"

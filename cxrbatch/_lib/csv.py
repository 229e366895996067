"""Write tables as CSV without spreadsheet formulas: rows in, bytes out (UTF-8, LF, numbers with six decimals).

Text is neutralised for spreadsheets and escaped so that one record is one line (`cxrbatch._lib.text`).
"""

import csv
import io
from collections.abc import Iterable, Mapping

from cxrbatch._lib.text import shown

Cell = str | int | float | None
Row = Mapping[str, Cell]


def csv_bytes(columns: tuple[str, ...], rows: Iterable[Row]) -> bytes:
    """Write rows as a table, text neutralised and escaped; a column that a row does not have is an empty cell."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return stream.getvalue().encode("utf-8")


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return shown(value)
    return str(value) if isinstance(value, int) else f"{value:.6f}"

"""Make the tables of a report in further formats beside its CSV: `TriageRun` in, JSON or Parquet out.

Columns and values are those of `TriageRun.patients_frame` and `TriageRun.files_frame`: numbers are not rounded, and
text is not neutralised for spreadsheets. What cannot be seen is escaped as in the CSV (`cxrbatch._lib.text.visible`).
"""

import importlib.util
import io
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbatch._lib.text import visible
from cxrbatch.errors import UsageProblem
from cxrbatch.records import TriageRun

if TYPE_CHECKING:
    import pandas as pd


def check_formats(formats: Collection[str]) -> None:
    """Check before the work starts whether a format can be written here.

    Raises
    ------
    UsageProblem
        Parquet is wanted, and the package that writes it is not installed.
    """
    if "parquet" in formats and not importlib.util.find_spec("pyarrow"):
        raise UsageProblem("Parquet needs the package pyarrow: pip install 'cxrbatch[parquet]'")


def more_paths(out: Path, formats: Collection[str]) -> list[Path]:
    """Name the files that the formats put beside the CSV `out`: for each the table of patients and that of files."""
    wanted = [name for name in _WRITERS if name in formats]
    return [out.with_suffix(f"{infix}.{name}") for name in wanted for infix in ("", ".files")]


def more_tables(run: TriageRun, out: Path, formats: Collection[str]) -> dict[Path, bytes]:
    """Make the content of `more_paths`.

    Parameters
    ----------
    run : TriageRun
    out : Path
        The CSV; it is made elsewhere.
    formats : collection of str
        ``json``, ``parquet``; ``csv`` is ignored.

    Returns
    -------
    dict of Path to bytes
    """
    frames = {"": run.patients_frame(), ".files": run.files_frame()} if more_paths(out, formats) else {}
    return {
        out.with_suffix(f"{infix}.{name}"): write(frame)
        for name, write in _WRITERS.items()
        for infix, frame in frames.items()
        if name in formats
    }


def table_parquet(frame: "pd.DataFrame") -> bytes:
    """Make a Parquet file of a table."""
    stream = io.BytesIO()
    _escaped(frame).to_parquet(stream, engine="pyarrow", index=False)
    return stream.getvalue()


def _table_json(frame: "pd.DataFrame") -> bytes:
    """Make a list of objects, one a line; a missing number is null."""
    records = _escaped(frame).astype(object).where(frame.notna(), None).to_dict("records")
    lines = ",\n".join(json.dumps(record) for record in records)
    return f"[\n{lines}\n]\n".encode()


def _escaped(frame: "pd.DataFrame") -> "pd.DataFrame":
    from pandas.api.types import is_numeric_dtype  # noqa: PLC0415 - takes long, and only these tables need it

    def escape(column: "pd.Series[Any]") -> "pd.Series[Any]":
        return column if is_numeric_dtype(column) else column.map(visible).astype(str)

    escaped = frame.apply(escape)
    escaped.attrs = frame.attrs
    return escaped


_WRITERS: Mapping[str, Callable[["pd.DataFrame"], bytes]] = {"json": _table_json, "parquet": table_parquet}

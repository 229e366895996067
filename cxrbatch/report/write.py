"""Write the report of a run: two tables for scripts and one page for people, together or not at all.

For ``report.csv`` the other files are ``report.files.csv`` and ``report.html`` beside it.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cxrbatch._lib.atomic import TRIAL, check_csv_name, check_places, remove_leftovers, write_together
from cxrbatch.errors import OutputError
from cxrbatch.records import TriageRun
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.formats import check_formats, more_paths, more_tables
from cxrbatch.report.page import render_page
from cxrbatch.report.table import files_csv, patients_csv


class ReportPaths(NamedTuple):
    """The three files of a report, in the order in which they appear in the folder."""

    files: Path
    page: Path
    patients: Path


def report_paths(out: Path) -> ReportPaths:
    """Make the names of the files of a report from that of its table of patients.

    Raises
    ------
    UsageProblem
        `out` does not end in ``.csv``, so that the other names could collide with it.
    """
    check_csv_name(out, example="report.csv")
    return ReportPaths(out.with_suffix(".files.csv"), page_path(out), out)


def page_path(out: Path) -> Path:
    """Name the page of a report from its table of patients."""
    return out.with_suffix(".html")


def check_writable(out: Path, formats: Collection[str] = ()) -> None:
    """Check before the work starts whether the report can be written.

    Raises
    ------
    UsageProblem
        `out` does not end in ``.csv``, its folder is missing, one of the files is something else, or a format needs a
        package that is not installed.
    OutputError
        No file can be made in the folder.
    """
    check_formats(formats)
    check_places((*report_paths(out), *more_paths(out, formats)))


def write_report(
    run: TriageRun,
    out: Path,
    csv_encoding: str = "utf-8",
    formats: Collection[str] = (),
    extras: PageExtras = PageExtras(),
) -> None:
    """Write the report; replace an earlier report of that name, and remove the remains of a killed run.

    The same run gives the same bytes. If `out` exists, the report is complete: this file appears last. The page
    states the SHA-256 of both tables.

    Parameters
    ----------
    run : TriageRun
    out : Path
        Path of the table of patients, ``….csv``.
    csv_encoding : str
        ``utf-8``, or ``utf-8-sig`` for CSVs that begin with a byte order mark.
    formats : collection of str
        Of ``json`` and ``parquet``: further files with the same tables.
    extras : PageExtras
        What the page alone shows.

    Raises
    ------
    UsageProblem
        See `report_paths`.
    OutputError
        The report could not be written, or its counts do not reconcile; an earlier report is left as it was.
    """
    paths = report_paths(out)
    reconcile(run)
    files, patients = _Hashed(files_csv(run, csv_encoding)), _Hashed(patients_csv(run, csv_encoding))

    def page() -> Iterator[bytes]:  # begins once both tables are written
        sha256 = {paths.files.name: files.sha256(), paths.patients.name: patients.sha256()}
        yield from render_page(run, sha256, extras)

    more = more_tables(run, out, formats)
    write_together(
        {**more, paths.files: files, paths.patients: patients, paths.page: page()}, last=paths.patients
    )
    remove_leftovers((*more, *paths, out.with_name(TRIAL)))


class _Hashed:
    """Pieces of a file, hashed as they are written.

    Parameters
    ----------
    pieces : iterable of bytes
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._hash.update(piece)
            yield piece

    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        return self._hash.hexdigest()


def write_csv(run: TriageRun, stream: BinaryIO, csv_encoding: str = "utf-8") -> None:
    """Write the table of patients alone to a stream, such as standard output.

    Raises
    ------
    OutputError
        The stream cannot be written, or the counts of the run do not reconcile.
    """
    reconcile(run)
    try:
        for piece in patients_csv(run, csv_encoding):
            stream.write(piece)
        stream.flush()
    except OSError as error:
        raise OutputError(f"the table cannot be written to the stream: {error.strerror}") from error


def reconcile(run: TriageRun) -> None:
    """Check that every file found is in the report exactly once.

    Raises
    ------
    OutputError
        The counts differ; a report that loses a file must not be written.
    """
    names = (file.name for file in run.files())
    n_names = (run.n_found > 0) + sum(name < following for name, following in pairwise(names))
    parts = run.n_scored + run.n_not_scored + run.n_skipped
    if not run.n_found == parts == n_names:
        raise OutputError(
            f"the counts do not reconcile: {run.n_found} files found, {n_names} different names, {parts} "
            "scored, not scored or skipped; this is a defect of cxrbatch, and no report was written"
        )

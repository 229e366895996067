"""Write the two files of an audit: a CSV table for scripts and an HTML page for people."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from cxrbatch._lib.atomic import check_csv_name, check_places, write_together
from cxrbatch._lib.csv import csv_bytes
from cxrbatch.audit.estimate import AuditEstimate
from cxrbatch.audit.figures import Audit
from cxrbatch.audit.page import audit_html
from cxrbatch.bundle import write_operating_points

COLUMNS = ("section", "week", "quantity", "value", "low", "high", "n")
"""Columns of ``audit.csv``. Users read them with scripts: append only."""


def check_out(out: Path) -> None:
    """Check before the work starts whether the files can be written.

    Raises
    ------
    UsageProblem
        The name does not end in ``.csv``, its folder is missing, or something else has one of the names.
    OutputError
        No file can be made in the folder.
    """
    check_csv_name(out, example="audit.csv")
    check_places((out, _page(out)))


def write_audit(audit: Audit, out: Path) -> None:
    """Write ``….csv``, and ``….html`` beside it, together or not at all; the same audit gives the same bytes.

    Raises
    ------
    OutputError
        The files cannot be written; earlier files are left as they were.
    """
    page = render_audit(audit)
    write_together({_page(out): page.encode("utf-8"), out: audit_csv(audit.estimates)})


def render_audit(audit: Audit) -> str:
    """Render the page alone; it states the SHA-256 of the table."""
    return audit_html(audit, hashlib.sha256(audit_csv(audit.estimates)).hexdigest())


def write_recommended(audit: Audit, path: Path) -> bool:
    """Write the recommended operating points, if there are any; return True if they were written.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    points = audit.recommended
    if points is not None:
        write_operating_points(path, audit.bundle, points)
    return points is not None


def audit_csv(estimates: Iterable[AuditEstimate]) -> bytes:
    """Make the table: one row for each figure, empty cells where there is no value."""
    return csv_bytes(COLUMNS, (asdict(one) | {"quantity": one.name} for one in estimates))


def _page(out: Path) -> Path:
    return out.with_suffix(".html")

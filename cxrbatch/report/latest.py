"""Keep ``latest.html`` beside the reports: one address that always shows the newest list.

It is a second name (hard link) of the newest page, not a symbolic link: it shows a whole list also while a page is
being replaced and after old reports were deleted, and shares that do not follow links show it too.
"""

from pathlib import Path

from cxrbatch._lib.atomic import remove_leftovers, replace_by_link
from cxrbatch._lib.text import visible
from cxrbatch.errors import OutputError, UsageProblem
from cxrbatch.report.write import page_path

LATEST = "latest.html"


def latest_path(out: Path) -> Path:
    """Name the newest page from the table of patients of a report.

    Raises
    ------
    UsageProblem
        The report's own page has that name, or the place is taken by something that is not a file.
    """
    path = out.with_name(LATEST)
    if path == page_path(out):
        raise UsageProblem(
            f"--out {visible(str(out))}: its page would be {LATEST}, the name that --latest gives to the newest one; "
            "choose another name"
        )
    if path.exists() and not path.is_file():
        raise UsageProblem(f"--latest: {visible(str(path))} is not a file; move it away")
    return path


def replace_latest(out: Path) -> None:
    """Let ``latest.html`` show the page of a report that has been written.

    Parameters
    ----------
    out : Path
        Table of patients of that report.

    Raises
    ------
    UsageProblem
        See `latest_path`.
    OutputError
        The place cannot be written; it shows what it showed before.
    """
    path = latest_path(out)
    try:
        replace_by_link(path, page_path(out))
    except OutputError as error:
        raise OutputError(f"the report is complete, but {error}") from error
    remove_leftovers([path])

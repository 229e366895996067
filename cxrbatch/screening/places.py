"""Check the places that a run reads and writes, before it starts."""

from collections.abc import Mapping
from pathlib import Path

from cxrbatch.errors import UsageProblem
from cxrbatch.objects import require_place
from cxrbatch.records import ObjectPrefix, Place, check_outside
from cxrbatch.report import check_writable, latest_path
from cxrbatch.screening.options import ScreenOptions


def check_places(folder: Place, out: Path | None, options: ScreenOptions) -> None:
    """Check the folder or prefix that is read, and whether state and report may be written where they are asked for.

    Raises
    ------
    UsageProblem
        A place is not there, is taken, or lies inside the folder.
    OutputError
        No file can be made in the folder of the report.
    """
    state = options.state
    if state and state.is_dir():
        raise UsageProblem(f"--state {state}: is a folder; give the name of a file")
    if isinstance(folder, ObjectPrefix):
        require_place(folder)
    else:
        _check_folder(folder, {"--out": out, "--state": state})
    if out:
        check_writable(out, options.formats)
        if options.latest:
            latest_path(out)


def _check_folder(folder: Path, written: Mapping[str, Path | None]) -> None:
    if folder.is_file():
        raise UsageProblem(
            f"{folder}: is a file; give the folder, or score single images with cxrbatch predict"
        )
    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder; is the export mounted?")
    for option, path in written.items():
        if path:
            check_outside(option, path, folder)


def check_stream(options: ScreenOptions) -> None:
    """Check that nothing is asked for that only a report in a folder has.

    Raises
    ------
    UsageProblem
        It is.
    """
    for name, asked in (("--format", set(options.formats) != {"csv"}), ("--latest", options.latest)):
        if asked:
            raise UsageProblem(f"{name}: a stream gets one table; give a name that ends in .csv as --out")

"""Write several files to a folder so that all of them appear, or none."""

import errno
import glob
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cxrbatch._lib.text import visible
from cxrbatch.errors import OutputError, UsageProblem

_MODE = 0o640  # patient data: readable by owner and group only; the umask may restrict it further
_PIECE_BYTES = 1 << 20
TRIAL = "trial"
Content = bytes | Iterable[bytes]
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_together(contents: Mapping[Path, Content], last: Path | None = None) -> None:
    """Write files of one folder as a set.

    All files are on the disk under temporary names, written in the order given, before the first one gets its final
    name. One file appears last, and an earlier file of its name is removed first. So, where this file exists, the set
    is complete, even after a power cut.

    Parameters
    ----------
    contents : mapping of Path to bytes or iterable of bytes
        Files of one folder; existing ones are replaced. Content given in pieces is never in memory as a whole.
    last : Path, optional
        File that appears last; by default the one that is written last.

    Raises
    ------
    OutputError
        Nothing has changed: earlier files are as they were, and no temporary file is left.
    """
    *_, by_default = contents
    last = last or by_default
    with _as_output_error(last):
        _replace_together(contents, [*(path for path in contents if path != last), last])


def replace_file(path: Path, content: Content, mode: int = _MODE) -> None:
    """Write a file and put it in the place of an earlier one in one step: at every moment there is one of the two.

    Parameters
    ----------
    path : Path
    content : bytes or iterable of bytes
    mode : int
        Rights of the file; of the default the umask may take more away, of others not.

    Raises
    ------
    OutputError
        The earlier file is as it was, and no temporary file is left.
    """
    with _in_place_of(path) as new:
        _write(new, content)
        if mode != _MODE:
            new.chmod(mode)


def replace_by_link(path: Path, source: Path) -> None:
    """Put a second name of a file in the place of an earlier file, in one step.

    Where the file system has no second names (hard links), such as some shares, it is a copy.

    Raises
    ------
    OutputError
        The earlier file is as it was, and no temporary file is left.
    """
    with _in_place_of(path) as new:
        try:
            new.hardlink_to(source)
        except OSError:
            with source.open("rb") as stream:
                _write(new, iter(lambda: stream.read(_PIECE_BYTES), b""))


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Give a new name beside a file; the file made there takes the place of the other one at the end."""
    new = _beside(path, "tmp")
    with _as_output_error(path):
        try:
            yield new
            new.replace(path)
            _sync(path.parent)
        finally:  # if both were names of one file already, replacing did nothing
            new.unlink(missing_ok=True)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove temporary files that a killed process left when it wrote these files.

    Call it only as the one process that writes these files, and after writing them. Before that, a leftover may be
    the only copy of an earlier report.
    """
    for path in paths:
        for ending in ("tmp", "old"):
            for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????.{ending}"):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Check whether a new file can be written to a folder, by writing one.

    Raises
    ------
    UsageProblem
        There is no such folder.
    OutputError
        No file can be written to it: permissions, a full disk.
    """
    with _as_output_error(folder):
        if not folder.is_dir():
            raise UsageProblem(
                f"--out: there is no folder {visible(str(folder))}; make it, or choose another one"
            )
        trial = _beside(folder / TRIAL, "tmp")
        try:
            _write(trial, b"\n")
        finally:
            trial.unlink(missing_ok=True)


def check_places(paths: Sequence[Path], inputs: Sequence[Path] = ()) -> None:
    """Check whether files of one folder can be written, before they are made.

    Parameters
    ----------
    paths : sequence of Path
    inputs : sequence of Path
        Files that none of them may replace.

    Raises
    ------
    UsageProblem
        The folder is missing, or one of the names is that of an input or of something that is not a file.
    OutputError
        No file can be made in the folder.
    """
    check_folder(paths[0].parent)
    for path in paths:
        if path.exists() and not path.is_file():
            raise UsageProblem(f"--out: {visible(str(path))} is not a file; choose another name")
        if path.resolve() in {item.resolve() for item in inputs}:
            raise UsageProblem(
                f"--out {visible(str(path))}: would replace what it is made from; choose another name"
            )


def check_csv_name(out: Path, example: str) -> None:
    """Check that a name ends in ``.csv``, so that those of the files beside it cannot collide with it.

    Raises
    ------
    UsageProblem
        It does not.
    """
    if out.suffix.lower() != ".csv":
        raise UsageProblem(f"--out {visible(str(out))}: give a name that ends in .csv, such as {example}")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{visible(str(folder))}: cannot be made: {error.strerror or error}") from error


def _replace_together(contents: Mapping[Path, Content], in_order: Sequence[Path]) -> None:
    """Write files, then put them in their places in an order."""
    new = {path: _beside(path, "tmp") for path in contents}
    old = {path: _beside(path, "old") for path in contents}
    # The undoing of each step is registered before the step; undoing a step that was not done does nothing.
    with ExitStack() as undo:
        for path, content in contents.items():
            undo.callback(new[path].unlink, missing_ok=True)
            _write(new[path], content)
        for path in reversed(in_order):
            undo.callback(_move, old[path], path)
            _move(path, old[path])
        for path in in_order:
            undo.callback(path.unlink, missing_ok=True)
            new[path].replace(path)
        _sync(in_order[-1].parent)
        undo.pop_all()
    for path in old.values():
        with suppress(OSError):  # the report is complete; a leftover file is no reason to fail
            path.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def _write(path: Path, content: Content) -> None:
    # The mode is set when the file is made: it is never weaker, and shares without chmod work too.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.writelines([content] if isinstance(content, bytes) else content)
        stream.flush()
        os.fsync(descriptor)


def _move(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        source.replace(target)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network shares cannot sync a folder
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"{visible(str(path))}: cannot be written: {reason}{_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno in _NO_SPACE:
        return "; free some space and run again"
    if error.errno in _NOT_ALLOWED:
        return "; make the folder writable for this user, or choose another one with --out"
    return ""

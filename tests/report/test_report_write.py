import dataclasses
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.errors import OutputError, UsageProblem
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, TriageRun
from cxrbatch.report.write import check_writable, reconcile, report_paths, write_report

NAMES = ["report.csv", "report.files.csv", "report.html"]


@pytest.fixture
def umask_022() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_writes_three_files_and_nothing_else(run: TriageRun, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.csv")
    assert sorted(_contents(tmp_path)) == NAMES


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o000, 0o640), (0o077, 0o600)])
@pytest.mark.usefixtures("umask_022")
def test_nobody_but_owner_and_group_can_read_it(
    umask: int, mode: int, run: TriageRun, tmp_path: Path
) -> None:
    os.umask(umask)
    write_report(run, tmp_path / "report.csv")
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in NAMES} == {mode}


def test_same_run_same_bytes(run: TriageRun, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_report(run, tmp_path / folder / "report.csv")
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


def test_page_names_the_tables_it_belongs_to(run: TriageRun, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.csv")
    page = (tmp_path / "report.html").read_text("utf-8")
    for name in ("report.csv", "report.files.csv"):
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() in page


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("step", range(9))
def test_a_failed_rename_changes_nothing(
    step: int, earlier: bool, run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if earlier:
        write_report(dataclasses.replace(run, folder="yesterday"), tmp_path / "report.csv")
    before = _contents(tmp_path)
    failing = _FailOnce(os.replace, step, errno.EIO)
    monkeypatch.setattr(os, "replace", failing)
    if step < 6:
        with pytest.raises(OutputError, match=r"report\.csv: cannot be written: Input/output error"):
            write_report(run, tmp_path / "report.csv")
        assert _contents(tmp_path) == before
    else:  # three to move the earlier report aside, three to put the new one there
        write_report(run, tmp_path / "report.csv")
        assert failing.calls == 6


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", range(3))
def test_a_full_disk_changes_nothing(
    step: int, number: int, run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(dataclasses.replace(run, folder="yesterday"), tmp_path / "report.csv")
    before = _contents(tmp_path)
    monkeypatch.setattr(os, "fsync", _FailOnce(os.fsync, step, number))
    with pytest.raises(
        OutputError, match=r"report\.csv: cannot be written: .*; free some space and run again"
    ):
        write_report(run, tmp_path / "report.csv")
    assert _contents(tmp_path) == before


def test_an_interrupt_changes_nothing(
    run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(dataclasses.replace(run, folder="yesterday"), tmp_path / "report.csv")
    before = _contents(tmp_path)

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(run, tmp_path / "report.csv")
    assert _contents(tmp_path) == before


def test_the_table_of_patients_goes_first_and_appears_last(
    run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(run, tmp_path / "report.csv")
    others: list[set[str]] = []
    replace = Path.replace

    def watch(source: Path, target: Path) -> Path:
        shown = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
        others.append(shown)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", watch)
    write_report(run, tmp_path / "report.csv")
    assert others[0] == set(NAMES)
    assert all("report.csv" not in shown for shown in others[1:])


@pytest.mark.parametrize("name", ["report", "report.html", ".csv", "report.csv.gz"])
def test_the_name_must_end_in_csv(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"give a name that ends in \.csv"):
        check_writable(tmp_path / name)


def test_the_siblings() -> None:
    assert report_paths(Path("x/2026.11.csv")) == (
        Path("x/2026.11.files.csv"),
        Path("x/2026.11.html"),
        Path("x/2026.11.csv"),
    )


def test_check_leaves_nothing_behind_and_touches_nothing(run: TriageRun, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.csv")
    before = _contents(tmp_path)
    check_writable(tmp_path / "report.csv")
    assert _contents(tmp_path) == before


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"there is no folder .*gone; make it, or choose another one"):
        check_writable(tmp_path / "gone" / "report.csv")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_that_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UsageProblem, match=f"{name} is not a file; choose another name"):
        check_writable(tmp_path / "report.csv")


def test_a_folder_that_takes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # permissions do not stop root, who may run this test
    with pytest.raises(OutputError, match="Permission denied; make the folder writable for this user"):
        check_writable(tmp_path / "report.csv")


def test_a_file_in_the_report_twice_is_not_written(run: TriageRun, tmp_path: Path) -> None:
    again = (*run.failures, Failure(name="a/1", reason=Reason.CORRUPT))
    twice = dataclasses.replace(run, n_found=6, failures=again)
    with pytest.raises(OutputError, match="6 files found, 5 different names"):
        write_report(twice, tmp_path / "report.csv")
    assert _contents(tmp_path) == {}


def test_a_file_that_was_found_and_lost_is_not_passed_over(run: TriageRun, tmp_path: Path) -> None:
    lost = dataclasses.replace(run, failures=run.failures[:-1])
    with pytest.raises(OutputError, match="5 files found, 4 different names, 4 scored"):
        write_report(lost, tmp_path / "report.csv")
    assert _contents(tmp_path) == {}


def test_counts_that_reconcile(run: TriageRun) -> None:
    reconcile(run)
    assert (run.n_found, run.n_scored, run.n_not_scored, run.n_skipped) == (5, 2, 2, 1)


class _FailOnce:
    """Stands in for a system call; the call of the given number fails."""

    def __init__(self, real: Callable[..., Any], step: int, number: int) -> None:
        self.step, self.number, self.calls = step, number, 0
        self.really: Callable[..., Any] = real

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == self.step + 1:
            raise OSError(self.number, os.strerror(self.number))
        return self.really(*arguments)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}

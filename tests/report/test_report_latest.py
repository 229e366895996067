"""``latest.html`` always shows a whole list, the newest that was written."""

import errno
import os
import re
import threading
from pathlib import Path

import pytest

from cxrbatch._lib.atomic import replace_by_link
from cxrbatch.errors import NoImageFound, OutputError, UsageProblem
from cxrbatch.records import TriageRun
from cxrbatch.report import latest_path, replace_latest, write_report
from cxrbatch.screening import screen


def written(run: TriageRun, folder: Path, *names: str) -> list[Path]:
    """Write reports, and let each be the newest in turn."""
    for name in names:
        write_report(run, folder / name)
        replace_latest(folder / name)
    return [folder / name for name in names]


def test_it_is_the_page_of_the_last_report(run: TriageRun, tmp_path: Path) -> None:
    folder = tmp_path / "où"
    folder.mkdir()
    first, second = written(run, folder, "2026-11-28.csv", "2026-11-29.csv")
    assert (folder / "latest.html").samefile(second.with_suffix(".html"))
    written(run, folder, first.name, first.name)
    assert (folder / "latest.html").samefile(first.with_suffix(".html"))
    replace_latest(first)
    assert len(list(folder.iterdir())) == 7


def no_links(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def test_it_is_a_copy_where_there_are_no_second_names(
    run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    (out,) = written(run, tmp_path, "r.csv")
    page = out.with_suffix(".html")
    assert not (tmp_path / "latest.html").samefile(page)
    assert (tmp_path / "latest.html").read_bytes() == page.read_bytes()
    assert (tmp_path / "latest.html").stat().st_mode == page.stat().st_mode


def test_deleted_reports_leave_it(run: TriageRun, tmp_path: Path) -> None:
    (out,) = written(run, tmp_path, "r.csv")
    page = out.with_suffix(".html").read_bytes()
    for path in tmp_path.glob("r.*"):
        path.unlink()
    assert (tmp_path / "latest.html").read_bytes() == page


@pytest.mark.parametrize("step", ["hardlink_to", "replace"])
def test_what_fails_leaves_the_earlier_one(
    step: str, run: TriageRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    written(run, tmp_path, "a.csv")
    write_report(run, second)
    monkeypatch.setattr(Path, step, no_links)
    if step == "hardlink_to":
        monkeypatch.setattr(Path, "open", no_links)
    with pytest.raises(OutputError, match=r"the report is complete, but .*latest\.html: cannot be written"):
        replace_latest(second)
    assert (tmp_path / "latest.html").samefile(first.with_suffix(".html"))
    assert not list(tmp_path.glob(".*"))


def test_remains_of_a_killed_run_go(run: TriageRun, tmp_path: Path) -> None:
    (tmp_path / ".latest.html.01234567.tmp").touch()
    written(run, tmp_path, "r.csv")
    assert not list(tmp_path.glob(".*"))


def test_places_that_cannot_be_it(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="the name that --latest gives"):
        latest_path(tmp_path / "latest.csv")
    (tmp_path / "latest.html").mkdir()
    with pytest.raises(UsageProblem, match="is not a file"):
        latest_path(tmp_path / "r.csv")


def test_two_runs_at_once_and_a_reader(tmp_path: Path) -> None:
    """Whoever reads finds one whole page or the other, at every moment."""
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    contents = {letter * 100_000 for letter in "ab"}
    for page, content in zip(pages, sorted(contents), strict=True):
        page.write_text(content)
    latest = tmp_path / "latest.html"
    replace_by_link(latest, pages[0])

    def replace_often(page: Path) -> None:
        for _ in range(100):
            replace_by_link(latest, page)

    writers = [threading.Thread(target=replace_often, args=(page,)) for page in pages]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert latest.read_text() in contents
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html", "latest.html"]


def test_screen_keeps_it_and_a_failed_run_does_not_touch_it(
    tmp_path: Path, sample_night: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "in").mkdir()
    image = next((sample_night / "emergency" / "SAMPLE-001").iterdir())
    os.link(image, tmp_path / "in" / "image.dcm")
    out = tmp_path / "2026-11-28.csv"
    screen(tmp_path / "in", out, bundle=tiny_bundle, latest=True, n_workers=1, device="cpu", n_explained=0)
    before = (tmp_path / "latest.html").stat()
    assert (tmp_path / "latest.html").samefile(out.with_suffix(".html"))
    (tmp_path / "in" / "image.dcm").unlink()
    with pytest.raises(NoImageFound):
        screen(tmp_path / "in", tmp_path / "2026-11-29.csv", bundle=tiny_bundle, latest=True)
    assert (tmp_path / "latest.html").stat() == before


def test_a_stream_has_no_page(tmp_path: Path) -> None:
    with (tmp_path / "table").open("wb") as stream, pytest.raises(UsageProblem, match="--latest"):
        screen(tmp_path, stream, latest=True)


def test_the_page_states_when_it_began(run: TriageRun, tmp_path: Path) -> None:
    """Its script compares that with the clock of whoever opens ``latest.html``."""
    (out,) = written(run, tmp_path, "r.csv")
    page = out.with_suffix(".html").read_text("utf-8")
    found = re.search(r'data-started="([^"]+)"', page)
    assert found
    assert found[1] == run.started.isoformat()

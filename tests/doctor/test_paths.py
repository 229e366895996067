"""Export, report, disk: each check failing for real, and the good case."""

import os
from pathlib import Path

import pytest

from cxrbatch.doctor import Setup, examine, paths
from cxrbatch.doctor.check import Level, Observation
from cxrbatch.errors import RecipeError, UsageProblem
from cxrbatch.screening.options import ScreenOptions


def only(observations: list[Observation]) -> Observation:
    (observation,) = observations
    return observation


def export(folder: Path) -> list[Observation]:
    return list(paths.export(Setup(folder=folder)))


def test_nothing_asked_nothing_said() -> None:
    for check in (paths.export, paths.report, paths.header_words, paths.pseudonyms, paths.disk):
        assert list(check(Setup())) == []


def test_export_with_files(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "deeper").touch()
    found = only(export(tmp_path))
    assert (found.level, found.advice) == (Level.OK, "")
    assert found.found == f"{tmp_path}: 3 entries at its top"


def test_export_that_is_empty(tmp_path: Path) -> None:
    found = only(export(tmp_path))
    assert found.level is Level.WARNING
    assert "mounted" in found.advice


def test_export_that_is_missing_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        found = only(export(tmp_path / name))
        assert found.level is Level.PROBLEM
        assert "no such folder" in found.found
        assert "mount" in found.advice


def test_export_that_cannot_be_listed(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o000)
    if os.access(folder, os.R_OK):
        pytest.skip("this user may list everything")
    found = only(export(folder))
    assert (found.level, found.advice) == (Level.PROBLEM, "let this user read the folder")


@pytest.mark.parametrize("where", ["out", "state"])
def test_places_inside_the_export(where: str, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    out = tmp_path / "r.csv" if where == "out" else None
    options = ScreenOptions(state=tmp_path / "deep" / "s" if where == "state" else None)
    good, bad = paths.export(Setup(folder=tmp_path, out=out, options=options))
    assert (good.level, bad.level) == (Level.OK, Level.PROBLEM)
    assert bad.found.startswith(f"--{where} lies inside")


def test_report(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "report.csv"):
        assert only(list(paths.report(Setup(out=out)))).level is Level.OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "advice"),
    [
        (Path("/proc"), "mend this"),
        (Path("/proc/report.csv"), "mend this"),
        (Path("/nowhere/at/all/report.csv"), "make it, or choose another one"),
        (Path("/nowhere/report.txt"), "mend this"),
    ],
)
def test_report_that_cannot_be_written(out: Path, advice: str) -> None:
    found = only(list(paths.report(Setup(out=out))))
    assert found.level is Level.PROBLEM
    assert found.advice.startswith(advice)


def test_disk_with_room_and_without(tmp_path: Path) -> None:
    deep = tmp_path / "not" / "yet" / "there.sqlite"
    roomy = list(paths.disk(Setup(out=tmp_path / "r.csv", options=ScreenOptions(state=deep))))
    assert [item.found.split(" GiB ")[1] for item in roomy] == ["free for the report", "free for the state"]
    full = only(list(paths.disk(Setup(options=ScreenOptions(state=Path("/proc/s.sqlite"))))))
    assert full.level is Level.PROBLEM
    assert full.found == "0.0 GiB free for the state, in /proc"


@pytest.mark.parametrize(
    ("free", "level"),
    [
        (paths.GOOD_FREE_BYTES, Level.OK),
        (paths.GOOD_FREE_BYTES - 1, Level.WARNING),
        (paths.LEAST_FREE_BYTES, Level.WARNING),
        (paths.LEAST_FREE_BYTES - 1, Level.PROBLEM),
    ],
)
def test_thresholds_of_the_disk(
    free: int, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, free))
    assert only(list(paths.disk(Setup(out=tmp_path)))).level is level


def test_pseudonyms(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "short").write_text("0123")
    good = Setup(options=ScreenOptions(pseudonym_key=tmp_path / "key"))
    assert only(list(paths.pseudonyms(good))).level is Level.OK
    bad = Setup(options=ScreenOptions(pseudonym_key=tmp_path / "short"))
    with pytest.raises(UsageProblem, match="no key"):
        list(paths.pseudonyms(bad))


def test_words_of_the_hospital_are_counted_or_the_mistake_is_named(tmp_path: Path) -> None:
    words = tmp_path / "our words.toml"
    setup = Setup(options=ScreenOptions(header_words=words))
    words.write_text('chest = ["TRX", "LUNGE STAT*"]')
    found = only(list(paths.header_words(setup)))
    assert (found.level, found.found) == (Level.OK, f"{words}: 2 words")
    words.write_text("chest = [1]")
    with pytest.raises(RecipeError, match=r"our words\.toml: chest: \[0\]: expected text"):
        list(paths.header_words(setup))


def test_whatever_a_check_raises_is_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Setup) -> list[Observation]:
        raise KeyError("Doe^Jane")

    def refused(_: Setup) -> list[Observation]:
        raise UsageProblem("the key is no key; make one")

    def closed(_: Setup) -> list[Observation]:
        raise PermissionError(13, "Permission denied", "/somewhere/Doe^Jane")

    checks = {"a": broken, "b": refused, "c": closed}
    monkeypatch.setattr("cxrbatch.doctor.checks.CHECKS", checks)
    found = list(examine(Setup()))
    assert [(item.check, item.level) for item in found] == [(name, Level.PROBLEM) for name in "abc"]
    assert (found[1].found, found[1].advice) == ("the key is no key", "make one")
    assert not [item for item in found if "Jane" in item.found + item.advice]


def test_what_is_told_and_measured_after_the_run(tmp_path: Path) -> None:
    program = tmp_path / "tell"
    program.touch()
    for mode, level in ((0o644, Level.WARNING), (0o755, Level.OK)):
        program.chmod(mode)
        (seen,) = paths.notify(Setup(notify=program))
        assert seen.level is level
    for folder, level in (("missing", Level.WARNING), (".", Level.OK)):
        (seen,) = paths.metrics(Setup(metrics=tmp_path / folder / "cxr.prom"))
        assert seen.level is level
    assert [*paths.notify(Setup()), *paths.metrics(Setup())] == []

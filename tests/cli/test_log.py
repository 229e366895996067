"""What stands on stderr: lines for people or one for a log collector, and no patient data."""

import datetime as dt
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tqdm import tqdm

from cxrbatch.cli.log import LogFormat, format_of, log_event, show_log
from cxrbatch.state.lock import lock_path, locked
from tests.factories.dicom_files import write_dicom

COUNTS = {
    "n_found": 31,
    "n_scored": 22,
    "n_not_scored": 7,
    "n_skipped": 2,
    "n_ranked": 21,
    "n_for_a_human": 5,
}


def screen(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cxrbatch", "screen", *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )


def test_a_bar_steps_aside_while_a_line_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    show_log(LogFormat.TEXT)
    with tqdm(total=4, desc="fit", file=sys.stderr, ncols=40) as bar:
        bar.update(2)
        log_event("step 250: loss 0.5", event="progress")
    written = capsys.readouterr().err
    assert "\rstep 250: loss 0.5\n" in written
    assert written.index("step 250") > written.index("fit:")


def last_line(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The only line, which says how the run ended."""
    (line,) = result.stderr.splitlines()
    said: dict[str, Any] = json.loads(line)
    moment = dt.datetime.fromisoformat(said["time"])
    assert moment.utcoffset() == dt.timedelta(0)
    assert abs(dt.datetime.now(dt.UTC) - moment) < dt.timedelta(minutes=5)
    assert said["exit_code"] == result.returncode
    assert said["duration_s"] >= 0
    assert result.stdout == ""
    return said


def test_two_nights_in_json(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    recipe = tmp_path / "night.toml"
    recipe.write_text(
        f'folder = "{sample_night}"\nstate = "s.sqlite"\nlog_format = "json"\nbundle = "{tiny_bundle}"'
    )
    out = tmp_path / "report.csv"
    for n_remembered in (0, 31):
        said = last_line(screen("--recipe", recipe, "--out", out))
        assert (said["level"], said["event"]) == ("info", "done")
        assert said.items() >= COUNTS.items()
        assert said["n_remembered"] == n_remembered
        assert said["n_new"] == 31 - n_remembered
        assert said["out"] == str(out)
        assert said["page"] == str(out.with_suffix(".html"))
        assert sum(said["reasons"].values()) == COUNTS["n_not_scored"]
        assert said["bundle"].startswith("tiny@")
        assert said["message"].startswith(
            "31 files found = 22 scored + 7 not scored + 2 skipped; 21 patients"
        )


def test_what_failed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    options = ("--out", tmp_path / "r.csv", "--log-format", "json")
    said = last_line(screen(tmp_path / "in", *options, "--bundle", tmp_path))
    assert (said["level"], said["event"], said["error"], said["exit_code"]) == (
        "error",
        "failed",
        "BundleError",
        1,
    )
    said = last_line(screen(tmp_path / "none", *options))
    assert (said["error"], said["exit_code"]) == ("UsageProblem", 2)
    assert "no such folder" in said["message"]


def test_no_image_is_4(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "in").mkdir()
    said = last_line(
        screen(tmp_path / "in", "--out", tmp_path / "r.csv", "--log-format=json", "--bundle", tiny_bundle)
    )
    assert (said["error"], said["exit_code"]) == ("NoImageFound", 4)


def test_a_held_lock_is_5(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    state = tmp_path / "s.sqlite"
    options = ("--out", tmp_path / "r.csv", "--state", state, "--bundle", tiny_bundle)
    with locked(lock_path(state), "the test"):
        said = last_line(screen(sample_night, *options, "--log-format", "json"))
    assert (said["error"], said["exit_code"]) == ("Locked", 5)
    assert f"process {os.getpid()}" in said["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frobnicate"], "No such option"),
        (["--out", "r.csv"], "FOLDER is missing"),
        (["in", "--out", "r.csv", "--expire", "0"], "'--expire'"),
        (["in", "--out"], "requires an argument"),
        (["--recipe", "none.toml"], "No such file"),
    ],
)
def test_wrong_usage_is_json_too(arguments: list[str], message: str) -> None:
    said = last_line(screen("--log-format", "json", *arguments))
    assert (said["level"], said["exit_code"]) == ("error", 2)
    assert message in said["message"]


def test_the_format_of_a_recipe_holds_for_a_wrong_command_line(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('log_format = "json"')
    assert last_line(screen("--recipe", tmp_path / "r.toml", "--frobnicate"))["event"] == "wrong_usage"
    assert screen("--recipe", tmp_path / "r.toml", "--log-format", "text", "--frobnicate").stderr.startswith(
        "Usage"
    )


def test_wrong_recipe_in_json(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('log_format = "json"\nexpird = 3')
    said = last_line(screen("--recipe", tmp_path / "r.toml"))
    assert said["error"] == "RecipeError"
    assert said["message"].endswith("unknown key 'expird'; did you mean 'expire'?")


def test_stopped_runs_say_so(sample_night: Path, tmp_path: Path) -> None:
    arguments = ["screen", sample_night, "--out", tmp_path / "r.csv", "--log-format", "json"]
    code = (
        "import os, signal, sys\n"
        "from cxrbatch import cli\n"
        "from cxrbatch import screening\n"
        "screening.screen = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    said = last_line(result)
    assert (said["event"], said["exit_code"]) == ("interrupted", 130)
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize(
    ("error", "event", "message"),
    [
        ("KeyError('Doe^Jane')", "internal_error", "internal error (KeyError)"),
        (
            "ImportError('Doe^Jane', name='pydicom')",
            "failed",
            "pydicom cannot be imported; install cxrbatch again",
        ),
    ],
)
def test_unexpected_errors_say_no_more_than_they_may(
    error: str, event: str, message: str, sample_night: Path, tmp_path: Path
) -> None:
    code = (
        f"from cxrbatch import cli\nfrom cxrbatch import screening\n"
        f"def fail(*_): raise {error}\nscreening.screen = fail\ncli.main()\n"
    )
    arguments = ["screen", sample_night, "--out", tmp_path / "r.csv", "--log-format", "json"]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    said = last_line(result)
    assert (said["event"], said["error"], said["exit_code"]) == (event, error.split("(", maxsplit=1)[0], 1)
    assert message in said["message"]
    assert "Jane" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["screen", "--log-format", "json"], LogFormat.JSON),
        (["screen", "--log-format=json"], LogFormat.JSON),
        (["screen", "--log-format=json", "--log-format", "text"], LogFormat.TEXT),
        (["screen", "--log-format"], LogFormat.TEXT),
        (["screen", "--log-format", "xml"], LogFormat.TEXT),
        (["screen", "--recipe"], LogFormat.TEXT),
        (["screen", "--recipe", "/dev/null"], LogFormat.TEXT),
        (["predict", "--log-format", "json"], LogFormat.TEXT),
        ([], LogFormat.TEXT),
    ],
)
def test_format_of(arguments: list[str], expected: LogFormat) -> None:
    assert format_of(arguments) is expected


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a path or a bundle's name holds."""
    monkeypatch.setattr(logging.getLogger("cxrbatch"), "propagate", False)  # pytest shows what is captured
    show_log()
    log_event("a\nb\x1b[2Jc\u202ed\udcffé 漢", event="test")
    assert capsys.readouterr().err == "a\\nb\\x1b[2Jc\\u202ed\\xFFé 漢\n"


PLANTED: dict[str, Any] = {
    "PatientName": "Quasimodo^Esmeralda",
    "PatientBirthDate": "19110317",
    "PatientID": "PID-987654",
    "AccessionNumber": "ACC-123456",
}


def planted_export(folder: Path) -> Path:
    """Sound, cut off, damaged, wrongly encoded, unreadable and no DICOM at all: each with somebody's name."""
    folder.mkdir()
    stored = np.arange(300 * 300, dtype=np.uint16).reshape(300, 300)
    whole = write_dicom(folder / "whole.dcm", stored, **PLANTED).read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "header.dcm").write_bytes(whole[:600])
    (folder / "damaged.dcm").write_bytes(whole.replace(b"MONOCHROME2", b"MONOCHROME9"))
    (folder / "text.png").write_text(str(PLANTED))
    write_dicom(folder / "rows.dcm", stored, **PLANTED, Rows=60_000)
    write_dicom(folder / "charset.dcm", stored, **PLANTED, SpecificCharacterSet="ISO_IR 999")
    write_dicom(folder / "date.dcm", stored, **PLANTED, StudyDate="not a date", BitsStored=99)
    return folder


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_patient_data_in_the_log(form: str, tmp_path: Path, tiny_bundle: Path) -> None:
    folder, out = planted_export(tmp_path / "in"), tmp_path / "report.csv"
    options = ("--out", out, "--bundle", tiny_bundle, "--state", tmp_path / "s.sqlite", "--log-format", form)
    result = screen(folder, *options, PYTHONWARNINGS="always")
    assert result.returncode == 3, result.stderr
    assert len(result.stderr.splitlines()) == (4 if form == "text" else 1)
    for text in (*PLANTED.values(), "Quasimodo", "Esmeralda"):
        assert text not in result.stderr + result.stdout
    assert PLANTED["PatientID"] in out.read_text()
    for path in tmp_path.glob("report*"):
        assert "Quasimodo" not in path.read_text()
        assert PLANTED["PatientBirthDate"] not in path.read_text()


def test_verbose_names_every_stage_and_quiet_none(
    sample_night: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    night: list[str | Path] = [sample_night, "--out", tmp_path / "r.csv", "--bundle", tiny_bundle]
    shown = screen(*night, "-v").stderr.splitlines()
    assert [line.split()[0] for line in shown[:-1]] == [
        *("verified", "discovered", "31", "0", "started", "resolved", "listed", "read", "wrote", "31", "Not")
    ]
    assert shown[1:3] == ["discovered 31 files", "31 files found; starting…"]
    assert shown[3] == "0 files remembered, 29 images to read"
    assert shown[-3].startswith("31 files found = ")
    assert shown[-1] == f"Page: {tmp_path / 'r.html'}"
    assert "SAMPLE" not in "".join(shown)
    assert screen(*night, "--quiet").stderr == ""


def test_verbose_lines_in_json_name_their_logger(
    sample_night: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    night: list[str | Path] = [
        sample_night,
        "--out",
        tmp_path / "r.csv",
        "--bundle",
        tiny_bundle,
        "--log-format",
        "json",
    ]
    first = json.loads(screen(*night, "--verbose").stderr.splitlines()[0])
    assert (first["level"], first["event"]) == ("debug", "screening.run")

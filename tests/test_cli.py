"""The command line as a user and cron meet it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbatch.cli import cli


def cxrbatch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cxrbatch", *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "arguments", [["--help"], ["screen", "--help"], ["predict", "--help"], ["train", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from cxrbatch.cli import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'numpy', 'pydicom', 'PIL', 'jinja2', 'imagecodecs'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "module", ["cxrbatch.prepare", "cxrbatch.pool", "cxrbatch.report", "cxrbatch.screen"]
)
def test_reading_and_reporting_need_no_tensorflow(module: str) -> None:
    code = f"import sys, {module}; assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_option_has_a_help_text() -> None:
    for command in cli.commands.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"


def test_sample_night(sample_night: Path, tmp_path: Path) -> None:
    out = tmp_path / "où sont mes patients" / "report.csv"
    out.parent.mkdir()
    result = cxrbatch("screen", sample_night, "--out", out)
    assert result.returncode == 3, result.stderr
    assert one_line(result).startswith(
        "31 files found = 22 scored + 7 not scored + 2 skipped; 21 patients ranked"
    )
    assert result.stdout == ""
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "report.csv",
        "report.files.csv",
        "report.html",
    ]


def test_all_scored_is_0_and_a_second_copy_needs_no_score(sample_night: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.dcm", "2.dcm"):
        shutil.copy(sample_night / "emergency" / "SAMPLE-001" / "IM0001.dcm", tmp_path / "in" / name)
    result = cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    assert result.returncode == 0, result.stderr
    assert "2 files found = 1 scored + 1 not scored" in result.stderr


def test_no_image_is_4(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    result = cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    assert result.returncode == 4
    assert "mounted" in one_line(result)


def test_missing_folder_is_2(tmp_path: Path) -> None:
    result = cxrbatch("screen", tmp_path / "nothing", "--out", tmp_path / "report.csv")
    assert result.returncode == 2
    assert "no such folder" in one_line(result)


@pytest.mark.parametrize(("out", "code"), [("/dev/null/report.csv", 2), ("/proc/report.csv", 1)])
def test_unwritable_out_fails_before_the_work(sample_night: Path, out: str, code: int) -> None:
    result = cxrbatch("screen", sample_night, "--out", out)
    assert result.returncode == code
    assert str(Path(out).parent) in one_line(result)


def test_broken_bundle_is_1(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    broken = shutil.copytree(tiny_bundle, tmp_path / "broken")
    (broken / "model.keras").write_bytes(b"nonsense")
    result = cxrbatch("screen", sample_night, "--out", tmp_path / "report.csv", "--bundle", broken)
    assert result.returncode == 1
    assert "model.keras differs from its hash" in one_line(result)
    assert not (tmp_path / "report.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [["--batch-size", "0"], ["--workers", "none"], ["--device", "tpu"], ["--frobnicate"]],
)
def test_wrong_options_are_2(sample_night: Path, tmp_path: Path, arguments: list[str]) -> None:
    result = cxrbatch("screen", sample_night, "--out", tmp_path / "report.csv", *arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_regular_expression_without_group_is_2(sample_night: Path, tmp_path: Path) -> None:
    result = cxrbatch("screen", sample_night, "--out", tmp_path / "report.csv", "--patient-from", "[a-z]+")
    assert result.returncode == 2
    assert "group" in one_line(result)


def test_predict(sample_night: Path, tmp_path: Path) -> None:
    text = tmp_path / "two\nlines.txt"
    text.write_text("no picture")
    images = [
        sample_night / "emergency" / "SAMPLE-001" / "IM0001.dcm",
        text,
        sample_night / "emergency" / "SAMPLE-002" / "IM0001.dcm",
    ]
    result = cxrbatch("predict", *images, "--out", tmp_path / "résultats", DISPLAY="")
    assert result.returncode == 3
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        [str(images[0]), "scored"],
        [str(images[1]).replace("\n", "\\n"), "not_scored"],
        [str(images[2]), "scored"],
    ]
    scores = [float(cell.split("=")[1]) for cell in lines[0][2:5]]
    assert sum(scores) == pytest.approx(1, abs=3e-6)
    assert sorted(path.name for path in (tmp_path / "résultats").iterdir()) == [
        "IM0001.dcm.2.result.png",
        "IM0001.dcm.result.png",
        "two\nlines.txt.result.png",
    ]


def test_predict_and_screen_agree(sample_night: Path, tmp_path: Path) -> None:
    image = sample_night / "pictures" / "SAMPLE-023.png"
    (tmp_path / "in").mkdir()
    shutil.copy(image, tmp_path / "in")
    cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    line = cxrbatch("predict", image).stdout
    row = (tmp_path / "report.files.csv").read_text().splitlines()[1].split(",")
    assert [cell.split("=")[1] for cell in line.split("\t")[2:5]] == row[-3:]


def test_unexpected_errors_say_no_more_than_their_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cxrbatch import cli as module

    def fail(**_: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr(module.cli, "main", fail)
    monkeypatch.delenv("CXRBATCH_DEBUG", raising=False)
    with pytest.raises(SystemExit) as exit_code:
        module.main()
    assert exit_code.value.code == 1
    assert "KeyError" in (error := capsys.readouterr().err)
    assert "Jane" not in error


def test_version() -> None:
    from cxrbatch import __version__

    assert __version__ in CliRunner().invoke(cli, ["--version"]).output

"""The command line as a user and cron meet it."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cxrbatch.bundle.bundle import OperatingPoints, load_bundle
from cxrbatch.bundle.operating_points import write_operating_points
from cxrbatch.cli.app import cli
from cxrbatch.errors import CxrbatchError
from tests.bundle.test_bundle import rewrite

LEAVES_WITH_OUT = [
    ("screen",),
    ("predict",),
    ("train",),
    ("evaluate",),
    ("audit",),
    ("doctor",),
    ("bundle", "import"),
    ("state", "backup"),
    ("results", "import"),
]


def cxrbatch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cxrbatch", *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        check=False,
    )


def quickly(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and stdout of a command in this process, where TensorFlow is started once; errors are raised."""
    result = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False, catch_exceptions=False)
    return result.return_value or 0, result.stdout


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["screen", "--help"],
        ["predict", "--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["doctor", "--help"],
        ["audit", "--help"],
        ["bundle", "import", "--help"],
        ["results", "import", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from cxrbatch.cli.app import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'numpy', 'pydicom', 'PIL', 'jinja2', 'imagecodecs'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


COMPLETION = {"_CXRBATCH_COMPLETE": "bash_complete", "COMP_WORDS": "cxrbatch screen --dev", "COMP_CWORD": "2"}


@pytest.mark.parametrize(
    ("arguments", "environment", "stated"),
    [
        (["--help"], {}, "Exit codes"),
        (["--version"], {}, "version"),
        (["screen", "--help"], {}, "--operating-points"),
        ([], COMPLETION, "plain,--device"),
    ],
    ids=["help", "version", "help of screen", "completion"],
)
def test_help_version_and_completion_take_a_third_of_a_second(
    arguments: list[str], environment: dict[str, str], stated: str
) -> None:
    """Of processor time, the least of three: other programs may be at work."""
    taken = []
    for _ in range(3):
        before = sum(os.times()[2:4])
        code = "import sys; from cxrbatch.cli import main; sys.argv[0] = 'cxrbatch'; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert stated in done.stdout
        taken.append(sum(os.times()[2:4]) - before)
    assert min(taken) <= 0.3


@pytest.mark.parametrize(
    "module", ["cxrbatch.prepare", "cxrbatch.engines.pool", "cxrbatch.report", "cxrbatch.screening.run"]
)
def test_reading_and_reporting_need_no_tensorflow(module: str) -> None:
    code = f"import sys, {module}; assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_option_has_a_help_text() -> None:
    groups = [command for command in cli.commands.values() if isinstance(command, click.Group)]
    below = [command for group in groups for command in group.commands.values()]
    for command in [*cli.commands.values(), *below]:
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"


def test_sample_night(sample_night: Path, tmp_path: Path) -> None:
    out = tmp_path / "où sont mes patients" / "report.csv"
    out.parent.mkdir()
    result = cxrbatch("screen", sample_night, "--out", out)
    assert result.returncode == 3, result.stderr
    started, counts, reasons, page = result.stderr.splitlines()
    assert started == "31 files found; starting…"
    assert counts.startswith("31 files found = 22 scored + 7 not scored + 2 skipped; 21 patients ranked")
    assert reasons.startswith("Not scored: 1 ")
    assert reasons.split(": ")[1].split(", ") == sorted(reasons.split(": ")[1].split(", "))
    assert page == f"Page: {out.with_suffix('.html')}"
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


def test_an_archive_or_a_format_that_is_not_read_is_3_and_on_the_page(
    sample_night: Path, tmp_path: Path
) -> None:
    """A patient in it would be lost in silence otherwise."""
    (tmp_path / "in").mkdir()
    film = sample_night / "emergency" / "SAMPLE-001" / "IM0001.dcm"
    shutil.copy(film, tmp_path / "in" / "1.dcm")
    with zipfile.ZipFile(tmp_path / "in" / "night2.zip", "w") as archive:
        archive.write(film)
    (tmp_path / "in" / "film.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    result = cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    assert result.returncode == 3, result.stderr
    assert "3 files found = 1 scored + 2 not scored" in result.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("unsupported_format", "packed_file", "unpack it", "night2.zip"))


def test_no_image_is_4(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    result = cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    assert result.returncode == 4
    assert "mounted" in one_line(result)


def test_missing_folder_is_2(tmp_path: Path) -> None:
    result = cxrbatch("screen", tmp_path / "nothing", "--out", tmp_path / "report.csv")
    assert result.returncode == 2
    assert "no such folder" in one_line(result)


def test_a_file_for_a_folder_and_a_folder_for_an_image_name_the_command_that_takes_it(
    sample_night: Path, tmp_path: Path
) -> None:
    image = sample_night / "emergency" / "SAMPLE-001" / "IM0001.dcm"
    result = cxrbatch("screen", image, "-o", tmp_path / "report.csv")
    assert result.returncode == 2
    assert one_line(result).endswith("give the folder, or score single images with cxrbatch predict")
    result = cxrbatch("predict", image.parent)
    assert result.returncode == 2
    assert one_line(result).endswith("or screen all in it: cxrbatch screen FOLDER --out report.csv")
    assert result.stdout == ""


def test_a_folder_among_images_costs_its_own_line(sample_night: Path) -> None:
    folder = sample_night / "emergency" / "SAMPLE-001"
    code, lines = quickly("predict", folder, folder / "IM0001.dcm")
    assert code == 3
    first, second = (line.split("\t") for line in lines.splitlines())
    assert first[1:3] == ["not_scored", "not_an_image"]
    assert second[1] == "scored"


def test_exit_zero_if_unscored(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ("--bundle", tiny_bundle, "--exit-zero-if-unscored")
    assert quickly("screen", sample_night, "-o", tmp_path / "report.csv", *options)[0] == 0
    assert "truncated" in (tmp_path / "report.csv").read_text()
    assert quickly("predict", __file__, *options)[0] == 0
    with pytest.raises(CxrbatchError, match="mounted") as error:
        quickly("screen", sample_night / "none", "-o", tmp_path / "report.csv", *options)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("command", LEAVES_WITH_OUT)
def test_o_is_out(command: tuple[str, ...]) -> None:
    found: click.Command = cli
    for word in command:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    (option,) = [parameter for parameter in found.params if parameter.name == "out"]
    assert option.opts == ["-o", "--out"]


def test_a_gpu_that_is_not_there_is_one_line(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    image = sample_night / "emergency" / "SAMPLE-001" / "IM0001.dcm"
    options = ("--device", "gpu", "--bundle", tiny_bundle)
    result = cxrbatch("predict", image, *options, CUDA_VISIBLE_DEVICES="-1")
    assert result.returncode == 2
    assert one_line(result).startswith("Error: --device gpu: TensorFlow sees no GPU; ")
    result = cxrbatch("screen", image.parent, "-o", tmp_path / "r.csv", *options, CUDA_VISIBLE_DEVICES="-1")
    assert result.returncode == 2
    started, failed = result.stderr.splitlines()
    assert (started, failed[:20]) == ("1 file found; starting…", "Error: --device gpu:")


@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [("bash", "cxrbatch scr", "plain,screen"), ("zsh", "cxrbatch predict --prec", "--precision")],
)
def test_completion(shell: str, words: str, offered: str) -> None:
    """As docs/running.md says; the words are those of click."""
    code = "from cxrbatch.cli import main; main()"
    asked = {
        "_CXRBATCH_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked, check=False
    )
    assert offered in done.stdout
    assert done.stderr == ""


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


def test_predict_as_json_with_maps(
    sample_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))  # type: ignore[func-returns-value]
    monkeypatch.setenv("DISPLAY", ":0")
    text = tmp_path / "b.txt"
    text.write_text("no picture")
    image, out = sample_night / "pictures" / "SAMPLE-023.png", tmp_path / "out"
    plain = quickly("predict", image)[1].rstrip("\n").split("\t")
    code, lines = quickly("predict", image, text, "--json", "--out", out, "--open", "--prevalence", "5%")
    scored, failed = map(json.loads, lines.splitlines())
    assert code == 3
    assert [f"{name}={score:.6f}" for name, score in scored["scores"].items()] == plain[2:5]
    assert (scored["file"], scored["status"], ";".join(scored["flags"])) == (str(image), "scored", plain[5])
    assert scored["bundle"].startswith("default@")
    assert 0 < scored["probability"] < 1
    assert scored["priority"] is None
    assert 0 <= scored["outside_lungs"] <= 1
    assert (scored["map_outside_lungs"] is None) == (scored["outside_lungs"] <= 0.5)
    assert {name: np.shape(cells) for name, cells in scored["maps"].items()} == {
        "abnormal": (16, 16),
        "covid": (16, 16),
    }
    assert failed == {
        "file": str(text), "status": "skipped", "bundle": scored["bundle"], "reason": "not_an_image",
        "detail": failed["detail"],
    }  # fmt: skip
    drawn = [out / "SAMPLE-023.png.result.png", out / "b.txt.result.png"]
    assert opened == [path.as_uri() for path in drawn]
    with Image.open(drawn[0]) as canvas, Image.open(image) as source:
        assert canvas.width == pytest.approx(3 * source.width * min(1, 1024 / max(source.size)), abs=6)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    quickly("predict", text, "--out", out, "--open")
    assert len(opened) == 2
    with pytest.raises(CxrbatchError, match="--open: shows what --out writes"):
        quickly("predict", image, "--open")


def test_predict_and_screen_agree(sample_night: Path, tmp_path: Path) -> None:
    image = sample_night / "pictures" / "SAMPLE-023.png"
    (tmp_path / "in").mkdir()
    shutil.copy(image, tmp_path / "in")
    cxrbatch("screen", tmp_path / "in", "--out", tmp_path / "report.csv")
    line = cxrbatch("predict", image).stdout
    row = (tmp_path / "report.files.csv").read_text().splitlines()[1].split(",")
    assert [cell.split("=")[1] for cell in line.split("\t")[2:5]] == row[-3:]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def calibrated(tiny_bundle: Path, tmp_path: Path) -> Path:
    """Scores that are probabilities at a prevalence of one half."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "calibrated"))
    rewrite(folder, calibration={"slope": 1.0, "intercept": 0.0, "measured_on": "nobody"})
    return folder


def at_5_percent(score: str) -> float:
    """Prior odds of 1/19."""
    odds = float(score) / (1 - float(score)) / 19
    return odds / (1 + odds)


def test_prevalence_adds_probabilities_and_changes_nothing_else(
    sample_night: Path, tmp_path: Path, calibrated: Path
) -> None:
    plain, asked = tmp_path / "plain.csv", tmp_path / "asked.csv"
    for out, options in ((plain, []), (asked, ["--prevalence", "5%"])):
        assert quickly("screen", sample_night, "--out", out, "--bundle", calibrated, *options)[0] == 3
    for before, after in zip(rows(plain), rows(asked), strict=True):
        assert after == before | {"probability": after["probability"]}
        assert before["probability"] == ""
        if after["score"]:
            assert float(after["probability"]) == pytest.approx(at_5_percent(after["score"]), abs=1e-6)
    assert plain.with_suffix(".files.csv").read_bytes() == asked.with_suffix(".files.csv").read_bytes()
    assert "Probability at a prevalence of 5 %" in asked.with_suffix(".html").read_text()
    assert "Probability at" not in plain.with_suffix(".html").read_text()


def test_pseudonyms_keep_the_probabilities(sample_night: Path, tmp_path: Path, calibrated: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef")
    out = tmp_path / "report.csv"
    options = ("--prevalence", "0.05", "--pseudonymise", tmp_path / "key")
    quickly("screen", sample_night / "emergency", "--out", out, "--bundle", calibrated, *options)
    assert not [row for row in rows(out) if "SAMPLE" in "".join(row.values())]
    assert all(
        float(row["probability"]) == pytest.approx(at_5_percent(row["score"]), abs=1e-6) for row in rows(out)
    )


@pytest.mark.parametrize("command", ["screen", "predict"])
@pytest.mark.parametrize(
    ("prevalence", "message"), [("5%", "has no calibration"), ("5", "such as 0.05 or 5%"), ("0", "such as")]
)
def test_prevalence_that_cannot_be_used_is_2(
    command: str, prevalence: str, message: str, sample_night: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    target = (
        sample_night / "emergency" if command == "screen" else sample_night / "pictures" / "SAMPLE-023.png"
    )
    options = ("--out", tmp_path / "report.csv", "--bundle", tiny_bundle, "--prevalence", prevalence)
    result = cxrbatch(command, target, *options)
    assert result.returncode == 2
    assert message in one_line(result)
    assert result.stdout == ""
    assert not (tmp_path / "report.csv").exists()


def test_operating_points_of_a_file(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    points = OperatingPoints(urgent=1.0, high=0.0, measured_on="our ward")
    write_operating_points(tmp_path / "points.json", load_bundle(tiny_bundle), points)
    options = ("--bundle", tiny_bundle, "--operating-points", tmp_path / "points.json")
    out = tmp_path / "report.csv"
    assert quickly("screen", sample_night / "emergency", "--out", out, *options)[0] == 0
    assert {row["priority"] for row in rows(out)} == {"high"}
    assert "were measured on our ward" in out.with_suffix(".html").read_text()


def test_operating_points_of_another_bundle_are_2(
    sample_night: Path, tmp_path: Path, tiny_bundle: Path, calibrated: Path
) -> None:
    points = OperatingPoints(urgent=1.0, high=0.0)
    write_operating_points(tmp_path / "points.json", load_bundle(tiny_bundle), points)
    options = ("--bundle", calibrated, "--operating-points", tmp_path / "points.json")
    result = cxrbatch("screen", sample_night, "--out", tmp_path / "report.csv", *options)
    assert result.returncode == 2
    assert load_bundle(tiny_bundle).sha256[:12] in one_line(result)
    assert not (tmp_path / "report.csv").exists()


def test_predict_says_what_was_asked_in_columns_of_its_own(
    sample_night: Path, tmp_path: Path, calibrated: Path
) -> None:
    image = sample_night / "pictures" / "SAMPLE-023.png"
    points = OperatingPoints(urgent=1.0, high=0.0)
    write_operating_points(tmp_path / "points.json", load_bundle(calibrated), points)
    plain = quickly("predict", image, "--bundle", calibrated)[1].rstrip("\n")
    options = ("--operating-points", tmp_path / "points.json", "--prevalence", "0.05")
    asked = quickly("predict", image, "--bundle", calibrated, *options)[1].rstrip("\n")
    assert asked.startswith(f"{plain}\tpriority=high\tprobability=")
    covid = plain.split("\t")[2].removeprefix("covid=")
    assert float(asked.rsplit("=", 1)[1]) == pytest.approx(at_5_percent(covid), abs=2e-6)


@pytest.fixture
def student_model(tmp_path: Path) -> Path:
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    model.save(tmp_path / "corona.h5")
    return tmp_path / "corona.h5"


def test_bundle_import_and_screen(student_model: Path, sample_night: Path, tmp_path: Path) -> None:
    result = cxrbatch(
        "bundle", "import", student_model, "--labels", "COVID, normal", "--out", tmp_path / "mine"
    )
    assert result.returncode == 0, result.stderr
    assert one_line(result).startswith(f"bundle {load_bundle(tmp_path / 'mine').id} written to")
    out = tmp_path / "report.csv"
    assert quickly("screen", sample_night / "emergency", "--out", out, "--bundle", tmp_path / "mine")[0] == 0
    table = rows(out)
    assert [row["priority"] for row in table] == [""] * 5
    assert [row["rank"] for row in table] == ["1", "2", "3", "4", "5"]
    assert all(float(row["score_pneumonia"]) == 0 for row in table)
    assert all(
        float(row["score_covid"]) + float(row["score_normal"]) == pytest.approx(1, abs=2e-6) for row in table
    )
    page = out.with_suffix(".html").read_text()
    assert "the list has an order, no bands" in page
    assert "what its scores are worth is unknown" in page


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--labels", "covid,pneumonia,normal"], 1, "2 outputs for 3 labels"),
        (["--labels", "covid,healthy"], 2, "choose from"),
        (["--labels", "covid,normal", "--size", "big"], 2, "such as 224x224"),
        (["--labels", "covid,normal", "--size", "64x64"], 1, "takes 32×32"),
    ],
)
def test_bundle_import_that_cannot_be(
    options: list[str], code: int, message: str, student_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(CxrbatchError, match=message) as error:
        quickly("bundle", "import", student_model, "--out", tmp_path / "mine", *options)
    assert error.value.exit_code == code
    assert not (tmp_path / "mine").exists()


def test_unexpected_errors_say_no_more_than_their_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cxrbatch.cli import app as module

    def fail(**_: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr(module.cli, "main", fail)
    monkeypatch.setattr(module, "suppress_library_output", lambda: None)  # which holds for the whole process
    monkeypatch.delenv("CXRBATCH_DEBUG", raising=False)
    with pytest.raises(SystemExit) as exit_code:
        module.main()
    assert exit_code.value.code == 1
    assert "KeyError" in (error := capsys.readouterr().err)
    assert "Jane" not in error


def test_version() -> None:
    from cxrbatch import __version__

    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


def test_out_to_stdout_is_the_csv_alone(sample_night: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "report.csv"
    options = ("--bundle", tiny_bundle, "--format", "json")
    assert quickly("screen", sample_night, "-o", out, *options)[0] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("report.csv", "report.files.csv", "report.files.json", "report.html", "report.json")
    ]
    command = [sys.executable, "-m", "cxrbatch", "screen", str(sample_night), "-o", "-"]
    result = subprocess.run(
        [*command, "--bundle", str(tiny_bundle)],
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 3, result.stderr
    assert result.stdout == out.read_bytes()
    assert b"Page" not in result.stderr
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "-", "--format", "json"), "--format: a stream gets one table"),
        (("-o", "report.csv", "--format", "csv,xlsx"), "'xlsx' is none of csv, json, parquet"),
    ],
)
def test_formats_that_cannot_be(options: tuple[str, ...], message: str, sample_night: Path) -> None:
    with pytest.raises((CxrbatchError, click.BadParameter), match=message):
        quickly("screen", sample_night, *options)


def test_whoever_reads_stdout_may_end(sample_night: Path, tiny_bundle: Path) -> None:
    command = [sys.executable, "-m", "cxrbatch", "screen", str(sample_night), "-o", "-"]
    command += ["--bundle", str(tiny_bundle)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: the table cannot be written to the stream")

"""The nightly recipe: strict, the same options as the command line, which wins."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from cxrbatch._lib.clock import EXPIRE_NIGHTS
from cxrbatch._lib.toml import load_recipe
from cxrbatch.cli.app import cli
from cxrbatch.cli.recipe import screen_defaults, screen_recipe
from cxrbatch.errors import RecipeError
from cxrbatch.training.recipe import TrainRecipe

PIPELINES = Path(__file__).parents[2] / "pipelines"
NIGHTLY = PIPELINES / "nightly.toml"
FIELDS = {field.name for field in dataclasses.fields(screen_recipe())}


def write(folder: Path, text: str) -> Path:
    path = folder / "night.toml"
    path.write_text(text)
    return path


def params(*arguments: str | Path) -> dict[str, Any]:
    """What the command line makes of its arguments."""
    return cli.commands["screen"].make_context("screen", [*map(str, arguments)]).params


def test_the_fields_are_the_options_of_screen() -> None:
    options = {parameter.name for parameter in cli.commands["screen"].params}
    assert options - {"recipe", "verbose", "quiet"} == FIELDS


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("**/*.toml")), ids=lambda path: path.name)
def test_every_shipped_recipe_loads(path: Path) -> None:
    kind: type = screen_recipe() if path.stem in ("nightly", "cluster") else TrainRecipe
    assert load_recipe(path, kind)


def test_the_shipped_one_names_every_option_and_what_it_leaves_out_would_do(tmp_path: Path) -> None:
    stated = set(tomllib.loads(NIGHTLY.read_text()))
    assert {"folder", "state", "settle", "expire", "pending_days"} <= stated
    everything = re.sub(r"^# (\w+ = )", r"\1", NIGHTLY.read_text(), flags=re.MULTILINE)
    assert set(tomllib.loads(everything)) == FIELDS
    assert params("--recipe", write(tmp_path, everything))["capacity"] == 20


def test_the_shipped_one_sets_what_a_night_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/night")
    found = params("--recipe", NIGHTLY)
    assert found["folder"] == Path("/export/pacs")
    assert found["state"] == Path("/home/night/.local/share/cxrbatch/state.sqlite")
    assert (found["settle"], found["expire"], found["max_nights"]) == (60.0, 14, None)
    assert found["out"] is None
    left_out = {"out", "capacity", "prevalence", "operating_points", "batch_size", "workers"}
    left_out |= {"header_words", "ray_address", "viewer_url", "metrics", "notify"}
    assert {name for name, value in found.items() if value is None} == left_out | {
        "pseudonymise",
        "max_memory",
        "max_nights",
    }


def test_without_a_recipe_nothing_has_changed() -> None:
    assert params("in", "--out", "r.csv")["expire"] == EXPIRE_NIGHTS == 14
    assert params("in", "--out", "r.csv")["settle"] == 0


SOME = 'folder = "in"\nout = "r.csv"\nexpire = 3\nrescore = true\nprevalence = 0.05\nsettle = 60\n'


def test_the_command_line_wins(tmp_path: Path) -> None:
    recipe = write(tmp_path, SOME)
    arguments = ("other", "--out", "o.csv", "--expire", "7", "--no-rescore", "--prevalence", "5%")
    before, after = (
        params("--recipe", recipe, *arguments),
        params(*arguments, "--recipe", recipe),
    )
    assert before == after
    expected = {"folder": Path("other"), "out": Path("o.csv"), "expire": 7, "rescore": False}
    assert after.items() >= (expected | {"prevalence": "5%", "settle": 60.0}).items()


def test_every_kind_of_value_arrives_as_from_the_command_line(tmp_path: Path) -> None:
    said = params(
        tmp_path / "in", "--out", tmp_path / "r.csv", "--expire", "3", "--rescore", "--prevalence", "0.05",
        "--settle", "60",
    )  # fmt: skip
    assert params("--recipe", write(tmp_path, SOME)) == said


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/night")
    monkeypatch.setenv("EXPORT", "/export")
    text = 'folder = "$EXPORT/pacs"\nstate = "~/s.sqlite"\nout = "reports/r.csv"\nbundle = "${EXPORT}/b"\n'
    assert screen_defaults(write(tmp_path, text)) == {
        "folder": "/export/pacs",
        "state": "/home/night/s.sqlite",
        "out": str(tmp_path / "reports" / "r.csv"),
        "bundle": "/export/b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_night = 3", "unknown key 'max_night'; did you mean 'max_nights'?"),
        ("max-nights = 3", "unknown key 'max-nights'; did you mean 'max_nights'?"),
        ('expire = "14"', "expire: expected a whole number, found '14' (text)"),
        ("expire = 14.0", "expire: expected a whole number, found 14.0 (a number)"),
        ("rescore = 1", "rescore: expected true or false, found 1 (a whole number)"),
        ("prevalence = true", "prevalence: expected a number or text, found True (true or false)"),
        ('state = "$NO_SUCH_VARIABLE/s"', "state: the variable $NO_SUCH_VARIABLE is not set"),
        ('state = "${NO_SUCH_VARIABLE}/s"', "state: the variable ${NO_SUCH_VARIABLE} is not set"),
        ("folder = ", "not TOML"),
    ],
)
def test_wrong_recipes_are_2(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)) as error:
        params("--recipe", write(tmp_path, text))
    assert error.value.exit_code == 2
    assert "night.toml: " in str(error.value)


def test_a_missing_recipe_is_2(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        params("--recipe", tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("expire = 0", "--expire"),
        ("max_nights = 0", "--max-nights"),
        ("capacity = 0", "--capacity"),
        ("settle = -1", "--settle"),
        ("workers = 257", "--workers"),
        ('device = "tpu"', "--device"),
        ('log_format = "xml"', "--log-format"),
    ],
)
def test_values_are_checked_where_those_of_the_command_line_are(
    text: str, option: str, tmp_path: Path
) -> None:
    with pytest.raises(click.BadParameter) as error:
        params("--recipe", write(tmp_path, text))
    assert f"'{option}'" in error.value.format_message()
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "missing"), [('out = "r.csv"', "FOLDER is missing"), ('folder = "in"', "--out is missing")]
)
def test_what_is_missing_in_both_is_said(text: str, missing: str, tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=missing) as error:
        cli.main(["screen", "--recipe", str(write(tmp_path, text))], standalone_mode=False)
    assert error.value.exit_code == 2


def test_a_value_may_be_of_several_kinds(tmp_path: Path) -> None:
    for text, expected in (("prevalence = 0.05", 0.05), ('prevalence = "5%"', "5%"), ("settle = 60", 60.0)):
        (value,) = screen_defaults(write(tmp_path, text)).values()
        assert value == expected
        assert type(value) is type(expected)

"""``cxrbatch bundle list`` and ``show``, and the name ``default`` in every command."""

import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cxrbatch.bundle import DEFAULT_BUNDLE, load_bundle
from cxrbatch.cli import cli
from cxrbatch.cli.recipe import screen_defaults
from cxrbatch.cli.types import BundleFolder, NewBundle

SHIPPED = load_bundle()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(*arguments: str) -> list[str]:
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("default", DEFAULT_BUNDLE),
        ("./default", Path("default")),
        ("default/", Path("default")),
        ("Default", Path("Default")),
        ("a/default", Path("a/default")),
        ("/default", Path("/default")),
        ("corona é", Path("corona é")),
    ],
)
def test_default_is_the_shipped_bundle_and_any_path_is_a_folder(written: str, path: Path) -> None:
    assert BundleFolder().convert(written, None, None) == path


def test_no_bundle_is_written_under_the_name_of_the_shipped_one() -> None:
    with pytest.raises(click.BadParameter, match=r"\./default is a folder of that name"):
        NewBundle().convert("default", None, None)
    assert NewBundle().convert("./default", None, None) == Path("default")


@pytest.mark.parametrize(
    ("written", "expected"),
    [("default", "default"), ("./default", "{}/default"), ("b", "{}/b"), ("/srv/b", "/srv/b")],
)
def test_a_recipe_may_name_it_too(written: str, expected: str, here: Path) -> None:
    (here / "night.toml").write_text(f'bundle = "{written}"\n')
    assert screen_defaults(Path("night.toml")) == {"bundle": expected.format(here)}


def test_the_list_has_the_shipped_bundle_first(here: Path) -> None:
    points = SHIPPED.operating_points
    assert points is not None
    bands = f"urgent from {points.urgent:g}, high from {points.high:g}"
    size = f"{SHIPPED.preprocess.height}×{SHIPPED.preprocess.width}"
    assert printed("bundle", "list") == [f"default\t{SHIPPED.id}\t{size}\t{bands}"]
    shutil.copytree(DEFAULT_BUNDLE, here / "default")
    (here / "notes").mkdir()
    assert printed("bundle", "list")[1:] == [f"default\t{SHIPPED.id}\t{size}\t{bands}"]
    assert printed("bundle", "list", "default")[1:] == [f"default\t{SHIPPED.id}\t{size}\t{bands}"]


def test_a_broken_bundle_is_listed_as_such(here: Path) -> None:
    shutil.copytree(DEFAULT_BUNDLE, here / "mine")
    (here / "mine" / "gate.npz").write_bytes(b"")
    result = CliRunner().invoke(cli, ["bundle", "list"], standalone_mode=False)
    assert result.return_value == 3
    assert "mine\tbroken\tbundle mine: gate.npz differs from its hash" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("default",), (str(DEFAULT_BUNDLE),)])
def test_show_says_what_is_known(arguments: tuple[str, ...], here: Path) -> None:
    lines = printed("bundle", "show", *arguments)
    assert lines[:3] == [f"bundle: {SHIPPED.id}", f"folder: {DEFAULT_BUNDLE}", f"sha256: {SHIPPED.sha256}"]
    assert [line for line in lines if line.startswith("note: ")] == [
        f"note: {note}" for note in SHIPPED.notes
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("default",),
        ("default", "recipe.toml", "--folder", "x"),
        ("default", "--folder", "x", "--data", "y"),
    ],
)
def test_evaluate_takes_a_recipe_or_a_folder(arguments: tuple[str, ...], here: Path) -> None:
    result = CliRunner().invoke(cli, ["evaluate", *arguments, "--out", "out"], standalone_mode=False)
    assert isinstance(result.exception, click.UsageError)
    assert "Give either RECIPE, perhaps with --data, or --folder." in str(result.exception)

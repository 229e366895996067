"""The command, and the checks of Python, packages, bundle and network."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cxrbatch.cli.app import cli
from cxrbatch.doctor import Setup, packages
from cxrbatch.doctor import bundle as bundle_checks
from cxrbatch.doctor.check import Level, Observation
from cxrbatch.doctor.checks import CHECKS
from cxrbatch.doctor.output import as_json, as_text, is_healthy
from cxrbatch.errors import RecipeError
from cxrbatch.infer.runtime import Device
from cxrbatch.screening.options import ScreenOptions


def doctor(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(
        cli, ["doctor", *map(str, arguments)], standalone_mode=False, catch_exceptions=False
    )
    return result.return_value, result.stdout


def checks(*arguments: str | Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    code, text = doctor(*arguments, "--format", "json")
    content = json.loads(text)
    assert content["ok"] is (code == 0)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for item in content["checks"]:
        by_name.setdefault(item["check"], []).append(item)
    return code, by_name


@pytest.fixture
def recipe(tmp_path: Path, sample_night: Path, tiny_bundle: Path) -> Path:
    path = tmp_path / "night.toml"
    lines = (
        f'folder = "{sample_night}"',
        'out = "report.csv"',
        'state = "deep/state.sqlite"',
        f'bundle = "{tiny_bundle}"',
        "workers = 1",
        "expire = 3",
    )
    path.write_text("\n".join(lines))
    return path


def test_good_case_as_cron_would_meet_it(recipe: Path) -> None:
    command = [sys.executable, "-m", "cxrbatch", "doctor", "--recipe", str(recipe), "--format", "json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert result.returncode == 0, result.stdout
    assert result.stderr == ""
    content = json.loads(result.stdout)
    assert content["ok"] is True
    assert {item["check"] for item in content["checks"]} == set(CHECKS) - {
        *("pseudonyms", "header words", "metrics", "notify"),
    }
    assert not [item for item in content["checks"] if item["level"] == "problem"]
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["night.toml"]


def test_text_says_what_to_do(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("sample_data", "no_data"))
    code, text = doctor("--recipe", recipe)
    assert code == 1
    lines = text.splitlines()
    levels = [line.split()[0] for line in lines[:-1] if not line.startswith(" ")]
    assert levels[0] == "PROBLEM"
    assert levels == sorted(levels, key=["PROBLEM", "WARNING", "ok"].index)
    assert levels.count("PROBLEM") == 1
    assert lines[0].split()[1] == "export"
    assert lines[1].strip() == "to do: mount the export, or correct the name"
    assert ", 1 problem, " in lines[-1]


def test_the_command_line_wins_over_the_recipe(recipe: Path, tmp_path: Path) -> None:
    code, found = checks("--recipe", recipe, tmp_path / "none", "--out", "/nowhere/r.csv")
    assert code == 1
    assert found["export"][0]["found"] == f"{tmp_path / 'none'}: no such folder"
    assert found["report"][0]["level"] == "problem"


def test_what_is_not_named_is_left_out(tiny_bundle: Path) -> None:
    code, found = checks("--bundle", tiny_bundle)
    assert code == 0
    assert set(found) == {"Python", "packages", "bundle", "network", "decoder", "readers"}


def test_wrong_recipe_is_2(recipe: Path) -> None:
    recipe.write_text("expird = 3")
    with pytest.raises(RecipeError, match="did you mean 'expire'"):
        doctor("--recipe", recipe)
    recipe.write_text("expire = 0")
    result = CliRunner().invoke(cli, ["doctor", "--recipe", str(recipe)])
    assert result.exit_code == 2
    assert "'--expire'" in result.stderr


def network(bundle: Path, **options: Any) -> Observation:
    (found,) = bundle_checks.network(Setup(options=ScreenOptions(bundle=bundle).with_changes(**options)))
    return found


def bundle(path: Path, **options: Any) -> Observation:
    (found,) = bundle_checks.bundle(Setup(options=ScreenOptions(bundle=path).with_changes(**options)))
    return found


def test_bundle_and_network(tiny_bundle: Path) -> None:
    assert bundle(tiny_bundle).level is Level.OK
    found = network(tiny_bundle, device=Device.CPU, batch_size=4)
    assert found.level is Level.OK
    assert re.fullmatch(r"scores on TensorFlow [\d.]+, CPU, float32, batches of 4", found.found)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json"])
def test_broken_bundle(file: str, tiny_bundle: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))
    with (broken / file).open("ab") as stream:
        stream.write(b"\n")
    for found in (bundle(broken), network(broken)):
        assert found.level is Level.PROBLEM
        assert f"{file} differs from its hash" in found.found
        assert found.advice == "install the bundle again"


def test_missing_bundle(tmp_path: Path) -> None:
    assert bundle(tmp_path / "none").level is Level.PROBLEM


def test_a_bundle_that_cannot_do_what_the_recipe_asks(tiny_bundle: Path) -> None:
    found = bundle(tiny_bundle, prevalence=0.05)
    assert found.level is Level.PROBLEM
    assert "no calibration" in found.found


def test_a_network_that_gives_no_scores(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cxrbatch.infer.predictor import KerasPredictor

    for scores in (np.full((2, 3), np.nan, np.float32), np.full((2, 3), 0.5, np.float32)):
        monkeypatch.setattr(KerasPredictor, "__call__", lambda *_, given=scores: {"scores": given})
        assert network(tiny_bundle).level is Level.PROBLEM


def test_no_gpu(tiny_bundle: Path) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    code, found = checks("--bundle", tiny_bundle, "--device", "gpu")
    assert code == 1
    (item,) = found["network"]
    assert "sees no GPU" in item["found"]
    assert "--device cpu" in item["advice"]


def test_packages_and_python() -> None:
    (found,) = packages.python(Setup())
    assert found.level is Level.OK
    (found,) = packages.packages(Setup())
    assert found.level is Level.OK
    assert "tensorflow 2." in found.found


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("nosuchpackage>=1", "nosuchpackage is missing"),
        ("numpy>=99.1", f"numpy {np.__version__}; cxrbatch needs >=99.1"),
        ("numpy<1,>=0.5", f"numpy {np.__version__}; cxrbatch needs <1,>=0.5"),
    ],
)
def test_packages_that_do_not_fit(requirement: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: [requirement, "click>=8.1.7"])
    (item,) = packages.packages(Setup())
    assert (item.level, item.found) == (Level.PROBLEM, found)


def test_python_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.10.12")
    (item,) = packages.python(Setup())
    assert item.level is Level.PROBLEM
    assert "3.10.12; cxrbatch needs" in item.found


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("2.20", ">=2.20", True),
        ("2.20.0", ">=2.20", True),
        ("2.20", ">=2.20.0", True),
        ("2.9", ">=2.20", False),
        ("2.20.0rc1", ">=2.20", True),
        ("3.13.9", ">=3.11,<3.14", True),
        ("3.14.0", ">=3.11,<3.14", False),
        ("3.14.0", "<3.14,>=3.11", False),
        ("1.0+local", ">=1", True),
        ("1", "", True),
    ],
)
def test_satisfies(version: str, bounds: str, expected: bool) -> None:
    assert packages.satisfies(version, bounds) is expected


def test_shown() -> None:
    items = [
        Observation(check="a", level=Level.OK, found="fine"),
        Observation(check="bcd", level=Level.WARNING, found="hm", advice="look"),
    ]
    assert as_text(items) == (
        "WARNING bcd  hm\n             to do: look\nok      a    fine\n2 checks, 0 problems, 1 warning"
    )
    assert is_healthy(items)
    assert json.loads(as_json(items)) == {
        "ok": True,
        "checks": [
            {"check": "a", "level": "ok", "found": "fine", "advice": ""},
            {"check": "bcd", "level": "warning", "found": "hm", "advice": "look"},
        ],
    }

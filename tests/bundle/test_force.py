"""``bundle import --out``: what is there already stays, unless it is a bundle and ``--force`` is given."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbatch.bundle import load_bundle
from cxrbatch.cli import cli
from cxrbatch.errors import UsageProblem
from tests.bundle.test_outputs import network

Place = Callable[[Path, Path], object]
"""Puts something at a path; the second is a whole bundle to copy."""


def folder(*names: str) -> Place:
    def make(out: Path, _: Path) -> None:
        out.mkdir()
        for name in names:
            (out / name).write_bytes(b"kept")

    return make


def bundle_without(*names: str) -> Place:
    def make(out: Path, whole: Path) -> None:
        shutil.copytree(whole, out)
        for name in names:
            (out / name).unlink()

    return make


def bundle_with(name: str, content: bytes) -> Place:
    def make(out: Path, whole: Path) -> None:
        shutil.copytree(whole, out)
        (out / name).write_bytes(content)

    return make


def linked(place: Place) -> Place:
    def make(out: Path, whole: Path) -> None:
        place(out.with_name("elsewhere"), whole)
        out.symlink_to(out.with_name("elsewhere"))

    return make


FOREIGN: dict[str, Place] = {
    "a file": lambda out, _: out.write_bytes(b"kept"),
    "an empty file": lambda out, _: out.touch(),
    "the model itself": lambda out, _: shutil.copy(out.with_name("net.h5"), out),
    "a folder with a file": folder("notes.txt"),
    "a folder with a hidden file": folder(".keep"),
    "a folder with a network": folder("model.keras"),
    "a bundle without its hashes": bundle_without("SHA256SUMS"),
    "a folder whose hashes are a folder": lambda out, _: (out / "SHA256SUMS").mkdir(parents=True),
    "a link to a file": linked(lambda out, _: out.write_bytes(b"kept")),
    "a link to a folder": linked(folder("notes.txt")),
    "a pipe": lambda out, _: os.mkfifo(out),
}
BUNDLES: dict[str, Place] = {
    "an empty folder": folder(),
    "a bundle": bundle_without(),
    "a bundle without its network": bundle_without("model.keras"),
    "a bundle without its description": bundle_without("bundle.json"),
    "a bundle with another file": bundle_with("notes.txt", b"lost"),
    "a bundle with a damaged description": bundle_with("bundle.json", b"{"),
    "a bundle with empty hashes": bundle_with("SHA256SUMS", b""),
    "a bundle with another network": bundle_with("model.keras", b"other"),
}
NAMES = ("out", "bündel für die Nacht", "-o", "a.keras", "default")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.h5"
    network([0.0, 1.0], "softmax").save(path)
    return path


@pytest.fixture
def here(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, tmp_path / "net.h5")
    return tmp_path


def imported(out: str, *options: str) -> BaseException | None:
    arguments = ["bundle", "import", "net.h5", "--labels", "covid,normal", f"--out={out}", *options]
    return CliRunner().invoke(cli, arguments, standalone_mode=False).exception


def content(path: Path) -> dict[str, bytes | str]:
    """Return all that is at a path; links by their target, what is no file by its name."""
    paths = [path, *sorted(path.rglob("*"))]
    return {str(one): one.read_bytes() if one.is_file() else str(os.path.realpath(one)) for one in paths}


@pytest.mark.parametrize("options", [(), ("--force",)], ids=str)
@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_bundle_is_never_replaced(
    here: Path, tiny_bundle: Path, case: str, options: tuple[str, ...]
) -> None:
    FOREIGN[case](here / "out", tiny_bundle)
    before = content(here)
    problem = imported("out", *options)
    assert isinstance(problem, UsageProblem)
    assert str(problem).startswith("--out out: is there already")
    assert content(here) == before


@pytest.mark.parametrize("case", BUNDLES)
def test_a_bundle_is_replaced_by_force_only(here: Path, tiny_bundle: Path, case: str) -> None:
    BUNDLES[case](here / "out", tiny_bundle)
    before = content(here)
    problem = imported("out")
    assert isinstance(problem, UsageProblem)
    assert str(problem) == "--out out: is there already; --force replaces a bundle"
    assert content(here) == before
    assert imported("out", "--force") is None
    assert load_bundle(here / "out").name == "net"
    assert not (here / "out" / "notes.txt").exists()
    assert sorted(path.name for path in here.iterdir()) == ["net.h5", "out"]


@pytest.mark.parametrize("options", [(), ("--force",)], ids=str)
def test_the_name_of_the_bundle_that_is_shipped_is_none_for_another(
    here: Path, options: tuple[str, ...]
) -> None:
    assert "is the bundle that is shipped" in str(imported("default", *options))
    assert not (here / "default").exists()


@pytest.mark.parametrize("name", NAMES)
def test_by_force_where_nothing_is(here: Path, name: str) -> None:
    """The same bundle under any name, and twice."""
    path = name if name != "default" else "./default"
    assert imported(path, "--force") is None
    first = load_bundle(here / name)
    assert imported(path, "--force") is None
    assert load_bundle(here / name).sha256 == first.sha256


def test_a_model_that_cannot_be_imported_leaves_the_bundle_there(here: Path, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, here / "out")
    (here / "net.h5").write_bytes(b"damaged")
    before = content(here)
    assert imported("out", "--force") is not None
    assert content(here) == before

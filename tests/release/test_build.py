"""The same files give the same wheel and source distribution, which hold what they should and nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from cxrbatch import __version__
from cxrbatch.bundle.bundle import DEFAULT_BUNDLE
from release import __main__ as release_module
from release.build import build
from tests.conftest import REPOSITORY

EPOCH = 1_764_374_400
"""2025-11-29."""
COPIED = (
    *("cxrbatch", "docs", "pipelines", "tests/test_links.py", "LICENSE*"),
    *("*.md", "*.in", "*.cfg", "*.toml", "*.lock"),
)
"""Of the tests one, which is left out of the source distribution."""
Built = tuple[Path, Path]

pytestmark = pytest.mark.skipif(
    int(version("setuptools").split(".")[0]) < 77, reason="setuptools is older than pyproject.toml asks for"
)


def tracked(*folders: str) -> list[str]:
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *folders)
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (REPOSITORY / name).is_file())


def copy_tree(tree: Path, mode: int, mtime: int) -> Path:
    """Copy the files of the repository, with other rights and times than they have."""
    for name in tracked(*COPIED):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, path)
        path.chmod(mode)
        os.utime(path, (mtime, mtime))
    return tree


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("one")
    return build(copy_tree(folder / "tree", 0o664, 1_900_000_000), folder, EPOCH)


@pytest.fixture(scope="module")
def wheel(built: Built) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(built[0]) as archive:
        yield archive


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_another_folder_time_and_umask_give_the_same_bytes(
    built: Built, tmp_path: Path, umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = build(copy_tree(tmp_path / "un deuxième", 0o600, 1_000_000_000), tmp_path, EPOCH)
    for one, other in zip(built, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_the_source_distribution_gives_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        assert {(member.uid, member.uname, member.mtime) for member in archive} == {(0, "", EPOCH)}
        assert {member.mode for member in archive} == {0o644, 0o755}
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert {path.name for path in tree.iterdir() if path.is_dir()} == {
        "cxrbatch",
        "cxrbatch.egg-info",
        "docs",
        "pipelines",
    }
    assert build(tree, tmp_path, EPOCH)[0].read_bytes() == built[0].read_bytes()


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    about = f"cxrbatch-{__version__}.dist-info"
    stated = "METADATA RECORD WHEEL entry_points.txt licenses/LICENSE licenses/LICENSE-WEIGHTS top_level.txt"
    assert sorted(wheel.namelist()) == sorted(
        [*tracked("cxrbatch"), *(f"{about}/{name}" for name in stated.split())]
    )
    default = {name for name in wheel.namelist() if "/default/" in name}
    assert {Path(name).name for name in default} == {path.name for path in DEFAULT_BUNDLE.iterdir()}
    assert {entry.date_time[:3] for entry in wheel.infolist()} == {(2025, 11, 29)}
    assert {entry.external_attr >> 16 & 0o777 for entry in wheel.infolist()} <= {0o644, 0o664}


def test_the_wheel_works_without_the_source(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    site = tmp_path / "site"
    wheel.extractall(site)  # noqa: S202 - our own
    shown = subprocess.run(
        (sys.executable, "-m", "cxrbatch", "bundle", "show"),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site / "cxrbatch" / "bundle" / "default") in shown.stdout


def test_it_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(f"cxrbatch-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in text
    assert "\nLicense-Expression: MIT AND LicenseRef-cxrbatch-weights\n" in text
    assert re.findall(r"^Classifier: License", text, re.MULTILINE) == []


# --- python -m release


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What git answers; building takes no time."""
    answers = {"status": b"", "log": str(EPOCH).encode(), "archive": b""}
    monkeypatch.setattr(release_module, "_git", lambda *words: answers[words[0]])
    monkeypatch.setattr(release_module, "_extract", lambda tree: None)
    monkeypatch.setattr(release_module, "installed", lambda name: pinned_setuptools())

    def make(tree: Path, out: Path, epoch: int) -> Built:
        wheel, sdist = out / "cxrbatch-7.0-py3-none-any.whl", out / "cxrbatch-7.0.tar.gz"
        wheel.write_text(f"wheel of {epoch}")
        sdist.write_text("sdist")
        return wheel, sdist

    monkeypatch.setattr(release_module, "build", make)
    return answers


def pinned_setuptools() -> str:
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    return re.findall(r"^setuptools==(\S+)", text, re.MULTILINE)[0]


def changelog_has_a_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, heading: str) -> None:
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    (tmp_path / "cxrbatch/_lib").mkdir(parents=True)
    (tmp_path / "cxrbatch/_lib/version.py").write_text('__version__ = "7.0"\n')
    monkeypatch.setattr(release_module, "ROOT", tmp_path)


def test_a_release_has_its_lists_and_checksums(
    repository: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cyclonedx")
    changelog_has_a_section(monkeypatch, tmp_path, "## 7.0 (2026-11-29)")
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("SHA256SUMS", "of an earlier one"):
        (dist / name).touch()
    monkeypatch.setattr(sys, "argv", ["release", str(dist)])
    assert release_module.main() == 0
    lines = [line.split("  ") for line in (dist / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sorted(sums) == [
        "cxrbatch-7.0-py3-none-any.whl",
        "cxrbatch-7.0.cdx.json",
        "cxrbatch-7.0.licences.md",
        "cxrbatch-7.0.tar.gz",
        "requirements-extras.lock",
        "requirements.lock",
    ]
    assert {path.name for path in dist.iterdir()} == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "changes",
            "there are changes that are not committed: commit them, a release is made of the last commit",
        ),
        (
            "setuptools",
            "setuptools is not the one that is pinned: pip install -c requirements.lock setuptools",
        ),
        ("folder", "{dist} is there already and holds no release: choose another folder"),
        ("changelog", "CHANGELOG.md has no section '## 7.0 (YYYY-MM-DD)': write it"),
    ],
)
def test_what_is_missing_is_said_and_nothing_written(
    what: str,
    said: str,
    repository: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changelog_has_a_section(monkeypatch, tmp_path, "## 7.0" if what == "changelog" else "## 7.0 (2026-11-29)")
    if what == "changes":
        repository["status"] = b" M README.md\n"
    if what == "setuptools":
        monkeypatch.setattr(release_module, "installed", lambda name: "77.0")
    dist = tmp_path / "dist"
    if what == "folder":
        dist.mkdir()
        (dist / "mine").touch()
    monkeypatch.setattr(sys, "argv", ["release", str(dist)])
    assert release_module.main() == 1
    assert capsys.readouterr().err == f"{said.format(dist=dist)}\n"
    assert [path.name for path in dist.glob("*")] == (["mine"] if what == "folder" else [])

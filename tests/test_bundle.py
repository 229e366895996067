"""A bundle is loaded only when its hash matches."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cxrbatch.bundle import DEFAULT_BUNDLE, load_bundle
from cxrbatch.errors import BundleError


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def test_hash_is_that_of_the_sums(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    assert bundle.sha256 == hashlib.sha256((tiny_bundle / "SHA256SUMS").read_bytes()).hexdigest()
    assert bundle.id == f"tiny@{bundle.sha256[:12]}"


def test_sums_are_understood_by_the_usual_tool(tiny_bundle: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tiny_bundle, check=True)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json"])
def test_one_changed_byte_is_noticed(copy: Path, file: str) -> None:
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(BundleError, match=file):
        load_bundle(copy)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json", "SHA256SUMS"])
def test_missing_file(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(BundleError, match=file):
        load_bundle(copy)


def rewrite(folder: Path, **changes: object) -> None:
    """Change bundle.json and its hash with it, as somebody who makes a wrong bundle would."""
    content = json.loads((folder / "bundle.json").read_text()) | changes
    (folder / "bundle.json").write_text(json.dumps(content))
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("bundle.json", "gate.npz", "model.keras")
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"findings": ["covid", "normal"]},
        {"preprocess": {"height": 64, "zoom": 2}},
        {"preprocess": None},
        {"operating_points": {"urgent": 0.1, "high": 0.5}},
    ],
)
def test_content_that_is_not_understood(copy: Path, changes: dict[str, object]) -> None:
    rewrite(copy, **changes)
    with pytest.raises(BundleError, match=str(copy)):
        load_bundle(copy)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "nothing")


def test_the_shipped_bundle_is_whole_and_small() -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    assert size <= 25_000_000
    assert bundle.training
    assert bundle.evaluation

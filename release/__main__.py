"""``python -m release DIST``: make a release of the last commit; ``make release`` does so in ``dist/``.

Exit codes: 0 the folder is complete · 1 something is missing, which is said, and nothing is written.
"""

import datetime as dt
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

from release.build import build
from release.licences import TABLE, stated_licences
from release.lock import EXTRAS_LOCK, LOCK, ROOT, read_lock
from release.sbom import sbom

SUMS = "SHA256SUMS"


class NotReady(Exception):
    """What has to be done before there can be a release."""


def release(dist: Path) -> None:
    """Write a release of the last commit; an earlier one in `dist` is replaced.

    Raises
    ------
    NotReady
        See the message.
    """
    _check_ready()
    if dist.exists() and not (dist / SUMS).is_file():
        raise NotReady(f"{dist} is there already and holds no release: choose another folder")
    epoch = int(_git("log", "-1", "--format=%ct").decode())
    with tempfile.TemporaryDirectory() as folder:
        tree, new = Path(folder) / "tree", Path(folder) / "dist"
        new.mkdir()
        _extract(tree)
        wheel, _ = build(tree, new, epoch)
        _write_lists(new, wheel.name.split("-")[1], dt.datetime.fromtimestamp(epoch, dt.UTC))
        _write_sums(new)
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(new, dist)


def _check_ready() -> None:
    if _git("status", "--porcelain"):
        raise NotReady(
            "there are changes that are not committed: commit them, a release is made of the last commit"
        )
    pinned = {pin.version for pin in read_lock() if pin.name == "setuptools"}
    if {installed("setuptools")} != pinned:
        raise NotReady(
            "setuptools is not the one that is pinned: pip install -c requirements.lock setuptools"
        )
    text = (ROOT / "cxrbatch" / "_lib" / "version.py").read_text(encoding="utf-8")
    (number,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(number)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        raise NotReady(f"CHANGELOG.md has no section '## {number} (YYYY-MM-DD)': write it")


def _extract(tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "HEAD"))) as archive:
        archive.extractall(tree, filter="data")


def _write_lists(folder: Path, version: str, moment: dt.datetime) -> None:
    text = TABLE.read_text(encoding="utf-8")
    (folder / f"cxrbatch-{version}.licences.md").write_text(text, encoding="utf-8")
    bill = sbom(version, moment, read_lock(), stated_licences(text))
    (folder / f"cxrbatch-{version}.cdx.json").write_text(bill, encoding="utf-8")
    for lock in (LOCK, EXTRAS_LOCK):
        shutil.copyfile(lock, folder / lock.name)


def _write_sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())
    ]
    (folder / SUMS).write_text("".join(lines), encoding="ascii")


def _git(*words: str) -> bytes:
    return subprocess.run(("git", *words), cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def main() -> int:
    """Make the release, or say what is missing."""
    try:
        release(Path(sys.argv[1]))
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

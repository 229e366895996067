"""Check and write the files of a bundle: a folder, its files by name, and their hashes.

What a folder holds beside them is not read. See `cxrbatch.bundle.bundle` for what the files are.
"""

import hashlib
import json
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxrbatch.errors import BundleError

SUMS = "SHA256SUMS"
LITE = "model.tflite"
_FILES = ("bundle.json", "gate.npz", "model.keras")
_FORMATS = {_FILES: 1, (*_FILES, LITE): 2}
"""Number of the format by the files, sorted by name."""


def check_files(path: Path) -> tuple[bytes, int]:
    """Check that the files of a bundle are whole.

    Returns
    -------
    bytes
        Content of ``SHA256SUMS``.
    int
        Number of the format, by the files that it names.

    Raises
    ------
    BundleError
        A file is a link, or differs from its hash, or is not named as those of a bundle are.
    OSError
        A file is missing or cannot be read.
    ValueError
        ``SHA256SUMS`` is not understood.
    """
    for file in (SUMS, *_FILES):
        _check_plain(path, file)
    sums = (path / SUMS).read_bytes()
    expected = {
        name: digest
        for digest, name in (line.split(maxsplit=1) for line in sums.decode("ascii").splitlines())
    }
    number = _FORMATS.get(tuple(sorted(expected)))
    if number is None:
        raise BundleError(f"bundle {path}: {SUMS} must name exactly {', '.join(_FILES)}, and {LITE} at most")
    for file, digest in expected.items():
        _check_plain(path, file)
        if _sha256(path / file) != digest:
            raise BundleError(f"bundle {path}: {file} differs from its hash; install the bundle again")
    return sums, number


def _check_plain(path: Path, file: str) -> None:
    """Refuse a file that is not regular: a link may point anywhere and change later, and a pipe would block."""
    if not stat.S_ISREG((path / file).lstat().st_mode):
        raise BundleError(f"bundle {path}: {file} is a link or no file; put the file itself there")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(path: Path, content: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> None:
    """Write a folder with all files and their hashes, or nothing; a folder that is there is replaced.

    Parameters
    ----------
    content : mapping
        Of ``bundle.json``.
    files : mapping
        By name: a file to copy, or its content.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        for name, file in files.items():
            if isinstance(file, bytes):
                (folder / name).write_bytes(file)
            else:
                shutil.copyfile(file, folder / name)
        (folder / "bundle.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        lines = [f"{_sha256(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
        (folder / SUMS).write_text("".join(lines), encoding="ascii")
        if path.exists():
            path.replace(Path(scratch) / "old")
        folder.replace(path)

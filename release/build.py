"""Build wheel and source distribution of a folder, so that the same files give the same bytes.

Times are those of the commit, modes and owners are fixed, names are in order. setuptools does so for the wheel by
``SOURCE_DATE_EPOCH``, given files of fixed modes; its source distribution holds times and owners, and is packed
again.
"""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_BUILD = """
import sys
from setuptools.build_meta import build_sdist, build_wheel
out = sys.argv[1]
build_sdist(out)
build_wheel(out)
"""


def build(tree: Path, out: Path, epoch: int) -> tuple[Path, Path]:
    """Build both archives.

    Parameters
    ----------
    tree : Path
        The files of the repository and no others, as ``git archive`` gives them. Not changed.
    out : Path
        Existing folder.
    epoch : int
        Seconds since 1970, the time of all files.

    Returns
    -------
    wheel, sdist : Path

    Raises
    ------
    subprocess.CalledProcessError
        setuptools failed; its output is that of the error.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy, made = Path(folder) / "tree", Path(folder) / "made"
        shutil.copytree(tree, copy)
        _fix_modes(copy)
        subprocess.run(
            (sys.executable, "-c", _BUILD, made),
            cwd=copy,
            env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
            umask=0o022,
            check=True,
            capture_output=True,
            text=True,
        )
        (wheel,), (sdist,) = made.glob("*.whl"), made.glob("*.tar.gz")
        (out / sdist.name).write_bytes(packed_again(sdist.read_bytes(), epoch))
        shutil.copyfile(wheel, out / wheel.name)
    return out / wheel.name, out / sdist.name


def _fix_modes(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def packed_again(archive: bytes, epoch: int) -> bytes:
    """Pack a ``.tar.gz`` anew, in the order of the names, without owners, and with one time for all.

    Returns
    -------
    bytes
        The new archive.
    """
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=epoch, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member)
            new.addfile(_plain(member, epoch), content)
    return packed.getvalue()


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.size, plain.mtime = member.type, member.size, epoch
    plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return plain

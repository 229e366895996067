"""The spool: files that wait for their result, under names of our own, for their owner only."""

import os
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO


def open_spool(folder: Path) -> None:
    """Make the folder, and empty it: what lies there belonged to a server that was stopped."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        path.unlink()


def create(folder: Path) -> tuple[Path, BinaryIO]:
    """Make a new file; its name says nothing of what it holds."""
    path = folder / uuid.uuid4().hex
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return path, os.fdopen(descriptor, "wb")


def dispose(path: Path, kept: Path | None) -> None:
    """Delete a file, or move it to the folder of those that are kept on purpose."""
    if kept is None:
        path.unlink(missing_ok=True)
    elif path.exists():
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.move(path, kept / path.name)

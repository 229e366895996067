"""Take the files out of an uploaded ZIP archive: path in, files in the spool out.

Names in the archive are text for people and never paths. Sizes in the archive are not believed: bytes are counted
while they are inflated.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure
from cxrbatch.web import spool

_BEGINNING = (b"PK\x03\x04", b"PK\x05\x06")
_END, _END_BYTES, _COMMENT_BYTES = b"PK\x05\x06", 22, 1 << 16
_ZIP64 = b"PK\x06\x07"
_MOST_DIRECTORY_BYTES = 4 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_CHUNK_BYTES = 1 << 20
_LEFT_OUT = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


class ArchiveRefused(Exception):
    """The archive as a whole is not taken."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its name, and its place in the spool or why it has none."""

    name: str
    path: Path | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class Budget:
    """Bytes that an archive may still take when inflated, in all and for each file."""

    total_bytes: int
    file_bytes: int


def is_archive(head: bytes) -> bool:
    """Check whether a file begins as ZIP archives do."""
    return head.startswith(_BEGINNING)


def count_members(path: Path, most: int) -> int:
    """Count the files of an archive before any is inflated.

    Raises
    ------
    ArchiveRefused
        It is damaged, or holds more than `most` files.
    """
    _check_directory(path)
    with _opened(path) as archive:
        n = sum(1 for item in archive.infolist() if _is_wanted(item))
    if not n:
        raise ArchiveRefused("the archive holds no file")
    if n > most:
        raise ArchiveRefused(f"the archive holds {n} files, and {most} may be waited for at once")
    return n


def extract(path: Path, folder: Path, budget: Budget) -> Iterator[Member]:
    """Inflate the files of an archive into the spool, one after another.

    Yields
    ------
    Member
        One for each file; those that cannot be inflated have a failure.
    """
    with _opened(path) as archive:
        for item in archive.infolist():
            if _is_wanted(item):
                yield _extracted(archive, item, folder, budget)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise ArchiveRefused("the archive is damaged, or not a ZIP archive") from error


def _check_directory(path: Path) -> None:
    """Refuse a directory that would take much memory: `zipfile` reads all of it at once."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _END_BYTES - _COMMENT_BYTES, 0))
        tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise ArchiveRefused("the archive is damaged, or not a ZIP archive")
    (directory_bytes,) = struct.unpack_from("<L", tail, at + 12)
    if directory_bytes > _MOST_DIRECTORY_BYTES or tail[at - 20 : at - 16] == _ZIP64:
        raise ArchiveRefused("the archive has too long a list of files; upload it in parts")


def _is_wanted(item: zipfile.ZipInfo) -> bool:
    name = item.filename
    return not (item.is_dir() or name.startswith(_LEFT_OUT) or name.rsplit("/", 1)[-1] in _LEFT_OUT)


def _extracted(archive: zipfile.ZipFile, item: zipfile.ZipInfo, folder: Path, budget: Budget) -> Member:
    name = item.filename
    if item.flag_bits & _ENCRYPTED:
        return _refused(name, Reason.PACKED_FILE, "encrypted; unpack it before the upload")
    if item.compress_type not in _METHODS:
        return _refused(name, Reason.PACKED_FILE, "another compression than deflate")
    path, stream = spool.create(folder)
    try:
        with stream, archive.open(item) as source:
            fits = _copied(source, stream, budget)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, struct.error):
        path.unlink()
        return _refused(name, Reason.CORRUPT, "damaged in the archive")
    if not fits:
        path.unlink()
        return _refused(name, Reason.TOO_LARGE, "larger when inflated than a file or an archive may be")
    return Member(name, path)


def _copied(source: BinaryIO, target: BinaryIO, budget: Budget) -> bool:
    """Copy until the end or the budget; return True if all was copied."""
    n_bytes = 0
    while chunk := source.read(_CHUNK_BYTES):
        n_bytes += len(chunk)
        budget.total_bytes -= len(chunk)
        if n_bytes > budget.file_bytes or budget.total_bytes < 0:
            return False
        target.write(chunk)
    return True


def _refused(name: str, reason: Reason, detail: str) -> Member:
    return Member(name, failure=Failure(name=name, reason=reason, detail=detail))

"""Discover the images in a folder: folder in, one `ImageRef` or `Failure` for each file out.

Files are recognised by content, in a fixed order, without leaving the folder. No file is lost from here on.
"""

import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from cxrbatch._lib import file_formats
from cxrbatch._lib.ahead import map_ahead
from cxrbatch._lib.file_formats import HEAD_BYTES, Content, recognise
from cxrbatch._lib.folders import names_in, opened
from cxrbatch._lib.safe_open import (
    UNKNOWN_VERSION,
    FileVersion,
    NotRegular,
    has_changed,
    open_regular,
    version_of,
)
from cxrbatch.objects import N_REQUESTS, read_head, walk_objects
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import NOWHERE, Failure, FileKind, FoundFile, ImageRef, ObjectPrefix, Place

_TEMPORARY_ENDINGS = (".part", ".tmp", ".lock")
_IMAGE_SUFFIXES = frozenset(
    """
    .dcm .dicom .dic .ima .png .jpg .jpeg .jpe .jls .jp2 .j2k .j2c .jpc .jpf .jpx .jph .jhc .tif .tiff .webp .bmp .dib
    """.split()  # noqa: SIM905 - a list would be longer
)
_STATS_AT_ONCE = 1000
_READ = "DICOM, PNG, JPEG, JPEG 2000, TIFF, WebP and BMP are read"
_KINDS = {
    file_formats.JPEG_2000: FileKind.JPEG_2000,
    file_formats.JPEG_2000_CODESTREAM: FileKind.JPEG_2000,
    file_formats.TIFF: FileKind.TIFF,
    file_formats.WEBP: FileKind.WEBP,
    file_formats.BMP: FileKind.BMP,
}
_GZIP, _GZIP_WINDOW = b"\x1f\x8b", 16 + zlib.MAX_WBITS
_METADATA_PREFIX = "._"
"""How names begin under which macOS keeps what other file systems cannot."""
_ADVICE = {
    Content.PICTURE: (Reason.UNSUPPORTED_FORMAT, "export it as DICOM, PNG or JPEG"),
    Content.VIDEO: (Reason.UNSUPPORTED_FORMAT, "export its image as DICOM, PNG or JPEG"),
    Content.PACKED: (Reason.PACKED_FILE, "unpack it into the export"),
}
"""Kinds of content in which there may be a radiograph: not skipped. Reason, and what to do."""
_EXPLICIT_VRS = frozenset(
    (b"AE", b"AS", b"CS", b"DA", b"DT", b"IS", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL", b"UN")
)


def discover(folder: Place) -> Iterator[ImageRef | Failure]:
    """List the files of a folder and classify each: `walk`, then `classify`.

    Yields
    ------
    ImageRef or Failure
        One for every file, and one for every folder that cannot be listed (its name ends in ``/``).
    """
    for _, item in classify_all(walk(folder)):
        yield item


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    prefix: str


def walk(folder: Place) -> Iterator[FoundFile]:
    """List the files in a folder and below it, in the order of the names; no file is opened.

    Objects of a bucket too: see `cxrbatch.objects.walk_objects`.

    Symbolic links are followed to files inside the folder only. Links to folders are not followed: folders inside are
    listed at their own place.

    Parameters
    ----------
    folder : Path or ObjectPrefix

    Yields
    ------
    FoundFile
        One for every file, and one for every folder that cannot be listed (its name ends in ``/``). Of a link,
        `path` is its target: no path is a link.
    """
    return walk_objects(folder) if isinstance(folder, ObjectPrefix) else _walk(folder.resolve())


def _walk(root: Path) -> Iterator[FoundFile]:
    levels = [_listed(root, _Folder(root, ""))]
    while levels:
        item = next(levels[-1], None)
        if isinstance(item, FoundFile):
            yield item
        elif item:
            levels.append(_listed(root, item))
        else:
            levels.pop()


def _listed(root: Path, folder: _Folder) -> Iterator[_Folder | FoundFile]:
    """Yield what is in a folder, by name; of a folder of many files no more is held than the names."""
    try:
        with opened(folder.path) as descriptor:
            names = names_in(descriptor)
        for first in range(0, len(names), _STATS_AT_ONCE):
            with opened(folder.path) as descriptor:  # not open meanwhile: folders may lie deep in each other
                part = names[first : first + _STATS_AT_ONCE]
                found = [_found(root, folder, os.fsdecode(name), descriptor) for name in part]
            yield from filter(None, found)
    except OSError as error:
        yield _unreadable(folder.path, folder.prefix or "./", f"folder: {_in_words(error)}")


def _found(root: Path, folder: _Folder, entry: str, descriptor: int) -> _Folder | FoundFile | None:
    path, name = folder.path / entry, folder.prefix + entry
    if entry.endswith("/"):
        return _Folder(path, name)
    try:
        found = os.stat(entry, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            return _linked(root, path, name)
    except OSError as error:
        return _unreadable(path, name, _in_words(error))
    return FoundFile(path=path, name=name, version=version_of(found))


def _linked(root: Path, link: Path, name: str) -> FoundFile | None:
    """Find the file that a link leads to; None for a folder."""
    try:
        path = link.resolve(strict=True)
        found = path.lstat()
    except (OSError, RuntimeError):  # a dangling link, or a loop (RuntimeError before Python 3.13)
        path, found = None, None
    if path is None or found is None or not path.is_relative_to(root):
        return _unreadable(link, name, "symbolic link that leads out of the folder, or nowhere")
    return None if stat.S_ISDIR(found.st_mode) else FoundFile(path=path, name=name, version=version_of(found))


def _unreadable(path: Path, name: str, detail: str) -> FoundFile:
    return FoundFile(
        path=path, name=name, failure=Failure(name=name, reason=Reason.UNREADABLE, detail=detail)
    )


def _in_words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def classify_all(files: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, ImageRef | Failure]]:
    """Classify the files that `walk` found, in their order; objects several at a time, since each is waited for."""
    remaining = iter(files)
    first = next(remaining, None)
    if first is None:
        return
    everything = chain([first], remaining)
    if first.object is None:
        yield from ((file, classify_found(file)) for file in everything)
    else:
        yield from map_ahead(classify_found, everything, N_REQUESTS)


def classify_found(file: FoundFile) -> ImageRef | Failure:
    """Classify one file that `walk` found; see `classify`."""
    if file.failure:
        return file.failure
    if file.object is None:
        return classify(file.path, file.name, file.version)
    try:
        head = read_head(file.object, file.version)
    except Refusal as refusal:
        return Failure(name=file.name, reason=refusal.reason, detail=refusal.detail)
    if kind := sniff(head):
        return ImageRef(path=file.path, name=file.name, kind=kind, version=file.version, object=file.object)
    return _describe_non_image(file.name, head)


def found_below(folder: Place, name: str) -> FoundFile:
    """Make the record of a file of any version by its name below a folder."""
    if isinstance(folder, ObjectPrefix):
        return FoundFile(path=NOWHERE, object=folder.object(name), name=name)
    return FoundFile(path=folder / name, name=name)


def found_again(folder: Place, name: str, version: FileVersion) -> FoundFile:
    """Make the record that `walk` has made of a file, from its name and version."""
    file = found_below(folder, name)
    if isinstance(folder, Path) and file.path.is_symlink():
        root = folder.resolve()
        file = _linked(root, root / name, name) or file
    return replace(file, version=version)


def classify(path: Path, name: str, version: FileVersion = UNKNOWN_VERSION) -> ImageRef | Failure:
    """Classify one file by its content.

    Parameters
    ----------
    path : Path
    name : str
        Its name in reports.
    version : FileVersion
        Its version when it was found by `walk`: then it is no link. A file that has changed since then and contains
        no image is ``still_changing`` and not skipped.

    Returns
    -------
    ImageRef or Failure
        `Failure` where it contains no image or cannot be opened.
    """
    try:
        with open_regular(path, follow=version == UNKNOWN_VERSION) as stream:
            head, now = stream.read(HEAD_BYTES), os.fstat(stream.fileno())
    except NotRegular as thing:
        failure = Failure(name=name, reason=Reason.NOT_AN_IMAGE, detail="not a regular file", skipped=True)
        return _still_changing(name) if has_changed(version, thing.found) else failure
    except OSError as error:
        return Failure(name=name, reason=Reason.UNREADABLE, detail=_in_words(error))
    except ValueError:  # a zero character, which no file of a folder has in its name
        return Failure(name=name, reason=Reason.UNREADABLE, detail="no file can have this name")
    if kind := sniff(head):
        return ImageRef(path=path, name=name, kind=kind, version=version)
    return _still_changing(name) if has_changed(version, now) else _describe_non_image(name, head)


def _still_changing(name: str) -> Failure:
    return Failure(name=name, reason=Reason.STILL_CHANGING, detail="it changed after it was found")


def sniff(head: bytes) -> FileKind | None:
    """Recognise the format of a file by its first 132 bytes or more; None where it is no image that is read.

    Notes
    -----
    DICOM begins with 128 arbitrary bytes and ``DICM`` (PS3.10 7.1); files without that preamble begin with an
    element of group 0002 or 0008. It may be packed by gzip.
    """
    if _is_dicom(head) or _is_dicom(_unpacked(head)):
        return FileKind.DICOM
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileKind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return FileKind.JPEG
    found = recognise(head)
    return _KINDS.get(found) if found else None


def _is_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM" or _starts_with_element(head)


def _unpacked(head: bytes) -> bytes:
    """Unpack the beginning of a gzip file, as far as it reaches; empty where there is nothing to unpack."""
    if not head.startswith(_GZIP):
        return b""
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _starts_with_element(head: bytes) -> bool:
    if len(head) < 12 or head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08", b"\0\x02"):
        return False
    order: Literal["little", "big"] = "little" if head[1] == 0 else "big"
    element, length = int.from_bytes(head[2:4], order), int.from_bytes(head[4:8], order)
    explicit = head[4:6] in _EXPLICIT_VRS
    # Elements of these groups have small numbers and short values, unlike text and other formats.
    return element < 0x1000 and (explicit or (order == "little" and 0 < length <= 1024 and length % 2 == 0))


def _describe_non_image(name: str, head: bytes) -> Failure:
    """Make the failure of a file without an image that is read.

    One named .png is a missing radiograph, and so may be what lies in a ZIP archive or a HEIC; a README is skipped.
    """
    suffix = Path(name).suffix.lower()
    named_image = suffix in _IMAGE_SUFFIXES and not _is_metadata(name, head)
    if not head:
        reason = Reason.TRUNCATED if named_image else Reason.NOT_AN_IMAGE
        return Failure(name=name, reason=reason, detail="an empty file", skipped=not named_image)
    found = recognise(head, suffix)
    if found and found.content in _ADVICE:
        reason, advice = _ADVICE[found.content]
        return Failure(name=name, reason=reason, detail=f"{found.name}; {advice}")
    return Failure(
        name=name,
        reason=Reason.NOT_AN_IMAGE,
        detail=f"{found.name if found else 'unknown content'}; {_READ}",
        skipped=not named_image,
    )


def _is_metadata(name: str, head: bytes) -> bool:
    return Path(name).name.startswith(_METADATA_PREFIX) and recognise(head) is file_formats.APPLE_DOUBLE


def is_temporary(name: str) -> bool:
    """Check whether a name shows that the file, or the file next to it, is still being written."""
    return name.lower().endswith(_TEMPORARY_ENDINGS)


def check_settled(file: FoundFile, settle_s: float, now_ns: int) -> Failure | None:
    """Refuse a file that may still be written to.

    Parameters
    ----------
    settle_s : float
        Seconds for which a file must not have been modified. A time of modification in the future by less than this
        counts too (the clock of the file server is ahead); a time further in the future is ignored.
    now_ns : int
        The present, in nanoseconds since 1970 UTC.

    Returns
    -------
    Failure or None
        None: it may be read.
    """
    if is_temporary(file.name):
        return _refused(file, "its name says that it is still being written")
    age_s = abs(now_ns - file.version.mtime_ns) / 1e9
    if age_s < settle_s:
        return _refused(file, f"last modified less than {settle_s:g} s ago")
    return None


def _refused(file: FoundFile, detail: str) -> Failure:
    return Failure(name=file.name, reason=Reason.STILL_CHANGING, detail=detail)

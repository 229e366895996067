"""List the objects below a prefix: a prefix in, a `FoundFile` for each object out.

The listing names size and time of an object; its version (ETag, VersionId) is asked for object by object, several
at a time, since pyarrow's listings have none.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cxrbatch._lib.ahead import map_ahead
from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.errors import UsageProblem
from cxrbatch.objects.client import in_words, listed
from cxrbatch.objects.reading import N_REQUESTS, stated_version
from cxrbatch.reasons import Reason
from cxrbatch.records import NOWHERE, Failure, FoundFile, ObjectPrefix


def walk_objects(place: ObjectPrefix) -> Iterator[FoundFile]:
    """List the objects below a prefix, in a fixed order, with their versions.

    What marks a folder, an object whose key ends in ``/``, is no file.

    Yields
    ------
    FoundFile
        One for every object; with a failure where its version cannot be had, or its key not be asked for.

    Raises
    ------
    UsageProblem
        The prefix cannot be listed.
    """
    yield from (found for _, found in map_ahead(_with_version, list_objects(place), N_REQUESTS))


def list_objects(place: ObjectPrefix) -> Iterator[FoundFile]:
    """List the objects below a prefix; their versions have size and time only."""
    before, n_same = "", 0
    try:
        for info in _files(place):
            n_same = n_same + 1 if info.path == before else 0
            before = info.path
            name = info.path[len(place.path) + 1 :] or "/"
            # A key that ends in "/" is listed without that end, and then may be that of another object.
            yield _found(place, name + n_same * "/", info)
    except OSError as error:
        raise UsageProblem(f"{place}: {in_words(error)}") from None


def _files(place: ObjectPrefix) -> Iterator[Any]:
    """List one folder of the prefix after the other: pyarrow holds in memory whatever it lists at once."""
    top = listed(place.path, recursive=False)
    if any(_is_odd(info, place) for info in top):
        yield from _popped(listed(place.path, recursive=True))
        return
    for info in top:
        if info.is_file:
            yield info
        else:
            yield from _popped(listed(info.path, recursive=True))


def _is_odd(info: Any, place: ObjectPrefix) -> bool:
    """Check for a folder without a name, which cannot be listed by itself."""
    return not info.is_file and info.path.rstrip("/") == place.path


def _popped(infos: list[Any]) -> Iterator[Any]:
    """Yield the files, and give back the memory of each."""
    infos.reverse()
    while infos:
        info = infos.pop()
        if info.is_file:
            yield info


def _found(place: ObjectPrefix, name: str, info: Any) -> FoundFile:
    version = FileVersion(size_bytes=info.size, mtime_ns=info.mtime_ns or 0)
    return FoundFile(path=NOWHERE, object=place.object(name), name=name, version=version)


def _with_version(file: FoundFile) -> FoundFile:
    if file.object is None or not file.object.is_plain:
        return _refused(file, Reason.UNREADABLE, "a key with an empty part, . or .. is not asked for")
    try:
        stated = stated_version(file.object)
    except OSError as error:
        return _refused(file, Reason.UNREADABLE, in_words(error))
    if stated.size_bytes != file.version.size_bytes:
        return _refused(file, Reason.STILL_CHANGING, "its size is not the one that was listed")
    return replace(file, version=replace(file.version, tag=stated.tag))


def _refused(file: FoundFile, reason: Reason, detail: str) -> FoundFile:
    return replace(file, failure=Failure(name=file.name, reason=reason, detail=detail))

"""List a folder that others may change meanwhile: its descriptor and the names in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Open a folder, which may have been replaced by a link: that is not followed.

    Yields
    ------
    int
        Its descriptor.

    Raises
    ------
    OSError
        It is a link or no folder, or cannot be opened.
    """
    descriptor = os.open(folder, _OPEN_FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(descriptor: int) -> list[bytes]:
    """List the names in a folder in their order, each once: a listing may repeat a name while files come and go.

    Returns
    -------
    list of bytes
        A name that ends in ``/`` is that of a folder.
    """
    with os.scandir(descriptor) as listing:
        names = {os.fsencode(entry.name) + (b"/" if _is_folder(entry) else b"") for entry in listing}
    return sorted(names, key=lambda name: name.removesuffix(b"/"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # what it is, and why nobody may know, is said when it is looked at
        return False

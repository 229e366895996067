"""Take uploaded files in: form out of the network in, jobs at the desk out."""

import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.db import transaction

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure
from cxrbatch.web import spool
from cxrbatch.web.archives import ArchiveRefused, Budget, Member, count_members, extract, is_archive
from cxrbatch.web.models import Upload, UploadedImage
from cxrbatch.web.options import ServeOptions
from cxrbatch.web.outcomes import columns_of
from cxrbatch.web.service import desk, options
from cxrbatch.web.worker import Job

_HEAD_BYTES = 8
_NAME_LENGTH = 200
_INFLATED_TIMES = 4
"""An archive may inflate to so many times the largest upload."""


class SpooledFile(UploadedFile):
    """A file of a form, in the spool."""

    def __init__(self, handler: "SpoolHandler", name: str, size: int) -> None:
        super().__init__(name=name, size=size)
        self.path = handler.path
        self._handler = handler

    def keep(self) -> None:
        """Let the file stay in the spool after the request; without this it is deleted."""
        self._handler.opened.discard(self.path)


class SpoolHandler(FileUploadHandler):
    """Writes each file of a form into the spool while it arrives; too large a file ends the form."""

    chunk_size = 1 << 18
    path: Path

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.opened: set[Path] = set()
        self._stream: BinaryIO | None = None

    @cached_property
    def _folder(self) -> Path:
        return options().spool  # asks for every folder above it

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Open a file in the spool; what strangers send is passed over."""
        super().new_file(*args, **kwargs)
        if self.request is None or not self.request.user.is_authenticated:
            raise SkipFile
        self.path, self._stream = spool.create(self._folder)
        self.opened.add(self.path)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a part of a file."""
        if start + len(raw_data) > options().max_upload_bytes:
            raise StopUpload(connection_reset=True)
        if self._stream:
            self._stream.write(raw_data)

    def file_complete(self, file_size: int) -> SpooledFile:
        """Close the file."""
        if self._stream:
            self._stream.close()
        return SpooledFile(self, self.file_name or "", file_size)

    def clean(self) -> None:
        """Delete what was not kept: a form that is not whole, has no token, or is from somebody who may not."""
        if self._stream:
            self._stream.close()
        for path in self.opened:
            path.unlink(missing_ok=True)


def take(upload: Upload, files: Sequence[SpooledFile], names: Sequence[str]) -> list[UploadedImage]:
    """Take the files of a form into an upload; archives are inflated.

    Parameters
    ----------
    names : sequence of str
        Names with folders, as the browser states them; the name of the file where one is missing.

    Raises
    ------
    QueueFull
        Too many images wait; nothing was taken.
    """
    members = [
        member
        for number, file in enumerate(files)
        for member in _members(file, names[number] if number < len(names) else file.name or "", options())
    ]
    images = _stored(upload, members)
    for file in files:
        file.keep()
    return images


def _members(file: SpooledFile, name: str, how: ServeOptions) -> list[Member]:
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not is_archive(head):
        return [Member(name, file.path)]
    try:
        count_members(file.path, how.max_queue - desk().n_waiting)
        budget = Budget(_INFLATED_TIMES * how.max_upload_bytes, how.engine.limits.file_bytes)
        return [
            Member(f"{name}/{member.name}", member.path, member.failure)
            for member in extract(file.path, how.spool, budget)
        ]
    except ArchiveRefused as error:
        return [Member(name, failure=Failure(name=name, reason=Reason.PACKED_FILE, detail=str(error)))]
    finally:
        file.path.unlink(missing_ok=True)


def _stored(upload: Upload, members: Sequence[Member]) -> list[UploadedImage]:
    first = upload.images.count()
    images = [
        UploadedImage(upload=upload, number=first + number, name=shown_name(member.name))
        for number, member in enumerate(members, start=1)
    ]
    jobs = [
        Job(image.id.hex, member.path, image.name)
        for image, member in zip(images, members, strict=True)
        if member.path
    ]
    try:
        with transaction.atomic():
            _note_failures(images, members)
            UploadedImage.objects.bulk_create(images)
            desk().submit(jobs)
    except BaseException:
        for job in jobs:
            job.path.unlink(missing_ok=True)
        raise
    return images


def _note_failures(images: Sequence[UploadedImage], members: Sequence[Member]) -> None:
    """Give images without a file their outcome; in the transaction, so that later moments are those of later ones."""
    for image, member in zip(images, members, strict=True):
        if member.failure:
            for column, value in columns_of(member.failure).items():
                setattr(image, column, value)


def shown_name(name: str) -> str:
    """Shorten a name to what is shown: no way out of a folder, no sign that cannot be stored."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    text = unicodedata.normalize("NFC", "/".join(parts) or "file").replace("\0", "\\0")
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _NAME_LENGTH else f"…{text[-_NAME_LENGTH + 1 :]}"

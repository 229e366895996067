"""Store the outcomes of uploads, and read them again: records in, rows of ``web.sqlite`` out."""

import base64
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from cxrbatch.records import Evidence, Failure, Outcome, file_row
from cxrbatch.web import spool
from cxrbatch.web.maps import Maps
from cxrbatch.web.models import Status, UploadedImage
from cxrbatch.web.options import ServeOptions
from cxrbatch.web.worker import Job

_STOPPED = "the server was stopped before this file was read: upload it again"
_ENDED = "the scoring process ended three times: upload the file again, or tell the technician"


def columns_of(outcome: Outcome) -> dict[str, Any]:
    """Make the columns of an outcome."""
    header = outcome.header
    return {
        "status": Status(outcome.status),
        "row": {column: value for column, value in file_row(outcome).items() if column != "file"},
        "flags": [] if isinstance(outcome, Failure) else sorted(outcome.flags),
        "patient_key": json.dumps(header.patient_key) if header else "",
        "has_picture": bool(outcome.thumbnail),
        "thumbnail": outcome.thumbnail,
        "finished": timezone.now(),
    }


def store_outcomes(options: ServeOptions, finished: Sequence[tuple[Job, Outcome]]) -> None:
    """Store outcomes in one transaction, then delete their files."""
    with transaction.atomic():
        for job, outcome in finished:
            UploadedImage.objects.filter(id=UUID(job.id)).update(**columns_of(outcome))
    for job, _ in finished:
        spool.dispose(job.path, options.keep_uploads)


def store_maps(made: Sequence[Maps]) -> None:
    """Store maps in one transaction; their images are news again."""
    with transaction.atomic():
        for one in made:
            pngs = {item.question: base64.b64encode(item.png).decode() for item in one.evidence}
            columns = {"maps": pngs, "outside_lungs": one.outside_lungs, "finished": timezone.now()}
            UploadedImage.objects.filter(id=UUID(one.id)).update(**columns)


def evidence_of(image: UploadedImage) -> tuple[Evidence, ...]:
    """Read the maps of an image; none where they are not made yet, or the network allows none."""
    return tuple(
        Evidence(question=question, png=base64.b64decode(png)) for question, png in (image.maps or {}).items()
    )


def give_up(jobs: Sequence[Job], detail: str = _ENDED) -> None:
    """Mark images that will have no outcome, and delete their files."""
    for job in jobs:
        spool.dispose(job.path, None)
    waiting = UploadedImage.objects.filter(id__in=[UUID(job.id) for job in jobs], status=Status.WAITING)
    waiting.update(status=Status.INTERRUPTED, row={"detail": detail}, finished=timezone.now())


def mark_interrupted() -> int:
    """Mark what an earlier server left without an outcome; return how many."""
    waiting = UploadedImage.objects.filter(status=Status.WAITING)
    return int(waiting.update(status=Status.INTERRUPTED, row={"detail": _STOPPED}, finished=timezone.now()))

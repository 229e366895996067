"""Uploads: files in, results as they come."""

import datetime as dt
from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST, require_safe

from cxrbatch._lib.csv import csv_bytes
from cxrbatch.reasons import Reason
from cxrbatch.records import FILE_COLUMNS, FINDINGS, Failure, ImageHeader, ImageScore, Outcome
from cxrbatch.report import annotated_thumbnail
from cxrbatch.web.desk import QueueFull
from cxrbatch.web.environment import pages
from cxrbatch.web.intake import take
from cxrbatch.web.models import Role, Status, Upload, UploadedImage
from cxrbatch.web.outcomes import evidence_of
from cxrbatch.web.service import desk, options
from cxrbatch.web.trail import record
from cxrbatch.web.views.errors import error_page

_COLUMNS = (*FILE_COLUMNS, "flags")
_MOST_UPLOADS = 100
_MOST_NEWS = 200


def mine(request: Any, number: Any) -> Upload:
    """Find an upload of this user, or of anybody for an admin; 404 otherwise."""
    found = Upload.objects.filter(id=number).first()
    if found is None or not (found.user_id == request.user.pk or request.user.may(Role.ADMIN)):
        raise Http404
    return found


@require_safe
def overview(request: Any) -> Any:
    """List the uploads of the user."""
    found = Upload.objects.filter(user=request.user).order_by("-created")[:_MOST_UPLOADS]
    listed = [
        (upload, upload.images.count(), upload.images.filter(status=Status.WAITING).count())
        for upload in found
    ]
    return render(request, "uploads.html", {"uploads": listed})


def new(request: Any) -> Any:
    """Show the form; a form that is sent makes an upload, and takes its files if it has any."""
    if request.method != "POST":
        return render(request, "upload.html", {"upload": None, "images": [], **_queue(request)})
    try:
        desk().check_room()
        files = request.FILES.getlist("files")
        upload = Upload.objects.create(user=request.user)
        take(upload, files, request.POST.getlist("names"))
    except QueueFull as error:
        return error_page(request, str(error), 503)
    record(request, "upload", f"upload {upload.id.hex[:8]}", f"{len(files)} files")
    if _wants_json(request):
        return JsonResponse({"page": f"/uploads/{upload.id}/"})
    return redirect("upload", upload.id)


@require_safe
def show(request: Any, number: Any) -> Any:
    """Show an upload with its results."""
    upload = mine(request, number)
    record(request, "results", f"upload {upload.id.hex[:8]}")
    images = upload.images.order_by("number").defer("thumbnail")
    return render(request, "upload.html", {"upload": upload, "images": images, **_queue(request)})


@require_POST
def add(request: Any, number: Any) -> Any:
    """Take further files into an upload; for the script of the page."""
    upload = mine(request, number)
    try:
        desk().check_room()
        images = take(upload, request.FILES.getlist("files"), request.POST.getlist("names"))
    except QueueFull as error:
        return JsonResponse({"error": str(error)}, status=503)
    record(request, "upload", f"upload {upload.id.hex[:8]}", f"{len(images)} images")
    return JsonResponse({"rows": [_rendered(image) for image in images]})


@require_GET
def news(request: Any, number: Any) -> Any:
    """Send the results that have come in since the moment that is given."""
    upload = mine(request, number)
    # Counted first: of what comes in meanwhile the page hears at the next question.
    n_waiting = upload.images.filter(status=Status.WAITING).count()
    images = upload.images.filter(finished__isnull=False).order_by("finished").defer("thumbnail")
    if since := _moment(request.GET.get("since", "")):
        images = images.filter(finished__gte=since)
    found = list(images[:_MOST_NEWS])
    return JsonResponse(
        {
            "rows": [_rendered(image) for image in found],
            "since": found[-1].finished.isoformat() if found else request.GET.get("since", ""),
            "waiting": n_waiting,
            "maps": desk().makes_maps
            and upload.images.filter(status=Status.SCORED, maps__isnull=True).exists(),
            "more": len(found) == _MOST_NEWS,
            "seconds": round(desk().seconds_left()),
            "ready": desk().is_ready,
            "error": desk().error,
        }
    )


@require_safe
def table(request: Any, number: Any) -> Any:
    """Send the results as CSV, with the columns of ``report.files.csv`` and the flags."""
    upload = mine(request, number)
    rows = [
        {"file": image.name, "status": image.status, **image.row, "flags": ";".join(image.flags)}
        for image in upload.images.order_by("number").defer("thumbnail")
    ]
    record(request, "table", f"upload {upload.id.hex[:8]}")
    response = HttpResponse(csv_bytes(_COLUMNS, rows, "utf-8-sig"), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="results.csv"'
    return response


@require_POST
def delete(request: Any, number: Any) -> Any:
    """Delete an upload with its results; what still waits is read and then forgotten."""
    upload = mine(request, number)
    record(request, "deleted", f"upload {upload.id.hex[:8]}")
    upload.delete()
    return redirect("uploads")


@require_safe
def picture(request: Any, number: Any, image: Any) -> Any:
    """Send the image as the network saw it."""
    return HttpResponse(_with_picture(request, number, image).thumbnail, content_type="image/jpeg")


@require_safe
def map_of_picture(request: Any, number: Any, image: Any, question: str) -> Any:
    """Send a map of where the network looked, to be laid over the image."""
    found = evidence_of(_with_picture(request, number, image))
    png = next((one.png for one in found if one.question == question), None)
    if png is None:
        raise Http404
    return HttpResponse(png, content_type="image/png")


@require_safe
def annotated_picture(request: Any, number: Any, image: Any) -> Any:
    """Send the image with its result written on it, and its maps beside it."""
    found = _with_picture(request, number, image)
    response = HttpResponse(content_type="image/png")
    drawn = annotated_thumbnail(bytes(found.thumbnail), _outcome(found), evidence_of(found))
    drawn.save(response, "PNG")
    response.headers["Content-Disposition"] = f'attachment; filename="image-{found.number}.result.png"'
    return response


def _with_picture(request: Any, number: Any, image: Any) -> UploadedImage:
    found = mine(request, number).images.filter(id=image).first()
    if found is None or not found.thumbnail:
        raise Http404
    return found


def _outcome(image: UploadedImage) -> Outcome:
    if image.status != Status.SCORED:
        return Failure(
            name=image.name, reason=Reason(image.row["reason"]), detail=image.row.get("detail", "")
        )
    covid, pneumonia, normal = (image.row[f"score_{finding}"] for finding in FINDINGS)
    header = ImageHeader(patient_key=("file", image.name), patient_id=image.name)
    return ImageScore(name=image.name, header=header, scores=(covid, pneumonia, normal), pixels_sha256="")


def _queue(request: Any) -> dict[str, Any]:
    return {"desk": desk(), "most_bytes": options().max_upload_bytes, "may_keep": options().keep_uploads}


def _rendered(image: UploadedImage) -> dict[str, str]:
    module = pages().get_template("image_row.html").module
    return {"id": image.id.hex, "html": str(module.image_row(image))}  # type: ignore[attr-defined]


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if timezone.is_aware(moment) else None


def _wants_json(request: Any) -> bool:
    return "application/json" in request.headers.get("Accept", "")

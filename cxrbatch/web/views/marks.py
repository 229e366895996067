"""Enter swabs and results, take them back, and mark what a person has looked at."""

import datetime as dt
import json
from typing import Any

from django.http import HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from cxrbatch.results import enter_result, undo_entry
from cxrbatch.web.models import Review, Role
from cxrbatch.web.service import options
from cxrbatch.web.trail import record
from cxrbatch.web.views.lists import read_state, row_of, today
from cxrbatch.web.views.rights import needs

ANSWERS = {"swabbed": None, "positive": True, "negative": False}


@require_POST
@needs(Role.TESTER)
def enter(request: Any, run: int, position: int) -> Any:
    """Store a swab or a result for a patient; it lands where ``results import`` lands."""
    answer, day = request.POST.get("answer", ""), _day(request.POST.get("day", ""))
    if answer not in ANSWERS or day is None:
        return HttpResponseBadRequest("answer or day missing", content_type="text/plain")
    with read_state() as state:
        patient = row_of(state, run, position).entry.patient_key
    number = enter_result(options().state, patient, day, ANSWERS[answer], request.user.get_username())
    record(request, f"entered {answer}", f"run {run}, position {position}", f"import {number}, day {day}")
    return _back(request, run, position)


@require_POST
@needs(Role.TESTER)
def undo(request: Any, run: int, position: int) -> Any:
    """Take back what was entered by hand for this patient."""
    number = request.POST.get("number", "")
    if not number.isdecimal() or len(number) > 15:
        return HttpResponseBadRequest("number missing", content_type="text/plain")
    with read_state() as state:
        patient = row_of(state, run, position).entry.patient_key
    undone = undo_entry(options().state, patient, int(number), request.user.get_username())
    record(request, f"undid {undone.word}", f"run {run}, position {position}", f"import {number}")
    return _back(request, run, position)


@require_POST
@needs(Role.TESTER)
def looked_at(request: Any, run: int, position: int) -> Any:
    """Mark that a person has looked at a radiograph without a score, or take the mark away."""
    with read_state() as state:
        row = row_of(state, run, position)
    is_done = request.POST.get("done") == "1"
    Review.objects.filter(image=row.image or 0).delete()
    if is_done:
        Review.objects.create(
            image=row.image or 0,
            patient_key=json.dumps(row.entry.patient_key),
            username=request.user.get_username(),
        )
    record(request, "looked at" if is_done else "not looked at", f"run {run}, position {position}")
    return _back(request, run, position)


def _day(text: str) -> dt.date | None:
    if not text:
        return today()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _back(request: Any, run: int, position: int) -> Any:
    """Go back to the page of the form, if it is one of ours."""
    target = request.POST.get("back", "")
    if target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        return redirect(target)
    return redirect("patient", run, position)

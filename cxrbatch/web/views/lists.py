"""The night's list, one patient, and the nights before."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from cxrbatch._lib.clock import system_clock
from cxrbatch.reasons import Flag
from cxrbatch.records import Priority
from cxrbatch.state import SORTS, ListQuery, ListRow, Run, State, open_state
from cxrbatch.web.foreign_pages import with_way_back
from cxrbatch.web.models import Review, TrailEntry
from cxrbatch.web.service import desk, options
from cxrbatch.web.trail import record

PAGE = 50
TABS = {"ranked": "Swab list", "not_scored": "A human must look", "swabbed": "Waiting for a result"}
_LONGEST_TEXT = 64
_POLICY = re.compile(
    rb"""<meta http-equiv="Content-Security-Policy" content="(default-src 'none';[^"\r\n]*)">"""
)
"""What a report allows itself; a file without it is none."""


@contextmanager
def read_state() -> Iterator[State]:
    """Open the state for reading; 404 where no night was screened yet."""
    if not options().state.is_file():
        raise Http404
    with open_state(options().state, read_only=True) as state:
        yield state


def finished_runs(state: State) -> list[Run]:
    """List the finished runs, the latest first."""
    return [run for run in state.runs() if run.finished][::-1]


@require_safe
def home(request: Any) -> Any:
    """Show the list of the last night, or say that there is none yet."""
    is_there = options().state.is_file()
    if is_there:
        with read_state() as state:
            if runs := finished_runs(state):
                return redirect("night", runs[0].id)
    is_lost = not is_there and TrailEntry.objects.filter(action="list").exists()
    return render(request, "no_night.html", {"desk": desk(), "is_lost": is_lost})


@require_safe
def nights(request: Any) -> Any:
    """List the nights."""
    with read_state() as state:
        runs = finished_runs(state)
    return render(request, "nights.html", {"runs": runs})


@require_safe
def night(request: Any, run: int) -> Any:
    """Show one page of the list of a run."""
    query = query_of(request, run)
    with read_state() as state:
        found = run_of(state, run)
        has_report = _page_of(state, found) is not None
        rows, n_found = state.pages.find(query)
        counts = state.pages.counts(run)
    record(request, "list", f"run {run}", f"{query.status}, from {query.offset + 1}")
    context = {
        "run": found,
        "has_report": has_report,
        "rows": rows,
        "query": query,
        "n_found": n_found,
        "n_pages": max(-(-n_found // PAGE), 1),
        "page": query.offset // PAGE + 1,
        "counts": counts,
        "tabs": TABS,
        "sorts": SORTS,
        "flags_known": tuple(Flag),
        "priorities": tuple(Priority),
        "capacity": options().capacity,
        "looked_at": _looked_at(rows),
        "today": today(),
        "link": _Link(request),
        "back": request.get_full_path(),
    }
    return render(request, "night.html", context)


@require_safe
def patient(request: Any, run: int, position: int) -> Any:
    """Show one patient: images, lists of all nights, swabs and results."""
    with read_state() as state:
        found = run_of(state, run)
        row = row_of(state, run, position)
        key = row.entry.patient_key
        context = {
            "run": found,
            "row": row,
            "images": state.pages.images(key),
            "history": state.pages.history(key),
            "marks": state.pages.marks(key),
            "large": state.pages.large_image(key),
        }
    record(request, "patient", f"run {run}, position {position}")
    return render(request, "patient.html", {**context, "today": today(), "looked_at": _looked_at([row])})


@require_safe
def thumbnail(request: Any, run: int, position: int, image: int) -> Any:
    """Send the small image of a patient; of an image of another patient there is none at this address."""
    with read_state() as state:
        content = state.pages.thumbnail(image, row_of(state, run, position).entry.patient_key)
    if not content:
        raise Http404
    return HttpResponse(content, content_type="image/jpeg")


@require_safe
def large_image(request: Any, run: int, position: int) -> Any:
    """Send the large image that is kept of the first patients of the last list."""
    with read_state() as state:
        found = state.pages.large_image(row_of(state, run, position).entry.patient_key)
    if not found:
        raise Http404
    return HttpResponse(found[1], content_type="image/jpeg")


@require_safe
def report(request: Any, run: int) -> Any:
    """Show the page of the report of a night, as it was written, with its own script and style, by hash."""
    with read_state() as state:
        page = _page_of(state, run_of(state, run))
    content = page.read_bytes() if page else b""
    policy = _POLICY.search(content)
    if not policy:
        raise Http404
    record(request, "report", f"run {run}")
    shown = with_way_back(content.decode("utf-8", "replace"))
    response = HttpResponse(shown, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = f"{policy[1].decode()}; frame-ancestors 'none'"
    return response


def _page_of(state: State, run: Run) -> Path | None:
    """Find the page of the report of a run; None if it is gone, or a later run has written over it."""
    if not run.page or any(other.id > run.id and other.page == run.page for other in state.runs()):
        return None
    return Path(run.page) if Path(run.page).is_file() else None


def run_of(state: State, number: int) -> Run:
    """Find a finished run; 404 if there is none."""
    found = next((run for run in state.runs() if run.id == number and run.finished), None)
    if found is None:
        raise Http404
    return found


def row_of(state: State, run: int, position: int) -> ListRow:
    """Find a line of a list; 404 if there is none."""
    row = state.pages.at(run, position)
    if row is None:
        raise Http404
    return row


def query_of(request: Any, run: int) -> ListQuery:
    """Read what to show from the address; what makes no sense is left out."""
    given = request.GET
    page = int(given["page"]) if given.get("page", "").isdecimal() and len(given["page"]) < 7 else 1
    return ListQuery(
        run=run,
        status=_one_of(given.get("status", ""), TABS, "ranked"),
        priority=_one_of(given.get("priority", ""), tuple(Priority)),
        flag=_one_of(given.get("flag", ""), tuple(Flag)),
        text=given.get("text", "").strip()[:_LONGEST_TEXT],
        open_only=given.get("open") == "1",
        sort=_one_of(given.get("sort", ""), SORTS, "position"),
        offset=(max(page, 1) - 1) * PAGE,
        limit=PAGE,
    )


def _one_of(value: str, known: Any, otherwise: str = "") -> str:
    return value if value in known else otherwise


def today() -> dt.date:
    """Return the present day."""
    return system_clock().date()


class _Link:
    """Makes addresses of the same page with something changed."""

    def __init__(self, request: Any) -> None:
        self._given = request.GET

    def __call__(self, **changes: Any) -> str:
        query = self._given.copy()
        query.pop("page", None)
        for name, value in changes.items():
            query[name] = value
        return f"?{query.urlencode()}"


def _looked_at(rows: list[ListRow]) -> dict[int, Review]:
    """Find who has looked at the images of lines without a score, by number of the image."""
    images = [row.image for row in rows if row.image is not None]
    return {review.image: review for review in Review.objects.filter(image__in=images)}

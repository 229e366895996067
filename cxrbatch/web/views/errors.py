"""Pages of errors: one sentence, and nothing of what was asked for."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import render


def error_page(request: Any, text: str, status: int) -> Any:
    """Render a sentence."""
    return render(request, "error.html", {"text": text}, status=status)


def bad_request(request: Any, exception: Any = None) -> Any:
    """Answer a request that is none."""
    return error_page(request, "This request cannot be understood.", 400)


def forbidden(request: Any, exception: Any = None) -> Any:
    """Answer a user who may not."""
    return error_page(request, "You may not do this. Ask an admin for another role.", 403)


def not_found(request: Any, exception: Any = None) -> Any:
    """Answer for what is not there, or is not this user's."""
    return error_page(request, "There is no such page.", 404)


def internal(request: Any) -> Any:
    """Answer after an error of the program."""
    return error_page(request, "Internal error. Nothing was changed.", 500)


def csrf_failure(request: Any, reason: str = "") -> Any:
    """Answer a form that does not come from a page of this service."""
    return error_page(request, "This form is too old, or not from here: load the page again.", 403)


@login_not_required
def health(request: Any) -> Any:
    """Say that the service runs, for a proxy."""
    return HttpResponse("ok\n", content_type="text/plain")

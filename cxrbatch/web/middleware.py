"""Set headers that keep pages from running foreign code, end sessions, and answer errors without a traceback."""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404

from cxrbatch.errors import CxrbatchError, NewerState, OlderState
from cxrbatch.web.intake import SpoolHandler
from cxrbatch.web.models import Role, User
from cxrbatch.web.views.errors import error_page

_LOG = logging.getLogger(__name__)
GetResponse = Callable[[Any], Any]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, nothing from elsewhere (CSP level 3)."""

_OF_ANOTHER_VERSION = {
    NewerState: "cxrbatch was updated, and these pages still run with the version before: the lists cannot be shown. "
    "Nothing is lost. Ask the technician to start the service again (systemctl restart cxrbatch-serve).",
    OlderState: "These lists were made by an older cxrbatch than the one that shows these pages. Nothing is lost: "
    "the next run of cxrbatch screen, or a restart of the service when no run is at work, brings them up to date.",
}
"""What people read, who know nothing of versions; the log has them."""

_IDLE_S, _LONGEST_S, _NOTED_EVERY_S = 30 * 60, 12 * 3600, 60


class ContentPolicyMiddleware:
    """Adds the Content-Security-Policy, and keeps answers out of caches."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class SpoolMiddleware:
    """Deletes the files of a request that no view has kept."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        handlers = [SpoolHandler(request)]
        request.upload_handlers = handlers
        try:
            return self._get_response(request)
        finally:
            handlers[0].clean()


class SessionEndMiddleware:
    """Ends a session after 30 minutes without a click, and after 12 hours in any case."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        if request.user.is_authenticated:
            now = int(time.time())
            began, seen = request.session.setdefault("began", now), request.session.setdefault("seen", now)
            if now - seen > _IDLE_S or now - began > _LONGEST_S:
                logout(request)
            elif now - seen > _NOTED_EVERY_S and not request.headers.get("X-Poll"):
                request.session["seen"] = now
        return self._get_response(request)


class DemoUserMiddleware:
    """Signs everybody in as the user of the demonstration, on this machine only."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        if not (settings.CXRBATCH.demo and settings.CXRBATCH.is_local):
            raise PermissionDenied
        request.user, _ = User.objects.get_or_create(username="demo", defaults={"role": Role.TESTER})
        return self._get_response(request)


class ErrorMiddleware:
    """Answers errors with a page of one sentence; internal ones with their kind, never with what they say."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        return self._get_response(request)

    def process_exception(self, request: Any, error: Exception) -> Any:
        """Turn an exception of a view into a page."""
        if isinstance(error, Http404 | PermissionDenied | SuspiciousOperation):
            return None
        if isinstance(error, NewerState | OlderState):
            _LOG.error("%s", error)
            return error_page(request, _OF_ANOTHER_VERSION[type(error)], 409)
        if isinstance(error, CxrbatchError):
            return error_page(request, str(error), 409)
        _LOG.error(
            "%s answered with an internal error (%s)", request.resolver_match.view_name, type(error).__name__
        )
        if os.environ.get("CXRBATCH_DEBUG"):
            raise error
        return error_page(request, f"Internal error ({type(error).__name__}). Nothing was changed.", 500)

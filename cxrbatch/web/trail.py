"""Write the audit trail: who saw or changed what. It names no patient."""

from typing import Any

from cxrbatch.web.models import TrailEntry


def record(request: Any, action: str, subject: str = "", detail: str = "", username: str = "") -> None:
    """Add an entry for the user of a request."""
    TrailEntry.objects.create(
        username=username or request.user.get_username(),
        action=action,
        subject=subject,
        detail=detail[:128],
        address=address_of(request),
    )


def address_of(request: Any) -> str:
    """Return the address that a request came from; behind a proxy the server has put it there."""
    return str(request.META.get("REMOTE_ADDR", ""))[:45]

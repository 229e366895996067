"""What the views share while the service runs: its options and its desk."""

from django.conf import settings

from cxrbatch.web.desk import Desk
from cxrbatch.web.options import ServeOptions

_DESKS: list[Desk] = []


def options() -> ServeOptions:
    """Return the options of the service."""
    found: ServeOptions = settings.CXRBATCH
    return found


def set_desk(desk: Desk) -> None:
    """Set the desk; once, when the service starts."""
    _DESKS[:] = [desk]


def desk() -> Desk:
    """Return the desk."""
    return _DESKS[0]

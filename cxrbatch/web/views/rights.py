"""Check what a user may do."""

import functools
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied

from cxrbatch.web.models import Role
from cxrbatch.web.trail import record

View = Callable[..., Any]


def needs(role: Role) -> Callable[[View], View]:
    """Make a view refuse users without a role; the refusal is in the audit trail."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def checked(request: Any, *args: Any, **kwargs: Any) -> Any:
            if not request.user.may(role):
                record(request, "refused", detail=f"{view.__name__} needs {role}")
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return checked

    return decorate

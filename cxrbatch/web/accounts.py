"""Users, invitations and the lock-out: who may come in."""

import datetime as dt
import hashlib
import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from cxrbatch.web.models import Invite, LoginFailure, Role, User

_INVITED = dt.timedelta(hours=24)
_WINDOW = dt.timedelta(minutes=15)
MOST_OF_NAME, MOST_OF_ADDRESS = 10, 50
"""Failures within 15 minutes after which a name, or an address, has to wait."""
NAME_SIGNS = r"[\w.@-]{2,64}"


def make_invite(role: Role, username: str = "") -> str:
    """Make an invitation, and return its token; earlier ones for this name end."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Invite.objects.filter(username=username).delete()
        Invite.objects.create(
            token_sha256=_digest(token), username=username, role=role, expires=timezone.now() + _INVITED
        )
    return token


def find_invite(token: str) -> Invite | None:
    """Find an invitation that still counts."""
    return Invite.objects.filter(token_sha256=_digest(token), expires__gt=timezone.now()).first()


def accept(invite: Invite, username: str, password: str) -> User:
    """Make the user of an invitation, or set the password of one who exists.

    Raises
    ------
    ValidationError
        The password is too weak, or the name is taken.
    """
    name = invite.username or username
    with transaction.atomic():
        user = User.objects.filter(username=name).first()
        if user and not invite.username:
            raise ValidationError("This name is taken.")
        user = user or User(username=name)
        user.role = invite.role
        validate_password(password, user)
        user.set_password(password)
        user.save()
        invite.delete()
    unlock(name)
    return user


def is_locked(username: str, address: str) -> bool:
    """Check whether a name or an address has failed too often."""
    recent = LoginFailure.objects.filter(moment__gt=timezone.now() - _WINDOW)
    return (
        recent.filter(username=_folded(username)).count() >= MOST_OF_NAME
        or recent.filter(address=address).count() >= MOST_OF_ADDRESS
    )


def note_failure(username: str, address: str) -> None:
    """Count a failure; those of long ago are deleted."""
    LoginFailure.objects.filter(moment__lt=timezone.now() - _WINDOW).delete()
    LoginFailure.objects.create(username=_folded(username), address=address)


def unlock(username: str) -> None:
    """Forget the failures of a name."""
    LoginFailure.objects.filter(username=_folded(username)).delete()


def _folded(username: str) -> str:
    return username.casefold()[:64]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def n_admins(without: Any = None) -> int:
    """Count the admins who can sign in, without one of them."""
    found = User.objects.filter(role=Role.ADMIN, is_active=True)
    return int((found.exclude(pk=without.pk) if without else found).count())

"""Sign in and out, set a password, and manage users."""

import re
from typing import Any

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cxrbatch.web import accounts
from cxrbatch.web.models import Role, User
from cxrbatch.web.service import options
from cxrbatch.web.trail import address_of, record
from cxrbatch.web.views.rights import needs

_WAIT = "Too many attempts. Wait 15 minutes, or ask an admin for a new link."


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: Any) -> Any:
    """Show the form, and sign in; the session is a new one."""
    if options().demo or request.user.is_authenticated:
        return redirect("home")
    error = ""
    if request.method == "POST":
        name, address = request.POST.get("username", ""), address_of(request)
        if accounts.is_locked(name, address):
            record(request, "locked out", username=name[:64])
            return render(request, "login.html", {"error": _WAIT, "next": ""}, status=429)
        user = authenticate(request, username=name, password=request.POST.get("password", ""))
        if user is not None:
            accounts.unlock(name)
            login(request, user)
            record(request, "signed in")
            return redirect(_next(request))
        accounts.note_failure(name, address)
        record(request, "sign-in failed", username=name[:64])
        error = "Name or password is wrong."
    given = request.POST.get("next") or request.GET.get("next", "")
    return render(request, "login.html", {"error": error, "next": given}, status=401 if error else 200)


@require_POST
def sign_out(request: Any) -> Any:
    """End the session."""
    record(request, "signed out")
    logout(request)
    return redirect("login")


@login_not_required
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "POST"])
def welcome(request: Any, token: str) -> Any:
    """Let an invited person choose a password; the link works once."""
    invite = accounts.find_invite(token)
    if invite is None or options().demo:
        raise Http404
    errors: list[str] = []
    name = invite.username or request.POST.get("username", "").strip()
    if request.method == "POST":
        errors = _faults(request, name)
        if not errors:
            try:
                user = accounts.accept(invite, name, request.POST["password"])
            except ValidationError as error:
                errors = list(error.messages)
            else:
                login(request, user, backend="django.contrib.auth.backends.ModelBackend")
                record(request, "password set")
                return redirect("home")
    return render(request, "welcome.html", {"invite": invite, "name": name, "errors": errors})


@sensitive_post_parameters("old", "password", "again")
@require_http_methods(["GET", "POST"])
def password(request: Any) -> Any:
    """Change one's own password; other sessions of the user end."""
    errors: list[str] = []
    if request.method == "POST":
        errors = _faults(request, request.user.username)
        if not request.user.check_password(request.POST.get("old", "")):
            errors = ["The old password is wrong."]
        if not errors:
            try:
                validate_password(request.POST["password"], request.user)
            except ValidationError as error:
                errors = list(error.messages)
            else:
                request.user.set_password(request.POST["password"])
                request.user.save()
                update_session_auth_hash(request, request.user)
                record(request, "password changed")
                return redirect("home")
    return render(request, "password.html", {"errors": errors})


@require_safe
@needs(Role.ADMIN)
def users(request: Any) -> Any:
    """List the users."""
    return render(
        request,
        "users.html",
        {"users": User.objects.order_by("username"), "link": "", "of": "", "errors": []},
    )


@require_POST
@needs(Role.ADMIN)
def invite(request: Any) -> Any:
    """Make a link by which a person sets a password: a new user, or one who has forgotten it."""
    name, role = request.POST.get("username", "").strip(), request.POST.get("role", "")
    known = User.objects.filter(username=name).first()
    errors = (
        [] if re.fullmatch(accounts.NAME_SIGNS, name) else ["Names have 2 to 64 letters, digits, . @ - _"]
    )
    if role not in tuple(Role) and not known:
        errors.append("Choose a role.")
    link = ""
    if not errors:
        token = accounts.make_invite(Role(known.role if known else role), name)
        link = request.build_absolute_uri(f"/welcome/{token}/")
        record(request, "invited", detail=name)
    context = {"users": User.objects.order_by("username"), "link": link, "of": name, "errors": errors}
    return render(request, "users.html", context, status=400 if errors else 200)


@require_POST
@needs(Role.ADMIN)
def change(request: Any, number: int) -> Any:
    """Change the role of a user, or lock the user out; one admin always stays."""
    user = get_object_or_404(User, pk=number)
    role, is_active = request.POST.get("role", user.role), request.POST.get("active") == "1"
    if role not in tuple(Role):
        raise Http404
    if (role != Role.ADMIN or not is_active) and not accounts.n_admins(without=user):
        context = {
            "users": User.objects.order_by("username"),
            "link": "",
            "of": "",
            "errors": ["One admin must stay."],
        }
        return render(request, "users.html", context, status=409)
    user.role, user.is_active = role, is_active
    user.save()
    record(request, "user changed", detail=f"{user.username}: {role}, {'active' if is_active else 'locked'}")
    return redirect("users")


def _faults(request: Any, name: str) -> list[str]:
    given = request.POST.get("password", "")
    errors = (
        [] if re.fullmatch(accounts.NAME_SIGNS, name) else ["Names have 2 to 64 letters, digits, . @ - _"]
    )
    return errors if given == request.POST.get("again", "") else [*errors, "The two passwords differ."]


def _next(request: Any) -> str:
    target = request.POST.get("next", "")
    is_ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if is_ours else "/"

"""Pages, roles, and what strangers and other users get."""

import datetime as dt
import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.results import list_imports
from cxrbatch.state import SCHEMA_VERSION, open_state
from cxrbatch.web import ServeOptions
from tests.factories.nights import HOSTILE, JPEG, line, write_night
from tests.web.conftest import PASSWORD, StillDesk, stranger

pytest.importorskip("django")
pytestmark = pytest.mark.web
SignIn = Callable[..., Any]
LINE = "/lists/2/1/"


def upload(client: Any, *contents: bytes, name: str = "a.png", **more: Any) -> Any:
    files = [io.BytesIO(content) for content in contents]
    for file in files:
        file.name = name
    return client.post("/uploads/new/", {"files": files, **more})


def trail() -> list[str]:
    from cxrbatch.web.models import TrailEntry

    return [entry.action for entry in TrailEntry.objects.order_by("id")]


# --- what is shown


@pytest.mark.parametrize(
    ("page", "holds"),
    [
        ("/lists/2/", ["Swab these 1 first", "0.900", "Swab the one above first", "2 patients"]),
        ("/lists/2/?status=not_scored", ["lateral or oblique view", "Looked at"]),
        ("/lists/2/?text=B", ["1 patient", "0.400"]),
        ("/lists/2/?text=%25", ["0 patients"]),
        ("/lists/2/?sort=nonsense&page=x&priority=y&flag=z", ["2 patients"]),
        ("/lists/", ["2026-03-02", "2026-03-01"]),
        ("/lists/2/2/", ["0.400", "2026-03-01", "None."]),
        ("/uploads/new/", ["Upload radiographs"]),
        ("/uploads/", ["None yet."]),
        ("/password/", ["tester"]),
    ],
)
def test_pages_show_what_they_should(page: str, holds: list[str], sign_in: SignIn) -> None:
    answer = sign_in().get(page)
    assert answer.status_code == 200
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))
    assert [part for part in holds if part not in text] == []


def test_hostile_names_stay_text(sign_in: SignIn, desk: StillDesk) -> None:
    client = sign_in()
    number = upload(client, b"x", name=f"{HOSTILE}.png").url
    for page in ("/lists/2/", LINE, number):
        text = client.get(page).content.decode()
        assert HOSTILE not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text
    rows = client.get(f"{number}results.csv").content.decode("utf-8-sig")
    assert rows.splitlines()[1].startswith(HOSTILE)
    upload(client, b"x", name="=cmd()|' /C calc'!A0.png")


@pytest.mark.parametrize("page", ["/lists/2/", "/login/", "/nowhere/", "/health/"])
def test_every_answer_has_the_headers(page: str, sign_in: SignIn) -> None:
    headers = sign_in().get(page).headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert headers["Cache-Control"] == "no-store"


def test_pages_hold_no_inline_code(sign_in: SignIn) -> None:
    client = sign_in("admin")
    for page in ("/lists/2/", LINE, "/lists/", "/uploads/new/", "/users/", "/trail/", "/password/"):
        text = client.get(page).content.decode()
        assert re.findall(r"<script(?![^>]+src=)|<style|<[^>]*\s(?:on\w+|style)=|javascript:", text) == [], (
            page
        )
        assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []


@pytest.mark.parametrize(
    ("step", "advice"), [(1, "start the service again"), (-1, "next run of cxrbatch screen")]
)
def test_a_state_of_another_version_says_what_to_do(
    step: int, advice: str, sign_in: SignIn, application: ServeOptions
) -> None:
    """A newer `screen` brings the state up to date while the pages run."""
    client = sign_in()
    with closing(sqlite3.connect(application.state)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + step}")
    for answer in (
        client.get("/"),
        client.get("/lists/2/"),
        client.post(f"{LINE}enter/", {"answer": "swabbed"}),
    ):
        text = answer.content.decode()
        assert (answer.status_code, advice in text, "Nothing is lost" in text) == (409, True, True)
        assert str(application.state) not in text
    assert upload(client, b"x").status_code == 302


def test_a_state_that_is_gone_is_not_taken_for_a_new_one(sign_in: SignIn, application: ServeOptions) -> None:
    client = sign_in()
    client.get("/lists/2/")
    application.state.unlink()
    assert b"put the backup of the state back" in client.get("/").content
    assert client.get("/lists/").status_code == 404


# --- marks


def test_swabbed_then_positive_then_undone(sign_in: SignIn, application: ServeOptions) -> None:
    client = sign_in()
    assert client.post(f"{LINE}enter/", {"answer": "swabbed", "back": "/lists/2/"}).url == "/lists/2/"
    assert "swabbed" in client.get(LINE).content.decode()
    assert client.post(f"{LINE}enter/", {"answer": "positive"}).status_code == 302
    assert client.post(f"{LINE}enter/", {"answer": "negative"}).status_code == 409
    first, second = list_imports(application.state)
    assert (first.imported_by, first.n_swabbed, second.n_positive) == ("web:tester", 1, 1)
    assert "1 patient" in client.get("/lists/2/?open=1").content.decode()
    assert client.post(f"{LINE}undo/", {"number": second.id}).status_code == 302
    assert list_imports(application.state)[1].undone
    assert client.post("/lists/2/2/undo/", {"number": first.id}).status_code == 409
    assert {"entered swabbed", "entered positive", "undid positive"} <= set(trail())


def test_the_human_queue_has_done_marks(sign_in: SignIn) -> None:
    client = sign_in()
    client.post("/lists/2/3/looked-at/", {"done": "1"})
    page = "/lists/2/?status=not_scored"
    assert "looked at" in client.get(page).content.decode()
    client.post("/lists/2/3/looked-at/", {"done": "0"})
    assert '<span class="done">looked at' not in client.get(page).content.decode()


@pytest.mark.parametrize(
    "form",
    [{}, {"answer": "ill"}, {"answer": "swabbed", "day": "soon"}, {"answer": "swabbed", "day": "2999-01-01"}],
)
def test_nonsense_is_not_entered(form: dict[str, str], sign_in: SignIn, application: ServeOptions) -> None:
    assert sign_in().post(f"{LINE}enter/", form).status_code in (400, 409)
    assert list_imports(application.state) == []


# --- who may


@pytest.mark.parametrize(
    ("role", "method", "page", "expected"),
    [
        ("viewer", "post", f"{LINE}enter/", 403),
        ("viewer", "post", f"{LINE}undo/", 403),
        ("viewer", "post", f"{LINE}looked-at/", 403),
        ("viewer", "get", "/users/", 403),
        ("tester", "get", "/users/", 403),
        ("tester", "post", "/users/invite/", 403),
        ("tester", "post", "/users/1/", 403),
        ("tester", "get", "/trail/", 403),
        ("admin", "get", "/users/", 200),
        ("admin", "get", "/trail/", 200),
        ("viewer", "get", "/lists/99/", 404),
        ("viewer", "get", "/lists/2/99/", 404),
        ("viewer", "get", "/lists/2/1/2.jpg", 404),
        ("viewer", "get", f"{LINE}enter/", 405),
    ],
)
def test_roles(role: str, method: str, page: str, expected: int, sign_in: SignIn) -> None:
    assert getattr(sign_in(role), method)(page).status_code == expected


def test_a_refusal_is_in_the_trail(sign_in: SignIn) -> None:
    sign_in("viewer").post(f"{LINE}enter/", {"answer": "swabbed"})
    assert trail()[-1] == "refused"


def test_strangers_are_sent_to_the_login(sign_in: SignIn) -> None:
    number = upload(sign_in(), b"x").url
    unknown = stranger()
    pages = ["/", "/lists/2/", LINE, f"{LINE}1.jpg", "/audit/", "/trail/", number, f"{number}news/"]
    for page in pages:
        assert unknown.get(page).url.startswith("/login/?next=")
    assert unknown.post("/uploads/new/").url.startswith("/login/")


def test_uploads_belong_to_their_user(sign_in: SignIn) -> None:
    from cxrbatch.web.models import UploadedImage

    anna, ben, admin = sign_in(name="anna"), sign_in(name="ben"), sign_in("admin")
    number = upload(anna, b"x").url
    image = UploadedImage.objects.get()
    for page in ("", "news/", "results.csv", f"{image.id}.jpg", f"{image.id}.result.png"):
        assert ben.get(number + page).status_code == 404
    assert ben.post(f"{number}delete/").status_code == ben.post(f"{number}files/").status_code == 404
    assert anna.get(number).status_code == admin.get(number).status_code == 200
    mine = upload(ben, b"y").url
    assert ben.get(f"{mine}{image.id}.jpg").status_code == 404


def test_forms_need_their_token(sign_in: SignIn, application: ServeOptions) -> None:
    client = sign_in(enforce_csrf_checks=True)
    for page in (f"{LINE}enter/", "/uploads/new/", "/logout/", "/password/"):
        answer = client.post(page, {"answer": "swabbed"})
        assert (answer.status_code, b"load the page again" in answer.content) == (403, True)
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)', client.get("/lists/2/").content.decode())
    assert token
    form = {"answer": "swabbed", "csrfmiddlewaretoken": token[1]}
    evil = client.post(f"{LINE}enter/", form, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    assert list_imports(application.state) == []
    assert client.post(f"{LINE}enter/", form).status_code == 302


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a b", "x\r\nSet-Cookie: a=b"])
def test_other_hosts_are_refused(host: str, sign_in: SignIn) -> None:
    answer = sign_in().get("/", headers={"host": host})
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\r\nX: y",
        "/%0d%0aX",
    ],
)
def test_no_redirect_leads_elsewhere(target: str, sign_in: SignIn) -> None:
    sign_in(name="anna").post(f"{LINE}enter/", {"answer": "swabbed", "back": target})
    form = {"username": "anna", "password": PASSWORD, "next": target}
    answers = [
        stranger().post("/login/", form),
        sign_in(name="ben").post("/lists/2/3/looked-at/", {"done": "1", "back": target}),
    ]
    for answer in answers:
        assert answer.status_code == 302
        assert answer.url in ("/", "/lists/2/3/", "/%0d%0aX")
        assert "X" not in answer.headers


# --- sign in


def test_sign_in_makes_a_new_session_and_cookies_are_closed(sign_in: SignIn) -> None:
    sign_in(name="anna")
    client = stranger()
    client.cookies["cxrbatch_session"] = "a" * 32
    assert client.post("/login/", {"username": "anna", "password": PASSWORD}).url == "/"
    cookie = client.cookies["cxrbatch_session"]
    assert cookie.value != "a" * 32
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Strict", "")
    first = cookie.value
    client.post("/logout/")
    stale = stranger()
    stale.cookies["cxrbatch_session"] = first
    assert stale.get("/").url.startswith("/login/")


def test_brute_force_is_locked_out(sign_in: SignIn) -> None:
    sign_in(name="anna")
    client = stranger()
    codes = [client.post("/login/", {"username": "Anna", "password": "no"}).status_code for _ in range(11)]
    assert codes == [401] * 10 + [429]
    assert client.post("/login/", {"username": "anna", "password": PASSWORD}).status_code == 429
    assert "locked out" in trail()


def test_many_names_from_one_address_are_locked_out(desk: StillDesk) -> None:
    client = stranger()
    codes = [client.post("/login/", {"username": f"u{i}", "password": "no"}).status_code for i in range(51)]
    assert codes[-2:] == [401, 429]


def test_sessions_end(sign_in: SignIn) -> None:
    client = sign_in()
    client.get("/lists/")
    session = client.session
    session["seen"] -= 31 * 60
    session.save()
    assert client.get("/lists/").url.startswith("/login/")


def test_a_locked_user_is_out_at_once(sign_in: SignIn) -> None:
    from cxrbatch.web.models import User

    client, admin = sign_in(name="anna"), sign_in("admin")
    anna = User.objects.get(username="anna")
    assert client.get("/lists/").status_code == 200
    assert admin.post(f"/users/{anna.pk}/", {"role": "tester"}).status_code == 302
    assert client.get("/lists/").url.startswith("/login/")


def test_an_invitation_works_once(sign_in: SignIn) -> None:
    page = sign_in("admin").post("/users/invite/", {"username": "eva", "role": "viewer"}).content.decode()
    link = re.search(r"/welcome/[\w-]+/", page)
    assert link
    client = stranger()
    form = {"username": "ignored", "password": "short", "again": "short"}
    assert b"too short" in client.post(link[0], form).content
    form = {"username": "ignored", "password": PASSWORD, "again": PASSWORD}
    assert client.post(link[0], form).status_code == 302
    assert client.get("/users/").status_code == 403
    assert stranger().get(link[0]).status_code == 404
    assert stranger().get("/welcome/nonsense/").status_code == 404


def test_one_admin_stays(sign_in: SignIn) -> None:
    from cxrbatch.web.models import User

    admin = sign_in("admin")
    own = User.objects.get(username="admin").pk
    assert admin.post(f"/users/{own}/", {"role": "viewer", "active": "1"}).status_code == 409
    assert admin.post(f"/users/{own}/", {"role": "admin"}).status_code == 409


# --- the trail


def test_the_trail_is_only_added_to(sign_in: SignIn) -> None:
    from django.db import DatabaseError, transaction

    from cxrbatch.web.models import TrailEntry

    sign_in().get("/lists/2/")
    for change in (TrailEntry.objects.all().delete, lambda: TrailEntry.objects.update(username="x")):
        with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
            change()


def test_the_trail_names_no_patient(sign_in: SignIn) -> None:
    from cxrbatch.web.models import TrailEntry

    client = sign_in()
    for page in ("/lists/2/?text=B", "/lists/2/2/"):
        client.get(page)
    client.post("/lists/2/2/enter/", {"answer": "negative"})
    entries = list(TrailEntry.objects.order_by("-id")[:3].values("action", "subject", "detail"))
    assert [entry["subject"] for entry in entries] == ["run 2, position 2", "run 2, position 2", "run 2"]
    assert "B" not in json.dumps([entry["detail"] for entry in entries])


def test_a_day_may_be_said(sign_in: SignIn, application: ServeOptions) -> None:
    day = dt.date(2026, 3, 2)
    sign_in().post(f"{LINE}enter/", {"answer": "swabbed", "day": day.isoformat()})
    from cxrbatch.state import open_state

    with open_state(application.state, read_only=True) as state:
        assert [mark.date for mark in state.pages.marks(("dicom", "", HOSTILE))] == [day]


def test_the_large_image_that_is_kept_is_on_the_page_of_its_patient(
    sign_in: SignIn, application: ServeOptions
) -> None:
    with open_state(application.state) as state:
        state.large_images.replace([(("dicom", "", "B"), "B.dcm", JPEG)])
    client = sign_in()
    assert b"large.jpg" in client.get("/lists/2/2/").content
    assert client.get("/lists/2/2/large.jpg").content == JPEG
    assert b"large.jpg" not in client.get("/lists/2/1/").content
    assert client.get("/lists/2/1/large.jpg").status_code == 404
    assert stranger().get("/lists/2/2/large.jpg").url.startswith("/login/")


def test_the_report_of_a_night_is_shown_under_its_own_policy(
    sign_in: SignIn, application: ServeOptions, tmp_path: Path
) -> None:
    page, client = tmp_path / "d'été.html", sign_in("viewer")
    policy = "default-src 'none'; script-src 'sha256-abc='"
    page.write_text(f'<meta http-equiv="Content-Security-Policy" content="{policy}"><body id="a"><p>maps</p>')
    run = write_night(application.state, [line(1, "A", 0.5)], 2, page)
    assert f"/lists/{run}/report/" in client.get(f"/lists/{run}/").content.decode()
    answer = client.get(f"/lists/{run}/report/")
    back = '\n<p><a href="/">Back to the swab list</a></p>'
    assert answer.content.decode() == page.read_text().replace('id="a">', f'id="a">{back}')
    assert answer.headers["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"
    assert stranger().get(f"/lists/{run}/report/").url.startswith("/login/")
    later = write_night(application.state, [line(1, "A", 0.5)], 3, page)
    assert client.get(f"/lists/{run}/report/").status_code == 404
    page.write_text("<script>alert(1)</script>")
    assert client.get(f"/lists/{later}/report/").status_code == 404
    page.unlink()
    assert "report/" not in client.get(f"/lists/{later}/").content.decode()
    assert client.get(f"/lists/{later}/report/").status_code == 404
    assert client.get("/lists/1/report/").status_code == 404

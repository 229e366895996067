"""Uploads at the desk: what is spooled, queued, stored and thrown away."""

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from cxrbatch.explain.colours import to_png
from cxrbatch.reasons import Reason
from cxrbatch.records import Evidence, Failure
from cxrbatch.report import lungs_warning
from cxrbatch.web import ServeOptions, back_up_web, forget_in_web
from cxrbatch.web.maps import Maps
from tests.factories.nights import JPEG
from tests.factories.records import image_score
from tests.web.conftest import StillDesk, stranger

pytest.importorskip("django")
pytestmark = pytest.mark.web
SignIn = Callable[..., Any]


def send(client: Any, files: dict[str, bytes], page: str = "/uploads/new/", **kwargs: Any) -> Any:
    streams = [io.BytesIO(content) for content in files.values()]
    for stream, name in zip(streams, files, strict=True):
        stream.name = name
    return client.post(page, {"files": streams, "names": list(files)}, **kwargs)


def spooled(options: ServeOptions) -> list[Path]:
    return sorted(options.spool.iterdir())


def finish(desk: StillDesk, options: ServeOptions, *outcomes: Any) -> None:
    from cxrbatch.web.outcomes import store_outcomes

    store_outcomes(options, list(zip(desk.jobs, outcomes, strict=True)))


def test_files_wait_in_the_spool_for_their_owner_only(
    sign_in: SignIn, desk: StillDesk, application: ServeOptions, image: bytes
) -> None:
    answer = send(sign_in(), {"folder/a.png": image, "../../b.dcm": b"x"})
    assert answer.status_code == 302
    assert [job.name for job in desk.jobs] == ["folder/a.png", "b.dcm"]
    assert [path.stat().st_mode & 0o777 for path in spooled(application)] == [0o600] * 2
    assert {job.path for job in desk.jobs} == set(spooled(application))
    assert application.database.stat().st_mode & 0o777 == 0o600
    assert application.key_file.stat().st_mode & 0o777 == 0o600


def test_results_come_and_files_go(sign_in: SignIn, desk: StillDesk, application: ServeOptions) -> None:
    client = sign_in()
    page = send(client, {"a.png": b"1", "b.png": b"2"}).url
    assert client.get(f"{page}news/").json()["waiting"] == 2
    from dataclasses import replace

    scored = replace(image_score("a.png", 0.7, "PAT1"), thumbnail=JPEG)
    refused = Failure(name="b.png", reason=Reason.TOO_SMALL, detail="3 x 3")
    finish(desk, application, scored, refused)
    assert spooled(application) == []
    news = client.get(f"{page}news/").json()
    assert (news["waiting"], len(news["rows"])) == (0, 2)
    assert "0.700" in news["rows"][0]["html"]
    assert "too few pixels" in news["rows"][1]["html"]
    again = client.get(f"{page}news/", {"since": news["since"]}).json()
    assert again["rows"] == news["rows"][-1:]
    table = client.get(f"{page}results.csv").content.decode("utf-8-sig").splitlines()
    assert table[1].startswith("a.png,scored,,,PAT1")
    assert table[2].startswith("b.png,not_scored,too_small,3 x 3,")
    (one,) = [row for row in news["rows"] if "result.png" in row["html"]]
    number = one["html"].split("/uploads/")[1].split(".jpg")[0]
    assert client.get(f"/uploads/{number}.jpg").content == JPEG
    assert client.get(f"/uploads/{number}.result.png").content.startswith(b"\x89PNG")


def test_maps_come_after_the_scores_and_belong_to_their_user(
    sign_in: SignIn, desk: StillDesk, application: ServeOptions
) -> None:
    from dataclasses import replace

    from cxrbatch.web.outcomes import store_maps

    client = sign_in()
    page = send(client, {"a.png": b"1", "b.png": b"2"}).url
    scored = replace(image_score("a.png", 0.7), thumbnail=JPEG)
    finish(desk, application, scored, scored)
    desk.makes_maps = True
    first = client.get(f"{page}news/").json()
    assert (first["waiting"], first["maps"], "map covid" in first["rows"][0]["html"]) == (0, True, False)
    plain = client.get(f"{page}{UUID(desk.jobs[0].id)}.result.png").content
    png = to_png(np.ones((4, 4)))
    maps = Maps(desk.jobs[0].id, (Evidence(question="covid", png=png),), 0.75)
    store_maps([maps, Maps(desk.jobs[1].id)])
    second = client.get(f"{page}news/", {"since": first["since"]}).json()
    rows = {row["id"]: row["html"] for row in second["rows"]}
    assert (second["maps"], "map covid" in rows[maps.id]) == (False, True)
    assert lungs_warning(maps.outside_lungs) in rows[maps.id]
    assert "does not say where in the image it looked" in rows[desk.jobs[1].id]
    address = f"{page}{UUID(maps.id)}.map.covid.png"
    assert address in rows[maps.id]
    assert client.get(address).content == png
    assert client.get(address.replace("covid", "abnormal")).status_code == 404
    assert sign_in(name="other").get(address).status_code == 404
    assert client.get(f"{page}{UUID(maps.id)}.result.png").content != plain


def test_an_archive_is_inflated_and_goes(sign_in: SignIn, desk: StillDesk, application: ServeOptions) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../a.png", b"1")
        archive.writestr("b.png", b"2")
    send(sign_in(), {"night.zip": stream.getvalue()})
    assert [job.name for job in desk.jobs] == ["night.zip/a.png", "night.zip/b.png"]
    assert len(spooled(application)) == 2


def test_a_broken_archive_is_one_line(sign_in: SignIn, desk: StillDesk, application: ServeOptions) -> None:
    client = sign_in()
    page = send(client, {"night.zip": b"PK\x03\x04 no"}).url
    assert b"packed_file" in client.get(page).content
    assert (desk.jobs, spooled(application)) == ([], [])


def test_a_polyglot_is_what_its_first_bytes_say(sign_in: SignIn, desk: StillDesk, image: bytes) -> None:
    stream = io.BytesIO(image)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("x.html", b"<script>alert(1)</script>")
    send(sign_in(), {"both.png": stream.getvalue(), "page.png": b"<html><script>alert(1)</script>"})
    assert [job.name for job in desk.jobs] == ["both.png", "page.png"]


def test_the_queue_is_bounded_and_nothing_of_a_refused_form_stays(
    sign_in: SignIn, desk: StillDesk, application: ServeOptions
) -> None:
    client = sign_in()
    desk.most = 1
    answer = send(client, {"a.png": b"1", "b.png": b"2"})
    assert (answer.status_code, b"try again in" in answer.content) == (503, True)
    page = send(client, {"a.png": b"1"}).url
    assert send(client, {"b.png": b"2"}, f"{page}files/").status_code == 503
    assert len(spooled(application)) == 1


def test_too_large_a_file_is_cut_off(sign_in: SignIn, application: ServeOptions) -> None:
    client = sign_in()
    page = send(client, {"b.png": b"1", "a.png": bytes((1 << 20) + 1), "c.png": b"1"}).url
    assert b"a.png" not in client.get(page).content
    assert len(spooled(application)) <= 1


def test_what_strangers_and_forms_without_token_send_does_not_stay(
    sign_in: SignIn, application: ServeOptions
) -> None:
    assert send(stranger(), {"a.png": b"1"}).url.startswith("/login/")
    assert send(sign_in(enforce_csrf_checks=True), {"a.png": b"1"}).status_code == 403
    content = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc'
    form = sign_in(name="anna").post("/uploads/new/", content, content_type="multipart/form-data; boundary=x")
    assert form.status_code in (302, 400)
    assert len(spooled(application)) <= 1


def test_what_a_stopped_server_left_says_so(sign_in: SignIn, application: ServeOptions) -> None:
    from cxrbatch.web import outcomes, spool

    client = sign_in()
    page = send(client, {"a.png": b"1"}).url
    spool.open_spool(application.spool)
    assert outcomes.mark_interrupted() == 1
    assert spooled(application) == []
    assert b"upload it again" in client.get(page).content
    assert client.get(f"{page}news/").json()["waiting"] == 0


def test_a_deleted_upload_is_gone(sign_in: SignIn, desk: StillDesk, application: ServeOptions) -> None:
    client = sign_in()
    page = send(client, {"a.png": b"1"}).url
    assert client.post(f"{page}delete/").url == "/uploads/"
    finish(desk, application, image_score("a.png", 0.7))
    assert client.get(page).status_code == 404
    assert spooled(application) == []


def test_forget_reaches_uploads_to_the_last_byte(
    sign_in: SignIn, desk: StillDesk, application: ServeOptions
) -> None:
    client = sign_in()
    page = send(client, {"a.png": b"1", "b.png": b"2"}).url
    outcomes = [image_score("secret-a.png", 0.7, "FORGETME"), image_score("b.png", 0.2, "OTHER")]
    finish(desk, application, *outcomes)
    client.get(page)  # the server keeps its connection while the command line deletes
    assert forget_in_web(application.state, "FORGETME", dry_run=True) == 1
    assert forget_in_web(application.state, "FORGETME") == 1
    assert forget_in_web(application.state, "FORGETME") == 0
    wal = application.database.with_name("web.sqlite-wal")
    for path in (application.database, wal):
        assert b"FORGETME" not in path.read_bytes()
    text = client.get(page).content
    assert b"a.png" not in text
    assert b"OTHER" in text


def test_a_backup_is_whole_and_can_be_put_back(
    sign_in: SignIn, application: ServeOptions, tmp_path: Path
) -> None:
    sign_in(name="anna")
    assert back_up_web(application.state, tmp_path / "copy")
    assert not back_up_web(tmp_path / "none", tmp_path / "copy2")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(tmp_path / "copy") as connection:
        assert connection.execute("SELECT username FROM web_user").fetchall() == [("anna",)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_row_of_a_result_is_json(sign_in: SignIn, desk: StillDesk, application: ServeOptions) -> None:
    from cxrbatch.web.models import UploadedImage

    send(sign_in(), {"a.png": b"1"})
    finish(desk, application, image_score("a.png", 0.7, "PAT1"))
    image = UploadedImage.objects.get()
    assert json.loads(image.patient_key) == ["dicom", "", "PAT1"]
    assert image.row["score_covid"] == 0.7


def test_a_result_that_comes_in_during_a_question_is_not_lost(
    sign_in: SignIn, desk: StillDesk, application: ServeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxrbatch.web.outcomes import store_outcomes
    from cxrbatch.web.views import uploads

    client = sign_in()
    page = send(client, {"a.png": b"1", "b.png": b"2"}).url
    outcomes = [image_score("a.png", 0.7), image_score("b.png", 0.2)]
    store_outcomes(application, [(desk.jobs[0], outcomes[0])])

    def late(image: Any) -> dict[str, str]:
        store_outcomes(application, [(desk.jobs[1], outcomes[1])])
        return {"id": image.id.hex, "html": ""}

    monkeypatch.setattr(uploads, "_rendered", late)
    news = client.get(f"{page}news/").json()
    assert (len(news["rows"]), news["waiting"]) == (1, 1)
    monkeypatch.undo()
    news = client.get(f"{page}news/", {"since": news["since"]}).json()
    assert (len(news["rows"]), news["waiting"]) == (2, 0)

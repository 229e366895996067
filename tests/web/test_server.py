"""The server as a process: parity with the command line, kill -9, and what is sent on purpose to break it."""

import csv
import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("django")

from cxrbatch import predict
from cxrbatch.reasons import Reason
from cxrbatch.records import file_row
from tests.factories.cli_process import cxrbatch
from tests.factories.nights import line, write_night
from tests.factories.web_client import PASSWORD, Client, Server, first_admin, serving

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    state = folder / "state.sqlite"
    with serving("--state", state, "--bundle", tiny_bundle, "--max-upload", "20M") as found:
        found.state = state
        yield found


@pytest.fixture(scope="module")
def admin(server: Server) -> Client:
    return first_admin(server)


def rows_of(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))


def test_scores_and_reasons_are_those_of_the_command_line(
    admin: Client, sample_night: Path, tiny_bundle: Path
) -> None:
    paths = sorted(path for path in sample_night.rglob("*") if path.is_file())
    page = admin.upload([(path.relative_to(sample_night).as_posix(), path.read_bytes()) for path in paths])
    expected = []
    for outcome in predict(paths, tiny_bundle):
        row = file_row(outcome)
        scores = tuple(f"{row[name]:.6f}" for name in ("score_covid", "score_normal") if name in row)
        expected.append((row["status"], str(row.get("reason", "")), scores))
    found = []
    for row in rows_of(admin.results(page)):
        scores = tuple(row[name] for name in ("score_covid", "score_normal") if row[name])
        found.append((row["status"], row["reason"], scores))
    assert len(found) == len(paths)
    assert [item[:2] for item in found] == [item[:2] for item in expected]
    for (_, _, some), (_, _, others) in zip(found, expected, strict=True):
        assert [float(score) for score in some] == pytest.approx([float(score) for score in others], abs=1e-5)


def test_failures_and_scores_that_come_at_once_are_all_answered(admin: Client, sample_night: Path) -> None:
    """Failures of files that are no images are found in another thread than scores."""
    image = (sample_night / "pictures" / "SAMPLE-023.png").read_bytes()
    page = admin.upload([(f"{i}", image if i % 2 else b"a text\n" * i) for i in range(600)])
    found = [row["status"] for row in rows_of(admin.results(page))]
    assert (found.count("scored"), found.count("skipped")) == (300, 300)


def test_the_link_of_the_first_admin_works_once(server: Server, admin: Client) -> None:
    assert Client(server.port).send("GET", server.path)[0] == 404
    assert admin.send("GET", "/users/")[0] == 200


def test_a_killed_server_keeps_what_is_finished_and_says_what_is_not(
    tmp_path: Path, tiny_bundle: Path, sample_night: Path
) -> None:
    image = (sample_night / "pictures" / "SAMPLE-023.png").read_bytes()
    options = ("--state", tmp_path / "state.sqlite", "--bundle", tiny_bundle)
    with serving(*options) as one:
        client = first_admin(one)
        done = client.upload([("a.png", image)])
        client.results(done)
        late = client.upload([(f"{number}.png", image) for number in range(200)])
        one.kill()
    with serving(*options) as two:
        assert two.path == "/"
        client.port = two.port
        assert rows_of(client.results(done))[0]["status"] == "scored"
        statuses = {row["status"] for row in rows_of(client.results(late))}
        assert "interrupted" in statuses
        assert statuses <= {"interrupted", "scored"}
        assert list((tmp_path / "web.spool").iterdir()) == []


def test_a_backup_that_is_put_back_has_users_marks_results_and_trail(
    server: Server, admin: Client, tmp_path: Path, tiny_bundle: Path, sample_night: Path
) -> None:
    state = server.state
    run = write_night(state, [line(1, "A", 0.9), line(2, "B", reason=Reason.LATERAL_VIEW)])
    assert admin.form(f"/lists/{run}/1/enter/", f"/lists/{run}/", answer="positive")[0] == 302
    assert admin.form(f"/lists/{run}/2/looked-at/", f"/lists/{run}/", done="1")[0] == 302
    done = admin.upload([("a.png", (sample_night / "pictures" / "SAMPLE-023.png").read_bytes())])
    table = admin.results(done)
    copy = tmp_path / "copy"
    assert cxrbatch("state", "backup", "--state", state, "--out", copy).returncode == 0
    put_back = tmp_path / "new machine"
    put_back.mkdir()
    copy.rename(put_back / state.name)
    copy.with_name("copy.web").rename(put_back / "web.sqlite")
    with serving("--state", put_back / state.name, "--bundle", tiny_bundle) as restored:
        assert restored.path == "/"
        client = Client(restored.port)
        assert client.form("/login/", username="admin", password=PASSWORD)[0] == 302
        assert b"positive" in client.send("GET", f"/lists/{run}/1/")[2]
        assert b"looked at" in client.send("GET", f"/lists/{run}/?status=not_scored")[2]
        assert client.send("GET", f"{done}results.csv")[2] == table
        trail = client.send("GET", "/trail/")[2]
    assert [word for word in (b"entered positive", b"looked at", b"upload") if word not in trail] == []


def raw(server: Server, content: bytes, wait: float = 5) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(content)
        try:
            return connection.recv(4096)
        except TimeoutError:
            return b"nothing"


def test_ten_gigabytes_are_refused_before_they_are_sent(server: Server) -> None:
    head = b"POST /uploads/new/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10737418240\r\n\r\n"
    assert raw(server, head + b"x").startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /login/?next=/%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/../settings.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/%2e%2e/settings.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
)
def test_no_header_and_no_file_comes_of_an_address(head: bytes, server: Server) -> None:
    answer = raw(server, head)
    assert b"\r\nSet-Cookie: a=b" not in answer
    assert b"SECRET_KEY" not in answer
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200", b"HTTP/1.0 4"))


def test_slow_clients_take_no_thread(server: Server, admin: Client) -> None:
    """More than there are threads send one byte and no more; others are answered at once."""
    head = b"POST /uploads/new/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nx"
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for connection in slow:
        connection.sendall(head)
    began = time.monotonic()
    assert admin.send("GET", "/health/")[0] == 200
    assert time.monotonic() - began < 5
    for connection in slow:
        connection.close()


def test_a_second_server_of_the_same_folder_ends_at_once(tmp_path: Path, tiny_bundle: Path) -> None:
    options = ("--state", tmp_path / "state.sqlite", "--bundle", tiny_bundle)
    with serving(*options):
        result = cxrbatch("serve", "--port", "0", *options)
    assert result.returncode == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), b"only behind a proxy"),  # noqa: S104
        (("--url", "http://x"), b"give https://HOST"),
        (("--url", "https://x/path"), b"give https://HOST"),
        (("--max-upload", "none"), b"whole number"),
    ],
)
def test_what_is_not_safe_does_not_start(options: tuple[str, ...], message: bytes, tmp_path: Path) -> None:
    result = cxrbatch("serve", "--state", tmp_path / "s.sqlite", *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_settings_of_a_deployment_are_clean(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from cxrbatch.web import ServeOptions\n"
        "from cxrbatch.web.server import make_application\n"
        "folder = Path(sys.argv[1])\n"
        "make_application(ServeOptions(state=folder / 's.sqlite', url='https://x.example'))\n"
        "from django.core.management import call_command\n"
        "call_command('check', deploy=True, fail_level='WARNING')\n"
        "call_command('makemigrations', check=True, dry_run=True)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout

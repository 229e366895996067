"""A server in a process of its own, and a small client for it."""

import http.client
import json
import re
import signal
import subprocess
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.factories.cli_process import start

PASSWORD = "correct horse battery"  # noqa: S105


class Server:
    """A running ``cxrbatch serve``; `line` is what it printed."""

    def __init__(self, process: "subprocess.Popen[bytes]", line: str) -> None:
        self.process = process
        self.line = line
        found = re.search(r"http://127\.0\.0\.1:(\d+)/(\S*)", line)
        assert found, line
        self.state = Path()
        self.port, self.path = int(found[1]), f"/{found[2]}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(*arguments: str | Path) -> Iterator[Server]:
    process = start("serve", "--port", "0", *arguments)
    try:
        assert process.stdout
        line = process.stdout.readline().decode()
        if not line:
            assert process.stderr
            raise AssertionError(process.stderr.read().decode())
        yield Server(process, line)
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Client:
    """Keeps cookies and one connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Cookie": cookies, **given})
        answer = connection.getresponse()
        content = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.split(";")[0]
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def token(self, path: str) -> str:
        found = re.search(rb'csrfmiddlewaretoken" value="(\w+)', self.send("GET", path)[2])
        assert found
        return found[1].decode()

    def form(self, path: str, at: str = "", **fields: str) -> tuple[int, dict[str, str], bytes]:
        fields["csrfmiddlewaretoken"] = self.token(at or path)
        content = urllib.parse.urlencode(fields)
        return self.send("POST", path, content, Content_Type="application/x-www-form-urlencoded")

    def upload(self, files: Sequence[tuple[str, bytes]]) -> str:
        """Upload in one form; return the address of the upload."""
        status, headers, content = self._send_files("/uploads/new/", files, self.token("/uploads/new/"))
        assert status == 302, content
        return headers["Location"]

    def open_upload(self, token: str) -> str:
        """Open an upload without files, as the script of the page does; return its address."""
        more = {"X_CSRFToken": token, "Accept": "application/json"}
        status, _, content = self.send("POST", "/uploads/new/", **more)
        assert status == 200, content
        return str(json.loads(content)["page"])

    def add_files(self, page: str, files: Sequence[tuple[str, bytes]], token: str) -> None:
        """Send files of an open upload in one form."""
        status, _, content = self._send_files(f"{page}files/", files, token)
        assert status == 200, content

    def _send_files(
        self, path: str, files: Sequence[tuple[str, bytes]], token: str
    ) -> tuple[int, dict[str, str], bytes]:
        border = uuid.uuid4().hex
        parts = [("csrfmiddlewaretoken", "", token.encode())]
        parts += [("names", "", name.encode()) for name, _ in files]
        parts += [("files", f'; filename="{name}"', content) for name, content in files]
        body = b"".join(
            f'--{border}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
            + content
            + b"\r\n"
            for name, more, content in parts
        )
        body += f"--{border}--\r\n".encode()
        return self.send("POST", path, body, Content_Type=f"multipart/form-data; boundary={border}")

    def follow_news(self, page: str) -> int:
        """Ask for news as often as the page does, until all has an answer; return how many images have one."""
        since, answered = "", set()
        while True:
            content = self.send("GET", f"{page}news/?since={urllib.parse.quote(since)}", X_Poll="1")[2]
            news = json.loads(content)
            since = news["since"]
            answered |= {row["id"] for row in news["rows"]}
            if not news["waiting"] and not news["more"]:
                return len(answered)
            if not news["more"]:
                time.sleep(min(max(0.7, news["seconds"] / 3), 8))

    def results(self, page: str, seconds: float = 90) -> bytes:
        """Wait until all has an answer, and return the table."""
        end = time.monotonic() + seconds
        while json.loads(self.send("GET", f"{page}news/")[2])["waiting"]:
            assert time.monotonic() < end
            time.sleep(0.2)
        return self.send("GET", f"{page}results.csv")[2]


def first_admin(server: Server) -> Client:
    """Use the link that the server printed."""
    client = Client(server.port)
    form = {"username": "admin", "password": PASSWORD, "again": PASSWORD}
    status, headers, content = client.form(server.path, **form)
    assert (status, headers["Location"]) == (302, "/"), content
    return client

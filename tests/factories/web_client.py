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
        border = uuid.uuid4().hex
        parts = [("csrfmiddlewaretoken", "", self.token("/uploads/new/").encode())]
        parts += [("names", "", name.encode()) for name, _ in files]
        parts += [("files", f'; filename="{name}"', content) for name, content in files]
        body = b"".join(
            f'--{border}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
            + content
            + b"\r\n"
            for name, more, content in parts
        )
        body += f"--{border}--\r\n".encode()
        kind = f"multipart/form-data; boundary={border}"
        status, headers, content = self.send("POST", "/uploads/new/", body, Content_Type=kind)
        assert status == 302, content
        return headers["Location"]

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

"""Object stores on this machine: moto's, and one that fails, throttles, lies and changes under way."""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "export"
KEY, SECRET = "AKIAPLANTEDKEY", "planted/Secret+ofAWS"
MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"

Answer = Callable[["Handler"], bool]
"""Answers a request in another way than it should; False where it leaves that to the store."""


def environment(endpoint: str) -> dict[str, str]:
    """What a user sets."""
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}


class StubStore(ThreadingHTTPServer):
    """Objects in memory, served as S3 does; `answer` decides what goes wrong.

    Attributes
    ----------
    objects : dict of str to bytes
    counts : Counter
        Requests, by method and key; listings by ``LIST``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.answer: Answer = lambda _: False

    def handle_error(self, *_: Any) -> None:
        """Be quiet where a client has gone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection; answers HEAD, GET with a range, and ListObjectsV2."""

    protocol_version = "HTTP/1.1"
    server: StubStore

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._do()

    def do_GET(self) -> None:
        self._do()

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}").removeprefix("/")

    @property
    def is_listing(self) -> bool:
        return "list-type" in self.path

    @property
    def n_before(self) -> int:
        """How many requests of this kind there were before."""
        return self.server.counts[self._kind()] - 1

    def _kind(self) -> tuple[str, str]:
        return ("LIST", "") if self.is_listing else (self.command, self.key)

    def _do(self) -> None:
        self.server.counts[self._kind()] += 1
        if self.server.answer(self):
            return
        if self.is_listing:
            self._list()
        elif self.key not in self.server.objects:
            self.fail(404, "NoSuchKey")
        else:
            self.send(self.server.objects[self.key])

    def send(self, content: bytes, tag: str = "", size: int | None = None, version: str = "") -> None:
        """Send an object or its headers; `size` is what is stated in place of the truth."""
        stated = len(content) if size is None else size
        part = content
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and self.command == "GET":
            part = content[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{tag or hashlib.md5(content, usedforsecurity=False).hexdigest()}"')
        if version:
            self.send_header("x-amz-version-id", version)
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Content-Length", str(stated if self.command == "HEAD" else len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def fail(self, status: int, code: str) -> bool:
        """Refuse, with a message that must not be shown."""
        text = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)
        return True

    def _list(self) -> None:
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        (prefix,), after = asked.get("prefix", [""]), asked.get("continuation-token", [""])[0]
        keys = [key for key in sorted(self.server.objects) if key.startswith(prefix) and key > after]
        if "delimiter" in asked:
            keys = list(dict.fromkeys(_up_to_slash(key, prefix) for key in keys))
        most = int(asked.get("max-keys", ["1000"])[0])
        self._send_list(keys[:most], prefix, is_cut=len(keys) > most, with_folders="delimiter" in asked)

    def _send_list(self, keys: list[str], prefix: str, *, is_cut: bool, with_folders: bool) -> None:
        entries = "".join(
            f"<CommonPrefixes><Prefix>{_in_xml(key)}</Prefix></CommonPrefixes>"
            if with_folders and key.endswith("/") and key != prefix
            else f"<Contents><Key>{_in_xml(key)}</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{len(self.server.objects[key])}</Size></Contents>"
            for key in keys
        )
        more = f"<NextContinuationToken>{_in_xml(keys[-1])}</NextContinuationToken>" if is_cut else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated><KeyCount>{len(keys)}</KeyCount>{more}{entries}"
            "</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(text)


def _up_to_slash(key: str, prefix: str) -> str:
    before, slash, _ = key.removeprefix(prefix).partition("/")
    return prefix + before + slash


def _in_xml(key: str) -> str:
    return "".join(f"&#x{ord(sign):x};" if ord(sign) < 32 else escape(sign) for sign in key)


@contextmanager
def stub_store() -> Iterator[StubStore]:
    with StubStore() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def moto_store() -> Iterator[str]:
    """Moto's S3 on 127.0.0.1, with an empty bucket; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def uploaded(folder: Path, client: Any, prefix: str) -> None:
    """Put every file of a folder below a prefix."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())

"""Options of the service, and where its files lie: beside the state."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cxrbatch._lib.ranges import check_count
from cxrbatch.bundle import DEFAULT_BUNDLE
from cxrbatch.engines import EngineOptions
from cxrbatch.errors import UsageProblem

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WEB_DATABASE = "web.sqlite"
"""Name of the database of users, sessions, uploads and the audit trail, in the folder of the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of ``cxrbatch serve``.

    Attributes
    ----------
    state : Path
        State of the nightly runs; it need not exist yet.
    host : str
        Address to listen on; beyond this machine only together with `url`.
    port : int
        0 takes a free one.
    url : str
        Address under which people reach the pages through a proxy with TLS: ``https://…``; empty without a proxy.
    demo : Path or None
        Folder that is screened into the state first; the pages open without login.
    capacity : int or None
        Number of swabs: draws the line below the first so many patients.
    keep_uploads : Path or None
        Folder in which uploaded files are kept; None: they are deleted after their result.
    max_queue : int
        Most images that wait for their result; more are refused.
    max_upload_bytes : int
        Largest file, archive or form that is taken.
    """

    state: Path
    bundle: Path = DEFAULT_BUNDLE
    engine: EngineOptions = EngineOptions()
    header_words: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    url: str = ""
    demo: Path | None = None
    capacity: int | None = None
    keep_uploads: Path | None = None
    max_queue: int = 2000
    max_upload_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("capacity", "max_queue", "max_upload_bytes"):
            check_count(name, getattr(self, name), None)
        if self.url:
            _check_url(self.url)
        if not self.is_local and (self.demo or not self.url):
            raise UsageProblem(
                f"--host {self.host}: beyond this machine only behind a proxy with TLS: give its address with --url "
                "https://… (docs/web.md); --demo is for this machine only"
            )

    @property
    def is_local(self) -> bool:
        """True if only this machine can connect."""
        try:
            return self.host in LOOPBACK or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def folder(self) -> Path:
        """Folder of the state."""
        return self.state.resolve().parent

    @property
    def database(self) -> Path:
        """Database of users, sessions, uploads and the audit trail."""
        return self.folder / WEB_DATABASE

    @property
    def key_file(self) -> Path:
        """Key that signs sessions."""
        return self.folder / "web.key"

    @property
    def spool(self) -> Path:
        """Folder of the files that wait for their result."""
        return self.folder / "web.spool"


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    try:
        is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username) and (
            parts.port is None or parts.port > 0
        )
    except ValueError:
        is_plain = False
    if parts.scheme != "https" or not parts.hostname or not is_plain:
        raise UsageProblem(f"--url {url}: give https://HOST or https://HOST:PORT, without a path")

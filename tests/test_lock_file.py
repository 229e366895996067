"""What is pinned is what is asked for, with hashes; and whoever audits it can tell known faults from no answer."""

import configparser
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from typing import Any, ClassVar

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

LOCKS = ("requirements.lock", "requirements-extras.lock")
PYTHONS = ("3.11", "3.12", "3.13")
ENTRY = re.compile(r"^(?P<pin>[^#\s][^\\\n]*?) *\\\n(?P<hashes>(?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE)


def text_of(lock: str) -> str:
    return (REPOSITORY / lock).read_text(encoding="utf-8")


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    return [
        (Requirement(found["pin"]), found["hashes"].split("--hash=")[1:])
        for found in ENTRY.finditer(text_of(lock))
    ]


def pinned(python: str, lock: str = LOCKS[0]) -> dict[str, str]:
    """Versions by package, on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
    }
    versions: dict[str, str] = {}
    for requirement, _ in entries(lock):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert requirement.name not in versions
            versions[canonicalize_name(requirement.name)] = specifier.version
    return versions


def asked(extras: Iterable[str] = ()) -> list[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].splitlines()
    lines += [line for extra in extras for line in setup["options.extras_require"][extra].splitlines()]
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["build-system"][
        "requires"
    ]
    return [Requirement(line) for line in (*lines, *build) if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_what_is_asked_for(python: str) -> None:
    """Else: make lock."""
    versions = pinned(python)
    assert len(asked()) > 9
    for requirement in asked():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def extras() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return sorted(setup["options.extras_require"])


def test_the_extras_are_those_that_documents_name() -> None:
    """A new one goes into the locks (make lock), into CI and into docs/licences.md (make licences)."""
    assert extras() == ["cluster", "gpu", "hl7", "litert", "parquet", "train", "web"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extra", extras())
def test_the_lock_of_the_extras_satisfies_every_extra(extra: str, python: str) -> None:
    versions = pinned(python, LOCKS[1])
    for requirement in asked([extra]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_of_the_extras_pins_the_rest_as_the_other(python: str) -> None:
    assert pinned(python, LOCKS[1]).items() >= pinned(python).items()


def test_what_a_pinned_package_needs_is_pinned_too() -> None:
    """Of those that are installed in the pinned version: nothing is left for pip to choose."""
    versions = pinned(f"{sys.version_info.major}.{sys.version_info.minor}", LOCKS[1])
    needed = [
        (each.name, requirement)
        for each in distributions()
        if versions.get(canonicalize_name(each.name)) == each.version
        for requirement in map(Requirement, each.requires or ())
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    assert len({name for name, _ in needed}) > 9
    for name, requirement in needed:
        version = versions.get(canonicalize_name(requirement.name), "none")
        assert requirement.specifier.contains(version), (name, requirement)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_a_hash_or_a_comment(lock: str) -> None:
    """And so names no index, no address and no file."""
    text = text_of(lock)
    rest = [line for line in ENTRY.sub("", text).splitlines() if line and not line.lstrip().startswith("#")]
    assert rest == []
    for _, hashes in entries(lock):
        assert hashes
        for digest in hashes:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest.rstrip(" \\\n"))
    assert "://" not in text


# --- audit


class Osv(BaseHTTPRequestHandler):
    """Answers as api.osv.dev does: everything about one package and version."""

    known: ClassVar[dict[str, str]] = {}
    status = 200
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pin = f"{query['package']['name']}=={query['version']}"
        self.asked.append(pin)
        body = json.dumps({"vulns": [_vulnerability(self.known[pin])]} if pin in self.known else {}).encode()
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _vulnerability(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "summary": "made up",
        "schema_version": "1.6.0",
        "affected": [],
        "modified": "2026-01-01",
    }


@pytest.fixture
def osv() -> Iterator[str]:
    Osv.known, Osv.status, Osv.asked = {}, 200, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def audit(url: str, *options: str) -> tuple[int, str]:
    pytest.importorskip("pip_audit")
    command = [sys.executable, str(REPOSITORY / ".ci" / "audit.py"), *options]
    result = subprocess.run(
        command,
        env=os.environ | {"OSV_URL": url, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr


def test_nothing_known(osv: str) -> None:
    assert audit(osv) == (0, "requirements-extras.lock: 0 known vulnerabilities\n")
    every = {f"{requirement.name}{requirement.specifier}" for requirement, _ in entries(LOCKS[1])}
    assert set(Osv.asked) == every


def test_something_known_of_any_python(osv: str) -> None:
    newest = pinned("3.13")["imagecodecs"]
    assert newest != pinned("3.11")["imagecodecs"]
    Osv.known = {f"imagecodecs=={newest}": "PYSEC-0"}
    code, said = audit(osv)
    assert code == 1
    assert f"imagecodecs {newest}: PYSEC-0" in said


@pytest.mark.parametrize("what", ["closed", "failing"])
def test_nobody_answers(what: str, osv: str) -> None:
    Osv.status = 503
    url = osv if what == "failing" else "http://127.0.0.1:9/v1/query"
    code, said = audit(url)
    assert (code, said) == (0, f"requirements-extras.lock was not audited: no answer from {url}\n")
    assert audit(url, "--required")[0] == 2

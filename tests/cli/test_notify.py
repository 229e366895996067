"""Whoever is told of a list gets its counts, and can change nothing."""

import json
import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.cli import notify as module
from cxrbatch.cli.notify import notify
from tests.conftest import REPOSITORY
from tests.factories.cli_process import cxrbatch

EXAMPLES = REPOSITORY / "pipelines" / "notify"
FACTS: dict[str, Any] = {
    **{"n_found": 31, "n_scored": 22, "n_not_scored": 7, "n_skipped": 2, "n_new": 31, "n_remembered": 0},
    **{"n_ranked": 21, "n_for_a_human": 5, "n_waiting_for_result": 1, "reasons": {"truncated": 1}},
    **{
        "duration_s": 1.5,
        "out": "/r/$(id);'\".csv",
        "page": "/r/où.html",
        "bundle": "default@0",
        "exit_code": 3,
    },
}


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet collected; waits a little where not."""
    try:
        ended = "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    time.sleep(0 if ended else 0.1)
    return ended


def program(path: Path, lines: str, interpreter: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(interpreter + lines)
    path.chmod(0o755)
    return path


def test_counts_come_as_json_and_in_the_environment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = 'cd "$HERE"; cat > told; env | grep ^CXRBATCH_ > env; echo $# > words; echo out; echo err >&2'
    place = program(tmp_path / "o ù; $(touch gone)" / "tell", f"HERE='{tmp_path}'\n{lines}\n")
    notify(place, FACTS)
    assert json.loads((tmp_path / "told").read_text()) == FACTS
    told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    plain = {key: value for key, value in FACTS.items() if key not in ("reasons", "duration_s")}
    assert {f"CXRBATCH_{key.upper()}": str(value) for key, value in plain.items()}.items() <= told.items()
    assert (tmp_path / "words").read_text() == "0\n"
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.rglob("gone"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("exit 7\n", "ended with exit code 7"),
        ("kill -9 $$\n", "was ended by signal 9"),
        ("exec 0<&-; exit 0\n", ""),  # takes no word of it
    ],
)
def test_what_goes_wrong_is_a_warning(
    lines: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notify(program(tmp_path / "tell", lines), {"text": ["x" * 200_000]})
    assert (f"{said}; the list is complete" in caplog.text) == bool(said)
    assert len(caplog.records) == bool(said)


def test_a_program_that_cannot_be_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program(tmp_path / "not_executable", "").chmod(0o644)
    for name in ("missing", "not_executable", ".", "nul\0"):
        notify(tmp_path / name, FACTS)
    assert [record.message.count("cannot be started: ") for record in caplog.records] == [1, 1, 1, 1]


def test_it_is_killed_after_a_minute_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.5)
    notify(program(tmp_path / "tell", f"sleep 100 & echo $! > {tmp_path}/pid; wait\n"), FACTS)
    assert "was killed after 0.5 s" in caplog.text
    child = int((tmp_path / "pid").read_text())
    assert any(has_ended(child) for _ in range(50))


def test_a_stop_while_it_is_at_work_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    begun = time.monotonic()
    notify(program(tmp_path / "tell", "sleep 100\n"), FACTS)
    assert "was stopped" in caplog.text
    assert time.monotonic() - begun < 50


def test_the_program_is_told_when_a_list_is_ready_and_not_of_a_failed_run(
    tmp_path: Path, sample_night: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "in").mkdir()
    tell = program(tmp_path / "tell", f"ls {tmp_path} > {tmp_path}/ls; cat >> {tmp_path}/told; exit 9\n")
    asked = ("screen", tmp_path / "in", "-o", tmp_path / "r.csv", "--notify", tell, "--bundle", tiny_bundle)
    assert cxrbatch(*asked).returncode == 4
    assert not (tmp_path / "told").exists()
    image = next((sample_night / "emergency" / "SAMPLE-001").iterdir())
    os.link(image, tmp_path / "in" / "image.dcm")
    more = (
        "--metrics",
        tmp_path / "m.prom",
        "--log-format",
        "json",
        "--latest",
        "--workers",
        "1",
        "--explain",
        "0",
    )
    done = cxrbatch(*asked, *more)
    *_, warning, last = map(json.loads, done.stderr.splitlines())
    told = json.loads((tmp_path / "told").read_text())
    assert (done.returncode, told["n_ranked"], told["page"]) == (0, 1, str(tmp_path / "r.html"))
    assert last.items() >= told.items()
    assert warning["message"] == f"Warning: --notify {tell}: ended with exit code 9; the list is complete"
    assert {"r.csv", "r.html", "latest.html"} <= set((tmp_path / "ls").read_text().split())
    assert "cxrbatch_run_exit_code 0\n" in (tmp_path / "m.prom").read_text()


def test_no_list_is_kept_of_a_stream(tmp_path: Path) -> None:
    done = cxrbatch("screen", tmp_path, "--out", "-", "--notify", "/bin/true")
    assert (done.returncode, b"--notify" in done.stderr) == (2, True)


# --- the examples


def run_example(name: str, path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    told = {f"CXRBATCH_{key.upper()}": str(value) for key, value in FACTS.items() if key != "reasons"}
    return subprocess.run(
        [EXAMPLES / name],
        input=json.dumps(FACTS) + "\n",
        env=told | {"PATH": f"{path}:/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_mail_has_counts_and_no_path(tmp_path: Path) -> None:
    program(tmp_path / "msmtp", f"cat > {tmp_path}/mail; echo $@ > {tmp_path}/words\n")
    done = run_example("mail", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    header, _, body = (tmp_path / "mail").read_text().partition("\n\n")
    assert "Subject: Swab list ready: 21 ranked, 5 for a human to look at" in header.splitlines()
    assert body.startswith("31 files = 22 scored + 7 not scored + 2 skipped.\n1 patients wait")
    assert "/r/" not in header + body
    assert (tmp_path / "words").read_text() == "--read-recipients\n"


class _Hook(BaseHTTPRequestHandler):
    told: bytes = b""

    def do_POST(self) -> None:
        type(self).told = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if "fail" in self.path else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("path", "code"), [("ok", 0), ("fail", 22)])
def test_the_hook_posts_the_json(path: str, code: int, address: str, tmp_path: Path) -> None:
    done = run_example("hook", tmp_path, CXRBATCH_HOOK_URL=f"{address}/{path}", NO_PROXY="*")
    assert done.returncode == code, done.stderr
    assert json.loads(_Hook.told) == FACTS


def test_what_is_kept_for_systemd(tmp_path: Path) -> None:
    done = run_example("keep", tmp_path, CXRBATCH_KEEP_IN=str(tmp_path), CXRBATCH_N_EVIL="$(id)")
    assert (done.returncode, done.stderr) == (0, "")
    kept = (tmp_path / "ready.env").read_text().splitlines()
    assert sorted(kept) == sorted(
        f"CXRBATCH_{key.upper()}={value}" for key, value in FACTS.items() if key[:2] == "n_"
    )
    assert json.loads((tmp_path / "ready.json").read_text()) == FACTS
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

"""The file of metrics: every run leaves one that Prometheus can read, and it holds no word about a patient."""

import os
import re
import shutil
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib.prometheus import Gauge, by_label, exposition
from cxrbatch._lib.version import __version__
from cxrbatch.cli.metrics import RunMetrics, metrics_of
from cxrbatch.errors import UsageProblem
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, TriageRun
from tests.conftest import REPOSITORY
from tests.factories.cli_process import cxrbatch
from tests.factories.triage_runs import made_run

RULES = REPOSITORY / "pipelines" / "prometheus" / "cxrbatch.rules.yml"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
_NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL},?)*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)")
_UNESCAPED = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parse(text: str) -> Samples:
    """Read the text format 0.0.4, and take nothing that its rules do not allow."""
    assert text == "" or text.endswith("\n")
    samples: Samples = {}
    described: list[str] = []
    for line in text.split("\n")[:-1]:
        if found := re.fullmatch(rf"# HELP ({_NAME}) ((?:[^\\]|\\[\\n])*)", line):
            assert found[1] not in described, "a metric is described once"
            described.append(found[1])
        elif found := re.fullmatch(rf"# TYPE ({_NAME}) (?:counter|gauge|histogram|summary|untyped)", line):
            assert found[1] == described[-1]
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] == described[-1], "all samples of a metric stand together"
            pairs = re.findall(_LABEL, found[2] or "")
            labels = tuple(
                (name, re.sub(r'\\["\\n]', lambda hit: _UNESCAPED[hit[0]], value)) for name, value in pairs
            )
            assert (found[1], labels) not in samples
            samples[found[1], labels] = float(found[5])
    return samples


@pytest.mark.parametrize(
    "text",
    [
        "a 1",
        "# HELP a b\n# TYPE a gauge\nc 1\n",
        '# HELP a b\n# TYPE a gauge\na{l="\\t"} 1\n',
        "# HELP a \\x\n",
    ],
)
def test_the_parser_refuses_what_is_no_metric(text: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        parse(text)


@given(help_text=st.text(), values=st.dictionaries(st.text(), st.floats(-1e12, 1e12), max_size=4))
def test_any_text_comes_back(help_text: str, values: dict[str, float]) -> None:
    text = exposition([by_label("m_seconds", help_text, "l", values), Gauge("none", "no sample")])
    assert parse(text) == {("m_seconds", (("l", key),)): value for key, value in values.items()}


def failures(*reasons: Reason) -> tuple[Failure, ...]:
    return tuple(
        Failure(name=f"PID-4711/{n}.dcm", reason=reason, skipped=reason is Reason.NOT_AN_IMAGE)
        for n, reason in enumerate(reasons)
    )


@pytest.fixture
def run() -> TriageRun:
    return made_run(
        folder="/export/PID-4711",
        n_found=3,
        patients=(),
        failures=failures(Reason.TRUNCATED, Reason.TRUNCATED, Reason.NOT_AN_IMAGE),
        n_remembered=2,
        stage_s={"discover": 0.25, "resolve": 2.00049},
    )


def samples_of(path: Path) -> Samples:
    return parse(path.read_text(encoding="utf-8"))


def test_a_run_is_counted(run: TriageRun, tmp_path: Path) -> None:
    path = tmp_path / "où" / "cxr.prom"
    path.parent.mkdir()
    before = time.time()
    RunMetrics(path, started_s=1795957288.9415, run=run).write(3)
    found = samples_of(path)
    ended = found.pop(("cxrbatch_run_end_timestamp_seconds", ()))
    assert before - 0.001 <= ended <= time.time()
    assert found.pop(("cxrbatch_last_report_timestamp_seconds", ())) == ended
    assert {labels[0][1] for name, labels in found if name == "cxrbatch_files_without_score"} == set(Reason)
    assert {
        key: value for key, value in found.items() if value or key[1][:1] != (("reason", key[1][0][1]),)
    } == {
        ("cxrbatch_run_exit_code", ()): 3,
        ("cxrbatch_run_start_timestamp_seconds", ()): 1795957288.941,
        ("cxrbatch_run_info", (("version", __version__), ("bundle", "default@0123456789ab"))): 1,
        ("cxrbatch_files_found", ()): 3,
        ("cxrbatch_files_remembered", ()): 2,
        ("cxrbatch_files", (("outcome", "scored"),)): 0,
        ("cxrbatch_files", (("outcome", "not_scored"),)): 2,
        ("cxrbatch_files", (("outcome", "skipped"),)): 1,
        ("cxrbatch_files_without_score", (("reason", "truncated"),)): 2,
        ("cxrbatch_files_without_score", (("reason", "not_an_image"),)): 1,
        ("cxrbatch_patients", (("status", "ranked"),)): 0,
        ("cxrbatch_patients", (("status", "not_scored"),)): 0,
        ("cxrbatch_patients", (("status", "swabbed"),)): 0,
        ("cxrbatch_stage_duration_seconds", (("stage", "discover"),)): 0.25,
        ("cxrbatch_stage_duration_seconds", (("stage", "resolve"),)): 2.0,
    }
    assert "4711" not in path.read_text()


def test_the_document_names_every_metric(run: TriageRun, tmp_path: Path) -> None:
    RunMetrics(tmp_path / "cxr.prom", run=run).write(3)
    table = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8").split("| metric |", 1)[1]
    named = re.findall(r"^\| (`cxrbatch_.*?) \|", table, re.MULTILINE)
    assert [name for cell in named for name in re.findall("`(.*?)`", cell)] == list(
        dict.fromkeys(name for name, _ in samples_of(tmp_path / "cxr.prom"))
    )


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_the_collector_can_read_it_and_finds_no_half_of_it(
    run: TriageRun, umask: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        RunMetrics(tmp_path / "cxr.prom", run=run).write(0)
    finally:
        os.umask(before)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_run_keeps_the_time_of_the_last_report(run: TriageRun, tmp_path: Path) -> None:
    path = tmp_path / "cxr.prom"
    RunMetrics(path).write(1)
    assert ("cxrbatch_last_report_timestamp_seconds", ()) not in samples_of(path)
    RunMetrics(path, run=run).write(0)
    last = samples_of(path)["cxrbatch_last_report_timestamp_seconds", ()]
    for _ in range(2):
        RunMetrics(path).write(4)
    found = samples_of(path)
    assert (found["cxrbatch_run_exit_code", ()], found["cxrbatch_last_report_timestamp_seconds", ()]) == (
        4,
        last,
    )
    assert not [name for name, _ in found if name.startswith(("cxrbatch_files", "cxrbatch_patients"))]


def test_a_file_of_others_stays(run: TriageRun, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state.prom"
    path.write_bytes(b"SQLite format 3\0")
    RunMetrics(path, run=run).write(0)
    assert path.read_bytes() == b"SQLite format 3\0"
    assert "was not written by cxrbatch, and is left as it is" in caplog.text


@pytest.mark.parametrize("place", ["missing/cxr.prom", "folder.prom", "name\0.prom"])
def test_what_cannot_be_written_is_a_warning(
    place: str, run: TriageRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder.prom").mkdir()
    RunMetrics(tmp_path / place, run=run).write(0)
    assert caplog.text.count("--metrics: ") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["folder.prom"]


@pytest.mark.parametrize("place", ["in/cxr.prom", "cxr.txt"])
def test_a_wrong_place_is_refused_and_nothing_is_written(place: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    metrics = RunMetrics(tmp_path / place)
    with pytest.raises(UsageProblem, match="--metrics"):
        metrics.check_place(tmp_path / "in")
    metrics.write(2)
    assert not (tmp_path / place).exists()


def test_the_place_is_found_although_the_rest_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROM", "p")
    recipe = tmp_path / "night.toml"
    recipe.write_text('metrics = "$PROM/cxr.prom"\nunknown = 1\n')
    asked = ("screen", "--nonsense", "--recipe", str(recipe))
    assert metrics_of(asked).path == tmp_path / "p" / "cxr.prom"
    assert metrics_of([*asked, "--metrics=a.prom"]).path == Path("a.prom")
    for text in ("metrics = 3", 'metrics = "$UNSET_HERE/a.prom"', "no toml"):
        recipe.write_text(text)
        assert metrics_of(asked).path is None
    assert metrics_of(["screen", "--help", "--metrics", "a.prom"]).path is None
    assert metrics_of(["predict", "--metrics", "a.prom"]).path is None


@pytest.mark.parametrize(
    ("arguments", "code"), [(("in",), 4), (("gone",), 2), (("in", "--nonsense"), 2)], ids=["4", "2", "usage"]
)
def test_the_program_writes_it_when_a_run_fails(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "PID-4711.txt").write_text("no image")
    words = [str(tmp_path / word) if word[0] != "-" else word for word in arguments]
    done = cxrbatch("screen", *words, "-o", tmp_path / "r.csv", "--metrics", tmp_path / "cxr.prom")
    assert done.returncode == code, done.stderr
    assert samples_of(tmp_path / "cxr.prom")["cxrbatch_run_exit_code", ()] == code
    assert "4711" not in (tmp_path / "cxr.prom").read_text()


# --- by the programs that read it


@pytest.fixture
def collected(run: TriageRun, tmp_path: Path) -> Iterator[str]:
    """What Debian's node_exporter serves of a file, on this machine."""
    exporter = shutil.which("prometheus-node-exporter") or pytest.skip("node_exporter is not here")
    RunMetrics(tmp_path / "cxr.prom", run=run).write(3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [exporter, "--collector.disable-defaults", "--collector.textfile"]
    command += [f"--collector.textfile.directory={tmp_path}", f"--web.listen-address={address}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield _answer(f"http://{address}/metrics")
        process.terminate()


def _answer(address: str) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - http, of this test
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError("node_exporter does not answer")


@pytest.mark.prometheus
def test_node_exporter_takes_the_file(collected: str) -> None:
    assert "node_textfile_scrape_error 0" in collected
    assert "cxrbatch_run_exit_code 3" in collected
    assert 'cxrbatch_files_without_score{reason="truncated"} 2' in collected


@pytest.mark.prometheus
def test_promtool_finds_nothing_wrong_and_the_alerts_fire(run: TriageRun, tmp_path: Path) -> None:
    promtool = shutil.which("promtool") or pytest.skip("promtool is not here")
    path = tmp_path / "cxr.prom"
    RunMetrics(path, run=run).write(3)
    linted = subprocess.run(
        [promtool, "check", "metrics"], input=path.read_bytes(), capture_output=True, check=False
    )
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, b"")
    (tmp_path / "tests.yml").write_text(_alert_tests())
    tested = subprocess.run(
        [promtool, "test", "rules", tmp_path / "tests.yml"], capture_output=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _alert_tests() -> str:
    """Nights as series: what is written, and which alerts stand after it."""
    hour = 3600
    fresh = {
        "cxrbatch_last_report_timestamp_seconds": 27 * hour,
        "cxrbatch_run_exit_code": 3,
        "cxrbatch_files_found": 100,
    }
    old = fresh | {"cxrbatch_last_report_timestamp_seconds": 1 * hour - 1}
    unread = fresh | {'cxrbatch_files_without_score{reason="unreadable"}': 11}
    nights = [
        (fresh, []),
        (fresh | {"cxrbatch_run_exit_code": 0}, []),
        (fresh | {"cxrbatch_run_exit_code": 5}, ["CxrbatchRunFailed"]),
        (old, ["CxrbatchNoList"]),
        ({}, ["CxrbatchNoList"]),
        (unread, ["CxrbatchFilesNotRead"]),
        (fresh | {'cxrbatch_files_without_score{reason="truncated"}': 50}, []),
    ]
    groups = "".join(_alert_test(series, fired) for series, fired in nights)
    return f"rule_files: [{RULES}]\nevaluation_interval: 1m\ntests:\n{groups}"


def _alert_test(series: dict[str, int], fired: list[str]) -> str:
    lines = ["  - interval: 1m", "    input_series:" + (" []" if not series else "")]
    for name, value in series.items():
        lines += [f"      - series: '{name}'", f"        values: '{value}x1700'"]
    lines += [
        "    promql_expr_test:",
        "      - expr: count by (alertname) (ALERTS)",
        "        eval_time: 27h",
    ]
    lines += ["        exp_samples:" + (" []" if not fired else "")]
    for name in fired:
        lines += [f"          - labels: '{{alertname=\"{name}\"}}'", "            value: 1"]
    return "\n".join(lines) + "\n"

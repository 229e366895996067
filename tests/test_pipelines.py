"""The crontab, the systemd units and the logrotate file: their commands exist, and their paths agree."""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.cli.app import cli
from cxrbatch.cli.options import EXIT_INCOMPLETE

PIPELINES = Path(__file__).parents[1] / "pipelines"
CRONTAB = PIPELINES / "crontab"
LOGROTATE = PIPELINES / "logrotate"
SERVICE = PIPELINES / "systemd" / "cxrbatch-screen.service"
NOTIFY = PIPELINES / "systemd" / "cxrbatch-notify.service"
TIMER = PIPELINES / "systemd" / "cxrbatch-screen.timer"
RECIPE = "/etc/cxrbatch/nightly.toml"
REPORTS = "/srv/cxrbatch/reports"
LOG = "/var/log/cxrbatch/screen.log"


def active_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def cron_settings() -> dict[str, str]:
    return dict(line.split("=", 1) for line in active_lines(CRONTAB) if re.match(r"[A-Z]+=", line))


def cron_command() -> str:
    """What cron hands to the shell (crontab(5): an unescaped % becomes a newline, and \\% a %)."""
    (line,) = [line for line in active_lines(CRONTAB) if not re.match(r"[A-Z]+=", line)]
    minute, hour, *others, command = line.split(maxsplit=5)
    assert 0 <= int(minute) < 60
    assert 0 <= int(hour) < 12, "a night lasts from noon to noon"
    assert others == ["*"] * 3
    assert not re.search(r"(?<!\\)%", command)
    return command.replace(r"\%", "%")


def unit(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return {section: dict(parser[section]) for section in parser.sections()}


def service_command() -> str:
    """What systemd hands to the shell (systemd.service(5): $$ and %% stand for $ and %)."""
    shell, flag, command = shlex.split(unit(SERVICE)["Service"]["ExecStart"])
    assert (shell, flag) == ("/bin/sh", "-c")
    assert not re.search(r"\$(?!\$)|%(?!%)", command.replace("$$", "").replace("%%", ""))
    return command.replace("$$", "$").replace("%%", "%")


def screen_params(command: str) -> dict[str, Any]:
    """What ``screen`` makes of its part of a shell command; the recipe is the shipped one."""
    words = shlex.split(command.split(" 2>> ", maxsplit=1)[0])
    at = next(number for number, word in enumerate(words) if Path(word).name == "cxrbatch")
    assert words[at + 1] == "screen"
    arguments = [str(PIPELINES / "nightly.toml") if word == RECIPE else word for word in words[at + 2 :]]
    assert RECIPE in words
    params: dict[str, Any] = cli.commands["screen"].make_context("screen", arguments).params
    return params


@pytest.mark.parametrize("command", [cron_command(), service_command()], ids=["cron", "systemd"])
def test_the_command_is_one(command: str) -> None:
    params = screen_params(command)
    assert params["folder"] == Path("/export/pacs")
    assert str(params["out"]) == f"{REPORTS}/$(date +%F).csv"
    assert params["state"] is not None


def run_with_stand_in(command: str, tmp_path: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which the program is a stand-in that prints its arguments and ends with `code`."""
    stand_in = tmp_path / "bin" / "cxrbatch"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\necho the last line >&2\nexit {code}\n'
    )
    stand_in.chmod(0o755)
    command = command.replace("/opt/cxrbatch/bin/cxrbatch", str(stand_in)).replace(LOG, str(tmp_path / "log"))
    path = f"{stand_in.parent}:/usr/bin:/bin"
    return subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env={"PATH": path}
    )


@pytest.mark.parametrize(
    ("code", "is_mailed"), [(0, False), (3, False), (1, True), (2, True), (4, True), (5, True)]
)
def test_cron_mails_what_is_not_daily_business(code: int, is_mailed: bool, tmp_path: Path) -> None:
    result = run_with_stand_in(cron_command(), tmp_path, code)
    said = f"cxrbatch screen ended with exit code {code}:\nthe last line\n"
    assert (result.stdout, result.stderr) == (said if is_mailed else "", "")
    assert (tmp_path / "log").read_text() == "the last line\n"
    assert re.search(r"/\d{4}-\d\d-\d\d\.csv\n", (tmp_path / "arguments").read_text())


@pytest.mark.parametrize("code", [0, 1, 3, 5])
def test_the_service_ends_as_the_program_does(code: int, tmp_path: Path) -> None:
    result = run_with_stand_in(service_command(), tmp_path, code)
    assert (result.returncode, result.stderr) == (code, "the last line\n")
    assert re.search(r"/\d{4}-\d\d-\d\d\.csv\n", (tmp_path / "arguments").read_text())


def test_the_service_can_write_what_it_must_and_nothing_else() -> None:
    service = unit(SERVICE)["Service"]
    state = screen_params(service_command())["state"]
    assert state.parent == Path("/var/lib") / service["StateDirectory"]
    assert service["StateDirectoryMode"] == "0700"
    assert service["ReadWritePaths"] == REPORTS
    folder = tomllib.loads((PIPELINES / "nightly.toml").read_text())["folder"]
    assert service["ReadOnlyPaths"] == folder
    assert unit(SERVICE)["Unit"]["RequiresMountsFor"].split() == [folder, REPORTS]
    assert service["SuccessExitStatus"] == str(EXIT_INCOMPLETE)
    assert service["UMask"] == "0027"
    assert {service[name] for name in ("PrivateTmp", "PrivateNetwork", "NoNewPrivileges", "ProtectHome")} == {
        "yes"
    }
    assert service["ProtectSystem"] == "strict"
    assert service["Type"] == "oneshot"
    assert "MemoryDenyWriteExecute" not in service


def test_what_is_told_under_systemd_is_what_the_run_kept() -> None:
    notify, service = unit(NOTIFY)["Service"], unit(SERVICE)["Service"]
    kept = f"/var/lib/{service['StateDirectory']}"
    assert f"CXRBATCH_KEEP_IN:-{kept}" in (PIPELINES / "notify" / "keep").read_text()
    assert notify["EnvironmentFile"] == f"{kept}/ready.env"
    assert notify["StandardInput"] == f"file:{kept}/ready.json"
    assert notify["ExecStopPost"].split()[-2:] == [f"{kept}/ready.env", f"{kept}/ready.json"]
    assert notify["ReadWritePaths"] == kept
    assert notify["User"] == service["User"]


def test_the_timer_starts_the_service() -> None:
    assert TIMER.stem == SERVICE.stem
    assert unit(TIMER)["Install"]["WantedBy"] == "timers.target"
    assert unit(TIMER)["Timer"]["Persistent"] == "yes"
    assert re.fullmatch(r"\*-\*-\* 0\d:\d\d:00", unit(TIMER)["Timer"]["OnCalendar"])


def test_cron_and_systemd_agree() -> None:
    program = re.search(r"exec (\S+)/cxrbatch ", service_command())
    assert program
    assert cron_settings()["PATH"].split(":")[0] == program[1]
    assert cron_settings()["SHELL"] == "/bin/sh"
    assert cron_settings()["MAILTO"]
    minute, hour = cron_minute_and_hour()
    assert unit(TIMER)["Timer"]["OnCalendar"] == f"*-*-* {hour:02}:{minute:02}:00"


def cron_minute_and_hour() -> tuple[int, int]:
    minute, hour = active_lines(CRONTAB)[-1].split()[:2]
    return int(minute), int(hour)


def test_logrotate_turns_the_log_that_cron_writes() -> None:
    assert f"2>> {LOG};" in cron_command()
    assert active_lines(LOGROTATE)[0] == f"{LOG} {{"
    user = unit(SERVICE)["Service"]["User"]
    assert {f"    su {user} {user}", f"    create 0640 {user} {user}"} <= set(active_lines(LOGROTATE))


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    for path in (SERVICE, TIMER, NOTIFY):
        text = path.read_text().replace("[Unit]\n", f"[Unit]\nOnSuccess={NOTIFY.name}\n")
        text = text if path is SERVICE else path.read_text()
        (tmp_path / path.name).write_text(text.replace("/etc/cxrbatch/notify-mail", "/bin/true"))
    units = [tmp_path / path.name for path in (SERVICE, TIMER, NOTIFY)]
    result = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_logrotate_finds_nothing_wrong(tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not logrotate:
        pytest.skip("logrotate is not here")
    log = tmp_path / "screen.log"
    log.write_text("a line\n")
    text = LOGROTATE.read_text().replace(LOG, str(log))
    text = re.sub(r"^    su .*\n", "", text, flags=re.MULTILINE).replace(
        "create 0640 cxrbatch cxrbatch", "create 0640"
    )
    (tmp_path / "config").write_text(text)
    (tmp_path / "config").chmod(0o644)
    command = [logrotate, "--force", "--state", str(tmp_path / "status"), str(tmp_path / "config")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "screen.log.1").read_text() == "a line\n"
    assert log.read_text() == ""

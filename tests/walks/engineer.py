"""The engineer's walk: the commands of docs/running.md, docs/operations.md and pipelines/crontab, in their order.

``python tests/walks/engineer.py`` from the repository, with cxrbatch installed in the same environment. What the page
puts into /etc, /srv and /var goes into one temporary folder, and nobody changes the user.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
INCOMPLETE = 3
NO_IMAGE = 4


def shell_blocks(page: Path) -> list[str]:
    """Commands of the blocks of a document that are meant for a shell."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def moved(command: str, root: Path) -> str:
    """A command in whose paths the root of the machine is a folder."""
    command = command.replace("sudo -H -u cxrbatch ", "").replace("-o cxrbatch -g cxrbatch ", "")
    command = command.replace("/opt/cxrbatch/bin/cxrbatch", f"{sys.executable} -m cxrbatch")
    return re.sub(r"(?<![\w.])(/(?:etc|srv|var|export)/)", rf"{root}\1", command)


def run(command: str, root: Path, expected: int = 0) -> str:
    """Run a command in a shell; it has to end with an exit code."""
    sys.stderr.write(f"$ {command}\n")
    done = subprocess.run(
        ["bash", "-uc", moved(command, root)],
        cwd=REPOSITORY,
        env=os.environ | {"HOME": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(done.stdout + done.stderr)
    assert done.returncode == expected, f"ended with {done.returncode}, expected {expected}"
    return done.stdout + done.stderr


def after_the_run(root: Path) -> None:
    """Tell the ward, and look at what the monitoring system gets; what sends mail is a stand-in."""
    reports = root / "srv" / "cxrbatch" / "reports"
    assert (reports / "latest.html").samefile(max(reports.glob("20*.html")))
    program = root / "bin" / "msmtp"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat > {root}/mail\n", encoding="utf-8")
    program.chmod(0o755)
    notify, metrics = shell_blocks(REPOSITORY / "docs" / "operations.md")
    run(f"export PATH={program.parent}:$PATH; {notify}", root, expected=INCOMPLETE)
    assert "Swab list ready: 21 ranked" in (root / "mail").read_text(encoding="utf-8")
    run(metrics, root, expected=INCOMPLETE)
    (found,) = root.rglob("*.prom")
    assert "cxrbatch_run_exit_code 3\n" in found.read_text(encoding="utf-8")
    assert (reports / "latest.html").samefile(
        max(reports.glob("20*.html"))
    )  # a trial leaves the ward its list


def main() -> None:
    """Walk."""
    install, doctor, trial, completion, backup, prune = shell_blocks(REPOSITORY / "docs" / "running.md")
    folders = "\n".join(line for line in install.splitlines() if line.startswith("install "))
    crontab = (REPOSITORY / "pipelines" / "crontab").read_text(encoding="utf-8").splitlines()[-1]
    night = (
        crontab.split("* * * ", 1)[1]
        .replace("\\%", "%")
        .replace("cxrbatch screen", f"{sys.executable} -m cxrbatch screen")
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for place in ("etc", "srv", "var/lib/cxrbatch", "export/pacs"):
            (root / place).mkdir(parents=True)
        run(folders, root)
        recipe = root / "etc" / "cxrbatch" / "nightly.toml"
        state = f'state = "{root}/var/lib/cxrbatch/state.sqlite"'
        text = recipe.read_text(encoding="utf-8").replace("/export/pacs", f"{root}/export/pacs")
        recipe.write_text(re.sub(r"^state = .*$", state, text, flags=re.MULTILINE), encoding="utf-8")
        run(trial, root, expected=NO_IMAGE)
        shutil.copytree(REPOSITORY / "sample_data" / "night", root / "export" / "pacs", dirs_exist_ok=True)
        assert "bundle" in run(doctor, root)
        assert "Page: " in run(f"{trial.strip()} --settle 0", root, expected=INCOMPLETE)
        run(night, root)
        reports = sorted(path.name for path in (root / "srv" / "cxrbatch" / "reports").glob("20*"))
        assert len(reports) == 3, reports
        assert "31 remembered" in (root / "var" / "log" / "cxrbatch" / "screen.log").read_text(
            encoding="utf-8"
        )
        assert "_cxrbatch" in run(completion.replace('eval "$(', "").replace(')"', ""), root)
        run(backup, root)
        assert (root / "var" / "lib" / "cxrbatch" / "backup.sqlite").stat().st_mode & 0o777 == 0o600
        run(prune, root)
        after_the_run(root)
    sys.stderr.write("The engineer's walk went well.\n")


if __name__ == "__main__":
    main()

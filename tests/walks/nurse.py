"""The nurse's walk: the page in Chromium, whom to swab, and the next morning.

``python tests/walks/nurse.py`` from the repository, with cxrbatch, playwright and Chromium.
"""

import csv
import datetime as dt
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

REPOSITORY = Path(__file__).parents[2]
N_SWABS = 3


def cxrbatch(*arguments: str | Path, expected: int = 0) -> None:
    """Run a command; it has to end with an exit code."""
    done = subprocess.run([sys.executable, "-m", "cxrbatch", *map(str, arguments)], check=False)
    assert done.returncode == expected, arguments


def screened(folder: Path, name: str) -> Path:
    """The page of a night."""
    state, report = folder / "state.sqlite", folder / name
    night = REPOSITORY / "sample_data" / "night"
    cxrbatch("screen", night, "--out", report, "--state", state, "--capacity", str(N_SWABS), expected=3)
    return report.with_suffix(".html")


def first_names(page: Any, n: int) -> list[str]:
    """Patients at the top of the list."""
    return [each.inner_text().split()[0] for each in page.locator(".ranking tbody th button").all()[:n]]


def read_the_page(page: Any, folder: Path) -> list[str]:
    """What the first screen says, one patient, finding another one, the paper; who is to be swabbed."""
    assert page.locator(".todo .first").inner_text() == f"Swab these {N_SWABS} first"
    assert "5 need a human" in page.locator(".todo .human").inner_text()
    swabbed = first_names(page, N_SWABS)
    page.locator(".ranking tbody th button").first.click()
    assert page.locator("#patient-title").inner_text().startswith(swabbed[0])
    page.keyboard.press("j")
    assert page.locator("#patient-title").inner_text().startswith(swabbed[1])
    page.keyboard.press("Escape")
    page.locator("#patient").wait_for(state="hidden")
    page.keyboard.press("/")
    page.keyboard.type(swabbed[2])
    expect(page.locator(".ranking tbody tr:visible:not(.line)")).to_have_count(1)
    page.pdf(path=folder / "list.pdf", format="A4")
    assert (folder / "list.pdf").stat().st_size > 10_000
    return swabbed


def main() -> None:
    """Walk."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as started:
        folder = Path(name)
        chromium = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(screened(folder, "first.csv").as_uri())
        swabbed = read_the_page(page, folder)
        with (folder / "swabbed.csv").open("w", encoding="utf-8", newline="") as stream:
            lines = csv.writer(stream)
            lines.writerow(("patient_id", "date"))
            lines.writerows((patient, dt.date.today().isoformat()) for patient in swabbed)
        cxrbatch(
            "results",
            "import",
            folder / "swabbed.csv",
            "--swabbed",
            "--accession-column",
            "",
            "--state",
            folder / "state.sqlite",
        )
        page.goto(screened(folder, "next.csv").as_uri())
        assert page.locator(".todo").inner_text().count("3 wait for a result") == 1
        assert not set(first_names(page, N_SWABS)) & set(swabbed)
        chromium.close()
    sys.stderr.write("The nurse's walk went well.\n")


if __name__ == "__main__":
    main()

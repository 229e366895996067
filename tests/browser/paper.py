"""What is on paper."""

import subprocess
from pathlib import Path


def text_of_first_page(pdf: Path) -> str:
    """Return the text of the first page."""
    return text_of(pdf, "1")


def text_of(pdf: Path, last: str = "") -> str:
    """Return the text of all pages, or of those up to one."""
    pages = ["-l", last] if last else []
    command = ["pdftotext", "-layout", *pages, str(pdf), "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout

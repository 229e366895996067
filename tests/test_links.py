"""Links between documents: what they lead to is there, the heading too."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.conftest import REPOSITORY

DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "benchmarks", "sample_data", "tests/fuzz")
    for path in (REPOSITORY / folder).glob("*.md")
)
_LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")


def links(text: str) -> list[str]:
    """Targets of the links of a document that lead to a file or a heading."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return [found for found in _LINK.findall(prose) if not re.match(r"[a-z]+:", found)]


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a document, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?)\s*$", prose, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = sum(1 for each in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", each))
        found.add(f"{name}-{number}" if number else name)
    return found


def broken(document: Path, text: str) -> Iterator[str]:
    """Links of a document that lead nowhere."""
    for target in links(text):
        name, _, anchor = unquote(target).partition("#")
        path = document.parent / name if name else document
        is_there = path.exists()
        if is_there and anchor and path.suffix == ".md":
            is_there = anchor in anchors(path.read_text(encoding="utf-8"))
        if not is_there:
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert list(broken(document, text)) == []
    assert "](/" not in text


def test_there_are_links() -> None:
    assert sum(len(links(path.read_text(encoding="utf-8"))) for path in DOCUMENTS) > 100


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("[a](docs/reference.md)", False),
        ("[a](docs/reference.md#exit-codes)", False),
        ("[a](docs/reference.md#columns-of-reportcsv)", False),
        ("[a](#read-on)", False),
        ("[a](https://example.org/nothing)", False),
        ("`[a](nothing.md)`", False),
        ("[a](docs/nothing.md)", True),
        ("[a](docs/reference.md#exit-code)", True),
        ("![a](docs/nothing.png)", True),
        ("[a](#nothing)", True),
    ],
)
def test_a_planted_broken_link_is_found(link: str, is_broken: bool) -> None:
    assert bool(list(broken(REPOSITORY / "README.md", link))) == is_broken

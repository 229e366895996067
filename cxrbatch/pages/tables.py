"""Titled tables of text, whichever way they are written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    note : str
        Smaller, below or in brackets.
    mark : str
        What is wrong with the figure, in words; empty where nothing is.
    heat : int or None
        0 (one half or less) to 5 (one): how strongly to shade it.
    """

    text: str
    note: str = ""
    mark: str = ""
    heat: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first `n_text` columns hold words and the others figures."""

    header: tuple[str, ...]
    n_text: int
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title, a paragraph that says how to read what follows, and a table."""

    name: str
    title: str
    text: str
    table: Table | None = None


def section(name: str, title: str, text: str, content: Table | None) -> Section | None:
    """A section; None where there is nothing to show."""
    return Section(name, title, text, content) if content and content.rows else None


def table(header: Sequence[str], n_text: int, rows: Iterable[Iterable[Cell]]) -> Table:
    """A table of whatever gives cells."""
    return Table(tuple(header), n_text, tuple(tuple(row) for row in rows))

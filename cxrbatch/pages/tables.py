"""Make titled tables of text, independent of the output format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    note : str
        Additional text, shown smaller below or in brackets.
    mark : str
        Problem of the figure, in words; empty if there is none.
    heat : int or None
        Strength of the shading, 0 (one half or less) to 5 (one).
    """

    text: str
    note: str = ""
    mark: str = ""
    heat: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with words in the first `n_text` columns and figures in the others."""

    header: tuple[str, ...]
    n_text: int
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title, a paragraph that explains the table, and the table."""

    name: str
    title: str
    text: str
    table: Table | None = None


def section(name: str, title: str, text: str, content: Table | None) -> Section | None:
    """Make a section; None if there is nothing to show."""
    return Section(name, title, text, content) if content and content.rows else None


def table(header: Sequence[str], n_text: int, rows: Iterable[Iterable[Cell]]) -> Table:
    """Make a table from rows of cells."""
    return Table(tuple(header), n_text, tuple(tuple(row) for row in rows))

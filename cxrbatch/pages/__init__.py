"""Shared parts of every HTML page: templates, style, plots, tables, wording."""

from cxrbatch.pages.environment import TOKENS, make_environment
from cxrbatch.pages.svg import CHANCE, Dot, Figure, Plot, Points, dot, line
from cxrbatch.pages.tables import Cell, Section, Table, section, table
from cxrbatch.pages.wording import figure, interval, percent

__all__ = [
    "CHANCE",
    "TOKENS",
    "Cell",
    "Dot",
    "Figure",
    "Plot",
    "Points",
    "Section",
    "Table",
    "dot",
    "figure",
    "interval",
    "line",
    "make_environment",
    "percent",
    "section",
    "table",
]

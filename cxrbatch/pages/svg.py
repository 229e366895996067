"""Small plots that a page draws as SVG (``plot.svg``).

All of them have axes from 0 to 1, so that there are no ticks or ranges to choose: a plotting library would be the
largest dependency of the project and decide nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SIDE = 200
"""Of the square between the axes, in units of the drawing."""

CHANCE = ((0.0, 0.0), (1.0, 1.0))
"""The diagonal."""

Points = Iterable[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a plot.

    Attributes
    ----------
    path : str
        As SVG's ``points`` wants it.
    kind : str
        Its style: ``curve``, ``reference``, ``other`` or a finding.
    label : str
        For the legend; empty for none.
    """

    path: str
    kind: str = "curve"
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point of a plot, in units of the drawing, with what to write beside it."""

    x: float
    y: float
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A square plot, both axes from 0 to `top`; the legend stands above, or below where curves rise to the right."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...] = ()
    thresholds: tuple[Dot, ...] = ()
    top: str = "1"
    legend_low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Plots that belong together, and what they are of."""

    caption: str
    plots: tuple[Plot, ...]


def line(points: Points, kind: str = "curve", label: str = "") -> Line:
    """A line through points of 0–1."""
    written = [f"{_x(x):.1f},{_y(y):.1f}" for x, y in points]
    once = [point for point, before in zip(written, ["", *written], strict=False) if point != before]
    return Line(path=" ".join(once), kind=kind, label=label)


def dot(x: float, y: float, label: str = "") -> Dot:
    """A dot at a point of 0–1."""
    return Dot(x=round(_x(float(x)), 1), y=round(_y(float(y)), 1), label=label)


def _x(share: float) -> float:
    return SIDE * share


def _y(share: float) -> float:
    """SVG counts from the top."""
    return SIDE * (1 - share)

"""Make small plots for the SVG of a page (``plot.svg``): points of 0–1 in, coordinates of the drawing out.

All axes go from 0 to 1, so there are no ticks or ranges to choose. A plotting library would be the largest dependency
of the project without any benefit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SIDE = 200
"""Side of the square between the axes, in units of the drawing."""

CHANCE = ((0.0, 0.0), (1.0, 1.0))
"""Points of the diagonal."""

Points = Iterable[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a plot.

    Attributes
    ----------
    path : str
        Value of SVG's ``points``.
    kind : str
        Style: ``curve``, ``reference``, ``other`` or a finding.
    label : str
        Label in the legend; empty for none.
    """

    path: str
    kind: str = "curve"
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point of a plot, in units of the drawing, with the label beside it."""

    x: float
    y: float
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A square plot, both axes from 0 to `top`.

    The legend is at the top; with `legend_low`, for curves that rise to the right, it is at the bottom.
    """

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
    """Plots that belong together, with their caption."""

    caption: str
    plots: tuple[Plot, ...]


def line(points: Points, kind: str = "curve", label: str = "") -> Line:
    """Make a line through points of 0–1; points that are equal in the drawing are merged."""
    written = [f"{_x(x):.1f},{_y(y):.1f}" for x, y in points]
    once = [point for point, before in zip(written, ["", *written], strict=False) if point != before]
    return Line(path=" ".join(once), kind=kind, label=label)


def dot(x: float, y: float, label: str = "") -> Dot:
    """Make a dot at a point of 0–1."""
    return Dot(x=round(_x(float(x)), 1), y=round(_y(float(y)), 1), label=label)


def _x(share: float) -> float:
    return SIDE * share


def _y(share: float) -> float:
    """Convert a share to a vertical coordinate, which SVG counts from the top."""
    return SIDE * (1 - share)

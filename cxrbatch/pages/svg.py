"""Make small plots for the SVG of a page (``plot.svg``): points of 0–1 in, coordinates of the drawing out.

All axes go from 0 to 1, so there are no ticks or ranges to choose. A plotting library would be the largest dependency
of the project without any benefit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SIDE = 200
"""Side of the square between the axes, in units of the drawing."""

_LETTER = 5.4
"""Width of a letter of 10 px, estimated generously."""
_LINE = 11
_RIGHT = 0.7
"""Labels of what lies further right end there."""

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
class Label:
    """A text in a plot, in units of the drawing: it begins at `x`, or ends there, on the line `y`."""

    text: str
    x: float
    y: float
    is_end: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """Estimate where it begins and ends."""
        width = _LETTER * len(self.text)
        return (self.x - width, self.x) if self.is_end else (self.x, self.x + width)

    def covers(self, other: "Label") -> bool:
        """Check whether two labels are upon each other."""
        (begin, end), (other_begin, other_end) = self.span, other.span
        return abs(self.y - other.y) < _LINE and begin < other_end and other_begin < end


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A square plot, both axes from 0 to `top`; its legend is below it."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...] = ()
    thresholds: tuple[Dot, ...] = ()
    top: str = "1"

    @property
    def legend(self) -> tuple[Line, ...]:
        """The lines that have a label."""
        return tuple(line for line in self.lines if line.label)

    @property
    def labels(self) -> tuple[Label, ...]:
        """Labels of the dots and thresholds, none upon another as long as there is a free place."""
        placed: list[Label] = []
        for places in (*map(_beside, self.dots), *map(_at_foot, self.thresholds)):
            wanted = list(places)
            free = (one for one in wanted if not any(one.covers(other) for other in placed))
            placed += [label for label in [next(free, wanted[0])] if label.text]
        return tuple(placed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Plots that belong together, with their caption."""

    caption: str
    plots: tuple[Plot, ...]


def _beside(dot: Dot) -> Iterator[Label]:
    """List places for the label of a dot: below it to the right, then further off."""
    ends = (dot.x > _RIGHT * SIDE, dot.x <= _RIGHT * SIDE)
    for step in range(1, SIDE // _LINE):
        for is_end in ends:
            for y in (dot.y + _LINE * step, dot.y - _LINE * (step - 1) - 3):
                if 0 < y - _LINE < y < SIDE:
                    yield Label(text=dot.label, x=dot.x + (-5 if is_end else 5), y=round(y, 1), is_end=is_end)
    yield Label(text=dot.label, x=dot.x, y=dot.y)


def _at_foot(threshold: Dot) -> Iterator[Label]:
    """List places for the label of a threshold: at the foot of its line, then higher."""
    is_end = threshold.x > _RIGHT * SIDE
    for y in range(SIDE - 4, _LINE, -_LINE):
        yield Label(text=threshold.label, x=threshold.x + (-3 if is_end else 3), y=y, is_end=is_end)


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

"""The plot of `growth.py`: files against seconds, with the straight line that fits best, and against memory.

Drawn as plain SVG, as the plots of an evaluation are: with two axes a plotting library would decide nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _HEIGHT = 240, 170
_LEFT, _TOP, _GAP = 52, 30, 70
Points = Sequence[tuple[float, float]]
_STYLE = (
    "text{font:10px sans-serif;fill:#333}.title{font-size:12px;font-weight:600;text-anchor:middle}"
    ".axis,.below{text-anchor:middle}.beside{text-anchor:end}.grid{stroke:#e4e4e4}.frame{fill:none;stroke:#999}"
    ".fit{stroke:#1f5fa8;stroke-dasharray:5 3;fill:none}.curve{stroke:#1f5fa8;stroke-width:1.8;fill:none}"
    ".dot{fill:#1f5fa8}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A run: its files, wall seconds, and peak memory of all processes in MiB."""

    n_files: int
    seconds: float
    mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The straight line of least squares through files and seconds.

    Attributes
    ----------
    start_s : float
        Where there are no files.
    per_file_s : float
    r2 : float
        Share of the variance that the line explains (coefficient of determination); 1 where there is none.
    furthest_s : float
        From the line, of all runs.
    """

    start_s: float
    per_file_s: float
    r2: float
    furthest_s: float


def fit(runs: Sequence[Growth]) -> Fit:
    """Fit a straight line to at least two runs of different sizes."""
    files = np.array([run.n_files for run in runs], float)
    seconds = np.array([run.seconds for run in runs])
    per_file = float(np.cov(files, seconds, bias=True)[0, 1] / files.var())
    start = float(seconds.mean() - per_file * files.mean())
    residuals = seconds - (start + per_file * files)
    spread = float(((seconds - seconds.mean()) ** 2).sum())
    r2 = 1 - float((residuals**2).sum()) / spread if spread else 1.0
    return Fit(start_s=start, per_file_s=per_file, r2=r2, furthest_s=float(np.abs(residuals).max()))


def sentence(runs: Sequence[Growth]) -> str:
    """Say in words how seconds and memory grow."""
    line, first, last = fit(runs), runs[0], runs[-1]
    memory = f"{first.n_files:,} to {last.n_files:,} files: {(last.mib / first.mib - 1) * 100:+.1f} %"
    return (
        f"Fitted: {line.start_s:.1f} s + {line.per_file_s * 1000:.2f} s for a thousand files, R² = {line.r2:.4f}, "
        f"at most {line.furthest_s:.1f} s from the line. Peak memory from {memory}."
    )


def svg(runs: Sequence[Growth]) -> str:
    """Draw two panels beside each other, both axes of both from 0."""
    line = fit(runs)
    top = ticks(max(run.n_files for run in runs))[-1]
    ends = [(0.0, line.start_s), (top, line.start_s + line.per_file_s * top)]
    seconds = [(float(run.n_files), run.seconds) for run in runs]
    memory = [(float(run.n_files), run.mib) for run in runs]
    label = f"{line.start_s:.1f} s + {line.per_file_s * 1000:.2f} s per 1,000 files, R² {line.r2:.4f}"
    left = _panel("Time", "seconds", seconds, fitted=ends, label=label)
    right = _panel("Peak memory of all processes", "MiB", memory)
    width, height = 2 * (_LEFT + _WIDTH) + _GAP, _TOP + _HEIGHT + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Files against seconds and memory" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<g transform="translate({_LEFT} {_TOP})">{"".join(left)}</g>'
        f'<g transform="translate({2 * _LEFT + _WIDTH + _GAP // 2} {_TOP})">{"".join(right)}</g></svg>\n'
    )


def ticks(highest: float) -> list[float]:
    """Give 0 and three to six further round numbers, at equal steps, the last one not below `highest`."""
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if 6 * power * factor >= highest)
    return [round(step * number, 9) for number in range(math.ceil(highest / step) + 1)]


def _panel(title: str, unit: str, points: Points, *, fitted: Points = (), label: str = "") -> Iterator[str]:
    across, up = ticks(max(x for x, _ in points)), ticks(max(y for _, y in [*points, *fitted]))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return _WIDTH * point[0] / across[-1], _HEIGHT * (1 - point[1] / up[-1])

    yield f'<text class="title" x="{_WIDTH / 2}" y="-10">{title}</text>'
    for x in across:
        at = _WIDTH * x / across[-1]
        yield f'<path class="grid" d="M{at:.1f} 0V{_HEIGHT}"/>'
        yield f'<text class="below" x="{at:.1f}" y="{_HEIGHT + 14}">{x:,.0f}</text>'
    for y in up:
        at = place((0, y))[1]
        yield f'<path class="grid" d="M0 {at:.1f}H{_WIDTH}"/>'
        yield f'<text class="beside" x="-5" y="{at + 3:.1f}">{y:,g}</text>'
    yield f'<rect class="frame" width="{_WIDTH}" height="{_HEIGHT}"/>'
    yield f'<text class="axis" x="{_WIDTH / 2}" y="{_HEIGHT + 32}">files</text>'
    yield f'<text class="axis" x="-{_HEIGHT / 2}" y="-36" transform="rotate(-90)">{unit}</text>'
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, fitted or points))
    yield f'<polyline class="{"fit" if fitted else "curve"}" points="{through}"/>'
    yield f'<text x="8" y="14">{label}</text>' if label else ""
    for x, y in map(place, points):
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'

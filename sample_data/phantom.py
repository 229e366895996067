"""Chest-radiograph phantoms: drawn pictures that look like a chest film and belong to nobody.

A picture is the sum of what the beam passes (soft tissue and bone, less air) on a unit square, so a film is
the same drawing at every size. Structures are soft-edged formulas of two coordinates; only quantum noise is
made at full size. Nearly everything is sums, products and square roots, which IEEE 754 rounds alike
everywhere, and random numbers come from `numpy.random.RandomState`, whose streams NEP 19 freezes: a seed
gives the same film, up to rounding, on other machines and with later versions of NumPy.

Patient coordinates: ``x`` is 0 in the midline and grows to the left of the patient, which is the right side
of the picture; ``y`` is 0 at the upper edge and 1 at the lower one; ``own`` is ``x`` or ``-x``, whichever
grows outwards on the side being drawn. NumPy and Pillow only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float32]
Array = NDArray[np.floating[Any]]
Curve = Callable[[Array], Array]
Opacities = Literal["none", "peripheral", "lobar"]
Extent = Literal["mild", "moderate", "severe"]
View = Literal["PA", "AP"]
Box = tuple[float, float, float, float]
"""left, upper, right, lower as shares of the picture."""
Stroke = tuple[float, float, float, float, float, float]
"""x, y of one end, x, y of the other, half width, strength."""

REGIONS: dict[str, Box] = {
    "right_lung": (0.28, 0.30, 0.38, 0.50),
    "left_lung": (0.64, 0.30, 0.72, 0.46),
    "right_lower_zone": (0.22, 0.48, 0.30, 0.58),
    "left_lower_zone": (0.72, 0.48, 0.78, 0.58),
    "right_upper_zone": (0.30, 0.22, 0.40, 0.36),
    "mediastinum": (0.46, 0.35, 0.54, 0.60),
    "heart": (0.60, 0.56, 0.63, 0.62),
    "mirrored_heart": (0.37, 0.56, 0.40, 0.62),
    "abdomen": (0.20, 0.85, 0.50, 0.98),
}
"""Where a structure lies in `radiograph`, whatever the seed."""

_HILAR_FAN = (
    (0.25, -1.0), (0.6, -0.8), (0.9, -0.4), (1.0, 0.0), (0.9, 0.35), (0.7, 0.7), (0.45, 0.9), (0.15, 1.0),
)  # fmt: skip
_LEAST_DRAWING_PX, _MOST_DRAWING_PX = 512, 900
_N_RIBS = 9
_AIR = 0.47
_OPACITY = 0.30
_GROUND_GLASS: dict[Extent, tuple[float, float, float]] = {
    "mild": (0.48, 0.15, 0.32),
    "moderate": (0.34, 0.22, 0.42),
    "severe": (0.31, 0.26, 0.46),
}
"""Upper edge, reach from the pleura (both as shares of the picture), and density where it is thickest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    """How one patient and exposure differ from the next; lengths are shares of the picture's side."""

    shift_x: float
    shift_y: float
    tilt: float
    size: float
    thorax: float
    breath: float
    heart: float
    breast: float
    gas: float
    girth: float
    arms: float
    white: float
    contrast: float


def _draw_patient(seed: int, view: View) -> _Patient:
    random = np.random.RandomState([seed, 1])

    def between(low: float, high: float) -> float:
        return float(low + (high - low) * random.random_sample())

    return _Patient(
        shift_x=between(-0.02, 0.02),
        shift_y=between(-0.02, 0.02),
        tilt=between(-0.04, 0.04),
        size=between(0.95, 1.06),
        thorax=between(0.94, 1.07),
        breath=between(-0.035, 0.025) - (0.02 if view == "AP" else 0.0),
        heart=between(0.86, 1.18) * (1.1 if view == "AP" else 1.0),
        breast=max(0.0, between(-0.10, 0.12)),
        gas=between(0.2, 1.0),
        girth=between(-0.01, 0.06),
        arms=between(-0.01, 0.12),
        white=between(0.88, 1.04),
        contrast=between(-0.40, 0.15),
    )


def radiograph(
    rows: int,
    columns: int,
    *,
    seed: int,
    opacities: Opacities = "none",
    view: View = "PA",
    extent: Extent = "moderate",
) -> Picture:
    """Draw a frontal chest radiograph.

    Parameters
    ----------
    rows, columns : int
        Size in pixels, at least 64.
    seed : int
        One patient: build, position, breath, exposure. The same seed with other `opacities` is the same
        patient.
    opacities : {"none", "peripheral", "lobar"}
        Clear lungs; ground glass at the periphery of both lungs, more of it below, as in COVID-19; or a
        consolidated right upper lobe that ends at the horizontal fissure.
    view : {"PA", "AP"}
        AP has a larger heart and higher diaphragms.
    extent : {"mild", "moderate", "severe"}
        How far ground glass reaches, and how dense it is.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        0 = black … 1 = white, bone white. `REGIONS` says where things are.
    """
    patient = _draw_patient(seed, view)
    shape = _drawing_shape(rows, columns)
    x, y = _patient_coordinates(shape, patient, seed)
    beam = _body(x, y, patient) + _spine(x, y) - _airway(x, y) + _heart(x, y, patient)
    texture = 1 + 0.035 * _clouds(shape, (12, 24, 48, 96, 160), seed, 2)
    for side in (-1, 1):
        own = x * side
        air = _lung(own, y, side, patient)
        beam -= _AIR * air * texture
        filled = _opacity(own, y, side, opacities, extent, seed)
        beam += air * (filled + (1 - filled / _AIR) * _vessels(own, y, side, seed))
        beam += _shoulder_girdle(own, y) + _ribs(own, y, patient)
    beam -= _stomach_gas(x, y, patient)
    return _expose(beam, patient, rows, columns, seed)


def lateral(rows: int, columns: int, *, seed: int) -> Picture:
    """Draw a lateral chest radiograph, the patient looking to the left.

    Parameters
    ----------
    rows, columns : int
        Size in pixels, at least 64.
    seed : int
        One patient, as in `radiograph`.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        0 = black … 1 = white, bone white.
    """
    patient = _draw_patient(seed, "PA")
    x, y = _patient_coordinates(_drawing_shape(rows, columns), patient, seed)
    front, back = _LATERAL_FRONT(y), _LATERAL_BACK(y)
    inside = (x - front) / (back - front) * 2 - 1
    beam = (_DEPTH(y) + 0.05) * _root(1 - inside * inside * inside * inside)
    raised_arm = 0.75 * _path((x + 0.12 - 0.5 * (0.2 - y)) / 0.13) * _step(0.24 - y, 0.12)
    beam = np.maximum(beam, raised_arm) - _lateral_air(x, y, front, back, patient)
    beam += 0.20 * _ball((x + 0.10) / (0.15 * patient.heart), (y - 0.58) / 0.17)
    return _expose(beam + _lateral_bones(x, y, front, back), patient, rows, columns, seed)


def ct_slice(rows: int, columns: int, *, seed: int) -> Picture:
    """Draw an axial slice through the chest: what a CT in the export looks like.

    Parameters
    ----------
    rows, columns : int
        Size in pixels, at least 64.
    seed : int
        One patient.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        0 = air … 1 = bone, evenly from -1000 to 600 Hounsfield units.
    """
    x, y = _patient_coordinates((rows, columns), _draw_patient(seed, "PA"), seed)
    own, y = np.abs(x), y - 0.5
    soft = 0.64 * _inside(own / 0.42, y / 0.29)
    lung = _inside((own - 0.185) / 0.14, y / 0.205) * _step(own - 0.055, 0.01)
    heart = _inside((x - 0.06) / 0.13, (y + 0.04) / 0.11)
    cage = _bump((np.sqrt((own / 0.35) ** 2 + (y / 0.245) ** 2) - 1) / 0.03)
    ribs = cage * _step(np.abs(y * 9 % 1 - 0.5) - 0.2, 0.05)
    vertebra = _inside(own / 0.05, (y - 0.17) / 0.045)
    slice_ = soft - 0.55 * lung * (1 - heart) + 0.3 * np.maximum(ribs * soft, vertebra)
    noise = np.random.RandomState([seed, 4]).standard_normal((rows, columns)).astype(np.float32)
    return np.clip(slice_ + 0.008 * noise, 0, 1).astype(np.float32)


def _body(x: Array, y: Array, patient: _Patient) -> Array:
    own = np.abs(x)
    u = own / (_TRUNK(y) * patient.thorax + patient.girth * _step(y - 0.8, 0.5))
    trunk = _root(1 - u * u * u)
    arm = 0.52 * _path((own - _ARM(y) - patient.arms * y) / 0.095) * _step(y - 0.16, 0.2)
    depth = _DEPTH(y) + 0.05 * _step(-x, 0.3) * _step(y - 0.7, 0.2)
    soft = np.maximum(depth * trunk, arm) * _root((y - _SHOULDER(own)) / 0.16)
    breasts = patient.breast * _path((own - 0.21) / 0.15) * _path((y - 0.62) / 0.16)
    return soft + breasts


def _lung(own: Array, y: Array, side: int, patient: _Patient) -> Array:
    """Air in the path of the beam, 0 to 1."""
    outer, inner, dome = _lung_borders(own, y, side, patient)
    lateral = _root((outer - own) / 0.13)
    silhouette = _step(own - inner, 0.014)
    behind_heart = 0.16 * _step(own - 0.05, 0.03)
    medial = behind_heart + (1 - behind_heart) * silhouette * (0.72 + 0.28 * _step(own - inner - 0.06, 0.12))
    recess = 0.14 * np.clip(1 - (y - dome) / 0.10, 0, 1)
    base = recess + (1 - recess) * _step(dome - y, 0.014)
    apex = _root((y - 0.115) / 0.14)
    return lateral * medial * base * apex


def _lung_borders(own: Array, y: Array, side: int, patient: _Patient) -> tuple[Array, Array, Array]:
    outer = _LUNG_OUTER(y) * patient.thorax
    heart = 1 + (patient.heart - 1) * _step(y - 0.45, 0.2)
    inner = (_RIGHT_MEDIASTINUM if side < 0 else _LEFT_MEDIASTINUM)(y) * heart
    dome = _DOME(own / patient.thorax) + patient.breath + (0.022 if side > 0 else 0.0)
    return outer, inner, dome


def _heart(x: Array, y: Array, patient: _Patient) -> Array:
    ventricles = 0.13 * _path((x - 0.045) / (0.14 * patient.heart)) * _path((y - 0.585) / 0.15)
    aorta = 0.05 * _path((x - 0.055) / 0.035) * _path((y - 0.29) / 0.035)
    descending = 0.03 * _path((x - 0.055) / 0.022) * _step(y - 0.30, 0.05) * _step(0.75 - y, 0.1)
    return ventricles + aorta + descending


def _spine(x: Array, y: Array) -> Array:
    level = y / (0.046 + 0.014 * y)
    within = np.abs(level - np.floor(level) - 0.5) * 2
    bodies = 0.045 * _step(0.036 - np.abs(x), 0.01) * _step(0.80 - within, 0.25)
    pedicles = 0.03 * _ring(np.abs(x) - 0.022, within * 0.028 - 0.012, 0.007)
    spinous = 0.02 * _bump(x / 0.009) * _step(0.5 - within, 0.4)
    visible = 1 - 0.75 * _step(y - 0.45, 0.5)
    return 0.05 * _path(x / 0.05) + (bodies + pedicles + spinous) * visible


def _airway(x: Array, y: Array) -> Array:
    wall = x + 0.05 * y * _step(y - 0.2, 0.2)
    trachea = 0.12 * _path(wall / 0.021) * _step(0.375 - y, 0.03)
    bronchi = 0.05 * _path((y - 0.355 - 0.9 * np.abs(x + 0.014)) / 0.022) * _step(0.06 - np.abs(x), 0.04)
    return trachea + bronchi * _step(y - 0.35, 0.03)


def _shoulder_girdle(own: Array, y: Array) -> Array:
    clavicle = 0.12 * _bone(y - _CLAVICLE(own), 0.011) * _step(own - 0.035, 0.02) * _step(0.385 - own, 0.02)
    blade = 0.035 * _step(own - _SCAPULA(y), 0.006) * _step(0.44 - own, 0.05) * _step(0.46 - y, 0.04)
    border = 0.05 * _bump((own - _SCAPULA(y)) / 0.008) * _step(0.46 - y, 0.06)
    spine = 0.06 * _bone(y - 0.225 + 0.9 * (own - 0.28), 0.009) * _step(own - 0.28, 0.03)
    blade_parts = (blade + border) * _step(y - 0.19, 0.03) + spine * _step(0.40 - own, 0.02)
    head = 0.09 * _ball((own - 0.435) / 0.046, (y - 0.185) / 0.05)
    shaft = 0.10 * _bone(own - 0.440 - 0.10 * (y - 0.2), 0.019) * _step(y - 0.20, 0.05)
    return clavicle + blade_parts + head + shaft


def _ribs(own: Array, y: Array, patient: _Patient) -> Array:
    """Each rib is an ellipse seen from the front: its upper half is posterior, its lower half anterior."""
    total = np.zeros_like(own)
    for number in range(_N_RIBS):
        drop = 0.045 + 0.013 * number
        middle = 0.135 + 0.062 * number + drop
        width = float(_LUNG_OUTER(np.array(middle))) * patient.thorax + 0.004
        u, v = own / width, (y - middle + 0.12 * (own - width)) / drop
        posterior = 0.085 * _bone(_ellipse_distance(u, v, width, drop), 0.0105)
        u_front, v_front = own / width, (y - middle + 0.25 * (own - width)) / (1.5 * drop)
        anterior = 0.05 * _bone(_ellipse_distance(u_front, v_front, width, 1.5 * drop), 0.011)
        beside_heart = 0.35 * _step(own - 0.03, 0.02) + 0.65 * _step(own - 0.11, 0.08)
        total += posterior * _step(-v, 0.3) * beside_heart
        total += anterior * _step(v_front, 0.3) * _step(own - 0.13 - 0.008 * number, 0.05)
    return total * _step(own + 0.02, 0.02)


def _ellipse_distance(u: Array, v: Array, width: float, height: float) -> Array:
    radius = np.sqrt(u * u + v * v) + np.float32(1e-6)
    slope = np.sqrt((u / width) ** 2 + (v / height) ** 2) / radius
    return (radius - 1) / (slope + np.float32(1e-6))


def _stomach_gas(x: Array, y: Array, patient: _Patient) -> Array:
    """Gas under the left dome above a level, and in a loop of bowel beside it."""
    top = 0.80 + patient.breath
    bubble = _ball((x - 0.165) / 0.075, (y - top) / 0.05) * _step(top + 0.012 - y, 0.014)
    bowel = 0.5 * _ball((x - 0.25) / 0.05, (y - top - 0.09) / 0.045)
    return patient.gas * (0.22 * bubble + 0.2 * (patient.gas > 0.6) * bowel)


def _opacity(own: Array, y: Array, side: int, opacities: Opacities, extent: Extent, seed: int) -> Array:
    """Density that fills air, at most `_AIR`."""
    if opacities == "none":
        return np.zeros_like(own)
    if opacities == "lobar":
        return _lobar(own, y, seed) if side < 0 else np.zeros_like(own)
    return _ground_glass(own, y, side, extent, seed)


def _lobar(own: Array, y: Array, seed: int) -> Array:
    fissure = 0.40 + 0.10 * own
    lobe = _step(fissure - y, 0.01) * (0.85 + 0.15 * _clouds(own.shape, (20, 40), seed, 3))
    return np.clip(_OPACITY * 1.2 * lobe, 0, 0.42)


def _ground_glass(own: Array, y: Array, side: int, extent: Extent, seed: int) -> Array:
    """Hazy patches below the pleura of the lower zones, which run into each other; both sides, not alike."""
    upper, reach, density = _GROUND_GLASS[extent]
    upper += 0.03 * side * (1 if seed % 2 else -1)
    beside_pleura = _step(reach - (_LUNG_OUTER(y) - own), 0.12)
    patches = 0.75 + 0.35 * _clouds(own.shape, (6, 12, 24, 48), seed, 3)
    return np.clip(density * beside_pleura * _step(y - upper, 0.16) * np.clip(patches, 0.3, 1.2), 0, 0.45)


def _vessels(own: Array, y: Array, side: int, seed: int) -> Array:
    hilum_y = 0.41 if side < 0 else 0.385
    inner = 0.075 if side < 0 else 0.09
    hilum = 0.13 * _bump(np.sqrt(((own - inner) / 0.065) ** 2 + ((y - hilum_y - 0.01) / 0.11) ** 2))
    tree = np.zeros_like(own)
    for stroke in _branches(inner, hilum_y, np.random.RandomState([seed, 10 + side])):
        _paint(tree, own, y, stroke)
    return hilum + tree


def _branches(x: float, y: float, random: np.random.RandomState) -> Iterator[Stroke]:
    """Walk from the hilum outwards, thinner at every fork."""
    todo = [(x + 0.012 * dx, y + 0.035 * dy, dx, dy, 0.0064, 0) for dx, dy in _HILAR_FAN]
    while todo:
        x0, y0, dx, dy, width, depth = todo.pop()
        jitter = random.random_sample(4) - 0.5
        dx, dy = dx + 0.7 * jitter[0], dy + 0.7 * jitter[1]
        step = (0.034 + 0.02 * jitter[2]) / max(0.2, (dx * dx + dy * dy) ** 0.5)
        x1, y1 = x0 + step * dx, y0 + step * dy
        yield x0, y0, x1, y1, width, min(0.22, 22 * width)
        if depth < 7 and 0.02 < x1 < 0.34 and 0.12 < y1 < 0.80:
            todo.append((x1, y1, dx, dy, width * 0.84, depth + 1))
            if jitter[3] > -0.2:
                turn = 0.8 if jitter[3] > 0.1 else -0.8
                todo.append((x1, y1, dx - turn * dy, dy + turn * dx, width * 0.7, depth + 1))


def _paint(canvas: Array, own: Array, y: Array, stroke: Stroke) -> None:
    x0, y0, x1, y1, width, strength = stroke
    window = _window(own, y, (x0, y0, x1, y1), 2.5 * width + 0.004)
    px, py = own[window] - x0, y[window] - y0
    dx, dy = x1 - x0, y1 - y0
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1)
    distance = np.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2)
    canvas[window] = np.maximum(canvas[window], strength * _bump(distance / (1.6 * width)))


def _window(own: Array, y: Array, box: Box, margin: float) -> tuple[slice, slice]:
    """Rows and columns that can hold the box: the grid is tilted so little that its middle lines will do."""
    slack = margin + 0.03
    down, across = y[:, y.shape[1] // 2], own[own.shape[0] // 2]
    inside_y = (down > min(box[1], box[3]) - slack) & (down < max(box[1], box[3]) + slack)
    inside_x = (across > min(box[0], box[2]) - slack) & (across < max(box[0], box[2]) + slack)
    return _extent(inside_y), _extent(inside_x)


def _extent(inside: NDArray[np.bool_]) -> slice:
    where = np.flatnonzero(inside)
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)


def _lateral_air(x: Array, y: Array, front: Array, back: Array, patient: _Patient) -> Array:
    depth = np.minimum((x - front - 0.05) / 0.10, (back - 0.055 - x) / 0.16)
    dome = _LATERAL_DOME(x) + patient.breath
    apex = _root((y - 0.13) / 0.2)
    trachea = 0.12 * _path((x - 0.02 - 0.12 * y) / 0.02) * _step(0.38 - y, 0.03) * _step(y - 0.05, 0.05)
    return 0.5 * _root(depth) * _step(dome - y, 0.015) * apex + trachea


def _lateral_bones(x: Array, y: Array, front: Array, back: Array) -> Array:
    behind = back - 0.115 - x
    level = y / (0.05 + 0.012 * y)
    within = np.abs(level - np.floor(level) - 0.5) * 2
    vertebrae = _step(0.034 - np.abs(behind), 0.008) * (0.10 + 0.08 * _step(0.82 - within, 0.15))
    sternum = 0.10 * _bone(x - front - 0.04, 0.009) * _step(y - 0.24, 0.03) * _step(0.60 - y, 0.03)
    total = vertebrae + sternum
    for number in range(8):
        slant = y - 0.17 - 0.075 * number - 0.38 * (0.30 - x) + 0.9 * (0.16 - x) * (x - 0.30)
        total += 0.05 * _bone(slant, 0.011) * _step(x - front - 0.08, 0.06) * _step(back - 0.06 - x, 0.02)
    return np.asarray(total, np.float32)


def _expose(beam: Array, patient: _Patient, rows: int, columns: int, seed: int) -> Picture:
    scatter = _resize(_resize(beam, 24, 24), *beam.shape)
    film = np.clip((0.88 * beam + 0.12 * scatter) / patient.white, 0, 1.15)
    film = film + patient.contrast * film * (1 - film)
    film = np.where(film > 0.85, 0.85 + (film - 0.85) * 0.55, film)
    full = _resize(np.maximum(0.03 + 0.95 * film, _marker(beam.shape, seed)), rows, columns)
    noise = np.random.RandomState([seed, 4]).standard_normal((rows, columns)).astype(np.float32)
    # A binned detector averages quanta, so larger pixels are quieter; thick parts let fewer quanta through.
    sigma = 0.0024 * (max(rows, columns) / 512) * (0.4 + full)
    return np.asarray(np.clip(full + sigma * noise, 0, 1), np.float32)


def _marker(shape: tuple[int, int], seed: int) -> Array:
    """Lead letter L on the patient's left."""
    random = np.random.RandomState([seed, 6])
    x, y = _unit_grid(shape)
    x, y = x - 0.90 - 0.03 * random.random_sample(), y - 0.05 - 0.08 * random.random_sample()
    upright = _step(0.004 - np.abs(x), 0.003) * _step(0.022 - np.abs(y), 0.003)
    foot = _step(0.0115 - np.abs(x - 0.008), 0.003) * _step(0.004 - np.abs(y - 0.0185), 0.003)
    return np.asarray(0.97 * np.maximum(upright, foot), np.float32)


def _patient_coordinates(shape: tuple[int, int], patient: _Patient, seed: int) -> tuple[Array, Array]:
    x, y = _unit_grid(shape)
    x, y = x - 0.5 - patient.shift_x, y - 0.45 - patient.shift_y
    x, y = (x + patient.tilt * y) / patient.size, (y - patient.tilt * x) / patient.size + 0.45
    return x + 0.005 * _clouds(shape, (5, 9), seed, 7), y + 0.005 * _clouds(shape, (5, 9), seed, 8)


def _unit_grid(shape: tuple[int, int]) -> tuple[Array, Array]:
    rows, columns = shape
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    return np.tile(x, (rows, 1)), np.tile(y[:, None], (1, columns))


def _drawing_shape(rows: int, columns: int) -> tuple[int, int]:
    longest = max(rows, columns)
    scale = min(max(longest, _LEAST_DRAWING_PX), _MOST_DRAWING_PX) / longest
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def _clouds(shape: tuple[int, int], cells: tuple[int, ...], seed: int, stream: int) -> Array:
    """Smooth noise of about unit size; each number in `cells` is a grid, finer ones weigh less."""
    random = np.random.RandomState([seed, 20 + stream])
    total = np.zeros(shape, np.float32)
    for octave, n in enumerate(cells):
        total += _resize(random.standard_normal((n, n)).astype(np.float32), *shape) * np.float32(0.7**octave)
    return total


def _resize(picture: Array, rows: int, columns: int) -> Array:
    shrinks = picture.shape[0] > rows
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((columns, rows), method))


def _step(distance: Array, softness: float) -> Array:
    """0 outside, 1 inside, smooth over `softness` around distance 0."""
    t = np.clip(distance / softness + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _bump(distance: Array) -> Array:
    return np.asarray(np.clip(1 - distance * distance, 0, 1) ** 2, np.float32)


def _root(share: Array) -> Array:
    return np.asarray(np.sqrt(np.clip(share, 0, 1)), np.float32)


def _path(distance: Array) -> Array:
    """Length of the beam's path through a rod whose half width is 1, as a share of its diameter."""
    return _root(1 - distance * distance)


def _ball(dx: Array, dy: Array) -> Array:
    return _root(1 - dx * dx - dy * dy)


def _inside(dx: Array, dy: Array) -> Array:
    return _step(1 - np.sqrt(dx * dx + dy * dy), 0.05)


def _ring(dx: Array, dy: Array, radius: float) -> Array:
    return _bump((np.sqrt(dx * dx + dy * dy) - radius) / (0.6 * radius))


def _bone(distance: Array, half_width: float) -> Array:
    """Profile of a long bone: a soft band with dense cortex at both edges."""
    away = np.abs(distance)
    return 0.55 * _step(half_width - away, 0.006) + 0.45 * _bump((away - 0.82 * half_width) / 0.0045)


def _curve(*knots: tuple[float, float]) -> Curve:
    """Smooth function through about these points, constant beyond them."""
    at, value = np.array(knots).T
    grid = np.linspace(at[0] - 0.1, at[-1] + 0.1, 1024)
    table = np.interp(grid, at, value)
    kernel = np.ones(41) / 41
    for _ in range(2):
        table = np.convolve(np.pad(table, 20, mode="edge"), kernel, mode="valid")
    return lambda q: np.interp(q, grid, table).astype(np.float32)


_TRUNK = _curve((0.0, 0.60), (0.18, 0.52), (0.30, 0.46), (0.42, 0.425), (0.65, 0.415), (1.0, 0.42))
_ARM = _curve((0.15, 0.42), (0.3, 0.45), (0.6, 0.50), (0.8, 0.53), (1.0, 0.56))
_SHOULDER = _curve(
    (0.0, -0.5), (0.06, -0.25), (0.10, -0.06), (0.13, -0.01), (0.17, 0.02), (0.25, 0.04), (0.35, 0.06),
    (0.42, 0.085), (0.47, 0.13), (0.51, 0.20), (0.54, 0.35),
)  # fmt: skip
_DEPTH = _curve((0.0, 0.50), (0.15, 0.60), (0.35, 0.68), (0.55, 0.75), (0.72, 0.90), (0.85, 0.98), (1.0, 1.0))
_LUNG_OUTER = _curve(
    (0.09, 0.05), (0.12, 0.10), (0.145, 0.145), (0.18, 0.185), (0.24, 0.225), (0.33, 0.265), (0.45, 0.30),
    (0.55, 0.318), (0.65, 0.33), (0.80, 0.335),
)  # fmt: skip
_RIGHT_MEDIASTINUM = _curve(
    (0.10, 0.045), (0.18, 0.05), (0.28, 0.052), (0.38, 0.058), (0.46, 0.075), (0.54, 0.093), (0.62, 0.095),
    (0.70, 0.085), (0.80, 0.08),
)  # fmt: skip
_LEFT_MEDIASTINUM = _curve(
    (0.10, 0.045), (0.20, 0.052), (0.26, 0.080), (0.30, 0.086), (0.335, 0.066), (0.39, 0.085), (0.44, 0.096),
    (0.52, 0.135), (0.60, 0.172), (0.68, 0.185), (0.80, 0.16),
)  # fmt: skip
_DOME = _curve(
    (0.0, 0.73), (0.07, 0.70), (0.16, 0.678), (0.22, 0.69), (0.28, 0.73), (0.32, 0.79), (0.36, 0.86)
)
_CLAVICLE = _curve((0.03, 0.205), (0.08, 0.195), (0.16, 0.168), (0.24, 0.128), (0.32, 0.108), (0.40, 0.115))
_SCAPULA = _curve((0.18, 0.33), (0.26, 0.305), (0.36, 0.315), (0.42, 0.335), (0.46, 0.36))
_LATERAL_FRONT = _curve(
    (0.0, -0.06), (0.15, -0.12), (0.25, -0.22), (0.45, -0.31), (0.65, -0.34), (1.0, -0.33)
)
_LATERAL_BACK = _curve((0.0, 0.16), (0.15, 0.24), (0.3, 0.33), (0.5, 0.36), (0.75, 0.33), (1.0, 0.28))
_LATERAL_DOME = _curve((-0.3, 0.72), (-0.15, 0.68), (0.0, 0.70), (0.12, 0.77), (0.22, 0.86), (0.30, 0.90))

"""Draw images that are no frontal chest radiographs: examples that the pixel check must refuse.

Every public function takes a random generator and returns float32 pixels of shape (`SIZE_PX`, `SIZE_PX`) in 0–1. The
drawings are coarse because the check sees thumbnails.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxrbatch.training.pixel_check.canvas import (
    FREQUENCY,
    SIZE_PX,
    Drawer,
    Pixels,
    X,
    Y,
    blur,
    canvas,
    enlarge,
    grain,
    maybe_negative,
    oval,
    paint,
    pixels,
    skewed,
    stretch,
    turned,
)


def uniform_noise(rng: np.random.Generator) -> Pixels:
    """Draw noise: every pixel, or every block of pixels, has a random grey value."""
    block = int(rng.choice([1, 2, 4, 8]))
    return enlarge(rng.random((SIZE_PX // block,) * 2), rng)


def gaussian_noise(rng: np.random.Generator) -> Pixels:
    """Draw normal noise, blurred at a scale from one pixel to a quarter of the image."""
    scale_px = np.exp(rng.uniform(-1, np.log(SIZE_PX / 4)))
    spectrum = np.fft.fft2(rng.normal(size=(SIZE_PX, SIZE_PX))) * np.exp(
        -2 * (np.pi * FREQUENCY * scale_px) ** 2
    )
    return stretch(np.fft.ifft2(spectrum).real)


def power_law_texture(rng: np.random.Generator) -> Pixels:
    """Draw the texture of a natural image: amplitude falls as 1/frequency to some power."""
    falloff = np.maximum(FREQUENCY, 1 / SIZE_PX) ** rng.uniform(0.6, 2.2)
    spectrum = np.fft.fft2(rng.normal(size=(SIZE_PX, SIZE_PX))) / falloff
    return stretch(np.fft.ifft2(spectrum).real)


def linear_gradient(rng: np.random.Generator) -> Pixels:
    """Draw a ramp in any direction, with a little noise."""
    angle = rng.uniform(0, 2 * np.pi)
    return grain(stretch(np.cos(angle) * X + np.sin(angle) * Y) ** rng.uniform(0.5, 2), rng)


def radial_gradient(rng: np.random.Generator) -> Pixels:
    """Draw a bright or dark spot, round or oval."""
    x, y = rng.uniform(-0.5, 0.5, 2)
    distance = np.hypot((X - x) * rng.uniform(0.5, 2), Y - y)
    return grain(maybe_negative(stretch(distance) ** rng.uniform(0.5, 2), rng), rng)


def polynomial_gradient(rng: np.random.Generator) -> Pixels:
    """Draw a smooth surface of the third order."""
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    return grain(stretch(sum(rng.normal() * X**i * Y**j for i, j in powers)), rng)


def blank_page(rng: np.random.Generator) -> Pixels:
    """Draw a page of one grey with hardly visible noise, perhaps with a darker margin."""
    page = np.full((SIZE_PX, SIZE_PX), rng.random())
    if rng.random() < 0.5:
        page[:, : int(rng.integers(1, 12))] *= 0.7
    return grain(page, rng, 0.02)


def letter(rng: np.random.Generator) -> Pixels:
    """Draw a scanned page: lines of words, perhaps a logo or a table; sometimes white on black."""
    image, draw = canvas(255)
    left, y, pitch = int(rng.integers(4, 24)), int(rng.integers(4, 40)), int(rng.integers(4, 12))
    last = int(rng.integers(y + 8, SIZE_PX))
    while y < last:
        x = left
        end = int(rng.integers(50, SIZE_PX - 6)) if rng.random() < 0.2 else SIZE_PX - left
        while x < end and rng.random() > 0.03:
            width = int(rng.integers(3, 14))
            draw.rectangle((x, y, x + width, y + pitch * 0.4), fill=int(rng.integers(0, 120)))
            x += width + 3
        y += pitch
    if rng.random() < 0.4:
        x0, y0 = rng.integers(2, 90, 2)
        draw.rectangle(
            (x0, y0, x0 + rng.integers(8, 36), y0 + rng.integers(8, 36)),
            outline=40,
            fill=int(rng.integers(90, 250)),
        )
    return grain(maybe_negative(pixels(image), rng, 0.25), rng, 0.03)


def screen_form(rng: np.random.Generator) -> Pixels:
    """Draw a screenshot: panels, bars and fields at right angles."""
    image, draw = canvas(int(rng.integers(0, 256)))
    for _ in range(int(rng.integers(3, 25))):
        x, y = rng.integers(0, SIZE_PX, 2)
        draw.rectangle(
            (x, y, x + rng.integers(3, 90), y + rng.integers(3, 50)), fill=int(rng.integers(0, 256))
        )
    return pixels(image)


def dead_leaves(rng: np.random.Generator) -> Pixels:
    """Draw objects of all sizes that hide one another: the statistics of a photograph (Lee, Mumford & Huang 2001)."""
    image, draw = canvas(128)
    smallest = rng.uniform(2, 8)
    for _ in range(int(rng.integers(20, 300))):
        radius = smallest / np.sqrt(rng.uniform(0.004, 1))
        x, y = rng.uniform(-10, SIZE_PX + 10, 2)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape(
            (x - radius, y - radius * rng.uniform(0.5, 1), x + radius, y + radius),
            fill=int(rng.integers(0, 256)),
        )
    return grain(blur(pixels(image), rng.uniform(0, 1.5)), rng, 0.05)


def landscape(rng: np.random.Generator) -> Pixels:
    """Draw sky, hills one behind the other, perhaps a sun and a house or tree."""
    sky = rng.uniform(0.5, 1) + rng.uniform(-0.3, 0.1) * Y
    drawn = sky + 0.15 * rng.random() * power_law_texture(rng)
    horizon = rng.uniform(-0.5, 0.5)
    for depth in range(int(rng.integers(1, 5))):
        ridge = (
            horizon
            + 0.25 * depth
            + sum(rng.normal() * 0.15 / k * np.sin(k * 3 * X + rng.uniform(0, 6)) for k in (1, 2, 4))
        )
        drawn = np.where(ridge < Y, rng.uniform(0, 0.7) + 0.3 * rng.random() * power_law_texture(rng), drawn)
    image = Image.fromarray(np.uint8(255 * drawn.clip(0, 1)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.integers(5, 110, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + rng.integers(4, 30), y + rng.integers(4, 50)), fill=int(rng.integers(0, 256)))
    return pixels(image)


def portrait(rng: np.random.Generator) -> Pixels:
    """Draw head and shoulders before a background, lit from one side."""
    background = rng.random() + 0.4 * rng.random() * (power_law_texture(rng) - 0.5)
    x, top, width = rng.uniform(-0.25, 0.25), rng.uniform(-0.5, -0.1), rng.uniform(0.3, 0.55)
    skin, hair, clothes = rng.uniform(0.3, 0.9), rng.uniform(0, 0.8), rng.random()
    drawn = paint(background, oval(x, top + 1.35, width * 2.2, 0.8), clothes)
    drawn = paint(drawn, oval(x, top - 0.08, width * 1.15, width * 1.35), hair)
    drawn = paint(drawn, oval(x, top + 0.08, width, width * 1.25), skin)
    for side in (-1, 1):
        drawn = paint(
            drawn, oval(x + side * width * 0.4, top, width * 0.18, width * 0.1), skin * rng.uniform(0, 0.6)
        )
    drawn = paint(drawn, oval(x, top + width * 0.7, width * 0.35, width * 0.08), skin * 0.6)
    light = 1 + rng.uniform(-0.4, 0.4) * X + rng.uniform(-0.2, 0.2) * Y
    return grain(blur((drawn * light).clip(0, 1), rng.uniform(0, 2)), rng, 0.05)


def room(rng: np.random.Generator) -> Pixels:
    """Draw walls, floor and furniture in perspective."""
    image, draw = canvas(int(rng.integers(60, 256)))
    x0, y0 = rng.integers(10, 50, 2)
    x1, y1 = rng.integers(75, 118, 2)
    far = SIZE_PX
    corners = [(0, 0), (far, 0), (far, far), (0, far)]
    inner = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    for i in range(4):
        j = (i + 1) % 4
        draw.polygon(
            [*map(tuple, (corners[i], corners[j], inner[j], inner[i]))], fill=int(rng.integers(0, 256))
        )
    for _ in range(int(rng.integers(2, 10))):
        x, y = rng.integers(0, 100, 2)
        draw.rectangle(
            (x, y, x + rng.integers(5, 50), y + rng.integers(5, 50)), fill=int(rng.integers(0, 256))
        )
    return grain(blur(pixels(image), rng.uniform(0, 1.5)), rng, 0.04)


def chest_ct(rng: np.random.Generator) -> Pixels:
    """Draw an axial slice through the chest, whole or cropped, in a lung or soft-tissue window."""
    wide, high = rng.uniform(0.75, 1.3), rng.uniform(0.65, 1.2)
    muscle, fat, rim = rng.uniform(0.5, 1), rng.uniform(0.25, 1), rng.uniform(0.03, 0.15)
    drawn = paint(np.full_like(X, rng.choice([0, 0, 0.1])), oval(0, 0, wide, high), fat)
    drawn = paint(drawn, oval(0, 0, wide - rim, high - rim), muscle)
    lungs = _lungs_of_slice(wide - rim, high - rim, rng)
    drawn = paint(drawn, lungs, rng.uniform(0, 0.5))
    for largest, n in ((0.05, int(rng.integers(0, 80))), (0.25, int(rng.integers(0, 4)))):
        for _ in range(n):
            x, y = rng.uniform(-0.8, 0.8, 2) * (wide, high)
            spot = lungs & oval(x, y, *rng.uniform(0.01, largest, 2))
            drawn = paint(drawn, spot, rng.uniform(0.3, 1))
    drawn = _bones_of_slice(drawn, wide, high, rng)
    if rng.random() < 0.6:
        drawn = paint(drawn, np.abs(Y - high - 0.06 - rng.uniform(-0.1, 0.2) * X**2) < 0.02, 0.6)
    return grain(
        skewed(blur(drawn.clip(0, 1), rng.uniform(0, 1.5)), rng), rng, rng.choice([0.005, 0.02, 0.1])
    )


def _lungs_of_slice(wide: float, high: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark the lungs: one cavity without mediastinum, heart and spine, or two separate ovals."""
    lungs = oval(0, 0, wide * rng.uniform(0.7, 0.92), high * rng.uniform(0.65, 0.88))
    if rng.random() < 0.5:
        size = wide * rng.uniform(0.3, 0.42), high * rng.uniform(0.6, 0.85)
        lungs = oval(-wide * 0.46, 0.02, *size) | oval(wide * 0.46, 0.02, *size)
    lungs &= np.abs(X) > rng.uniform(0.03, 0.15) + rng.uniform(0, 0.1) * (Y + 0.3)
    heart = rng.uniform(-0.05, 0.25), -high * rng.uniform(0, 0.3)
    lungs &= ~oval(*heart, wide * rng.uniform(0.12, 0.4), high * rng.uniform(0.2, 0.55))
    return lungs & ~oval(0, high * 0.7, rng.uniform(0.15, 0.3), high * rng.uniform(0.3, 0.5))


def _bones_of_slice(
    drawn: NDArray[np.floating], wide: float, high: float, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Draw a vertebra and pieces of ribs around the cavity; perhaps the windpipe."""
    bone = rng.uniform(0.7, 1)
    drawn = paint(drawn, oval(0, high * rng.uniform(0.5, 0.65), 0.13, 0.14), bone)
    drawn = paint(drawn, oval(0, high * 0.68, 0.05, 0.05), bone * 0.7)
    share = rng.uniform(0.75, 0.9)
    cage = oval(0, 0, wide * share, high * share) & ~oval(0, 0, wide * share - 0.05, high * share - 0.05)
    turns = np.arctan2(Y, X) * rng.integers(3, 7) / np.pi
    drawn = paint(drawn, cage & (turns % 1 < rng.uniform(0, 0.9)), bone)
    if rng.random() < 0.5:
        drawn = paint(drawn, oval(rng.uniform(-0.05, 0.05), rng.uniform(-0.2, 0.2), 0.08, 0.09), 0)
    return drawn


def other_ct(rng: np.random.Generator) -> Pixels:
    """Draw an axial slice of abdomen or head (CT or MR)."""
    wide, high = rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.0)
    wall, inside = rng.uniform(0.3, 1), rng.uniform(0.1, 0.7)
    drawn = paint(np.zeros_like(X), oval(0, 0, wide, high), wall)
    drawn = paint(drawn, oval(0, 0, wide - rng.uniform(0.03, 0.15), high - rng.uniform(0.03, 0.15)), inside)
    for _ in range(int(rng.integers(2, 20))):
        x, y = rng.uniform(-0.55, 0.55, 2) * (wide, high)
        drawn = paint(drawn, oval(x, y, *rng.uniform(0.04, 0.35, 2)), rng.random())
    return grain(blur(drawn, rng.uniform(0, 2)), rng, 0.1)


def hand(rng: np.random.Generator) -> Pixels:
    """Draw a palm and fingers with bones, in any direction."""
    image, draw = canvas(0)
    soft, bone = int(rng.integers(50, 130)), int(rng.integers(150, 256))
    for width, fill in ((rng.uniform(12, 18), soft), (rng.uniform(4, 8), bone)):
        draw.ellipse((42, 62, 92, 112), fill=soft)
        for finger, length in zip(range(-2, 3), (30, 44, 50, 46, 30), strict=True):
            x, angle = 66 + finger * 10, finger * 0.2
            tip = (x + np.sin(angle) * length * 1.3, 80 - np.cos(angle) * length * 1.3)
            draw.line([(66 + finger * 7, 100), tip], fill=fill, width=int(width))
        draw.line([(66, 90), (66, 128)], fill=fill, width=int(width * 1.8))
    return turned(blur(pixels(image), 1.2), rng)


def limb(rng: np.random.Generator) -> Pixels:
    """Draw one or two long bones in soft tissue, perhaps with a joint."""
    across = X + rng.uniform(-0.2, 0.2) * Y
    soft = (np.abs(across) < rng.uniform(0.3, 0.8)) * rng.uniform(0.25, 0.6)
    drawn = np.array(soft)
    gap = rng.uniform(-0.6, 0.6) if rng.random() < 0.6 else 9.0
    width = rng.uniform(0.1, 0.22)
    for centre in (0.0,) if rng.random() < 0.5 else (-0.2, 0.22):
        flare = width * (1 + 0.8 * np.exp(-(((Y - gap) / 0.3) ** 2)))
        shaft = np.abs(across - centre) < flare
        cortex = np.clip(np.abs(across - centre) / flare, 0, 1) ** 2
        drawn = np.where(shaft & (np.abs(Y - gap) > 0.03), 0.55 + 0.4 * cortex, drawn)
    return turned(blur(drawn, rng.uniform(1, 2.5)), rng)


def skull(rng: np.random.Generator) -> Pixels:
    """Draw a head from the front or side: bright vault, orbits or jaw."""
    drawn = paint(np.zeros_like(X), oval(0, -0.1, rng.uniform(0.6, 0.9), 0.85), rng.uniform(0.7, 1))
    drawn = paint(drawn, oval(0, -0.12, 0.6, 0.75), rng.uniform(0.4, 0.7))
    for side in (-1, 1):
        drawn = paint(drawn, oval(side * 0.28, 0.05, 0.17, 0.13), rng.uniform(0.1, 0.4))
    drawn = paint(drawn, oval(0, 0.35, 0.1, 0.18), 0.2)
    drawn = paint(drawn, oval(0, 0.75, rng.uniform(0.3, 0.5), 0.3), rng.uniform(0.5, 0.9))
    return grain(blur(drawn, rng.uniform(1, 3)), rng, 0.03)


def abdomen(rng: np.random.Generator) -> Pixels:
    """Draw a grey belly with spine, pelvis and gas."""
    drawn = 0.6 - 0.25 * np.abs(X) ** 2 + 0 * Y
    drawn = paint(drawn, np.abs(X) < 0.13, 0.85)
    for side in (-1, 1):
        drawn = paint(drawn, oval(side * 0.5, rng.uniform(0.6, 0.9), 0.4, 0.3), rng.uniform(0.75, 1))
    for _ in range(int(rng.integers(2, 14))):
        x, y = rng.uniform(-0.7, 0.7, 2)
        drawn = paint(drawn, oval(x, y, *rng.uniform(0.05, 0.2, 2)), rng.uniform(0.1, 0.4))
    drawn = np.where(np.abs(X) > rng.uniform(0.8, 1.1), 0.02, drawn)
    return grain(blur(drawn, rng.uniform(1.5, 4)), rng, 0.03)


DRAWN: Mapping[str, Drawer] = {
    drawer.__name__: drawer
    for drawer in (
        uniform_noise, gaussian_noise, power_law_texture, linear_gradient, radial_gradient, polynomial_gradient,
        blank_page, letter, screen_form, dead_leaves, landscape, portrait, room, chest_ct, other_ct, hand, limb,
        skull, abdomen,
    )
}  # fmt: skip
"""Kinds that need no radiograph."""

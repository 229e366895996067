"""Draw on a small canvas: ovals, noise and blur, for images that are no radiographs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIZE_PX = 128

Pixels = NDArray[np.float32]

Drawer = Callable[[np.random.Generator], Pixels]

Y, X = np.mgrid[-1 : 1 : SIZE_PX * 1j, -1 : 1 : SIZE_PX * 1j]

FREQUENCY = np.hypot(np.fft.fftfreq(SIZE_PX)[:, None], np.fft.fftfreq(SIZE_PX)[None])


def canvas(grey: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Start an image of one grey, 0 to 255."""
    image = Image.new("L", (SIZE_PX, SIZE_PX), grey)
    return image, ImageDraw.Draw(image)


def pixels(image: Image.Image) -> Pixels:
    """Convert an 8-bit image to values in [0, 1]."""
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def oval(x: float, y: float, half_width: float, half_height: float) -> NDArray[np.bool_]:
    """Mark the pixels of an ellipse; coordinates run from -1 to 1."""
    return ((X - x) / half_width) ** 2 + ((Y - y) / half_height) ** 2 < 1


def paint(values: NDArray[np.floating], where: NDArray[np.bool_], grey: float) -> NDArray[np.floating]:
    """Set the marked pixels to one grey."""
    return np.where(where, grey, values)


def stretch(values: NDArray[np.floating]) -> Pixels:
    """Rescale values to [0, 1]."""
    low, high = values.min(), values.max()
    return ((values - low) / max(high - low, 1e-9)).astype(np.float32)


def blur(values: NDArray[np.floating], radius_px: float) -> Pixels:
    """Blur values in [0, 1] by a Gaussian."""
    blurred = Image.fromarray(np.uint8(np.rint(255 * values))).filter(ImageFilter.GaussianBlur(radius_px))
    return pixels(blurred)


def grain(values: NDArray[np.floating], rng: np.random.Generator, most: float = 0.1) -> Pixels:
    """Add normal noise of a random strength up to `most`."""
    noisy = values + rng.uniform(0, most) * rng.normal(size=values.shape)
    return noisy.clip(0, 1).astype(np.float32)


def maybe_negative(
    values: NDArray[np.floating], rng: np.random.Generator, share: float = 0.5
) -> NDArray[np.floating]:
    """Invert values in [0, 1] for a share of the images."""
    return 1 - values if rng.random() < share else values


def enlarge(values: NDArray[np.floating], rng: np.random.Generator) -> Pixels:
    """Resize to the canvas, with visible pixels or smoothly."""
    method = Image.Resampling.NEAREST if rng.random() < 0.5 else Image.Resampling.BICUBIC
    image = Image.fromarray(values.astype(np.float32)).resize((SIZE_PX, SIZE_PX), method)
    return np.asarray(image).clip(0, 1)


def turned(values: Pixels, rng: np.random.Generator) -> Pixels:
    """Rotate by a random angle."""
    angle = float(rng.uniform(-180, 180))
    return np.asarray(Image.fromarray(values).rotate(angle, Image.Resampling.BILINEAR)).clip(0, 1)


def skewed(values: Pixels, rng: np.random.Generator) -> Pixels:
    """Move each corner by up to an eighth of the side."""
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) + rng.uniform(-0.125, 0.125, (4, 2))
    size = (SIZE_PX, SIZE_PX)
    quad = tuple((corners * SIZE_PX).ravel())
    return np.asarray(
        Image.fromarray(values).transform(size, Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    )

"""Alter radiographs so that they are no frontal chest radiographs any more: examples that must be refused.

Every function takes and returns float32 pixels of shape (`SIZE_PX`, `SIZE_PX`) in 0–1.
"""

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from cxrbatch.training.pixel_check.canvas import SIZE_PX, Pixels, stretch


def negative(film: Pixels, _: np.random.Generator) -> Pixels:
    """Invert the grey values: bone is black."""
    return 1 - film


def upside_down(film: Pixels, _: np.random.Generator) -> Pixels:
    """Turn the image by 180°."""
    return film[::-1, ::-1]


def lying(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn the image by 90° to either side."""
    return np.rot90(film, int(rng.choice([1, 3])))


def same_spectrum(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Keep the texture without the anatomy: the spectrum of the radiograph with random phases."""
    phase = np.angle(np.fft.fft2(rng.normal(size=film.shape)))
    return stretch(np.fft.ifft2(np.abs(np.fft.fft2(film)) * np.exp(1j * phase)).real)


def shuffled(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut the image into tiles and shuffle them."""
    n = int(rng.choice([2, 4, 8]))
    tiles = film.reshape(n, SIZE_PX // n, n, SIZE_PX // n).swapaxes(1, 2).reshape(n * n, SIZE_PX // n, -1)
    mixed = tiles[rng.permutation(n * n)].reshape(n, n, SIZE_PX // n, -1)
    return mixed.swapaxes(1, 2).reshape(film.shape)


def detail(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Enlarge a small part of the image."""
    side = SIZE_PX * rng.uniform(0.2, 0.4)
    x, y = rng.uniform(0, SIZE_PX - side, 2)
    image = Image.fromarray(np.ascontiguousarray(film)).resize(
        (SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side)
    )
    return stretch(np.asarray(image))


def two_on_a_page(film: Pixels, rng: np.random.Generator) -> Pixels:
    """Put two small copies of the image beside or above each other."""
    half = film.reshape(SIZE_PX // 2, 2, SIZE_PX).mean(axis=1)
    both = np.concatenate([half, half[:, ::-1]])
    return both if rng.random() < 0.5 else np.concatenate([film[:, ::2], film[:, 1::2]], axis=1)


MADE_OF_RADIOGRAPHS: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    maker.__name__: maker
    for maker in (negative, upside_down, lying, same_spectrum, shuffled, detail, two_on_a_page)
}
"""Kinds made of a frontal radiograph of shape (`SIZE_PX`, `SIZE_PX`)."""

"""Paint white letters and arrows, as found on radiographs, onto preprocessed images.

Input and output are uint8, shape (n, height, width). The marks are drawn once on a canvas of 512 × 512 pixels and
reduced to the size of the images. So they look the same at every size, and depend on no version of a font.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxrbatch.preprocess import area_resize

Images = NDArray[np.uint8]
Mask = NDArray[np.float32]

_CANVAS_PX = 512
_LETTER_UNIT_PX, _WORD_UNIT_PX = 8, 4
_EDGE_PX = 24
_GLYPH_COLUMNS = 5
_GLYPHS = {
    " ": (0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000),
    "A": (0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001),
    "B": (0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110),
    "E": (0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111),
    "L": (0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111),
    "O": (0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110),
    "P": (0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000),
    "R": (0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001),
    "T": (0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100),
}
_ARROWS = (((60, 200), (150, 260)), ((470, 330), (370, 300)))
"""Tail and tip, as (x, y) on the canvas."""
_ARROW_WIDTH_PX, _HEAD_PX = 6, 26


def letter_l(images: Images) -> Images:
    """Paint a white L in the upper right corner, where the patient's left is."""
    return _paint(images, _canvas_l)


def letter_r(images: Images) -> Images:
    """Paint a white R in the upper left corner."""
    return _paint(images, _canvas_r)


def ap_portable(images: Images) -> Images:
    """Paint the words AP PORTABLE at the middle of the upper edge."""
    return _paint(images, _canvas_ap_portable)


def arrows(images: Images) -> Images:
    """Paint two white arrows that point at the lungs."""
    return _paint(images, _canvas_arrows)


def _paint(images: Images, draw: Callable[[], Mask]) -> Images:
    """Brighten towards white where the canvas is white."""
    height, width = images.shape[1:]
    share = area_resize(draw(), height, width)
    return np.rint(images + share * (255 - images.astype(np.float32))).astype(np.uint8)


@cache
def _canvas_l() -> Mask:
    return _written("L", _LETTER_UNIT_PX, _CANVAS_PX - _EDGE_PX - _GLYPH_COLUMNS * _LETTER_UNIT_PX)


@cache
def _canvas_r() -> Mask:
    return _written("R", _LETTER_UNIT_PX, _EDGE_PX)


@cache
def _canvas_ap_portable() -> Mask:
    words = "AP PORTABLE"
    return _written(
        words, _WORD_UNIT_PX, (_CANVAS_PX - len(words) * (_GLYPH_COLUMNS + 1) * _WORD_UNIT_PX) // 2
    )


def _written(words: str, unit_px: int, left_px: int) -> Mask:
    """Draw words on a canvas, 1 where white; the distance to the upper edge is always the same."""
    text = np.hstack([np.pad(_glyph(letter), ((0, 0), (0, 1))) for letter in words])[:, :-1]
    drawn = np.kron(text, np.ones((unit_px, unit_px), np.float32))
    canvas = np.zeros((_CANVAS_PX, _CANVAS_PX), np.float32)
    canvas[_EDGE_PX : _EDGE_PX + drawn.shape[0], left_px : left_px + drawn.shape[1]] = drawn
    return canvas


def _glyph(letter: str) -> Mask:
    bits = [
        [row >> (_GLYPH_COLUMNS - 1 - column) & 1 for column in range(_GLYPH_COLUMNS)]
        for row in _GLYPHS[letter]
    ]
    return np.array(bits, np.float32)


@cache
def _canvas_arrows() -> Mask:
    canvas = Image.new("L", (_CANVAS_PX, _CANVAS_PX))
    draw = ImageDraw.Draw(canvas)
    for tail, tip in _ARROWS:
        draw.line((tail, tip), fill=1, width=_ARROW_WIDTH_PX)
        draw.polygon(_head(tail, tip), fill=1)
    return np.asarray(canvas, np.float32)


def _head(tail: Sequence[int], tip: Sequence[int]) -> list[tuple[float, float]]:
    end = np.array(tip, float)
    along = (end - tail) / np.linalg.norm(end - tail)
    across = np.array([-along[1], along[0]])
    back = end - _HEAD_PX * along
    corners = (end + _ARROW_WIDTH_PX * along, back + _HEAD_PX / 2 * across, back - _HEAD_PX / 2 * across)
    return [(float(x), float(y)) for x, y in corners]

"""Draw the result onto an image: radiograph and result in, RGB image out. Needs no display."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxrbatch.records import FINDINGS, CxrImage, Evidence, Failure, ImageScore
from cxrbatch.report.words import say
from cxrbatch.resample import Box

_LONG_SIDE_PX = 1024
_LINE_PX = 26
_MARGIN_PX = 12
_BAR_PX = 260
_LABEL_PX = 150
_INK = (255, 255, 255)
_BAR = (120, 170, 220)
_CAVEAT = "Research use. A low score is never a rule-out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A map of where the network looked, and where on the image it lies.

    Attributes
    ----------
    evidence : Evidence
    box : Box
        Left, upper, right and lower edge in pixels of the image.
    """

    evidence: Evidence
    box: Box


def annotated(
    image: CxrImage | None,
    result: ImageScore | Failure,
    overlays: Sequence[Overlay] = (),
    origin: str = "",
) -> Image.Image:
    """Draw a radiograph with a panel below, which shows its scores or the reason why it has none.

    Parameters
    ----------
    image : CxrImage or None
        None if it could not be decoded; then only the panel is drawn.
    result : ImageScore or Failure
    overlays : sequence of Overlay
        Each is drawn on a copy of the radiograph, to the right of it.
    origin : str
        What the scores come from, for the last line.

    Returns
    -------
    PIL.Image.Image
        RGB, long side of the radiograph at most 1024 px.
    """
    rendered = _render(image) if image else Image.new("RGB", (_LONG_SIDE_PX // 2, 0))
    scale = rendered.width / image.pixels.shape[1] if image else 1.0
    pictures = [rendered, *(_with_map(rendered, overlay, scale) for overlay in overlays)]
    return _with_panel(pictures, result, [*_legend(overlays), " ".join(filter(None, (_CAVEAT, origin)))])


def annotated_thumbnail(
    jpeg: bytes, result: ImageScore | Failure, evidence: Sequence[Evidence] = ()
) -> Image.Image:
    """Draw a thumbnail that this program made, enlarged, with its maps beside it and the same panel below."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as small:
        times = _LONG_SIDE_PX / max(small.size)
        size = (round(small.width * times), round(small.height * times))
        large = small.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    overlays = [Overlay(evidence=one, box=(0, 0, *size)) for one in evidence]
    pictures = [large, *(_with_map(large, overlay, 1.0) for overlay in overlays)]
    return _with_panel(pictures, result, [*_legend(overlays), _CAVEAT])


def _with_panel(
    pictures: Sequence[Image.Image], result: ImageScore | Failure, closing: Sequence[str]
) -> Image.Image:
    """Draw images of one height beside each other, and the panel below them."""
    height = pictures[0].height
    width = max(sum(one.width for one in pictures), _MARGIN_PX * 2 + _LABEL_PX + _BAR_PX + 80)
    panel = _panel(result, width, closing)
    canvas = Image.new("RGB", (width, height + panel.height))
    left = (width - sum(one.width for one in pictures)) // 2
    for picture in pictures:
        canvas.paste(picture, (left, 0))
        left += picture.width
    canvas.paste(panel, (0, height))
    return canvas


def _render(image: CxrImage) -> Image.Image:
    grey = Image.fromarray(np.rint(image.pixels * 255).astype(np.uint8))
    grey.thumbnail((_LONG_SIDE_PX, _LONG_SIDE_PX), Image.Resampling.BOX)
    return grey.convert("RGB")


def _with_map(rendered: Image.Image, overlay: Overlay, scale: float) -> Image.Image:
    left, upper, right, lower = (round(edge * scale) for edge in overlay.box)
    with Image.open(io.BytesIO(overlay.evidence.png)) as cells:
        colours = cells.resize((max(right - left, 1), max(lower - upper, 1)), Image.Resampling.BILINEAR)
    drawn = rendered.convert("RGBA")
    drawn.alpha_composite(colours, (left, upper))
    return drawn.convert("RGB")


def _legend(overlays: Sequence[Overlay]) -> list[str]:
    questions = ", ".join(say(f"map_{overlay.evidence.question}") for overlay in overlays)
    return [f"Maps: {questions}. {say('map_note')}."] if overlays else []


def _panel(result: ImageScore | Failure, width: int, closing: Sequence[str]) -> Image.Image:
    font = ImageFont.load_default(18)
    reason = f"not scored: {result.reason} ({result.detail})" if isinstance(result, Failure) else ""
    lines = _wrapped(reason, font, width) if reason else list(FINDINGS)
    closing = [part for line in closing for part in _wrapped(line, font, width)]
    panel = Image.new("RGB", (width, (len(lines) + len(closing)) * _LINE_PX + 2 * _MARGIN_PX))
    draw = ImageDraw.Draw(panel)
    for row, line in enumerate([*lines, *closing]):
        draw.text((_MARGIN_PX, _MARGIN_PX + row * _LINE_PX), line, fill=_INK, font=font)
    if isinstance(result, ImageScore):
        for row, score in enumerate(result.scores):
            _bar(draw, score, _MARGIN_PX + row * _LINE_PX, font)
    return panel


def _bar(
    draw: ImageDraw.ImageDraw, score: float, top: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont
) -> None:
    left, bottom = _MARGIN_PX + _LABEL_PX, top + _LINE_PX - 8
    draw.rectangle((left, top + 2, left + _BAR_PX, bottom), outline=_BAR)
    draw.rectangle((left, top + 2, left + round(_BAR_PX * score), bottom), fill=_BAR)
    draw.text((left + _BAR_PX + _MARGIN_PX, top), f"{score:.3f}", fill=_INK, font=font)


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Split a text into lines that fit into the width of the panel."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        fits = font.getlength(longer) <= width - 2 * _MARGIN_PX
        lines = [*lines[:-1], longer] if fits else [*lines, word]
    return lines

"""Draw the result onto an image: radiograph and result in, RGB image out. Needs no display."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxrbatch.records import FINDINGS, CxrImage, Failure, ImageScore

_LONG_SIDE_PX = 1024
_LINE_PX = 26
_MARGIN_PX = 12
_BAR_PX = 260
_LABEL_PX = 150
_INK = (255, 255, 255)
_BAR = (120, 170, 220)
_CAVEAT = "Research use. A low score is never a rule-out."


def annotated(image: CxrImage | None, result: ImageScore | Failure) -> Image.Image:
    """Draw a radiograph with a panel below, which shows its scores or the reason why it has none.

    Parameters
    ----------
    image : CxrImage or None
        None if it could not be decoded; then only the panel is drawn.
    result : ImageScore or Failure

    Returns
    -------
    PIL.Image.Image
        RGB, long side of the radiograph at most 1024 px.
    """
    rendered = _render(image) if image else Image.new("RGB", (_LONG_SIDE_PX // 2, 0))
    return _with_panel(rendered, result)


def annotated_thumbnail(jpeg: bytes, result: ImageScore | Failure) -> Image.Image:
    """Draw a thumbnail that this program made, enlarged, with the same panel below."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as small:
        times = _LONG_SIDE_PX / max(small.size)
        size = (round(small.width * times), round(small.height * times))
        return _with_panel(small.convert("RGB").resize(size, Image.Resampling.BICUBIC), result)


def _with_panel(rendered: Image.Image, result: ImageScore | Failure) -> Image.Image:
    width = max(rendered.width, _MARGIN_PX * 2 + _LABEL_PX + _BAR_PX + 80)
    panel = _panel(result, width)
    canvas = Image.new("RGB", (width, rendered.height + panel.height))
    canvas.paste(rendered, ((width - rendered.width) // 2, 0))
    canvas.paste(panel, (0, rendered.height))
    return canvas


def _render(image: CxrImage) -> Image.Image:
    grey = Image.fromarray(np.rint(image.pixels * 255).astype(np.uint8))
    grey.thumbnail((_LONG_SIDE_PX, _LONG_SIDE_PX), Image.Resampling.BOX)
    return grey.convert("RGB")


def _panel(result: ImageScore | Failure, width: int) -> Image.Image:
    font = ImageFont.load_default(18)
    lines = _reason_lines(result, font, width) if isinstance(result, Failure) else list(FINDINGS)
    panel = Image.new("RGB", (width, (len(lines) + 1) * _LINE_PX + 2 * _MARGIN_PX))
    draw = ImageDraw.Draw(panel)
    for row, line in enumerate([*lines, _CAVEAT]):
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


def _reason_lines(
    failure: Failure, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int
) -> list[str]:
    lines = [""]
    for word in f"not scored: {failure.reason} ({failure.detail})".split():
        longer = f"{lines[-1]} {word}".strip()
        fits = font.getlength(longer) <= width - 2 * _MARGIN_PX
        lines = [*lines[:-1], longer] if fits else [*lines, word]
    return lines

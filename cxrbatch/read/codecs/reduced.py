"""Decode compressed pixel data at a fraction of the size, where the format allows it: frame in, stored values out.

RLE is decoded by averaging its planes of bytes, JPEG (8 bit) by decoding fewer DCT coefficients, JPEG 2000 and HTJ2K
by leaving out the highest resolution levels, and of JPEG 2000 the lowest bit planes. A frame for which this fails,
for whatever reason, is left to `cxrbatch.read.codecs.decode`, which also reports the error.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, Jpeg2KImagePlugin
from pydicom import uid

from cxrbatch.read.block_means import block_sums, extent_in_blocks, strips
from cxrbatch.read.byte_order import is_noise, variation
from cxrbatch.read.codecs.bit_planes import coarse_codestream, without_low_planes
from cxrbatch.read.codecs.decode import nothing_ignored, rle_planes
from cxrbatch.read.codecs.jpeg2000 import MainHeader, is_reversible, n_levels
from cxrbatch.read.wrapped import may_be_wrapped
from cxrbatch.resample import Box, NotReducible, ReducedImage

_MOST_DCT_HALVINGS = 3
_JPEG_READ_BYTES = 4 << 20
"""What Pillow reads of a JPEG at a time: by default 64 KiB, and each time it copies what the decoder left."""
_SAMPLED_ROW = 61
_Reduce = Callable[[bytes, int, float], bytes]
"""`without_low_planes`, or another function with the same parameters."""
_STEPS = 128
"""Into so many steps the range of stored values is divided by the lowest bit plane of JPEG 2000 that is decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Shape and bits of the pixels, as the header states them.

    Attributes
    ----------
    shape : tuple of int
        Shape of the full image: (rows, columns) if it is monochrome.
    allocated, stored, high : int
        BitsAllocated, BitsStored, HighBit.
    signed : bool
        Whether stored values are signed.
    """

    shape: tuple[int, ...]
    allocated: int
    stored: int
    high: int
    signed: bool


def decode_reduced(frame: bytes, transfer_syntax: str, form: Form, halvings: int) -> ReducedImage:
    """Decode one monochrome frame at ``1 / 2**halvings`` of its size.

    Returns
    -------
    ReducedImage
        Of stored values, float32.

    Raises
    ------
    NotReducible
        The frame cannot be decoded at this size, or its grey values may have wrapped around.
    """
    return _reduced(lambda: _DECODERS[transfer_syntax](frame, form, halvings))


def decode_start(first_bytes: bytes, form: Form, halvings: int) -> ReducedImage:
    """Decode one monochrome JPEG 2000 frame at ``1 / 2**halvings`` of its size from its first bytes.

    The lowest resolution levels stand first, as a rule. Result as of `decode_reduced`, to the last bit.

    Raises
    ------
    NotReducible
        These bytes are not sufficient, or the frame cannot be decoded at this size.
    """
    return _reduced(lambda: _jpeg2k(first_bytes, form, halvings, _coarse))


def start_is_sufficient(transfer_syntax: str) -> bool:
    """Check whether `decode_start` may decode images of the transfer syntax."""
    return _DECODERS.get(transfer_syntax) is _jpeg2k


def _reduced(decode: Callable[[], ReducedImage]) -> ReducedImage:
    try:
        return decode()
    except MemoryError:
        raise
    except Exception as error:
        raise NotReducible from error


def draft(image: ImageFile.ImageFile, halvings: int) -> Box:
    """Make Pillow decode a JPEG at ``1 / 2**halvings`` of its size, at least 1/8: to the means of its blocks.

    Returns
    -------
    Box
        Extent of the full image in the smaller one.

    Raises
    ------
    NotReducible
        Pillow cannot.
    """
    columns, rows = image.size
    scale = 1 << min(halvings, _MOST_DCT_HALVINGS)
    image.draft(None, (columns // scale, rows // scale))
    image.decodermaxblock = _JPEG_READ_BYTES
    if image.size != (-(-columns // scale), -(-rows // scale)):
        raise NotReducible
    return extent_in_blocks((rows, columns), scale)


def _rle(frame: bytes, form: Form, halvings: int) -> ReducedImage:
    """Sum up the blocks of each plane of bytes, then combine the planes: there are fewer blocks than pixels."""
    block = 1 << halvings
    if form.signed or len(form.shape) != 2:
        raise NotReducible
    planes = _bits_used(rle_planes(frame, form.shape[0] * form.shape[1]), form)
    sums, noise = [], []
    for plane, bits in planes:
        pixels = plane.reshape(form.shape)
        sums.append(block_sums(_within(strips(pixels, block), bits), block, bits))
        noise.append(variation(pixels[::_SAMPLED_ROW]) if form.stored == form.allocated > 8 else 0.0)
    if is_noise(noise[0], noise[-1]):
        raise NotReducible  # the planes may be exchanged
    if len(sums) * 8 != form.allocated:
        raise NotReducible
    stored, *lower = sums
    for low in lower:
        stored *= np.float32(256)
        stored += low
    stored /= np.float32(block * block)
    return ReducedImage(_unwrapped(stored), extent_in_blocks(form.shape, block))


def _bits_used(planes: Iterator[NDArray[np.uint8]], form: Form) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield planes with the number of bits that belong to the grey value."""
    if form.high != form.stored - 1:
        raise NotReducible
    for place, plane in zip(range(form.allocated - 8, -1, -8), planes, strict=True):
        yield plane, min(max(form.stored - place, 0), 8)


def _within(strips: Iterator[NDArray[np.uint8]], n_bits: int) -> Iterator[NDArray[np.uint8]]:
    """Raise `NotReducible` where a higher bit is set: only the full image shows what it means."""
    for strip in strips:
        if n_bits < 8 and int(strip.max(initial=0)) >= 1 << n_bits:
            raise NotReducible
        yield strip


def _jpeg(codestream: bytes, form: Form, halvings: int) -> ReducedImage:
    with Image.open(io.BytesIO(codestream), formats=["JPEG"]) as image:
        if form.signed or form.stored < 8 or image.mode != "L" or image.size[::-1] != form.shape:
            raise NotReducible
        extent = draft(image, halvings)
        return ReducedImage(_unwrapped(np.asarray(image, np.float32)), extent)


def _jpeg2k(
    codestream: bytes, form: Form, halvings: int, reduce: _Reduce = without_low_planes
) -> ReducedImage:
    precision = _plain_header(codestream, form, halvings).precision
    stored = _jpeg2k_at_level(reduce(codestream, halvings, (1 << precision) / _STEPS), precision, halvings)
    n_used = int(stored.max()) - int(stored.min()) + 1
    if 2 * n_used <= 1 << precision:  # such as 12 bits in 16
        stored = _jpeg2k_at_level(reduce(codestream, halvings, n_used / _STEPS), precision, halvings)
    pixels = stored.astype(np.float32) - (1 << (precision - 1) if form.signed else 0)
    return _of_low_pass(pixels, codestream, form, halvings)


def _coarse(first_bytes: bytes, halvings: int, step: float) -> bytes:
    found = coarse_codestream(first_bytes, halvings, step)
    if found is None:
        raise NotReducible
    return found


def _jpeg2k_at_level(codestream: bytes, precision: int, halvings: int) -> NDArray[np.integer]:
    with Jpeg2KAtLevel(io.BytesIO(codestream), halvings) as image:
        values = np.asarray(image)
    # Pillow shifts all values to the upper end of 8 or 16 bits, and makes signed values at least 0.
    return values >> (8 * values.itemsize - precision)


def _htj2k(codestream: bytes, form: Form, halvings: int) -> ReducedImage:
    main = _plain_header(codestream, form, halvings)
    with nothing_ignored():
        values = imagecodecs.htj2k_decode(codestream, skipres=halvings)
    if main.precision == 8 * values.itemsize:
        raise NotReducible
    # The low-pass filters overshoot, and in the decoder values below 0 wrap around.
    lowest = -(1 << (main.precision - 1)) if form.signed else 0
    stored = np.clip(values.view(f"i{values.itemsize}"), lowest, lowest + (1 << main.precision) - 1)
    return _of_low_pass(stored.astype(np.float32), codestream, form, halvings)


_Decoder = Callable[[bytes, Form, int], ReducedImage]
_DECODERS: dict[str, _Decoder] = {
    uid.RLELossless: _rle,
    uid.JPEGBaseline8Bit: _jpeg,
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), _jpeg2k),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), _htj2k),
}


def can_reduce(transfer_syntax: str) -> bool:
    """Check whether images of the transfer syntax may be decoded at a fraction of their size."""
    return transfer_syntax in _DECODERS


def _plain_header(codestream: bytes, form: Form, halvings: int) -> MainHeader:
    """Read the main header; raise `NotReducible` unless it describes one tile of one component as in `form`.

    Bits above those that the header calls stored may mean anything; then, too, all pixels are needed.
    """
    main = MainHeader.of(codestream)
    one_tile = main.tile[0] >= main.size[0] and main.tile[1] >= main.size[1]
    plain = (
        main.size == form.shape
        and main.origin == (0, 0)
        and main.n_components == 1
        and main.precision <= min(form.stored, 16)
        and main.signed == form.signed
    )
    if not plain or not one_tile or n_levels(codestream) < halvings:
        raise NotReducible
    return main


def _of_low_pass(samples: NDArray[np.float32], codestream: bytes, form: Form, halvings: int) -> ReducedImage:
    """Make means of the samples of a lower resolution level; those of the irreversible filter (9/7) are near them."""
    plain = _unwrapped(samples)  # before contour bands are smoothed away
    means = _without_gain(plain) if is_reversible(codestream) else plain
    return ReducedImage(means, _low_pass_extent(form.shape, halvings))


def _unwrapped(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Raise `NotReducible` where grey values may have wrapped around: only the full image shows whether they have."""
    if may_be_wrapped(means):
        raise NotReducible
    return means


def _without_gain(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert samples of the reversible filter (5/3, ISO/IEC 15444-1 annex F) to near means of squares: smooth them.

    Its low-pass (-1, 2, 6, 2, -1) / 8 amplifies fine structure: three times, waves of 8 samples by 1.05 and of 4 by
    1.15, which means of squares weaken to 0.97 and 0.90. After (1, 6, 1) / 8 along each axis it is 0.97 and 0.87.
    """
    rows = np.pad(samples, 1, "edge")
    rows = 0.75 * rows[1:-1] + 0.125 * (rows[:-2] + rows[2:])
    return 0.75 * rows[:, 1:-1] + 0.125 * (rows[:, :-2] + rows[:, 2:])


def _low_pass_extent(shape: tuple[int, ...], halvings: int) -> Box:
    """Compute the extent of the full image in the samples of a lower resolution level (ISO/IEC 15444-1 F.4).

    The filters are symmetric about every second sample, the first included. Sample i of the level is centred on the
    middle of pixel ``i * 2**halvings``, and not on the middle of a block that begins there.
    """
    scale = 1 << halvings
    before = 0.5 - 0.5 / scale
    return before, before, before + shape[1] / scale, before + shape[0] / scale


class Jpeg2KAtLevel(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """Pillow's JPEG 2000 file with the right size: its ``reduce`` rounds, but ISO/IEC 15444-1 B-15 rounds up."""

    def __init__(self, stream: io.BytesIO, halvings: int) -> None:
        self._halvings = halvings
        super().__init__(stream)

    def _open(self) -> None:
        super()._open()
        scale = 1 << self._halvings
        self._size = -(-self.width // scale), -(-self.height // scale)
        tile = self.tile[0]
        codec, _, *rest = cast("tuple[object, ...]", tile.args)
        self.tile = [tile._replace(extents=(0, 0, *self.size), args=(codec, self._halvings, *rest))]

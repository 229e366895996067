"""Average the stored values of a DICOM file over blocks of pixels: dataset in, means out.

Of an uncompressed frame while it is read, of a compressed one while or after it is decoded. Only what is plain is
averaged so: where bits, signs or padding leave a doubt, `NotReducible` says that all pixels have to be looked at.
"""

from collections.abc import Iterator
from math import prod

from pydicom import uid
from pydicom.dataset import Dataset

from cxrbatch.read import block_means
from cxrbatch.read.codecs import decode, frame_header, reduced
from cxrbatch.read.codecs.frame_header import Coding
from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom import pixel_data
from cxrbatch.read.dicom.bits import Bits, plain_values, stated_bits
from cxrbatch.read.dicom.source import Source
from cxrbatch.read.dicom.stored_values import Decoded, is_padding, shape_of, transfer_syntax
from cxrbatch.read.greyscale import Stored
from cxrbatch.read.wrapped import may_be_wrapped
from cxrbatch.reasons import Refusal
from cxrbatch.resample import NotReducible, ReducedImage

_SHARE_OF_LEVEL = 4.0
"""Share of the bytes that a resolution level and those below it may have, over its share of the samples."""


def reduced_from_source(dataset: Dataset, source: Source, begin: int, halvings: int) -> ReducedImage:
    """Average the stored values of an uncompressed frame while it is read, a strip at a time.

    Parameters
    ----------
    dataset : Dataset
        The header.
    begin : int
        Offset of the element behind the header in the source, in bytes.

    Raises
    ------
    NotReducible
        The pixels are compressed, incomplete, padded, wider than BitsStored, may have wrapped around, or cannot be
        averaged for other reasons.
    """
    layout = pixel_data.layout(dataset, uid.UID(transfer_syntax(dataset)))
    raw = pixel_data.strips(source, begin, layout, 1 << halvings)
    shape, coding = (layout.rows, layout.columns), Coding(8 * layout.dtype.itemsize)
    return _means_of_plain(dataset, raw, shape, coding, halvings)


def reduced_from_decoded(dataset: Dataset, decoded: Decoded, halvings: int) -> ReducedImage:
    """Average the stored values of a decoded frame, a strip at a time, so that each is in the processor's cache.

    Raises
    ------
    NotReducible
        As `reduced_from_source`.
    """
    strips = block_means.strips(decoded.pixels, 1 << halvings)
    return _means_of_plain(dataset, strips, decoded.pixels.shape, decoded.coding, halvings)


def reduced_from_start(
    dataset: Dataset, source: Source, begin: int, halvings: int, most_ratio: float
) -> ReducedImage:
    """Decode JPEG 2000 at a fraction of its size from the first bytes of its frame, so that the others are not read.

    Parameters
    ----------
    begin : int
        As of `reduced_from_source`.
    most_ratio : float
        See `cxrbatch.limits.Limits.ratio`.

    Raises
    ------
    NotReducible
        Another format, or all of the frame is needed: to decode it, or to say what is wrong.
    """
    syntax = transfer_syntax(dataset)
    if not reduced.start_is_sufficient(syntax) or "PixelPaddingValue" in dataset:
        raise NotReducible
    form = _form(dataset)
    start = pixel_data.start_of_frame(source, begin, _SHARE_OF_LEVEL / 4**halvings)
    if start is None:
        raise NotReducible
    try:
        decode.cut_at_end(start.last, syntax)
        frame_header.require_ratio(prod(form.shape) * form.allocated // 8, start.n_bytes, most_ratio)
    except Refusal as refusal:
        raise NotReducible from refusal
    return reduced.decode_start(start.first, form, halvings)


def reduced_in_codestream(dataset: Dataset, frame: bytes | None, halvings: int) -> ReducedImage:
    """Decode stored values at a fraction of the size; see `cxrbatch.read.codecs.reduced`.

    Parameters
    ----------
    frame : bytes or None
        As in `cxrbatch.read.dicom.stored_values.decode_all`.

    Raises
    ------
    NotReducible
        The frame cannot be decoded at this size, or may hold padding.
    """
    syntax = transfer_syntax(dataset)
    # Only the full image shows where padding is.
    if frame is None or not reduced.can_reduce(syntax) or "PixelPaddingValue" in dataset:
        raise NotReducible
    return reduced.decode_reduced(frame, syntax, _form(dataset), halvings)


def _form(dataset: Dataset) -> reduced.Form:
    bits = stated_bits(dataset)
    return reduced.Form(
        shape=shape_of(dataset),
        allocated=bits.allocated,
        stored=bits.stored,
        high=bits.high,
        signed=bits.signed,
    )


def reduced_from_pixels(
    dataset: Dataset, stored: Stored, halvings: int, bits: int | None = None
) -> ReducedImage:
    """Average decoded stored values.

    Parameters
    ----------
    bits : int, optional
        As in `cxrbatch.read.block_means.block_means`.

    Raises
    ------
    NotReducible
        Some of the pixels are padding.
    """
    values = block_means.strips(stored, 1 << halvings)
    return _means(dataset, values, stored.shape, halvings, bits)


def _means_of_plain(
    dataset: Dataset, strips: Iterator[Stored], shape: tuple[int, ...], coding: Coding, halvings: int
) -> ReducedImage:
    bits = stated_bits(dataset)
    means = _means(dataset, _each_plain(strips, bits, coding), shape, halvings, bits.stored)
    if may_be_wrapped(means.pixels):
        raise NotReducible
    return means


def _each_plain(strips: Iterator[Stored], bits: Bits, coding: Coding) -> Iterator[Stored]:
    for strip in strips:
        values = plain_values(strip, bits, coding)
        if values is None:
            raise NotReducible
        yield values


def _means(
    dataset: Dataset, values: Iterator[Stored], shape: tuple[int, ...], halvings: int, bits: int | None = None
) -> ReducedImage:
    block = 1 << halvings
    means = block_means.block_means(_without_padding(dataset, values), block, bits)
    return ReducedImage(means, block_means.extent_in_blocks(shape, block))


def _without_padding(dataset: Dataset, values: Iterator[Stored]) -> Iterator[Stored]:
    may_pad = el.number(dataset, "PixelPaddingValue") is not None
    for strip in values:
        if may_pad and is_padding(dataset, strip).any():
            raise NotReducible
        yield strip

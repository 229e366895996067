"""Decode compressed pixel data by imagecodecs (which releases the GIL): one frame in, stored values out."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from cxrbatch.reasons import Reason, Refusal

Stored = NDArray[np.integer]
_RLE_HEADER_WORDS = 16
_RLE_SLACK_BYTES = 256  # room for the unpacked padding after a segment


def _jpeg(codestream: bytes, *, is_rgb: bool) -> Stored:
    """Decode 8- and 12-bit DCT and lossless JPEG (ISO/IEC 10918-1); colour is returned as RGB."""
    if is_rgb and not _has_colour_marker(codestream):
        return imagecodecs.jpeg8_decode(codestream, colorspace="RGB", outcolorspace="RGB")
    return imagecodecs.jpeg8_decode(codestream)


def _jpegls(codestream: bytes, *, is_rgb: bool) -> Stored:  # noqa: ARG001
    return imagecodecs.jpegls_decode(codestream)


def _jpeg2k(codestream: bytes, *, is_rgb: bool) -> Stored:  # noqa: ARG001
    return imagecodecs.jpeg2k_decode(codestream)


def _htj2k(codestream: bytes, *, is_rgb: bool) -> Stored:  # noqa: ARG001
    return imagecodecs.htj2k_decode(codestream)


_JPEG = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
)
_DECODERS: dict[str, Callable[..., Stored]] = {
    **dict.fromkeys(_JPEG, _jpeg),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), _jpegls),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), _jpeg2k),
    **dict.fromkeys((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), _htj2k),
}
_LOSSY = frozenset(
    (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K)
)

_WITHOUT_END = frozenset((uid.RLELossless,))
_END_MARKER = b"\xff\xd9"
_USUAL_ENDS = (_END_MARKER, _END_MARKER + b"\0")
_PADDING = b"\0\xff"
_MOST_OTHER_BYTES = 64
"""How far from the end the marker may begin, after bytes of padding are taken off."""


def can_decode(transfer_syntax: str) -> bool:
    """Check whether the transfer syntax is a compressed one that is supported."""
    return transfer_syntax == uid.RLELossless or transfer_syntax in _DECODERS


def is_lossy(transfer_syntax: str) -> bool:
    """Check whether the transfer syntax may be lossy."""
    return transfer_syntax in _LOSSY


def decodes_to_rgb(transfer_syntax: str, photometric: str) -> bool:
    """Check whether the decoder already converts YBR to RGB."""
    return transfer_syntax in _JPEG or photometric in ("YBR_ICT", "YBR_RCT", "RGB")


def decode(
    codestream: bytes, transfer_syntax: str, shape: tuple[int, ...], bits: int, photometric: str
) -> Stored:
    """Decode one frame.

    Parameters
    ----------
    codestream : bytes
        One frame without encapsulation.
    shape : tuple of int
        By the header: (rows, columns) or (rows, columns, 3).
    bits : int
        BitsAllocated; used for RLE only, since the other codestreams state it themselves.

    Returns
    -------
    ndarray of uint8, uint16, int8 or int16, of `shape`

    Raises
    ------
    Refusal
        ``truncated`` or ``corrupt``.
    """
    if transfer_syntax == uid.RLELossless:
        return _rle(codestream, shape, bits)
    try:
        with nothing_ignored():
            pixels = _DECODERS[transfer_syntax](codestream, is_rgb=photometric == "RGB")
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(Reason.CORRUPT, f"{_name(transfer_syntax)} data is damaged") from error
    if pixels.shape != shape:
        raise Refusal(
            Reason.CORRUPT,
            f"the header announces {shape}, the {_name(transfer_syntax)} data holds {pixels.shape}",
        )
    return pixels


def _rle(frame: bytes, shape: tuple[int, ...], bits: int) -> Stored:
    """Decode RLE (PS3.5 annex G): byte planes, most significant first, one channel after the other."""
    samples = shape[2] if len(shape) == 3 else 1
    channels = np.empty((samples, *shape[:2]), f"<u{bits // 8}")
    try:
        planes = rle_planes(frame, shape[0] * shape[1])
        for channel in channels.reshape(samples, -1):
            _put_together(channel, planes)
    except (MemoryError, Refusal):
        raise
    except Exception as error:
        raise Refusal(Reason.CORRUPT, "RLE data is damaged") from error
    return channels[0] if samples == 1 else np.moveaxis(channels, 0, -1)


def _put_together(channel: Stored, planes: Iterator[NDArray[np.uint8]]) -> None:
    """Combine byte planes by shifting in one plane after the other: much faster than interleaving the bytes."""
    channel[:] = next(planes)
    for _ in range(channel.itemsize - 1):
        np.left_shift(channel, 8, out=channel)
        np.bitwise_or(channel, next(planes), out=channel)


def rle_planes(frame: bytes, n_pixels: int) -> Iterator[NDArray[np.uint8]]:
    """Unpack one segment after the other, always into the same memory.

    Parameters
    ----------
    frame : bytes
        RLE data (PS3.5 annex G).

    Yields
    ------
    ndarray of uint8, shape (n_pixels,)
        Valid until the next is requested.

    Raises
    ------
    Refusal
        ``truncated``.
    """
    n_segments, *starts = np.frombuffer(frame, "<u4", _RLE_HEADER_WORDS).tolist()
    data = memoryview(frame)  # its slices are no copies
    plane = np.empty(n_pixels + _RLE_SLACK_BYTES, np.uint8)
    for start, end in pairwise((*starts[:n_segments], len(frame))):
        n_unpacked = len(imagecodecs.packbits_decode(data[start:end], out=plane.data))  # type: ignore[arg-type]
        if n_unpacked < n_pixels:
            raise Refusal(
                Reason.TRUNCATED, f"a segment of the RLE data holds {n_unpacked} of {n_pixels} bytes"
            )
        yield plane[:n_pixels]


@contextmanager
def nothing_ignored() -> Iterator[None]:
    """Raise the errors that a Cython decoder only prints: for damaged HTJ2K, imagecodecs returns undefined pixels.

    Not for several threads at once: the hooks that catch the errors belong to the process.

    Raises
    ------
    ValueError
        In place of an error that the decoder only printed.
    """
    ignored: list[type[BaseException]] = []
    before = sys.excepthook, sys.unraisablehook  # both are called, one after the other
    sys.excepthook, sys.unraisablehook = lambda *_: None, lambda found: ignored.append(found.exc_type)
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = before
    if MemoryError in ignored:
        raise MemoryError
    if ignored:
        raise ValueError("the decoder failed")


def cut_at_end(codestream: bytes, transfer_syntax: str) -> bytes:
    """Cut off what stands behind the end marker, and refuse a truncated codestream.

    The JPEG decoder would fill what is missing with grey and report nothing. All JPEG families end in EOI or EOC,
    FF D9 (ISO/IEC 10918-1 B.1.1.3, 15444-1 A.4.4); RLE has no such marker. Behind it stands a byte of padding if the
    length was odd (PS3.5 A.4), and what some devices write: any number of bytes 00 or FF, or a few others. The marker
    is not searched for farther from the end: a picture within the header has one, too.

    Returns
    -------
    bytes
        The codestream with its end marker, and at most one byte of padding, as all decoders expect it: a copy would
        take longer than anything else here. Of RLE, all of it.

    Raises
    ------
    Refusal
        ``truncated``.
    """
    if transfer_syntax in _WITHOUT_END or codestream.endswith(_USUAL_ENDS):
        return codestream
    plain = codestream.rstrip(_PADDING)
    place = plain.rfind(_END_MARKER, max(len(plain) - _MOST_OTHER_BYTES, 0))
    if place < 0:
        raise Refusal(Reason.TRUNCATED, "the compressed data has no end marker")
    return plain[: place + len(_END_MARKER)]


def _has_colour_marker(codestream: bytes) -> bool:
    head = codestream[:1024]
    return b"JFIF" in head or b"Adobe" in head


def _name(transfer_syntax: str) -> str:
    return uid.UID(transfer_syntax).name

"""Decoding alone, written without the program's code but for two formats: the yardstick of `speed.py`.

`full` is the fastest decoder known for a format at full size, `cheapest` the cheapest way known to the smallest image
that the input of the shipped network allows (of 3000 × 2500 pixels, 375 × 313 for an input of 160 × 160): by block
sums, or by what the format offers (DCT scaling, resolution levels). Of PNG and JPEG 2000 the program's own way of
decoding, of reading the first bytes only, and of leaving out bit planes is the cheapest known. `by_libraries` does
without these, so that what the program gains by them counts as a gain.
"""

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import fmean, median
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from benchmarks.speed_files import FULL_SIZE
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.engines.reader import retain_freed_memory
from cxrbatch.read.block_means import halvings
from cxrbatch.read.codecs.bit_planes import without_low_planes
from cxrbatch.read.png_pixels import plain_pixels

Values = NDArray[Any]

HALVINGS = halvings(*FULL_SIZE, load_bundle().preprocess.least_px)
BLOCK = 1 << HALVINGS
_START_BYTES = 1 << 17
_LEAST_STEP = 1 / 128
"""Least difference that counts in JPEG 2000, as a share of the range of stored values."""
_STRIP_ROWS = 208 // BLOCK * BLOCK  # of 2,500 columns: stays in the cache between reading and adding
_PIXEL_DATA_HEAD_BYTES = 12  # tag, OW, reserved, length (PS3.5 7.1.2)
_ITEM = 0xE000FFFE  # (FFFE,E000), as two little-endian words
_JPEG2000 = (uid.JPEG2000Lossless, uid.JPEG2000)


# --- full size

_CODECS: dict[str, Callable[..., Any]] = {
    uid.RLELossless: lambda frame: np.frombuffer(imagecodecs.dicomrle_decode(frame, "<u2"), "<u2"),
    uid.JPEGLosslessSV1: imagecodecs.jpeg8_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    uid.JPEG2000: imagecodecs.jpeg2k_decode,
    ".jpg": imagecodecs.jpeg8_decode,
    ".png": imagecodecs.png_decode,
}


def full(path: Path) -> Values:
    """Decode to stored values.

    Returns
    -------
    ndarray of uint8 or uint16, shape (rows, columns)
    """
    if path.suffix != ".dcm":
        return np.asarray(_CODECS[path.suffix](path.read_bytes()))
    with path.open("rb") as stream:
        header = dcmread(stream, stop_before_pixels=True)
        codec = _CODECS.get(_syntax(header))
        if codec is None:
            return dcmread(path).pixel_array
        return np.asarray(codec(_frame(stream))).reshape(header.Rows, header.Columns)


def _syntax(dataset: Dataset) -> str:
    return str(dataset.file_meta.TransferSyntaxUID)


def _frame(stream: BinaryIO, *, is_start: bool = False) -> bytes:
    """Read the one fragment of the one frame (PS3.5 A.4); pydicom's `get_frame` copies it more than once.

    Parameters
    ----------
    stream : binary file
        Where PixelData begins.
    is_start : bool
        Read the lowest resolution levels of JPEG 2000, which stand first.
    """
    stream.seek(_PIXEL_DATA_HEAD_BYTES, 1)
    stream.seek(_item_bytes(stream), 1)  # basic offset table
    n_bytes = _item_bytes(stream)
    return stream.read(_START_BYTES + 4 * n_bytes // BLOCK**2 if is_start else n_bytes)


def _item_bytes(stream: BinaryIO) -> int:
    tag, n_bytes = struct.unpack("<II", stream.read(8))
    if tag != _ITEM:
        raise ValueError("PixelData is not a sequence of items")
    return int(n_bytes)


# --- the smallest image that the network's input allows

_keep_freed_memory = cache(retain_freed_memory)


def cheapest(path: Path) -> Values:
    """Decode to means of blocks, or to sums, whichever comes cheaper.

    Returns
    -------
    ndarray of whole numbers, shape (rows // BLOCK, columns // BLOCK), or one more where the format rounds up
    """
    _keep_freed_memory()
    if path.suffix == ".jpg":
        return _draft(path)
    if path.suffix == ".png":
        return block_sums(_png(path))
    return _of_dicom(path, _from_start)


def by_libraries(path: Path) -> Values:
    """Decode as `cheapest`, by what libraries offer: PNG at full size, JPEG 2000 at a resolution level.

    Returns
    -------
    ndarray
        As of `cheapest`.
    """
    _keep_freed_memory()
    if path.suffix == ".png":
        return block_sums(full(path))
    if path.suffix == ".jpg":
        return cheapest(path)
    return _of_dicom(path, lambda stream, _: _reduced(_frame(stream)))


def _of_dicom(path: Path, jpeg2000: Callable[[BinaryIO, Dataset], Values]) -> Values:
    """Decode to the smallest image; `jpeg2000` decodes the frame where it is of that format."""
    with path.open("rb") as stream:
        header = dcmread(stream, stop_before_pixels=True)
        if not uid.UID(_syntax(header)).is_compressed:
            return _sums_while_reading(stream, header)
        if _syntax(header) in _JPEG2000:
            return jpeg2000(stream, header)
        return _compressed(_frame(stream), header)


def _from_start(stream: BinaryIO, header: Dataset) -> Values:
    frame = _frame(stream, is_start=True)
    return _reduced(without_low_planes(frame, HALVINGS, (1 << header.BitsStored) * _LEAST_STEP))


def _compressed(frame: bytes, header: Dataset) -> Values:
    syntax, shape, bits = _syntax(header), (header.Rows, header.Columns), header.BitsStored
    if syntax == uid.RLELossless:
        return _sums_of_planes(frame, shape, bits)
    return block_sums(_CODECS[syntax](frame, out=_scratch(shape, np.uint16)), bits)


@cache
def _scratch(shape: tuple[int, int], dtype: type[np.unsignedinteger[Any]]) -> Values:
    """Memory that is used again for each image: new memory costs a page fault for every 4 KiB."""
    return np.empty(shape, dtype)


def _draft(path: Path) -> Values:
    with Image.open(path) as image:
        image.draft("L", (image.width // BLOCK, image.height // BLOCK))
        return np.asarray(image)


def _png(path: Path) -> Values:
    """Decode at full size."""
    found = plain_pixels(path)
    if found is None:
        raise ValueError(f"{path} is no plain PNG")
    return found


def _reduced(codestream: bytes) -> Values:
    with Image.open(BytesIO(codestream)) as image:
        image.reduce = HALVINGS  # type: ignore[assignment, method-assign]  # as Pillow documents it
        return np.asarray(image)


def _sums_while_reading(stream: BinaryIO, header: Dataset) -> Values:
    """Add up a few rows at a time: they never leave the cache, and nothing of full size is kept."""
    stream.seek(_PIXEL_DATA_HEAD_BYTES, 1)
    rows = header.Rows // BLOCK * BLOCK
    memory = _scratch((_STRIP_ROWS, header.Columns), np.uint16)
    strips = (memory[: rows - top] for top in range(0, rows, _STRIP_ROWS))
    return np.concatenate([_sums(_filled(strip, stream), header.BitsStored) for strip in strips])


def _filled(strip: Values, stream: BinaryIO) -> Values:
    stream.readinto(strip.data)  # type: ignore[attr-defined]
    return strip


def _sums_of_planes(frame: bytes, shape: tuple[int, int], bits: int) -> Values:
    """Unpack the byte planes of RLE (PS3.5 annex G) and add up each, in place of putting words together."""
    n_segments, *starts = np.frombuffer(frame, "<u4", 4).tolist()
    ends = [*starts[1:n_segments], len(frame)]
    high, low = (
        block_sums(_unpacked(frame[start:end], shape), used).astype(np.uint32)
        for start, end, used in zip(starts[:n_segments], ends, (bits - 8, 8), strict=True)
    )
    return high * 256 + low


def _unpacked(segment: bytes, shape: tuple[int, int]) -> Values:
    plane = _scratch(shape, np.uint8)
    imagecodecs.packbits_decode(segment, out=plane.reshape(-1).data)
    return plane


def block_sums(pixels: Values, bits: int | None = None) -> Values:
    """Add up square blocks of `BLOCK` pixels, leaving out what is over at the right and lower edge.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (rows, columns)
    bits : int, optional
        That the pixels use at most; by default all that they have.

    Returns
    -------
    ndarray of uint16 or uint32, twice what `pixels` is
    """
    rows = len(pixels) // BLOCK * BLOCK
    tops = range(0, rows, _STRIP_ROWS)
    return np.concatenate([_sums(pixels[top : min(top + _STRIP_ROWS, rows)], bits) for top in tops])


def _sums(strip: Values, bits: int | None = None) -> Values:
    """Rows first, in the type of the pixels while the sums fit; then neighbouring columns, `HALVINGS` times."""
    n_bits = strip.itemsize * 8
    n = min(BLOCK, 1 << (n_bits - (bits or n_bits)))
    down = strip[:, : strip.shape[1] // BLOCK * BLOCK]
    if n > 1:
        down = np.add.reduce(down.reshape(-1, n, down.shape[1]), axis=1, dtype=strip.dtype)
    twice = np.dtype(f"u{strip.itemsize * 2}")
    if n < BLOCK:
        down = np.add.reduce(down.reshape(-1, BLOCK // n, down.shape[1]), axis=1, dtype=twice)
    across = down.astype(twice, copy=False)
    for _ in range(HALVINGS):
        across = across[:, 0::2] + across[:, 1::2]
    return across


# --- measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What a decoder by itself takes.

    Attributes
    ----------
    processor_s : float
        Per image.
    images_per_s : float
        Of all processes together.
    """

    processor_s: float
    images_per_s: float


def alone(decode: Callable[[Path], object], files: Sequence[Path], n_processes: int, rounds: int) -> Alone:
    """Decode the files over and over, in so many processes at once.

    Of every file the median over the rounds counts, after one that is not counted, and of them the mean.
    """
    context = get_context("spawn")
    barrier = context.Barrier(n_processes)
    with ProcessPoolExecutor(n_processes, context, initializer=_meet, initargs=(barrier,)) as pool:
        work = [pool.submit(_measured, decode, files, rounds) for _ in range(n_processes)]
        measured = [future.result() for future in work]
    return Alone(
        processor_s=fmean(processor for processor, _ in measured),
        images_per_s=sum(1 / wall for _, wall in measured),
    )


_barrier: Barrier | None = None


def _meet(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - set once per process
    _barrier = barrier


def _measured(decode: Callable[[Path], object], files: Sequence[Path], rounds: int) -> tuple[float, float]:
    """Processor and wall seconds per image; begins when all processes are ready, and each does one task."""
    for path in files:
        decode(path)
    if _barrier:
        _barrier.wait()
    spent = [[_timed(decode, path) for path in files] for _ in range(rounds)]
    processor, wall = (_per_image(spent, which) for which in (0, 1))
    return processor, wall


def _per_image(spent: Sequence[Sequence[tuple[float, float]]], which: int) -> float:
    by_file: Iterator[tuple[tuple[float, float], ...]] = zip(*spent, strict=True)
    return fmean(median(one[which] for one in times) for times in by_file)


def _timed(decode: Callable[[Path], object], path: Path) -> tuple[float, float]:
    processor, wall = time.process_time(), time.perf_counter()
    decode(path)
    return time.process_time() - processor, time.perf_counter() - wall

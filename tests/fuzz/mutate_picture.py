"""Mutations of TIFF, BMP, WebP, JPEG 2000 and gzip: numbers of their headers, tables and lengths."""

import gzip
import struct

import numpy as np

from tests.fuzz.draw import Mutation, below, one_of, place

_SIZES = (0, 1, 127, 128, 161, 12_000, 65_535, 100_000, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339,
         347, 530, 34665, 33723)  # fmt: skip
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001, 9999)
_MARKERS = (0x4F, 0x50, 0x51, 0x52, 0x53, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x64, 0x90, 0x93, 0xD9)


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _entries(data: bytes) -> tuple[str, list[int]]:
    """Byte order, and offsets of the entries of the first directory of a TIFF that is not big."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(f"{order}H", data, 2)[0] != 42:
        raise ValueError("a BigTIFF")
    (begin,) = struct.unpack_from(f"{order}L", data, 4)
    (number,) = struct.unpack_from(f"{order}H", data, begin)
    return order, [begin + 2 + 12 * i for i in range(number)]


def entry(data: bytes, random: np.random.Generator) -> bytes:
    """Another tag, type, count or value."""
    order, entries = _entries(data)
    at, part = one_of(entries, random), place(4, random)
    if part == 0:
        return _patched(data, at, struct.pack(f"{order}H", one_of(_TAGS, random)))
    if part == 1:
        return _patched(data, at + 2, struct.pack(f"{order}H", place(19, random)))
    value = one_of((*_SIZES, below(len(data), random) + 1), random)
    return _patched(data, at + 4 * part - 4, struct.pack(f"{order}L", value))


def short_value(data: bytes, random: np.random.Generator) -> bytes:
    """Another small number: depth, compression, photometry, orientation, sample format."""
    order, entries = _entries(data)
    value = one_of((*_COMPRESSIONS, 0, 9, 10, 12, 16, 32, 64, place(70_000, random) & 0xFFFF), random)
    return _patched(data, one_of(entries, random) + 8, struct.pack(f"{order}H", value))


def directory(data: bytes, random: np.random.Generator) -> bytes:
    """The first directory elsewhere, or the next one anywhere, also in a circle."""
    order, entries = _entries(data)
    at = one_of((4, entries[-1] + 12), random)
    return _patched(
        data, at, struct.pack(f"{order}L", one_of((0, 4, 8, *_SIZES, place(len(data), random)), random))
    )


def numbers(data: bytes, random: np.random.Generator) -> bytes:
    """Another number in the first 54 bytes."""
    kind = one_of(("<H", "<L", ">H", ">L"), random)
    value = one_of((*_SIZES, place(300, random)), random) & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF)
    return _patched(data, place(54, random), struct.pack(kind, value))[: len(data)]


def riff_chunk(data: bytes, random: np.random.Generator) -> bytes:
    """Another type or length of a chunk, or chunks between."""
    kinds = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"XMP ")
    how = place(3, random)
    if how == 0:
        return _patched(data, 12, one_of(kinds, random))
    if how == 1:
        return _patched(data, one_of((4, 16), random), struct.pack("<L", one_of(_SIZES, random)))
    body = random.bytes(below(100, random) + 1)
    return data[:12] + one_of(kinds, random) + struct.pack("<L", len(body)) + body + data[12:]


def marker_segment(data: bytes, random: np.random.Generator) -> bytes:
    """Damage in a marker segment of the main header of JPEG 2000."""
    at = data.index(b"\xff\x4f\xff\x51")
    end = data.index(b"\xff\x90", at)
    where = at + place(end - at, random)
    value = one_of((b"\0", b"\xff", bytes([one_of(_MARKERS, random)]), random.bytes(2), b"\0\0\0\1"), random)
    return _patched(data, where, value)


def jp2_box(data: bytes, random: np.random.Generator) -> bytes:
    """Another length or type of a box."""
    kinds = [kind for kind in (b"ftyp", b"jp2h", b"ihdr", b"colr", b"jp2c") if kind in data]
    at = data.index(one_of(kinds, random))
    if random.random() < 0.5:
        return _patched(data, at - 4, struct.pack(">L", one_of(_SIZES, random)))
    return _patched(data, at, one_of((b"pclr", b"jp2c", b"jp2h", b"free", b"colr"), random))


def packed(data: bytes, random: np.random.Generator) -> bytes:
    """Damage before packing, also several members, and something behind."""
    try:
        plain = bytearray(gzip.decompress(data))
    except (OSError, EOFError) as error:
        raise ValueError("damaged already") from error
    for _ in range(below(20, random) + 1):
        plain[place(min(len(plain), 2000), random)] = int(random.integers(256))
    cut = place(len(plain), random)
    members = one_of(([bytes(plain)], [bytes(plain[:cut]), bytes(plain[cut:])]), random)
    behind = one_of((b"", b"\0" * 9, random.bytes(9), b"\x1f\x8b", data), random)
    return b"".join(gzip.compress(member, 1, mtime=0) for member in members) + behind


TIFF: dict[str, Mutation] = {f.__name__: f for f in (entry, short_value, directory)}
BMP: dict[str, Mutation] = {f.__name__: f for f in (numbers,)}
WEBP: dict[str, Mutation] = {f.__name__: f for f in (numbers, riff_chunk)}
JPEG_2000: dict[str, Mutation] = {f.__name__: f for f in (marker_segment, jp2_box)}
GZIP: dict[str, Mutation] = {f.__name__: f for f in (packed,)}

"""Mutations of PNG: chunks, their lengths, check sums and order, and what is compressed in them."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tests.fuzz.draw import Mutation, below, one_of, place

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BOMB = zlib.compress(b"\0" * (1 << 24), 9)
_TYPES = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"iCCP", b"sBIT", b"pHYs", b"tEXt", b"zTXt", b"iTXt",
          b"eXIf",
          b"acTL", b"fcTL", b"fdAT", b"bKGD", b"sRGB", b"cICP", b"zzZz", b"ZZZZ", b"\0\0\0\0")  # fmt: skip
_SIZES = (0, 1, 127, 128, 145, 161, 12_000, 65_535, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk; `length` and `crc` are the true ones where None."""

    type: bytes
    data: bytes
    length: int | None = None
    crc: int | None = None

    def __bytes__(self) -> bytes:
        length = len(self.data) if self.length is None else self.length
        crc = zlib.crc32(self.type + self.data) if self.crc is None else self.crc
        return struct.pack(">L", length) + self.type + self.data + struct.pack(">L", crc)


Change = Callable[[list[Chunk], np.random.Generator], list[Chunk]]


def _taken_apart(data: bytes) -> list[Chunk]:
    place_, chunks = len(_SIGNATURE), []
    while place_ < len(data):
        (length,) = struct.unpack_from(">L", data, place_)
        if place_ + 12 + length > len(data):
            raise ValueError("not well-formed")
        chunks.append(Chunk(type=data[place_ + 4 : place_ + 8], data=data[place_ + 8 : place_ + 8 + length]))
        place_ += 12 + length
    return chunks


def _of_chunks(change: Change) -> Mutation:
    def mutation(data: bytes, random: np.random.Generator) -> bytes:
        return _SIGNATURE + b"".join(map(bytes, change(_taken_apart(data), random)))

    return mutation


def _some(chunks: list[Chunk], random: np.random.Generator, **changes: object) -> list[Chunk]:
    number = place(len(chunks), random)
    return [replace(chunk, **changes) if i == number else chunk for i, chunk in enumerate(chunks)]  # type: ignore[arg-type]


def length(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    return _some(chunks, random, length=one_of((*_SIZES, int(random.integers(200))), random))


def crc(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    return _some(chunks, random, crc=int(random.integers(1 << 32)))


def kind(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    return _some(chunks, random, type=one_of(_TYPES, random))


def order(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Chunks left out, doubled, or shuffled."""
    how, number = int(random.integers(3)), place(len(chunks), random)
    if how == 0:
        return chunks[:number] + chunks[number + 1 :]
    if how == 1:
        return [*chunks[:number], *[chunks[number]] * (below(50, random) + 2), *chunks[number + 1 :]]
    return [chunks[i] for i in random.permutation(len(chunks))]


def ihdr(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Another size, depth, colour type or interlacing than the data has."""
    fields = list(struct.unpack(">LLBBBBB", chunks[0].data))
    number = place(len(fields), random)
    fields[number] = (
        one_of(_SIZES, random) if number < 2 else one_of((0, 1, 2, 3, 4, 6, 8, 16, 32, 255), random)
    )
    return [replace(chunks[0], data=struct.pack(">LLBBBBB", *fields)), *chunks[1:]]


def inserted(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Chunks of any type with any content."""
    new = Chunk(type=one_of(_TYPES, random), data=random.bytes(below(400, random) + 1))
    number = int(random.integers(1, len(chunks) + 1))
    return [*chunks[:number], *[new] * one_of((1, 1, 300), random), *chunks[number:]]


def bomb(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Texts and profiles that inflate to megabytes."""
    new = one_of(
        (
            Chunk(type=b"zTXt", data=b"a\0\0" + _BOMB),
            Chunk(type=b"iTXt", data=b"a\0\1\0\0\0" + _BOMB),
            Chunk(type=b"iCCP", data=b"a\0\0" + _BOMB),
            Chunk(type=b"zTXt", data=b"Raw profile type exif\0\0" + _BOMB),
        ),
        random,
    )
    number = one_of((1, len(chunks) - 1), random)
    return [*chunks[:number], *[new] * one_of((1, 1, 70), random), *chunks[number:]]


def animation(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    frames = struct.pack(">LL", one_of((0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF), random), 0)
    size = [one_of((0, 1, 144, 160, 65_535, 0xFFFFFFFF), random) for _ in range(4)]
    control = struct.pack(
        ">LLLLLHHBB", place(3, random), *size, 1, one_of((0, 1), random), place(4, random), place(3, random)
    )
    new = [Chunk(type=b"acTL", data=frames), Chunk(type=b"fcTL", data=control)]
    return [chunks[0], *new[: 1 + place(2, random)], *chunks[1:]]


def transparency(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    new = Chunk(type=b"tRNS", data=random.bytes(one_of((0, 1, 2, 6, 256, 257), random)))
    number = int(random.integers(1, len(chunks)))
    return [*chunks[:number], new, *chunks[number:]]


def exif(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    head = one_of((b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"Exif\0\0"), random)
    new = Chunk(type=b"eXIf", data=head + random.bytes(below(300, random) + 1))
    return [chunks[0], new, *chunks[1:]]


def rows(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Damaged or too few rows, well compressed."""
    content = b"".join(chunk.data for chunk in chunks if chunk.type == b"IDAT")
    raw = bytearray(zlib.decompress(content))
    for _ in range(below(40, random) + 1):
        raw[place(len(raw), random)] = int(random.integers(256))
    keep = one_of((len(raw), len(raw), place(len(raw), random)), random)
    new = Chunk(type=b"IDAT", data=zlib.compress(bytes(raw[:keep])))
    first = next(i for i, chunk in enumerate(chunks) if chunk.type == b"IDAT")
    others = [chunk for chunk in chunks if chunk.type != b"IDAT"]
    return [*others[:first], new, *others[first:]]


def stream(chunks: list[Chunk], random: np.random.Generator) -> list[Chunk]:
    """Damage in the compressed stream, behind right check sums."""
    first = next(i for i, chunk in enumerate(chunks) if chunk.type == b"IDAT")
    damaged = bytearray(chunks[first].data)
    for _ in range(below(10, random) + 1):
        damaged[place(len(damaged), random)] ^= 1 << int(random.integers(8))
    return [*chunks[:first], replace(chunks[first], data=bytes(damaged)), *chunks[first + 1 :]]


_CHANGES = (length, crc, kind, order, ihdr, inserted, bomb, animation, transparency, exif, rows, stream)
MUTATIONS: dict[str, Mutation] = {change.__name__: _of_chunks(change) for change in _CHANGES}

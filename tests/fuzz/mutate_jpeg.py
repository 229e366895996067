"""Mutations of JPEG: segments, tables, scans, EXIF."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tests.fuzz.draw import Mutation, below, one_of, place

_SOI = b"\xff\xd8"
_SOS, _DQT, _DHT, _DRI = 0xDA, 0xDB, 0xC4, 0xDD
_SOF = (0xC0, 0xC1, 0xC2)
_MARKERS = (*range(0xC0, 0x100), 0x01, 0x00)
_SIZES = (0, 1, 127, 145, 161, 12_001, 65_500, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A marker segment; a scan has its entropy-coded data behind it."""

    marker: int
    data: bytes
    length: int | None = None
    behind: bytes = b""

    def __bytes__(self) -> bytes:
        length = len(self.data) + 2 if self.length is None else self.length
        return bytes((0xFF, self.marker)) + struct.pack(">H", length & 0xFFFF) + self.data + self.behind


Change = Callable[[list[Segment], np.random.Generator], list[Segment]]


def _taken_apart(data: bytes) -> list[Segment]:
    place_, segments = len(_SOI), []
    while place_ + 4 <= len(data) and data[place_] == 0xFF:
        marker, (length,) = data[place_ + 1], struct.unpack_from(">H", data, place_ + 2)
        end = place_ + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("not well-formed")
        behind = _end_of_scan(data, end) if marker == _SOS else end
        segments.append(Segment(marker=marker, data=data[place_ + 4 : end], behind=data[end:behind]))
        place_ = behind
    if not segments:
        raise ValueError("not well-formed")
    return segments


def _end_of_scan(data: bytes, start: int) -> int:
    at = start
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, *range(0xD0, 0xD8)) and at + 4 <= len(data):
            return at
        at += 2
    return len(data)


def _of_segments(change: Change) -> Mutation:
    def mutation(data: bytes, random: np.random.Generator) -> bytes:
        end = b"" if data.endswith(b"\xff\xd9") and random.random() < 0.1 else b"\xff\xd9"
        return _SOI + b"".join(map(bytes, change(_taken_apart(data), random))).removesuffix(b"\xff\xd9") + end

    return mutation


def _number_of(segments: list[Segment], markers: tuple[int, ...], random: np.random.Generator) -> int:
    return one_of([i for i, segment in enumerate(segments) if segment.marker in markers], random)


def _exchanged(segments: list[Segment], number: int, new: Segment) -> list[Segment]:
    return [*segments[:number], new, *segments[number + 1 :]]


def sof(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Another size, precision, sampling or number of components."""
    number = _number_of(segments, _SOF, random)
    data = bytearray(segments[number].data)
    how = int(random.integers(4))
    if how < 2:
        struct.pack_into(">H", data, 1 + 2 * how, one_of(_SIZES, random))
    elif how == 2:
        data[0] = one_of((0, 2, 8, 12, 16, 255), random)
    else:
        data[5 + place(len(data) - 5, random)] = one_of((0, 1, 2, 0x11, 0x14, 0x41, 0x44, 0xFF), random)
    return _exchanged(segments, number, replace(segments[number], data=bytes(data)))


def process(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Another coding process than the scan has: progressive, arithmetic, lossless."""
    number = _number_of(segments, _SOF, random)
    marker = one_of((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB, 0xF7), random)
    return _exchanged(segments, number, replace(segments[number], marker=marker))


def tables(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Damaged quantisation or Huffman tables."""
    number = _number_of(segments, (_DQT, _DHT), random)
    data = bytearray(segments[number].data)
    for _ in range(below(8, random) + 1):
        data[place(len(data), random)] = int(random.integers(256))
    return _exchanged(segments, number, replace(segments[number], data=bytes(data)))


def scan(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Damaged, cut off or empty scans."""
    number = _number_of(segments, (_SOS,), random)
    behind = bytearray(segments[number].behind)
    how = int(random.integers(3))
    if how == 0:
        behind = behind[: place(len(behind), random)]
    for _ in range(0 if how == 0 or not behind else below(30, random) + 1):
        behind[place(len(behind), random)] = one_of((0, 0xFF, int(random.integers(256))), random)
    return _exchanged(segments, number, replace(segments[number], behind=bytes(behind)))


def scan_header(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    number = _number_of(segments, (_SOS,), random)
    data = bytearray(segments[number].data)
    data[place(len(data), random)] = int(random.integers(256))
    return _exchanged(segments, number, replace(segments[number], data=bytes(data)))


def many_scans(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """The same scan again and again."""
    number = _number_of(segments, (_SOS,), random)
    again = [segments[number]] * one_of((2, 20, 500), random)
    return [*segments[:number], *again, *segments[number + 1 :]]


def length(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    number = place(len(segments), random)
    stated = one_of((0, 1, 2, 3, len(segments[number].data), 0x7FFF, 0xFFFF), random)
    return _exchanged(segments, number, replace(segments[number], length=stated))


def marker(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    number = place(len(segments), random)
    return _exchanged(segments, number, replace(segments[number], marker=one_of(_MARKERS, random)))


def order(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Segments left out, doubled, or exchanged."""
    how, number, other = int(random.integers(3)), place(len(segments), random), place(len(segments), random)
    changed = list(segments)
    if how == 0:
        del changed[number]
    elif how == 1:
        changed.insert(other, changed[number])
    else:
        changed[number], changed[other] = changed[other], changed[number]
    return changed


def restart(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    new = Segment(marker=_DRI, data=struct.pack(">H", one_of((0, 1, 7, 65_535), random)))
    return [new, *segments]


def exif(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """EXIF with an orientation of any kind, and nonsense behind it."""
    kind, value = int(random.integers(1, 14)), int(random.integers(12))
    entry = struct.pack("<HHLL", 0x0112, kind, one_of((0, 1, 2, 1 << 31), random), value)
    directory = struct.pack("<H", one_of((1, 2, 65_535), random)) + entry
    tail = random.bytes(below(100, random) + 1)
    data = (
        b"Exif\0\0"
        + one_of((b"II*\0", b"II\0\0", b"MM\0*"), random)
        + struct.pack("<L", 8)
        + directory
        + tail
    )
    return [Segment(marker=0xE1, data=data), *segments]


def multi_picture(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """An index of several pictures (MPF)."""
    n = one_of((0, 1, 2, 65_535), random)
    entries = struct.pack("<HHLL", 0xB000, 7, 4, 0x30303130) + struct.pack("<HHLL", 0xB001, 4, 1, n)
    entries += struct.pack("<HHLL", 0xB002, 7, 16 * 2, 50)
    data = b"MPF\0II*\0" + struct.pack("<LH", 8, 3) + entries + struct.pack("<L", 0) + random.bytes(32)
    return [Segment(marker=0xE2, data=data), *segments]


def application(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """Application segments with known beginnings and any content."""
    heads = (
        b"JFIF\0",
        b"Adobe\0",
        b"ICC_PROFILE\0\1\2",
        b"http://ns.adobe.com/xap/1.0/\0",
        b"Photoshop 3.0\x008BIM",
        b"MPF\0",
        b"Exif\0\0",
    )
    new = Segment(
        marker=int(random.integers(0xE0, 0xF0)),
        data=one_of(heads, random) + random.bytes(below(200, random) + 1),
    )
    return [*[new] * one_of((1, 1, 200), random), *segments]


_CHANGES = (
    sof,
    process,
    tables,
    scan,
    scan_header,
    many_scans,
    length,
    marker,
    order,
    restart,
    exif,
    multi_picture,
    application,
)
MUTATIONS: dict[str, Mutation] = {change.__name__: _of_segments(change) for change in _CHANGES}

"""Remove the lowest bit planes from a JPEG 2000 codestream (ISO/IEC 15444-1 annexes A and B): bytes in, bytes out.

A radiograph's lowest bit planes are noise, and take most of the time of decoding. The header of a code-block says how
many coding passes follow; here it is made to say fewer. Their bytes stay, and the decoder ignores them.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

from cxrbatch.read.codecs.jpeg2000 import MainHeader, NoMainHeader, first_tile_part, marker_segments
from cxrbatch.read.codecs.packet_header import (
    BitReader,
    Packets,
    TagTree,
    packed,
    read_passes,
    write_passes,
)

_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_SIZ, _COD, _QCD = b"\xff\x51", b"\xff\x52", b"\xff\x5c"
_COM, _TLM, _PLT = b"\xff\x64", b"\xff\x55", b"\xff\x58"
_SOT_BYTES = 12
_LRCP, _, _RPCL = range(3)
_UNDIVIDED = 0xFF
"""Size of precincts, 15 and 15, where none is stated (ISO/IEC 15444-1 A.6.1)."""
_EMPTY_PACKET = b"\0"
_MOST_PACKETS, _MOST_BLOCKS = 1024, 16384
"""More of them, and of shares of code-blocks in packets, would take longer here than the decoder saves."""
_MOST_PLANES, _MOST_LENGTH_BITS, _FIRST_LENGTH_BITS = 64, 32, 3

Pair = tuple[int, int]
"""Columns and rows, or exponents of 2 of them."""


class _NotPlain(Exception):
    """The codestream is damaged, or of a kind that is not rewritten here."""


def without_low_planes(codestream: bytes, halvings: int, step: float) -> bytes:
    """Remove low bit planes, and the resolution levels above the one that is wanted.

    Parameters
    ----------
    codestream : bytes
        Of one component and one tile, both from (0, 0) on.
    halvings : int
        How often the sides are halved when it is decoded; at most the number of levels.
    step : float
        Least difference of stored values that is kept in the finest subbands that remain; in each level below, where
        a sample stands for four times as many pixels, a quarter of it.

    Returns
    -------
    bytes
        The codestream as it is where it is damaged, or not of the usual kind: packets by resolution, no markers among
        them, one codeword segment for each code-block.
    """
    return coarse_codestream(codestream, halvings, step) or codestream


def coarse_codestream(codestream: bytes, halvings: int, step: float) -> bytes | None:
    """Make the codestream that `without_low_planes` returns; None where it would return the one that it is given.

    The first bytes of a codestream are sufficient, if they hold the packets of the levels that are wanted.
    """
    try:
        packets = b"".join(_packets(_Coding.of(codestream), _tile(codestream), halvings, step))
    except (_NotPlain, NoMainHeader, IndexError, KeyError, struct.error):
        return None
    kept = marker_segments(codestream)
    main = (marker + struct.pack(">H", len(kept[marker]) + 2) + kept[marker] for marker in (_SIZ, _COD, _QCD))
    tile = struct.pack(">2sHHIBB2s", _SOT, 10, 0, _SOT_BYTES + 2 + len(packets), 0, 1, _SOD)
    return b"".join((_SOC, *main, tile, packets, _EOC))


def _tile(codestream: bytes) -> Packets:
    """Extract the packets of the only tile, from all its parts (A.4.2); those of one part are not copied."""
    place, parts, whole = first_tile_part(codestream), [], memoryview(codestream)
    while codestream[place : place + 2] == _SOT:
        n_bytes = int.from_bytes(codestream[place + 6 : place + 10], "big") or len(codestream) - 2 - place
        begin = place + _SOT_BYTES
        while (marker := codestream[begin : begin + 2]) != _SOD:
            if marker not in (_COM, _PLT):
                raise _NotPlain
            begin += 2 + int.from_bytes(codestream[begin + 2 : begin + 4], "big")
        parts.append(whole[begin + 2 : place + n_bytes])
        place += n_bytes
    return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coding:
    """What the main header says of the packets."""

    shape: Pair
    precision: int
    n_levels: int
    n_layers: int
    block: Pair
    precincts: Sequence[Pair]
    layers_last: bool
    quantisation: bytes

    @classmethod
    def of(cls, codestream: bytes) -> Self:
        found, main = marker_segments(codestream), MainHeader.of(codestream)
        style, order, n_layers, _, n_levels, broad, high, modes = struct.unpack(">BBHBBBBB", found[_COD][:9])
        if not found.keys() <= {_SIZ, _COD, _QCD, _COM, _TLM} or style > 1 or modes:
            raise _NotPlain
        if order > _RPCL or (
            order == _LRCP and n_layers > 1
        ):  # other packets lie between those that are needed
            raise _NotPlain
        sizes = found[_COD][10 : 11 + n_levels] if style else bytes([_UNDIVIDED] * (n_levels + 1))
        return cls(
            shape=(main.size[1], main.size[0]),
            precision=main.precision,
            n_levels=n_levels,
            n_layers=n_layers,
            block=(broad + 2, high + 2),
            precincts=[(size & 15, size >> 4) for size in sizes],
            layers_last=order == _RPCL,
            quantisation=found[_QCD],
        )

    def n_precincts(self, resolution: int) -> Pair:
        """Count the precincts of a resolution level (B.6)."""
        columns, rows = (
            _ceil(_ceil(size, self.n_levels - resolution), exponent)
            for size, exponent in zip(self.shape, self.precincts[resolution], strict=True)
        )
        return columns, rows

    def blocks(self, resolution: int, precinct: Pair, step: float) -> Iterator["_Blocks"]:
        """Make the code-blocks of a precinct, by subband (B.5, B.7): LL in the lowest resolution; else HL, LH, HH."""
        level, is_split = self.n_levels - max(resolution - 1, 0), resolution > 0
        for kind in (1, 2, 3) if is_split else (0,):
            sides = []
            for axis, is_high in enumerate((kind & 1, kind >> 1)):
                exponent = self.precincts[resolution][axis] - is_split
                n_samples = _ceil(self.shape[axis] - (is_high << level >> 1), level)
                n_here = min(n_samples - (precinct[axis] << exponent), 1 << exponent)
                sides.append(max(_ceil(n_here, min(self.block[axis], exponent)), 0))
            planes, quantum = self._quantised(max(3 * resolution - 3, 0) + kind, (kind & 1) + (kind >> 1))
            yield _Blocks((sides[0], sides[1]), planes, max(math.floor(math.log2(step / quantum)), 0))

    def _quantised(self, number: int, gain: int) -> tuple[int, float]:
        """Read a subband's number of bit planes (E.2) and its quantisation step (E.3)."""
        style, guard = self.quantisation[0] & 31, self.quantisation[0] >> 5
        if style == 0:  # reversible
            return guard + (self.quantisation[1 + number] >> 3) - 1, 1.0
        is_derived = style == 1
        place = 1 if is_derived else 1 + 2 * number
        (stated,) = struct.unpack(">H", self.quantisation[place : place + 2])
        exponent = (stated >> 11) - (max(number - 1, 0) // 3 if is_derived else 0)
        return guard + exponent - 1, 2.0 ** (self.precision + gain - exponent) * (1 + (stated & 0x7FF) / 2048)


class _Block:
    """A code-block: how many coding passes it may still have, and how long the numbers of its bytes are (B.10.7)."""

    def __init__(self, n_passes: int) -> None:
        self._n_left = max(n_passes, 1)
        self._bits = self._new_bits = _FIRST_LENGTH_BITS

    def rewrite(self, header: BitReader, *, is_new: bool) -> tuple[int, bool]:
        """Rewrite its share of a packet's header; returns its number of bytes, and whether they are kept."""
        n_passes = read_passes(header)
        while header.bit():
            self._bits += 1
        if self._bits > _MOST_LENGTH_BITS:
            raise _NotPlain
        n_bytes = header.number(self._bits + n_passes.bit_length() - 1)
        n_kept = min(n_passes, self._n_left)
        self._n_left -= n_kept
        if not is_new:
            header.write(n_kept > 0, 1)
        if n_kept:
            self._write(header, n_kept, n_bytes)
        return n_bytes, n_kept > 0

    def _write(self, header: BitReader, n_passes: int, n_bytes: int) -> None:
        write_passes(header, n_passes)
        more = n_passes.bit_length() - 1
        raised = max(n_bytes.bit_length() - more - self._new_bits, 0)
        self._new_bits += raised
        header.write((1 << raised + 1) - 2, raised + 1)
        header.write(n_bytes, self._new_bits + more)


class _Blocks:
    """Code-blocks of one subband in one precinct.

    Parameters
    ----------
    size : tuple of int
        Columns and rows of code-blocks; may be 0.
    n_planes : int
        Bit planes of the subband.
    n_low : int
        How many of them, from the lowest on, are left out.

    Attributes
    ----------
    n : int
        Number of code-blocks.
    """

    def __init__(self, size: Pair, n_planes: int, n_low: int) -> None:
        self.n = size[0] * size[1]
        if self.n > _MOST_BLOCKS:
            raise _NotPlain
        self._places = list(product(range(size[1]), range(size[0])))
        self._n_planes, self._n_low = n_planes, n_low
        if self.n:
            self._first_layer, self._empty_planes = TagTree(*size), TagTree(*size)
        self._known: dict[Pair, _Block] = {}

    def rewrite(self, header: BitReader, layer: int) -> Iterator[tuple[int, bool]]:
        """Rewrite their share of a packet's header; see `_Block.rewrite`."""
        for row, column in self._places:
            if block := self._known.get((row, column)):
                if header.bit():
                    yield block.rewrite(header, is_new=False)
                else:
                    header.write(0, 1)
            elif self._first_layer.number(column, row, layer + 1, header.copy) <= layer:
                block = self._known[row, column] = self._found(header, row, column)
                yield block.rewrite(header, is_new=True)

    def _found(self, header: BitReader, row: int, column: int) -> _Block:
        n_empty = self._empty_planes.number(column, row, _MOST_PLANES + 1, header.copy)
        if n_empty > _MOST_PLANES:
            raise _NotPlain
        return _Block(3 * (self._n_planes - n_empty - self._n_low) - 2)


def _packets(coding: _Coding, data: Packets, halvings: int, step: float) -> Iterator[bytes]:
    """Rewrite the packets that are needed, and put empty ones in the place of the others."""
    finest, place = coding.n_levels - halvings, 0
    n_empty = n_shares = 0
    for resolution in range(coding.n_levels + 1):
        columns, rows = coding.n_precincts(resolution)
        if columns * rows * coding.n_layers > _MOST_PACKETS:
            raise _NotPlain
        if resolution > finest:
            n_empty += columns * rows * coding.n_layers
            continue
        precincts = [
            list(coding.blocks(resolution, (column, row), step / 4 ** (finest - resolution)))
            for row, column in product(range(rows), range(columns))
        ]
        n_shares += coding.n_layers * sum(blocks.n for precinct in precincts for blocks in precinct)
        if n_shares > _MOST_BLOCKS:
            raise _NotPlain
        for layer, precinct in _in_order(coding, precincts):
            packet, place = _packet(precinct, data, place, layer)
            yield packet
    yield _EMPTY_PACKET * n_empty


def _in_order(coding: _Coding, precincts: Sequence[list[_Blocks]]) -> Iterator[tuple[int, list[_Blocks]]]:
    """Yield the packets of a resolution level (B.12.1)."""
    layers = range(coding.n_layers)
    if coding.layers_last:
        return ((layer, precinct) for precinct in precincts for layer in layers)
    return ((layer, precinct) for layer in layers for precinct in precincts)


def _packet(precinct: Sequence[_Blocks], data: Packets, begin: int, layer: int) -> tuple[bytes, int]:
    """Rewrite one packet; returns it, and where the next one begins."""
    header = BitReader(data, begin)
    shares = (
        [share for blocks in precinct for share in blocks.rewrite(header, layer)] if header.copy() else []
    )
    place = header.end()
    parts: list[Packets] = [packed(header.copied)]
    for n_bytes, is_kept in shares:
        if is_kept:
            parts.append(data[place : place + n_bytes])
        place += n_bytes
    if place > len(data):
        raise _NotPlain
    return b"".join(parts), place


def _ceil(number: int, exponent: int) -> int:
    """Divide by a power of 2, and round up."""
    return -(-number >> exponent)

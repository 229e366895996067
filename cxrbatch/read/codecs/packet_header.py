"""Read and write the codes in the packet headers of JPEG 2000 (ISO/IEC 15444-1 B.10)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

Packets = bytes | memoryview
"""Packets of a tile, one after the other."""

Bit = Callable[[], int]
"""Gives the next bit."""

_STUFFED = 0xFF
"""After a byte of ones the first bit of the next one is 0 and means nothing (B.10.1)."""
_UNKNOWN = 1 << 16
_MOST_PASSES = 164
_PASSES = ((1, 1), (2, 1), (3, 2), (6, 5), (37, 7))
"""Numbers of coding passes in groups (table B.4): the first of each, and bits; all ones lead to the next group."""


class BitReader:
    """Bits of a packet header.

    Attributes
    ----------
    copied : list of int
        Bits that `copy` gave.
    """

    def __init__(self, data: Packets, begin: int) -> None:
        self._data = data
        self._place = begin
        self._byte = self._left = 0
        self.copied: list[int] = []

    def bit(self) -> int:
        """Read a bit; IndexError behind the last."""
        if not self._left:
            self._next_byte()
        self._left -= 1
        return self._byte >> self._left & 1

    def _next_byte(self) -> None:
        self._left = 7 if self._byte == _STUFFED else 8
        self._byte = self._data[self._place]
        self._place += 1

    def copy(self) -> int:
        """Read a bit that the new header has too."""
        bit = self.bit()
        self.copied.append(bit)
        return bit

    def number(self, n_bits: int) -> int:
        """Read a number, most significant bit first."""
        value = 0
        while n_bits:
            if not self._left:
                self._next_byte()
            n_here = min(n_bits, self._left)
            self._left -= n_here
            n_bits -= n_here
            value = value << n_here | self._byte >> self._left & (1 << n_here) - 1
        return value

    def write(self, value: int, n_bits: int) -> None:
        """Add a number to the new header."""
        self.copied += [value >> place & 1 for place in range(n_bits - 1, -1, -1)]

    def end(self) -> int:
        """Return the offset of the byte behind the header."""
        return self._place + (self._byte == _STUFFED)


def packed(bits: Sequence[int]) -> bytes:
    """Pack the bits of a packet header into bytes."""
    found, place = bytearray(), 0
    while place < len(bits) or found[-1:] == b"\xff":
        n_bits = 7 if found[-1:] == b"\xff" else 8
        chunk = bits[place : place + n_bits]
        byte = 0
        for bit in chunk:
            byte = byte << 1 | bit
        found.append(byte << (n_bits - len(chunk)))
        place += n_bits
    return bytes(found)


class TagTree:
    """Tree that codes a number for each place of a grid (B.10.2).

    Parameters
    ----------
    columns, rows : int
        At least 1.
    """

    def __init__(self, columns: int, rows: int) -> None:
        sizes = [(columns, rows)]
        while sizes[-1] != (1, 1):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        self._columns = [broad for broad, _ in sizes]
        self._least = [[0] * (broad * high) for broad, high in sizes]
        self._value = [[_UNKNOWN] * (broad * high) for broad, high in sizes]

    def number(self, column: int, row: int, limit: int, bit: Bit) -> int:
        """Read bits until the number at a place is known, or known to be at least a limit; returns the lesser one.

        A number is read before those below it in the tree, so that lower limits, one after the other, take the same
        bits.
        """
        least = value = 0
        for level in range(len(self._columns) - 1, -1, -1):
            place = (row >> level) * self._columns[level] + (column >> level)
            least, value = max(least, self._least[level][place]), self._value[level][place]
            while least < limit and least < value:
                if bit():
                    value = self._value[level][place] = least
                else:
                    least += 1
            self._least[level][place] = least
        return min(value, limit)


def read_passes(bits: BitReader) -> int:
    """Read a number of coding passes, 1 to 164 (table B.4)."""
    *groups, (last, n_last) = _PASSES
    for first, n_bits in groups:
        if (number := bits.number(n_bits)) < (1 << n_bits) - 1:
            return first + number
    return last + bits.number(n_last)


def write_passes(bits: BitReader, n: int) -> None:
    """Write a number of coding passes."""
    for (first, n_bits), (after, _) in pairwise((*_PASSES, (_MOST_PASSES + 1, 0))):
        bits.write(min(n - first, (1 << n_bits) - 1), n_bits)
        if n < after:
            return

"""Hold many records in little memory: each is compressed on its own, and restored whenever it is read.

The list of a night may have a hundred thousand files; as objects they would take a kilobyte or more each.
"""

import pickle
import zlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar, overload

import numpy as np

T = TypeVar("T")
_LEVEL, _WINDOW_BITS, _MEMORY_LEVEL = 6, -12, 4
_BLOCK_BYTES = 1 << 14
_FEW = 1024
"""Records up to this number are held as they are: it saves time where memory is no question."""
_N_SAMPLES = 32
_OFFSET_BITS = 32
_OFFSET = (1 << _OFFSET_BITS) - 1


class Packed(Sequence[T], Generic[T]):
    """A sequence of records, held compressed.

    Records have much in common: each is compressed against an earlier one, its sample. A record of a file takes about
    150 bytes, 20 µs to append and 10 µs to read. What is read equals what was appended, and may be another object.

    Parameters
    ----------
    records : iterable
        The first records.
    """

    __slots__ = ("_blocks", "_few", "_places", "_samples", "_sizes")

    def __init__(self, records: Iterable[T] = ()) -> None:
        self._few: list[T] | None = []
        self._samples = [b""]
        self._blocks = [bytearray()]
        self._places, self._sizes = array("Q"), array("I")
        for record in records:
            self.append(record)

    def append(self, record: T) -> None:
        """Add a record at the end."""
        if self._few is not None:
            if len(self._few) < _FEW:
                self._few.append(record)
                return
            self._compress()
        place, size = self._store(record)
        self._places.append(place)
        self._sizes.append(size)

    def __setitem__(self, index: int, record: T) -> None:
        """Replace a record; the memory of an earlier one that is compressed is not used again."""
        if self._few is not None:
            self._few[index] = record
            return
        self._places[index], self._sizes[index] = self._store(record)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "Packed[T]": ...
    def __getitem__(self, index: int | slice) -> "T | Packed[T]":
        """Restore a record; or select some without restoring them, which share their memory with these."""
        if self._few is not None:
            return self._few[index] if isinstance(index, int) else Packed(self._few[index])
        if isinstance(index, int):
            return self._restored(self._places[index], self._sizes[index])
        chosen = self._sharing()
        chosen._places, chosen._sizes = self._places[index], self._sizes[index]
        return chosen

    def __len__(self) -> int:
        """Count the records."""
        return len(self._places) if self._few is None else len(self._few)

    def __eq__(self, other: object) -> bool:
        """Compare the records with those of another sequence."""
        if not isinstance(other, Packed | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment] # a record can be replaced

    def __repr__(self) -> str:
        """State how many records there are, and nothing of what they say."""
        return f"Packed({len(self)} records)"

    def chosen(self, indices: Iterable[int]) -> "Packed[T]":
        """Select records by their indices, in that order, as a slice does."""
        if self._few is not None:
            return Packed(map(self._few.__getitem__, indices))
        chosen, numbers = self._sharing(), array("Q", indices)
        chosen._places = array("Q", map(self._places.__getitem__, numbers))
        chosen._sizes = array("I", map(self._sizes.__getitem__, numbers))
        return chosen

    def ordered(self, key: Callable[[T], Any]) -> "Packed[T]":
        """Sort the records by a key; equal ones stay in their order."""
        return self.chosen(order_of(list(map(key, self))))

    def drained(self) -> Iterator[T]:
        """Yield the records, the first one first, and forget each; what shares their memory is lost too."""
        few, self._few = self._few or [], []
        few.reverse()
        while few:
            yield few.pop()
        places, sizes = self._places, self._sizes
        self._places, self._sizes = array("Q"), array("I")
        n_left = Counter(place >> _OFFSET_BITS for place in places)
        for place, size in zip(places, sizes, strict=True):
            yield self._restored(place, size)
            block = place >> _OFFSET_BITS
            n_left[block] -= 1
            if not n_left[block]:
                self._blocks[block] = bytearray()

    def _sharing(self) -> "Packed[T]":
        """Make an empty sequence that shares the memory of this one."""
        other: Packed[T] = Packed()
        other._few = None
        other._samples, other._blocks = self._samples, self._blocks
        return other

    def _compress(self) -> None:
        """Go over to compressed records, once they are many."""
        few, self._few = self._few or (), None
        for record in few:
            self.append(record)

    def _store(self, record: T) -> tuple[int, int]:
        """Compress a record; returns its place and its size."""
        data = self._compressed(pickle.dumps(record, pickle.HIGHEST_PROTOCOL))
        if len(self._blocks[-1]) >= _BLOCK_BYTES:
            self._blocks.append(bytearray())
        place = (len(self._blocks) - 1 << _OFFSET_BITS) + len(self._blocks[-1])
        self._blocks[-1] += data
        return place, len(data)

    def _compressed(self, raw: bytes) -> bytes:
        """Compress bytes against the latest sample; where that saves little, they become the next sample.

        Long ones do not: they hold an image, with which others have nothing in common.
        """
        small = _deflated(raw, self._samples[-1])
        is_new = 2 * len(small) > len(raw) and len(raw) <= 1 << -_WINDOW_BITS
        if is_new and len(self._samples) < _N_SAMPLES:
            self._samples.append(raw)
            small = _deflated(raw, raw)
        return bytes([len(self._samples) - 1]) + small

    def _restored(self, place: int, size: int) -> T:
        block, offset = self._blocks[place >> _OFFSET_BITS], place & _OFFSET
        sample = self._samples[block[offset]]
        raw = zlib.decompressobj(_WINDOW_BITS, sample).decompress(block[offset + 1 : offset + size])
        record: T = pickle.loads(raw)  # noqa: S301 - bytes that were made above and never left this process
        return record


def order_of(keys: Sequence[Any]) -> "array[int]":
    """Compute the indices by which keys are sorted; equal ones stay in their order."""
    held = np.empty(len(keys), dtype=object)
    held[:] = keys
    return array("Q", np.argsort(held, kind="stable").astype(np.uint64).tobytes())


class PackedInts(AbstractSet[int]):
    """A set of whole numbers of 64 bits that does not change, held as a sorted array."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._sorted = array("q", np.unique(np.fromiter(numbers, dtype=np.int64)).tobytes())

    def __contains__(self, number: object) -> bool:
        """Check whether a number is in the set."""
        place = bisect_left(self._sorted, number) if isinstance(number, int) else len(self)
        return place < len(self) and self._sorted[place] == number

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers in rising order."""
        return iter(self._sorted)

    def __len__(self) -> int:
        """Count the numbers."""
        return len(self._sorted)


def with_changes(records: Packed[T], changes: Iterable[tuple[int, T]]) -> Packed[T]:
    """Make a copy of records, in which those of some indices are others."""
    changed = records[:]
    for index, record in changes:
        changed[index] = record
    return changed


def _deflated(raw: bytes, sample: bytes) -> bytes:
    deflate = zlib.compressobj(
        _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, sample
    )
    return deflate.compress(raw) + deflate.flush()

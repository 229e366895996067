"""Group records by patient: records in, those of one patient out whenever they are asked for."""

from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar, overload

from cxrbatch._lib.packed import order_of
from cxrbatch.records import PatientKey, sortable

T = TypeVar("T")


class ByPatient(Sequence[list[T]], Generic[T]):
    """The records of each patient, sorted by patient key; of one patient they keep their order.

    Nothing is held of the records but their order: they may be many, and stored elsewhere.

    Parameters
    ----------
    records : sequence
    key : callable
        Returns the key of the patient of a record.
    """

    def __init__(self, records: Sequence[T], key: Callable[[T], PatientKey]) -> None:
        self._records = records
        keys = [sortable(key(record)) for record in records]
        self._order = order_of(keys)
        in_order = [keys[number] for number in self._order]
        self._starts = array("Q", (0,) if keys else ())
        self._starts.extend(
            place for place, (one, following) in enumerate(pairwise(in_order), start=1) if one != following
        )

    def __len__(self) -> int:
        """Count the patients."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> list[T]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[T]]: ...
    def __getitem__(self, index: int | slice) -> "list[T] | list[list[T]]":
        """Read the records of a patient, or of several."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        end = self._starts[number + 1] if number + 1 < len(self) else None
        return [self._records[place] for place in self._order[self._starts[number] : end]]

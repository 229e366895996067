"""Many records in little memory."""

import gc
import tracemalloc
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from operator import eq
from random import randbytes
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib import packed as packed_module
from cxrbatch._lib.packed import Packed, PackedInts, order_of, with_changes
from cxrbatch.reasons import Reason
from cxrbatch.records import Outcome
from tests.factories.records import failure, image_score

records = st.lists(st.one_of(st.integers(), st.text(), st.tuples(st.binary(max_size=2000), st.floats(0, 1))))


def outcome(number: int) -> Outcome:
    """Every third one is a failure: other classes, other texts."""
    name, patient = f"night/{number:06}.dcm", f"P{number // 2}"
    if number % 3 == 2:
        return failure(name, Reason.CORRUPT, patient)
    uid = f"1.2.826.0.1.{number * 7_919_777_777}"
    return image_score(name, 1 / (number + 1), patient, sop_instance_uid=uid, picture=str(number))


def packed_from(n_plain: int) -> AbstractContextManager[object]:
    """Compress records once there are more than so many."""
    return mock.patch.object(packed_module, "_FEW", n_plain)


numbers_of_few = st.sampled_from([0, 2, 1024])


@given(records, numbers_of_few)
def test_what_is_read_equals_what_was_appended(items: list[object], few: int) -> None:
    with packed_from(few):
        packed = Packed(items)
    assert len(packed) == len(items)
    assert list(packed) == items
    assert packed == items
    assert packed == tuple(items)
    assert packed != [*items, 0]
    assert [packed[index] for index in range(-len(items), 0)] == items
    assert list(packed.drained()) == items
    assert packed == []


@given(records, numbers_of_few, st.data())
def test_a_selection_changes_and_grows_on_its_own(items: list[object], few: int, data: st.DataObject) -> None:
    with packed_from(few):
        packed = Packed(items)
        indices = data.draw(st.lists(st.sampled_from(range(len(items))))) if items else []
        chosen = packed.chosen(indices)
        assert chosen == [items[index] for index in indices]
        assert packed[1:-1] == items[1:-1]
        expected = [*(items[index] for index in indices), "one more"]
        chosen.append("one more")
        chosen[0] = expected[0] = "another one"
        assert chosen == expected
        assert packed == items


def test_sorted_by_a_key_equal_ones_keep_their_order() -> None:
    items = [("b", 1), ("a", 2), ("b", 3), ("a", 4)]
    assert Packed(items).ordered(lambda item: item[0]) == [("a", 2), ("a", 4), ("b", 1), ("b", 3)]


def test_changes_are_made_in_a_copy() -> None:
    packed = Packed("abc")
    assert with_changes(packed, [(1, "B")]) == ["a", "B", "c"]
    assert packed == ["a", "b", "c"]


def test_what_is_drained_is_forgotten_bit_by_bit() -> None:
    outcomes = list(map(outcome, range(3000)))
    tracemalloc.start()
    try:
        packed = Packed(outcomes)
        whole = _held_bytes()
        drained = packed.drained()
        assert all(map(eq, islice(drained, 2500), outcomes))
        left = _held_bytes()
    finally:
        tracemalloc.stop()
    assert list(drained) == outcomes[2500:]
    assert packed == []
    assert left < whole / 2


def test_outcomes_take_a_fifth_of_their_memory() -> None:
    n_records = 3000
    tracemalloc.start()
    try:
        plain = list(map(outcome, range(n_records)))
        as_objects = _held_bytes()
        packed = Packed(plain)
        as_packed = _held_bytes() - as_objects
    finally:
        tracemalloc.stop()
    assert packed == plain
    assert as_packed < min(as_objects / 5, 120 * n_records)


def _held_bytes() -> int:
    gc.collect()  # Python keeps tuples that nobody uses any more for later
    return tracemalloc.get_traced_memory()[0]


def test_a_record_that_is_longer_than_a_block() -> None:
    large = replace(image_score("1", 0.5), thumbnail=bytes(range(256)) * 1000)
    assert Packed([outcome(0), large, outcome(1)])[1] == large


def test_long_records_do_not_make_the_others_larger() -> None:
    long = [replace(outcome(number), thumbnail=randbytes(5000)) for number in range(50)]
    plain = list(map(outcome, range(3000)))
    tracemalloc.start()
    try:
        packed = Packed((*long, *plain))
        held = _held_bytes()
    finally:
        tracemalloc.stop()
    assert packed == (*long, *plain)
    assert held < 50 * 5500 + 3000 * 120


def test_it_says_nothing_of_its_records() -> None:
    assert repr(Packed(["a name"])) == "Packed(1 records)"


def test_it_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Packed("a"))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.integers()))
def test_a_packed_set_holds_what_a_set_holds(numbers: list[int], others: list[int]) -> None:
    packed = PackedInts(numbers)
    assert list(packed) == sorted(set(numbers))
    assert [number in packed for number in others] == [number in set(numbers) for number in others]
    assert None not in packed


@given(st.lists(st.text(max_size=3)))
def test_the_order_is_that_of_sorting(keys: list[str]) -> None:
    assert list(order_of(keys)) == sorted(range(len(keys)), key=keys.__getitem__)

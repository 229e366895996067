"""Records in the order of their patients."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.records import PatientKey, sortable
from cxrbatch.triage.by_patient import ByPatient

keys = st.lists(st.text("\0\1ab", max_size=3), max_size=3).map(tuple)
records = st.lists(st.tuples(keys, st.integers()))


def _key(record: tuple[PatientKey, int]) -> PatientKey:
    return record[0]


@given(records)
def test_it_groups_as_sorting_does(items: list[tuple[PatientKey, int]]) -> None:
    expected = [list(group) for _, group in groupby(sorted(items, key=_key), _key)]
    groups = ByPatient(items, _key)
    assert list(groups) == expected
    assert len(groups) == len(expected)
    assert groups[1:] == expected[1:]
    assert [groups[number] for number in range(-len(expected), 0)] == expected


@given(keys, keys)
def test_texts_of_keys_sort_as_the_keys_do(one: PatientKey, other: PatientKey) -> None:
    assert (sortable(one) < sortable(other)) == (one < other)
    assert (sortable(one) == sortable(other)) == (one == other)

"""Files that others are still writing."""

from pathlib import Path

import pytest

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.discover import check_settled
from cxrbatch.reasons import Reason
from cxrbatch.records import FoundFile

NOW_NS = 1_772_400_000 * 10**9
SECOND_NS = 10**9


def file(name: str = "a.dcm", age_s: float = 3600) -> FoundFile:
    version = FileVersion(size_bytes=1, mtime_ns=NOW_NS - int(age_s * SECOND_NS), ctime_ns=0)
    return FoundFile(path=Path(name), name=name, version=version)


@pytest.mark.parametrize(
    ("age_s", "changing"), [(0, True), (59.9, True), (60, False), (-59.9, True), (-60, False)]
)
def test_files_that_were_just_written(age_s: float, changing: bool) -> None:
    refused = check_settled(file(age_s=age_s), 60, NOW_NS)
    assert (refused is not None) is changing
    if refused:
        assert (refused.reason, refused.detail) == (Reason.STILL_CHANGING, "last modified less than 60 s ago")


def test_by_default_a_fresh_copy_is_read_at_once() -> None:
    assert check_settled(file(age_s=0), 0, NOW_NS) is None


@pytest.mark.parametrize("name", ["a.dcm.part", "s/a.TMP", "study.lock"])
def test_names_that_say_so(name: str) -> None:
    refused = check_settled(file(name), 0, NOW_NS)
    assert refused is not None
    assert (refused.name, refused.reason, refused.skipped) == (name, Reason.STILL_CHANGING, False)


@pytest.mark.parametrize("name", ["a.part.dcm", "tmp/a.dcm", "parts"])
def test_names_that_only_look_so(name: str) -> None:
    assert check_settled(file(name), 0, NOW_NS) is None

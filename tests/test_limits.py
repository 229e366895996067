"""Limits: what is stated, what is shared, and what each refuses."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.discover import classify
from cxrbatch.errors import UsageProblem
from cxrbatch.limits import (
    MAIN_BYTES,
    WORK_BYTES,
    WORKER_BYTES,
    Limits,
    parse_bytes,
    parse_limits,
    share_memory,
)
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef

GIB = 1 << 30
SPEC = PreprocessSpec(height=16, width=16)


def test_what_is_stated_is_changed_and_nothing_else() -> None:
    stated = ["seconds=2.5", "file_bytes=2G", "pixels=1000000", " ratio = 50 ", "nesting=3", "nesting=4"]
    assert parse_limits(stated) == Limits(seconds=2.5, file_bytes=2 * GIB, pixels=10**6, ratio=50, nesting=4)
    assert parse_limits([]) == Limits()
    assert parse_limits(["ratio=7"]) == replace(Limits(), ratio=7)


@pytest.mark.parametrize(
    "text",
    [
        "seconds",
        "second=3",
        "seconds=0",
        "seconds=-1",
        "seconds=nan",
        "seconds=inf",
        "pixels=0",
        "pixels=1.5",
        "=3",
    ],
)
def test_what_cannot_be_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(UsageProblem, match=text):
        parse_limits([text])


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("1", 1), ("500M", 500 << 20), ("4G", 4 << 30), ("4 GiB", 4 << 30), ("2kb", 2048)]
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_bytes(text, "--max-memory ") == n_bytes


@pytest.mark.parametrize("text", ["", "0", "-1G", "1.5G", "4X", "G", "٣", "1e9", "9" * 16])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageProblem, match="--max-memory"):
        parse_bytes(text, "--max-memory ")


def test_memory_is_shared_so_that_all_processes_stay_below_the_cap() -> None:
    for gib in range(2, 200):
        n_workers, work = share_memory(16, gib * GIB)
        assert MAIN_BYTES + n_workers * (WORKER_BYTES + work) <= gib * GIB
        assert n_workers == 1 or work >= WORK_BYTES
        more = MAIN_BYTES + (n_workers + 1) * (WORKER_BYTES + WORK_BYTES)
        assert n_workers == 16 or more > gib * GIB


def test_without_a_cap_every_reader_may_read_the_worst_picture() -> None:
    assert share_memory(5, None) == (5, WORK_BYTES)


def test_a_cap_in_which_nothing_could_be_read_is_refused() -> None:
    with pytest.raises(UsageProblem, match=r"--max-memory: at least \d+M are needed, 1024M were given"):
        share_memory(2, GIB)


@pytest.fixture
def film(tmp_path: Path) -> ImageRef:
    """A PNG of 200 × 150 pixels."""
    path = tmp_path / "film.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 200), np.uint8)).save(path)
    found = path.stat()
    version = FileVersion(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns)
    ref = classify(path, path.name, version)
    assert isinstance(ref, ImageRef)
    return ref


def outcome(film: ImageRef, limits: Limits) -> tuple[Reason, str] | None:
    result = prepare(film, PrepareOptions(spec=SPEC, limits=limits))
    return (result.reason, result.detail) if isinstance(result, Failure) else None


def test_a_picture_may_have_as_many_pixels_as_the_limit(film: ImageRef) -> None:
    assert outcome(film, Limits(pixels=200 * 150)) is None
    refused = outcome(film, Limits(pixels=200 * 150 - 1))
    assert refused == (Reason.TOO_LARGE, "200 × 150 pixels, limit 0.029999 million")


def test_a_file_may_have_as_many_bytes_as_the_limit(film: ImageRef) -> None:
    size = film.version.size_bytes
    assert outcome(film, Limits(file_bytes=size)) is None
    assert outcome(film, Limits(file_bytes=size - 1)) == (Reason.TOO_LARGE, f"{size} bytes, limit {size - 1}")


def test_limits_let_the_largest_radiograph_pass() -> None:
    limits = Limits()
    assert limits.pixels == 12_000 * 12_000
    assert limits.file_bytes > limits.pixels * 4  # 32 bits for each pixel, not compressed


def test_a_file_that_is_too_large_is_not_read_to_identify_it(film: ImageRef) -> None:
    options = PrepareOptions(spec=SPEC, identify_files=True)
    size = film.version.size_bytes
    results = [prepare(film, replace(options, limits=Limits(file_bytes=most))) for most in (size, size - 1)]
    keys = [result.header.patient_key for result in results if result.header]
    content = hashlib.sha256(film.path.read_bytes()).hexdigest()
    assert keys == [("file", film.name, content), ("file", film.name)]

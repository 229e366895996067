"""Found = scored + not scored + skipped, as the report has it, whatever lies in the folder."""

import csv
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbatch.bundle.bundle import Bundle, OperatingPoints
from cxrbatch.discover import discover, walk
from cxrbatch.errors import NoImageFound
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import PatientRule
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef, ImageScore, Outcome
from cxrbatch.screening import run as screening_run
from cxrbatch.screening.options import ScreenOptions
from tests.factories.engines import MadeUpEngine, screening_with
from tests.hostile.places import cell
from tests.test_discover import TREES, Tree, grow

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one: a hundred reports wait for no disk
BUNDLE = Bundle(
    path=Path("/nowhere"),
    name="made up",
    sha256="a" * 64,
    preprocess=PreprocessSpec(height=64, width=64),
    aggregation="mean",
    operating_points=OperatingPoints(urgent=0.5, high=0.25),
    training={},
    evaluation={},
)


def score_of(name: str) -> float | None:
    """Any score, or none, but always the same for a name."""
    number = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    return None if number % 3 == 0 else (number % 1000) / 1000


def outcome_of(ref: ImageRef) -> Outcome:
    """Stands for reading and scoring."""
    covid, header = score_of(ref.name), PatientRule().unread_header(ref.name)
    if covid is None:
        return Failure(name=ref.name, reason=Reason.CORRUPT, header=header)
    scores = (covid, (1 - covid) / 2, (1 - covid) / 2)
    return ImageScore(name=ref.name, header=header, scores=scores, pixels_sha256=ref.name)


@contextmanager
def without_network() -> Iterator[None]:
    with (
        screening_with(lambda *_, **__: MadeUpEngine(outcome_of, BUNDLE.sha256)),
        mock.patch.object(screening_run, "choose_bundle", return_value=BUNDLE),
    ):
        yield


def expected_rows(folder: Path) -> list[tuple[str, str, str]]:
    rows = []
    for item in discover(folder):
        if isinstance(item, Failure):
            rows.append((cell(item.name), "skipped" if item.skipped else "not_scored", ""))
        else:
            covid = score_of(item.name)
            rows.append(
                (cell(item.name), "scored", f"{covid:.6f}")
                if covid is not None
                else (cell(item.name), "not_scored", "")
            )
    return sorted(rows)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TREES, st.booleans())
def test_every_file_is_in_the_books_once(tree: Tree, with_state: bool) -> None:
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as scratch,
        without_network(),
    ):
        folder, out = Path(scratch) / "export", Path(scratch) / "report.csv"
        grow(tree, folder, folder)
        state = Path(scratch) / "state" if with_state else None
        expected = expected_rows(folder)
        for _ in range(2 if with_state else 1):
            try:
                run = screening_run.screen(folder, out, ScreenOptions(state=state))
            except NoImageFound:
                assert {status for _, status, _ in expected} <= {"skipped"}
                assert not out.exists()
                return
            check(run.n_found, out, expected)
            assert run.n_found == sum(1 for _ in walk(folder))


def check(n_found: int, out: Path, expected: list[tuple[str, str, str]]) -> None:
    with out.with_suffix(".files.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["file"], row["status"], row["score_covid"]) for row in csv.DictReader(stream)]
    assert sorted(rows) == expected
    assert len({name for name, *_ in rows}) == len(rows) == n_found
    assert Counter(status for _, status, _ in rows).keys() <= {"scored", "not_scored", "skipped"}

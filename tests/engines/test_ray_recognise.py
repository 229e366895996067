"""Files are recognised on the nodes of a cluster as they are on one machine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxrbatch.discover import classify_all, walk
from cxrbatch.engines import ray_recognise
from cxrbatch.engines.ray_recognise import BlockRecognised, recognise, recognise_block
from cxrbatch.errors import WorkersFailed
from cxrbatch.records import FoundFile

HEADS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"a text\n", b"", bytes(128) + b"DICM")


class RayError(Exception):
    pass


class FakeRay:
    """Ray with two processors in this process; a test decides what becomes of each block."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, comes: Callable[[int], bool] = lambda _: True, lost: tuple[int, ...] = ()) -> None:
        self._comes, self._lost = comes, lost
        self.submitted: list[int] = []
        self.cancelled: list[int] = []
        self._answers: list[BlockRecognised] = []

    def remote(self, **_: object) -> Any:
        return lambda function: SimpleNamespace(
            options=lambda **_: SimpleNamespace(remote=self._submit(function))
        )

    def _submit(self, function: Callable[[Any], BlockRecognised]) -> Callable[[list[FoundFile]], int]:
        def submit(files: list[FoundFile]) -> int:
            self.submitted.append(len(files))
            self._answers.append(function(files))
            return len(self._answers) - 1

        return submit

    def wait(self, references: list[int], timeout: float) -> tuple[list[int], list[int]]:
        assert timeout > 0
        return (references, []) if self._comes(references[0]) else ([], references)

    def get(self, reference: int) -> BlockRecognised:
        if reference in self._lost:
            raise RayError
        return self._answers[reference]

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force
        self.cancelled.append(reference)


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 43 files of all kinds: four blocks of ten, and three files."""
    monkeypatch.setattr(ray_recognise, "_BLOCK", 10)
    folder = tmp_path / "export"
    folder.mkdir()
    for number in range(43):
        (folder / f"{number:02}").write_bytes(HEADS[number % len(HEADS)])
    return folder


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if not request.node.get_closest_marker("ray"):
        nodes = [{"Resources": {"CPU": 1.0}}] * 2
        monkeypatch.setattr(ray_recognise, "nodes_with_processors", lambda _: nodes)


def test_blocks_go_to_the_nodes_and_the_rest_stays(export: Path) -> None:
    ray = FakeRay()
    assert list(recognise(ray, walk(export))) == list(classify_all(walk(export)))
    assert ray.submitted == [10] * 4


def test_a_few_files_stay(export: Path) -> None:
    ray = FakeRay()
    few = list(walk(export))[:9]
    assert list(recognise(ray, few)) == list(classify_all(few))
    assert list(recognise(ray, [])) == []
    assert ray.submitted == []


def test_a_bounded_number_is_in_flight(export: Path) -> None:
    ray, taken = FakeRay(), []

    def counted() -> Iterator[FoundFile]:
        for file in walk(export):
            taken.append(file)
            yield file

    first = next(recognise(ray, (file for _ in range(9) for file in counted())))
    assert first[0].name == "00"
    assert len(taken) == 40  # two blocks for each processor


def test_a_large_cluster_does_not_fill_this_process(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Resources": {"CPU": 64.0}}] * 100
    monkeypatch.setattr(ray_recognise, "nodes_with_processors", lambda _: nodes)
    monkeypatch.setattr(ray_recognise, "_MOST_BLOCKS", 3)
    ray = FakeRay()
    recognised = recognise(ray, walk(export))
    next(recognised)
    assert ray.submitted == [10] * 3
    assert len(list(recognised)) == 42


def test_a_lost_block_is_recognised_here(export: Path) -> None:
    assert list(recognise(FakeRay(lost=(1, 3)), walk(export))) == list(classify_all(walk(export)))


def test_a_block_that_does_not_come_is_recognised_here(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_recognise, "_SILENT_S", 0.05)
    ray = FakeRay(comes=lambda reference: reference != 2)
    assert list(recognise(ray, walk(export))) == list(classify_all(walk(export)))
    assert ray.cancelled == [2]


def test_a_node_that_does_not_see_the_files_ends_the_run(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(files: list[FoundFile]) -> BlockRecognised:
        return BlockRecognised(node="node-7", items=recognise_block(files).items, missing=(3,))

    monkeypatch.setattr(ray_recognise, "recognise_block", elsewhere)
    with pytest.raises(WorkersFailed, match="node-7 does not see files that are here"):
        list(recognise(FakeRay(), walk(export)))


def test_a_file_that_has_gone_is_missing_everywhere(export: Path) -> None:
    files = list(walk(export))[:10]
    files[3].path.unlink()
    assert recognise_block(files).missing == (3,)
    assert list(recognise(FakeRay(), files)) == list(classify_all(files))


@pytest.mark.ray
def test_real_nodes(running_ray: Any, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, here = list(classify_all(walk(export))), []

    def noted(files: list[FoundFile]) -> Any:
        here.append(len(files))
        return classify_all(files)

    monkeypatch.setattr(ray_recognise, "classify_all", noted)
    assert list(recognise(running_ray, walk(export))) == expected
    assert here == [3]

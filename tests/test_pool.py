"""Reader processes: order, bounds, and files that kill their reader."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch.pool import ReaderPool
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import Picture, PreprocessSpec
from cxrbatch.read import PatientRule
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, ImageRef, ModelInput

SPEC = PreprocessSpec(height=16, width=16)


class DiesOnWhite:
    """A pixel check that ends its process on a white picture, as a crashing decoder would."""

    def objection(self, picture: Picture, colourfulness: float = 0.0) -> str:
        if np.mean(picture) > 0.9:  # type: ignore[arg-type]
            os._exit(9)
        return ""


def write(folder: Path, name: str, *, white: bool = False) -> ImageRef:
    seed = abs(hash(name)) % 2**32
    low, high = (250, 256) if white else (0, 256)
    pixels = np.random.default_rng(seed).integers(low, high, (130, 130), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return ImageRef(path=folder / name, name=name, kind=FileKind.PNG)


def results(refs: list[ImageRef], n_workers: int) -> list[tuple[str, bytes | Reason]]:
    options = PrepareOptions(spec=SPEC, pixel_check=DiesOnWhite())
    with ReaderPool(options, n_workers) as pool:
        return [
            (item.name, item.reason if isinstance(item, Failure) else item.pixels.tobytes())
            for item in pool.prepare(refs)
        ]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_order_and_pixels_are_those_of_a_plain_loop(tmp_path: Path, n_workers: int) -> None:
    refs = [write(tmp_path, f"{i}.png") for i in range(40)]
    expected = []
    for ref in refs:
        image = prepare(ref, PrepareOptions(spec=SPEC))
        assert isinstance(image, ModelInput)
        expected.append((ref.name, image.pixels.tobytes()))
    assert results(refs, n_workers) == expected


def test_a_file_that_kills_its_reader_costs_only_itself(tmp_path: Path) -> None:
    deadly = {3, 4, 19}
    refs = [write(tmp_path, f"{i}.png", white=i in deadly) for i in range(20)]
    outcome = results(refs, 1)
    assert [name for name, _ in outcome] == [ref.name for ref in refs]
    assert {i for i, (_, result) in enumerate(outcome) if result is Reason.CORRUPT} == deadly
    alive = [ref for i, ref in enumerate(refs) if i not in deadly]
    assert [item for i, item in enumerate(outcome) if i not in deadly] == results(alive, 2)


def test_the_patient_of_a_file_that_kills_its_reader_is_kept(tmp_path: Path) -> None:
    (tmp_path / "p7").mkdir()
    ref = replace(write(tmp_path / "p7", "a.png", white=True), name="p7/a.png")
    options = PrepareOptions(spec=SPEC, pixel_check=DiesOnWhite(), patients=PatientRule("folder"))
    with ReaderPool(options, 1) as pool:
        (failure,) = pool.prepare([ref])
    assert isinstance(failure, Failure)
    assert failure.header is not None
    assert failure.header.patient_id == "p7"


def test_files_in_flight_are_bounded(tmp_path: Path) -> None:
    ref = write(tmp_path, "a.png")
    taken = 0

    def endless() -> Iterator[ImageRef]:
        nonlocal taken
        while True:
            taken += 1
            yield ref

    with ReaderPool(PrepareOptions(spec=SPEC), 1) as pool:
        stream = pool.prepare(endless())
        assert taken == 1 + 4 + 4
        for _ in range(5):
            next(stream)
        assert taken == 1 + 4 + 4 + 4 + 4


def test_readers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """The child prints the process ids of its readers and is killed with work in flight."""
    write(tmp_path, "a.png")
    code = f"""
import itertools, pathlib
from cxrbatch.pool import ReaderPool
from cxrbatch.prepare import PrepareOptions
from cxrbatch.preprocess import Picture, PreprocessSpec
from cxrbatch.records import FileKind, ImageRef

if __name__ == "__main__":
    ref = ImageRef(path=pathlib.Path({str(tmp_path / "a.png")!r}), name="a.png", kind=FileKind.PNG)
    pool = ReaderPool(PrepareOptions(spec=PreprocessSpec()), 2)
    results = pool.prepare(itertools.repeat(ref))
    next(results)
    print(*pool._executor._processes, flush=True)
    for _ in results:
        pass
"""
    (tmp_path / "parent.py").write_text(code)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        readers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(readers) == 2
        parent.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in readers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in readers)

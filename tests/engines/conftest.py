"""Fixtures of the tests of engines."""

import gc
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch.engines.options import EngineOptions
from cxrbatch.records import FileKind, ImageRef


@pytest.fixture(scope="session")
def running_ray() -> Iterator[Any]:
    """Ray on this machine, with two processors, started as the engine starts it; engines use it and leave it."""
    if not importlib.util.find_spec("ray"):  # not imported: it would read its environment too early
        pytest.skip("Ray is not installed")
    from cxrbatch.engines.ray_cluster import connected

    with connected(EngineOptions(name="ray", n_workers=2)) as ray:
        yield ray
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Ray does not wait for the processes that it ends
        gc.collect()


@pytest.fixture
def refs(tmp_path: Path) -> list[ImageRef]:
    """40 phantoms of different exposure; the seventh is cut off."""
    phantom, made = radiograph(320, 280, seed=7), []
    for number in range(40):
        path = tmp_path / f"{number:02}.png"
        Image.fromarray(np.rint(255 * phantom ** (0.7 + 0.01 * number)).astype(np.uint8)).save(path)
        made.append(ImageRef(path=path, name=path.name, kind=FileKind.PNG))
    made[7].path.write_bytes(made[7].path.read_bytes()[:500])
    return made

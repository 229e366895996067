"""What release 0.1.0 left: its state, and the night over which it was written."""

import shutil
from pathlib import Path

import pytest

from tests.factories.former_release import write_former_state


@pytest.fixture
def night(sample_night: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample_night, tmp_path / "night"))


@pytest.fixture
def state(night: Path, tmp_path: Path) -> Path:
    return write_former_state(tmp_path / "state.sqlite", night)

"""Every test that SECURITY.md names is there."""

import re

import pytest

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:tests|\.ci)/[^`]+)`", TEXT)) | set(re.findall(r"\]\((.*?)\)", TEXT)))


def test_it_names_some() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    assert (REPOSITORY / name).is_file()

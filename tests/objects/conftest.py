"""Fixtures of the tests of object stores."""

from collections.abc import Iterator

import pytest

from cxrbatch.objects.client import client
from tests.factories.object_store import StubStore, environment, stub_store


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubStore]:
    """A store of the tests' own, to which this process is a client."""
    with stub_store() as store:
        for name, value in environment(store.url).items():
            monkeypatch.setenv(name, value)
        client.cache_clear()
        yield store
    client.cache_clear()

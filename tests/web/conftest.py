"""The pages without a server and without a network: Django's own client, and a desk that only takes in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.reasons import Reason
from cxrbatch.web import ServeOptions
from tests.factories.nights import HOSTILE, line, write_night

PASSWORD = "correct horse battery"  # noqa: S105


def stranger(**kwargs: Any) -> Any:
    """A client that is not signed in."""
    from django.test import Client

    return Client(SERVER_NAME="127.0.0.1", **kwargs)


class StillDesk:
    """A desk at which everything waits."""

    bundle_id, error, is_ready, makes_maps = "tiny", "", True, False

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.most = 50

    def check_room(self, n: int = 1) -> None:
        from cxrbatch.web.desk import QueueFull

        if len(self.jobs) + n > self.most:
            raise QueueFull("the queue is full: try again in 9 s")

    def submit(self, jobs: Any) -> None:
        self.check_room(len(jobs))
        self.jobs += jobs

    @property
    def n_waiting(self) -> int:
        return len(self.jobs)

    def seconds_left(self) -> float:
        return len(self.jobs) * 0.2


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeOptions]:
    pytest.importorskip("django")
    from django.conf import settings

    from cxrbatch.web.server import make_application

    before = os.umask(0o022)
    options = ServeOptions(
        state=tmp_path_factory.mktemp("web") / "state.sqlite", capacity=1, max_upload_bytes=1 << 20
    )
    make_application(options)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
    yield options
    os.umask(before)


@pytest.fixture
def desk(application: ServeOptions) -> StillDesk:
    """A clean database, spool and state with two nights."""
    from django.core.cache import cache

    from cxrbatch.web import service, spool
    from cxrbatch.web.models import Invite, LoginFailure, Review, Upload, User

    for model in (Upload, Review, Invite, LoginFailure, User):
        model.objects.all().delete()
    cache.clear()
    for path in application.folder.glob("state.sqlite*"):
        path.unlink()
    spool.open_spool(application.spool)
    patients = [
        line(1, HOSTILE, 0.9),
        line(2, "B", 0.4),
        line(3, "C", reason=Reason.LATERAL_VIEW),
    ]
    write_night(application.state, patients[:2])
    write_night(application.state, patients, 1)
    still = StillDesk()
    service.set_desk(still)  # type: ignore[arg-type]
    return still


@pytest.fixture
def sign_in(desk: StillDesk) -> Callable[..., Any]:
    """Make a user of a role, and a client that is signed in."""
    from cxrbatch.web.models import User

    def signed_in(role: str = "tester", name: str = "", **kwargs: Any) -> Any:
        user = User(username=name or role, role=role)
        user.set_password(PASSWORD)
        user.save()
        client = stranger(**kwargs)
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def image(sample_night: Path) -> bytes:
    return (sample_night / "pictures" / "SAMPLE-023.png").read_bytes()

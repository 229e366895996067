"""The command on objects: the tables of the folder, no secret in any output, and a sentence where it cannot be."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.errors import ExportVanished, NoImageFound
from cxrbatch.screening import screen
from tests.conftest import REPOSITORY
from tests.factories.cli_process import cxrbatch
from tests.factories.object_store import (
    BUCKET,
    KEY,
    SECRET,
    StubStore,
    environment,
    moto_store,
    stub_store,
    uploaded,
)

pytestmark = pytest.mark.s3
NIGHT = REPOSITORY / "sample_data" / "night"
PREFIX = "2026/the night"
PLACE = f"s3://{BUCKET}/{PREFIX}"
TABLES = (".csv", ".files.csv")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Moto's store with the sample night below a prefix; its address."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    with moto_store() as url:
        uploader = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )
        uploader.create_bucket(Bucket=BUCKET)
        uploaded(NIGHT, uploader, PREFIX)
        yield url


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    screen(NIGHT, folder / "report.csv", bundle=tiny_bundle, n_workers=2)
    return folder


def test_a_state_knows_the_objects_again(moto: str, tmp_path: Path, tiny_bundle: Path) -> None:
    """And no output of both runs holds a credential or the endpoint."""
    (tmp_path / "tmp").mkdir()
    settings = ("--bundle", tiny_bundle, "--workers", "2", "--state", tmp_path / "s.sqlite")
    env = environment(moto) | {"TMPDIR": str(tmp_path / "tmp")}
    texts = b""
    for run in ("report", "again"):
        out = tmp_path / f"{run}.csv"
        done = cxrbatch("screen", PLACE, "--out", out, *settings, env=env, timeout_s=600)
        assert done.returncode == 3, done.stderr
        texts += done.stdout + done.stderr
    assert b"31 new, 0 remembered" in texts
    assert b"0 new, 31 remembered" in texts
    assert_nothing_secret(tmp_path, texts, moto)


def assert_nothing_secret(folder: Path, texts: bytes, endpoint: str) -> None:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(contents) >= 7
    for secret in (KEY, SECRET, endpoint.removeprefix("http://")):
        assert not [content for content in (texts, *contents) if secret.encode() in content]


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_the_tables_are_those_of_the_folder(
    engine: str, moto: str, on_disk: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    if engine == "ray":
        pytest.importorskip("ray")
    options = ("--bundle", tiny_bundle, "--workers", "2", "--engine", engine)
    done = cxrbatch(
        *("screen", PLACE, "--out", tmp_path / "report.csv", *options), env=environment(moto), timeout_s=900
    )
    assert done.returncode == 3, done.stderr
    for table in TABLES:
        assert (tmp_path / f"report{table}").read_bytes() == (on_disk / f"report{table}").read_bytes()


# --- a store of the tests' own


@pytest.fixture
def store(stub: StubStore) -> StubStore:
    pytest.importorskip("pyarrow")
    for path in sorted(NIGHT.glob("pictures/*.png")):
        stub.objects[f"{PREFIX}/{path.name}"] = path.read_bytes()
    return stub


def night(day: int) -> dict[str, Any]:
    return {"clock": lambda: dt.datetime(2026, 3, day, 22, tzinfo=dt.UTC)}


def test_a_replaced_object_is_read_again_and_the_others_are_not(
    store: StubStore, tmp_path: Path, tiny_bundle: Path
) -> None:
    options: dict[str, Any] = {"bundle": tiny_bundle, "state": tmp_path / "s.sqlite", "n_explained": 0}
    first = screen(PLACE, **options, **night(1))
    assert (first.n_found, first.n_scored, first.n_remembered) == (3, 3, 0)
    keys = sorted(store.objects)
    store.objects[keys[0]] = store.objects[keys[0]] + b"\0"
    store.counts.clear()
    second = screen(PLACE, **options, **night(2))
    assert (second.n_found, second.n_remembered) == (3, 2)
    assert {key for method, key in store.counts if method == "GET"} == {keys[0]}
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as state:
        rows = state.execute("SELECT DISTINCT root, ctime_ns, length(tag) FROM image").fetchall()
    assert rows == [(f'"{PLACE}"', 0, 34)]


def test_an_object_that_fails_costs_its_own_row(store: StubStore, tmp_path: Path, tiny_bundle: Path) -> None:
    """And what the store said of it stands nowhere."""
    key = min(store.objects)

    def answer(handler: Any) -> bool:
        return handler.command == "GET" and handler.key == key and handler.fail(403, "AccessDenied")

    store.answer = answer
    run = screen(PLACE, tmp_path / "r.csv", bundle=tiny_bundle, n_explained=0)
    (failure,) = run.failures
    assert (failure.name, failure.reason.value) == (key.removeprefix(f"{PREFIX}/"), "unreadable")
    assert run.n_scored == 2
    assert SECRET not in (tmp_path / "r.files.csv").read_text()


def test_a_store_that_stops_to_answer(store: StubStore, tiny_bundle: Path) -> None:
    """Nobody is told that the objects are broken."""

    def answer(handler: Any) -> bool:
        has_begun = any(method == "GET" for method, _ in store.counts)
        return has_begun and not handler.is_listing and handler.fail(403, "AccessDenied")

    store.answer = answer
    with pytest.raises(ExportVanished, match="2026/the night: went away during the run"):
        screen(PLACE, bundle=tiny_bundle)


def test_no_image(store: StubStore, tiny_bundle: Path) -> None:
    store.objects = {f"{PREFIX}/README.txt": b"text"}
    with pytest.raises(NoImageFound, match=f"{PLACE}: 1 files, not one image"):
        screen(PLACE, bundle=tiny_bundle)


@pytest.mark.parametrize(
    ("address", "env", "said"),
    [
        (f"s3://{KEY}:{SECRET}@{BUCKET}/x", {}, "from the environment only"),
        (f"s3://{BUCKET}/x?secret_key={SECRET}", {}, "from the environment only"),
        (f"s3://{BUCKET}/x", {"AWS_SECRET_ACCESS_KEY": ""}, "set AWS_SECRET_ACCESS_KEY in the environment"),
        (f"s3://{BUCKET}/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the store does not answer"),
        (f"s3://{BUCKET}/x", {}, "nothing is below this prefix"),
    ],
    ids=["key in the address", "key behind it", "no key", "down", "empty"],
)
def test_the_command_ends_with_a_sentence(
    address: str, env: dict[str, str], said: str, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    with stub_store() as store:
        done = cxrbatch(
            *("screen", address, "--out", tmp_path / "r.csv"), env=environment(store.url) | env, timeout_s=300
        )
    text = done.stderr.decode()
    assert done.returncode == 2, text
    assert said in text
    assert not any(secret in text for secret in (SECRET, KEY, "127.0.0.1"))
    assert list(tmp_path.iterdir()) == []

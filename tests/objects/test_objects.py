"""Objects of a store that fails, throttles, lies and changes under way: each has its row, none a wrong score."""

import io
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch.discover import classify_all, walk
from cxrbatch.errors import UsageProblem
from cxrbatch.limits import Limits
from cxrbatch.objects import is_there, require_place
from cxrbatch.objects.client import client
from cxrbatch.objects.listing import list_objects
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, FoundFile, ImageRef, ModelInput, ObjectPrefix
from tests.factories.object_store import BUCKET, KEY, SECRET, Answer, Handler, StubStore

pytestmark = pytest.mark.s3
PLACE = ObjectPrefix(bucket=BUCKET, prefix="p")
OPTIONS = PrepareOptions(spec=PreprocessSpec())


def picture(seed: int = 1) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.rint(255 * radiograph(200, 180, seed=seed)).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


PICTURE, OTHER = picture(), picture(2)


@pytest.fixture
def store(stub: StubStore) -> StubStore:
    pytest.importorskip("pyarrow")
    stub.objects["p/a.png"] = PICTURE
    return stub


def found(place: ObjectPrefix = PLACE) -> dict[str, FoundFile]:
    return {file.name: file for file in walk(place)}


def ref_of(name: str = "a.png") -> ImageRef:
    ((_, ref),) = classify_all([found()[name]])
    assert isinstance(ref, ImageRef), ref
    return ref


def failure(ref: ImageRef, options: PrepareOptions = OPTIONS) -> tuple[Reason, str]:
    outcome = prepare(ref, options)
    assert isinstance(outcome, Failure), outcome
    return outcome.reason, outcome.detail


def on_get(answer: Answer) -> Answer:
    return lambda handler: handler.command == "GET" and not handler.is_listing and answer(handler)


# --- as a file


def test_an_object_gives_what_its_file_gives(store: StubStore, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    on_disk = prepare(ImageRef(path=tmp_path / "a.png", name="a.png", kind=FileKind.PNG), OPTIONS)
    stored = prepare(ref_of(), OPTIONS)
    assert isinstance(stored, ModelInput)
    assert isinstance(on_disk, ModelInput)
    assert stored.pixels.tobytes() == on_disk.pixels.tobytes()
    assert (stored.name, stored.header) == (on_disk.name, on_disk.header)


def test_nothing_is_written_to_a_disk(
    store: StubStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert isinstance(prepare(ref_of(), OPTIONS), ModelInput)
    assert list(tmp_path.iterdir()) == []
    opened = list(Path("/proc/self/fd").iterdir())
    assert "memfd:" not in "".join(path.readlink().name for path in opened if path.is_symlink())


def test_large_objects_are_read_in_parts(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrbatch.objects.reading._PART_BYTES", 1000)
    assert isinstance(prepare(ref_of(), OPTIONS), ModelInput)
    assert store.counts["GET", "p/a.png"] >= 1 + len(PICTURE) // 1000


def test_an_object_beyond_the_limit_is_not_read(store: StubStore) -> None:
    ref = ref_of()
    n_read = store.counts["GET", "p/a.png"]
    options = PrepareOptions(spec=PreprocessSpec(), limits=Limits(file_bytes=len(PICTURE) - 1))
    assert failure(ref, options) == (
        Reason.TOO_LARGE,
        f"{len(PICTURE)} bytes, limit {len(PICTURE) - 1}",
    )
    assert store.counts["GET", "p/a.png"] == n_read


def test_the_last_byte_may_be_any(store: StubStore) -> None:
    """It tells whether all of an object has come."""
    for byte in (0x00, 0x5A, 0xA5, 0xFF):
        store.objects["p/a.png"] = PICTURE + bytes([byte])
        assert isinstance(prepare(ref_of(), OPTIONS), ModelInput)


# --- names

ODD = (
    "a b.png",
    "é/ü Ω.png",
    "a+b%41&<c>'\".png",
    "tab\tand\nline.png",
    "\x01.png",
    "=cmd.png",
    "k" * 1022,
)
UNASKED = ("/lead.png", "x//y.png", "../a.png", "x/../a.png", "./a.png", "x/..")


@pytest.mark.parametrize("unasked", [UNASKED, UNASKED[1:]], ids=["all at once", "folder by folder"])
def test_every_object_is_found_once(store: StubStore, unasked: tuple[str, ...]) -> None:
    """Markers of folders are none; a key that would become another on its way is not asked for."""
    store.objects.update(dict.fromkeys((f"p/{name}" for name in (*ODD, *unasked)), PICTURE))
    store.objects |= {"p/": b"", "p/folder/": b"", "p2/other.png": PICTURE, "p": PICTURE, "other": PICTURE}
    files = found()
    assert set(files) == {"a.png", *ODD, *unasked}
    refused = {name for name, file in files.items() if file.failure}
    assert refused == set(unasked)
    for name in unasked:
        assert files[name].failure == Failure(
            name=name,
            reason=Reason.UNREADABLE,
            detail="a key with an empty part, . or .. is not asked for",
        )
        assert not store.counts["HEAD", f"p/{name}"]
    assert [type(item) for file, item in classify_all(files[name] for name in ODD)] == [ImageRef] * len(ODD)


def test_objects_that_are_listed_by_one_name(store: StubStore) -> None:
    """A key that ends in "/" and has content is listed as if it ended before."""
    store.objects |= {"p/d/x": PICTURE, "p/d/x/": b"content", "p/d/y/": b"content"}
    files = found()
    assert set(files) == {"a.png", "d/x", "d/x/", "d/y"}
    assert files["d/x"].failure is None
    for name in ("d/x/", "d/y"):
        refusal = files[name].failure
        assert refusal
        assert refusal.reason is Reason.UNREADABLE


def test_a_whole_bucket(store: StubStore) -> None:
    store.objects["/b.png"] = PICTURE
    assert set(found(ObjectPrefix(bucket=BUCKET))) == {"p/a.png", "/b.png"}


# --- what goes wrong with one object


@pytest.mark.parametrize(("n_failures", "code"), [(2, (503, "SlowDown")), (1, (500, "InternalError"))])
def test_few_failures_are_waited_for(store: StubStore, n_failures: int, code: tuple[int, str]) -> None:
    ref = ref_of()
    before = store.counts["GET", "p/a.png"]
    store.answer = on_get(lambda handler: handler.n_before - before < n_failures and handler.fail(*code))
    assert isinstance(prepare(ref, OPTIONS), ModelInput)
    assert store.counts["GET", "p/a.png"] == before + n_failures + 1


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ((503, "SlowDown"), "the store refuses so many requests"),
        ((403, "AccessDenied"), "no permission"),
        ((404, "NoSuchKey"), "no such object"),
        ((418, "Teapot"), "the store failed"),
    ],
    ids=str,
)
def test_an_object_that_cannot_be_read(store: StubStore, code: tuple[int, str], detail: str) -> None:
    ref = ref_of()
    store.answer = on_get(lambda handler: handler.fail(*code))
    reason, said = failure(ref)
    assert (reason, said[: len(detail)]) == (Reason.UNREADABLE, detail)
    assert SECRET not in said
    assert store.counts["GET", "p/a.png"] <= 6


def test_a_head_that_fails_has_its_row_and_the_others_go_on(store: StubStore) -> None:
    store.objects["p/b.png"] = OTHER
    store.answer = lambda handler: handler.key == "p/a.png" and handler.fail(403, "AccessDenied")
    files = found()
    assert files["b.png"].failure is None
    assert files["a.png"].failure
    assert files["a.png"].failure.reason is Reason.UNREADABLE


def sends(content: bytes, size: int) -> Answer:
    """What is sent is not as long as what is stated."""

    def answer(handler: Handler) -> bool:
        if handler.is_listing:
            return False
        handler.send(content, tag="one", size=size)
        return True

    return answer


@pytest.mark.parametrize("sent", [PICTURE[:-1], PICTURE[:500]])
def test_less_is_sent_than_stated(store: StubStore, sent: bytes) -> None:
    """pyarrow does not notice."""
    store.objects["p/a.png"] = PICTURE
    store.answer = sends(PICTURE, len(PICTURE))
    ref = ref_of()
    store.answer = sends(sent, len(PICTURE))
    assert failure(ref) == (Reason.UNREADABLE, "the store sent less than it states")


def test_more_is_sent_than_asked_for(store: StubStore) -> None:
    store.answer = sends(PICTURE, len(PICTURE))
    ref = ref_of()

    def answer(handler: Handler) -> bool:
        del handler.headers["Range"]
        handler.send(PICTURE + OTHER, tag="one", size=len(PICTURE))
        return True

    store.answer = answer
    assert failure(ref) == (Reason.UNREADABLE, "the store failed")


def test_the_listing_states_another_size(store: StubStore) -> None:
    store.answer = sends(PICTURE + b"more", len(PICTURE) + 4)
    (file,) = found().values()
    assert file.failure == Failure(
        name="a.png", reason=Reason.STILL_CHANGING, detail="its size is not the one that was listed"
    )


def test_an_object_is_replaced_between_listing_and_reading(store: StubStore) -> None:
    ref = ref_of()
    store.objects["p/a.png"] = OTHER
    assert failure(ref) == (Reason.STILL_CHANGING, "it changed after it was found")


def test_an_object_is_replaced_after_it_was_found(store: StubStore) -> None:
    file = found()["a.png"]
    store.objects["p/a.png"] = OTHER
    ((_, outcome),) = classify_all([file])
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.STILL_CHANGING


def test_an_object_is_replaced_while_it_is_read(store: StubStore) -> None:
    """By one of the same size: only its ETag tells."""
    ref = ref_of()

    def replaced(handler: Handler) -> bool:
        handler.send(store.objects[handler.key])
        store.objects[handler.key] = PICTURE[:-1] + b"x"
        return True

    store.answer = on_get(replaced)
    assert failure(ref) == (Reason.STILL_CHANGING, "it changed after it was found")


def test_an_object_is_deleted_under_way(store: StubStore) -> None:
    """As a file that has gone."""
    ref = ref_of()
    del store.objects["p/a.png"]
    assert failure(ref) == (Reason.UNREADABLE, "No such file or directory")


def test_the_version_is_etag_and_version_id(store: StubStore) -> None:
    def answer(handler: Handler) -> bool:
        if handler.is_listing:
            return False
        handler.send(PICTURE, tag="one", version="two")
        return True

    store.answer = answer
    version = found()["a.png"].version
    assert (version.tag, version.size_bytes, version.ctime_ns) == ('"one" two', len(PICTURE), 0)
    assert version.mtime_ns == 1445412480 * 10**9


# --- what ends the run


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ((404, "NoSuchBucket"), "no such bucket"),
        ((403, "AccessDenied"), "no permission; check AWS_ACCESS_KEY_ID"),
        ((403, "SignatureDoesNotMatch"), "no permission"),
        ((301, "PermanentRedirect"), "the bucket is in another region; set AWS_REGION"),
        ((400, "AuthorizationHeaderMalformed"), "check AWS_REGION"),
        ((503, "SlowDown"), "refuses so many requests"),
    ],
    ids=str,
)
@pytest.mark.parametrize("act", [require_place, lambda place: list(walk(place))], ids=["start", "listing"])
def test_a_store_that_refuses(store: StubStore, code: tuple[int, str], said: str, act: object) -> None:
    store.answer = lambda handler: (handler.is_listing or act is require_place) and handler.fail(*code)
    with pytest.raises(UsageProblem) as error:
        act(PLACE)  # type: ignore[operator]
    text = str(error.value)
    assert text.startswith("s3://export/p: ")
    if said != "no such bucket" or act is not require_place:  # there HEAD says 404 alone
        assert said in text
    assert not any(secret in text for secret in (SECRET, KEY, "127.0.0.1"))


def test_a_store_that_is_down(store: StubStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_there(PLACE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    client.cache_clear()
    assert not is_there(PLACE)
    with pytest.raises(UsageProblem, match="the store does not answer; check AWS_ENDPOINT_URL"):
        require_place(PLACE)


def test_a_prefix_without_objects(store: StubStore) -> None:
    with pytest.raises(UsageProblem, match="nothing is below this prefix"):
        require_place(ObjectPrefix(bucket=BUCKET, prefix="nothing"))
    assert list(walk(ObjectPrefix(bucket=BUCKET, prefix="nothing"))) == []


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_what_is_missing_is_named(store: StubStore, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(UsageProblem, match=f"set {name} in the environment"):
        require_place(PLACE)


@pytest.mark.parametrize("url", ["http://user:PASS@host", "host:9000", "ftp://host", "https://host/path"])
def test_endpoints_that_are_none(store: StubStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(UsageProblem, match="AWS_ENDPOINT_URL: give http://HOST:PORT") as error:
        require_place(PLACE)
    assert "PASS" not in str(error.value)


# --- many


def test_listing_many(store: StubStore) -> None:
    """Folder by folder, in pages of a thousand, in the order of the names."""
    store.objects = {f"p/{n % 2}/{n:05}.png": b"x" for n in range(5000)}
    names = [file.name for file in list_objects(PLACE)]
    assert names == sorted(key.removeprefix("p/") for key in store.objects)
    assert store.counts["LIST", ""] == 1 + 2 * 3

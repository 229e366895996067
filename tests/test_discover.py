"""What is found in a folder, and as what."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.discover import check_settled, classify, discover, sniff, walk
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, FoundFile, ImageRef

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one: thousands of folders take seconds on a disk
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 200
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 200
DICOM = b"\0" * 128 + b"DICM" + b"\0" * 64

NOW_NS = 1_772_400_000 * 10**9
SECOND_NS = 10**9


def outcome(folder: Path) -> list[tuple[str, str]]:
    """Name and kind, or name and reason."""
    return [
        (item.name, item.kind.value if isinstance(item, ImageRef) else item.reason.value)
        for item in discover(folder)
    ]


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    for name, content in {"IM0001": DICOM, "scan.txt": PNG, "photo.dcm": JPEG}.items():
        (tmp_path / name).write_bytes(content)
    assert outcome(tmp_path) == [("IM0001", "dicom"), ("photo.dcm", "jpeg"), ("scan.txt", "png")]


def test_order_is_that_of_the_names(tmp_path: Path) -> None:
    names = ["b/1", "a", "B", "a b", "é", "b/0/9", "10", "9"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    assert [name for name, _ in outcome(tmp_path)] == ["10", "9", "B", "a", "a b", "b/0/9", "b/1", "é"]


HEADS: dict[str, tuple[bytes, FileKind | None]] = {
    "preamble": (DICOM, FileKind.DICOM),
    "explicit little endian": (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", FileKind.DICOM),
    "implicit little endian": (
        b"\x08\x00\x16\x00\x1a\x00\x00\x001.2.840.10008.5.1.4.1.1.1.1",
        FileKind.DICOM,
    ),
    "explicit big endian": (b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100", FileKind.DICOM),
    "meta without preamble": (b"\x02\x00\x00\x00UL\x04\x00\xc0\x00\x00\x00", FileKind.DICOM),
    "text": (b"Dear colleague, please find the images", None),
    "zeros": (b"\0" * 132, None),
    "empty": (b"", None),
    "windows icon": (b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00", None),
    "gif": (b"GIF89a" + b"\0" * 100, None),
}


@pytest.mark.parametrize("case", HEADS)
def test_sniff(case: str) -> None:
    head, kind = HEADS[case]
    assert sniff(head) is kind


@pytest.mark.parametrize(
    ("name", "content", "skipped"),
    [
        ("README.txt", b"hello", True),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0", True),
        ("x.png", b"this is text", False),
        ("x.JPG", b"plain words", False),
        ("x", b"GIF89a", False),
        ("report.pdf", b"%PDF-1.4", True),
    ],
)
def test_a_missing_radiograph_is_told_from_other_files(
    tmp_path: Path, name: str, content: bytes, skipped: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    (failure,) = discover(tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.skipped) == (Reason.NOT_AN_IMAGE, skipped)


@pytest.mark.parametrize(("name", "reason"), [("x.dcm", Reason.TRUNCATED), ("lock", Reason.NOT_AN_IMAGE)])
def test_an_empty_file_is_a_copy_that_was_cut_off_if_it_is_named_an_image(
    tmp_path: Path, name: str, reason: Reason
) -> None:
    (tmp_path / name).touch()
    (failure,) = discover(tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.skipped) == (reason, reason is Reason.NOT_AN_IMAGE)


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "export"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.png").write_bytes(PNG)
    (inside / "sub" / "b.png").write_bytes(PNG)
    (inside / "1-file-out").symlink_to(outside / "a.png")
    (inside / "2-folder-out").symlink_to(outside)
    (inside / "3-dangling").symlink_to(inside / "nowhere")
    (inside / "4-loop").symlink_to(inside)
    (inside / "5-self").symlink_to(inside / "5-self")
    (inside / "6-file-in").symlink_to(inside / "sub" / "b.png")
    assert outcome(inside) == [
        ("1-file-out", "unreadable"),
        ("2-folder-out", "unreadable"),
        ("3-dangling", "unreadable"),
        ("5-self", "unreadable"),
        ("6-file-in", "png"),
        ("sub/b.png", "png"),
    ]


def test_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert outcome(tmp_path) == [("pipe", "not_an_image"), ("socket", "not_an_image")]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.png").write_bytes(PNG)
    open_ = os.open

    def denied(path: Path, flags: int, dir_fd: int | None = None) -> int:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return open_(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", denied)
    assert outcome(tmp_path) == [("a.png", "png"), ("locked/", "unreadable")]


def test_a_listing_that_repeats_a_name_does_not_repeat_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a network share may while files come and go; a file counted twice would stop the report."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    scandir = os.scandir

    class Twice:
        def __init__(self, folder: int) -> None:
            with scandir(folder) as listing:
                self.entries = list(listing)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return chain(self.entries, self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Twice)
    assert [file.name for file in walk(tmp_path)] == ["a.png", "b.png"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\n.png"
    Path(os.fsdecode(raw)).write_bytes(PNG)
    (found,) = discover(tmp_path)
    assert found.name == "\udcff\n.png"


# --- deep folders


@pytest.fixture
def deep() -> Iterator[Path]:
    """A place for folders deeper than what `shutil.rmtree`, and with it pytest, can remove."""
    folder = Path(tempfile.mkdtemp(dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def dig(folder: Path, depth: int) -> None:
    """Folders within folders, named ``d``, each with a picture ``e``; however long the path to the last one is."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        with open(os.open("e", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=below), "wb") as stream:  # noqa: PTH123
            stream.write(PNG)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.mark.parametrize("depth", [200, 1200])
def test_deep_folders(deep: Path, depth: int) -> None:
    dig(deep, depth)
    found = list(walk(deep))
    assert [file.name for file in found] == ["d/" * level + "e" for level in range(depth, 0, -1)]
    for file in found[::50]:
        assert isinstance(classify(file.path, file.name, file.version), ImageRef)


def test_what_lies_deeper_than_any_path_can_say_is_one_unreadable_folder(deep: Path) -> None:
    """No path is longer than PATH_MAX with the zero at its end (POSIX)."""
    dig(deep, 2100)
    longest = os.pathconf(deep, "PC_PATH_MAX") - 1
    n_listed = (longest - len(os.fsencode(deep))) // 2
    first, *others = walk(deep)
    assert first.name == "d/" * (n_listed + 1)
    assert first.failure
    assert (first.failure.reason, first.failure.detail) == (Reason.UNREADABLE, "folder: File name too long")
    assert [file.name for file in others] == ["d/" * level + "e" for level in range(n_listed, 0, -1)]
    assert isinstance(classify(others[0].path, others[0].name, others[0].version), ImageRef)


# --- any tree

LETTERS = [*"aAb.-= \\n'\",;\n\t\r\x7f", "é", "字", "\u202e", "\u2028", "\udcff", "\udcc3"]
NAMES = (
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=4)
    .map(lambda name: os.fsdecode(os.fsencode(name)))
    .filter(lambda name: name not in (".", ".."))
)
LEAVES = st.sampled_from(["file", "pipe", "socket", "to file", "to folder", "out", "nowhere", "itself"])
Tree = dict[str, "str | Tree"]
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=5),
    lambda inner: st.dictionaries(NAMES, LEAVES | inner, max_size=5),
    max_leaves=20,
)
LINKS = {
    "to file": "{root}/file here",
    "to folder": "{root}/folder here",
    "out": "/",
    "nowhere": "{root}/nowhere",
    "itself": "{self}",
}


def grow(tree: Tree, folder: Path, root: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, kind in tree.items():
        path = folder / name
        if isinstance(kind, dict):
            grow(kind, path, root)
        elif kind in LINKS:
            path.symlink_to(LINKS[kind].format(root=root, self=path))
        elif kind == "file":
            path.write_bytes(PNG)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            os.mknod(path, 0o140600)  # a socket


def recursively(folder: Path, root: Path, prefix: str = "") -> Iterator[tuple[str, Path | None]]:
    """`walk` as it reads most simply: name, and where to open it; None for what cannot be read."""
    for raw in sorted(os.listdir(os.fsencode(folder))):  # noqa: PTH208 - in bytes
        path, name = folder / os.fsdecode(raw), prefix + os.fsdecode(raw)
        target = Path(os.path.realpath(path))
        if path.is_dir() and not path.is_symlink():
            yield from recursively(path, root, name + "/")
        elif path.is_symlink() and (not target.exists() or not target.is_relative_to(root)):
            yield name, None
        elif not target.is_dir():
            yield name, target


@given(TREES)
def test_every_entry_is_found_once_and_in_order(tree: Tree) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as scratch:
        root = Path(scratch).resolve() / "root"
        grow(tree | {"file here": "file", "folder here": {"x": "file"}}, root, root)
        found = [(file.name, None if file.failure else file.path) for file in walk(root)]
        assert found == list(recursively(root, root))
        assert not any(path.is_symlink() for _, path in found if path)
        names = [name for name, _ in found]
        assert names == sorted(names, key=lambda name: [os.fsencode(part) for part in name.split("/")])
        assert len(set(names)) == len(names)


# --- what changes between listing and opening


def found_then(folder: Path, name: str) -> FoundFile:
    (found,) = (file for file in walk(folder) if file.name == name)
    return found


def classified(found: FoundFile) -> tuple[str, str, bool]:
    outcome = classify(found.path, found.name, found.version)
    assert isinstance(outcome, Failure)
    return outcome.reason.value, outcome.detail, outcome.skipped


TOOK_ITS_PLACE = ("still_changing", "it changed after it was found", False)


@pytest.mark.parametrize("thing", ["pipe", "socket", "folder", "link inside", "link outside", "nothing"])
def test_what_takes_the_place_of_a_file_is_not_opened(tmp_path: Path, thing: str) -> None:
    """A pipe without a writer would stop the run for ever; what a link leads to is another file's content."""
    folder = tmp_path / "export"
    folder.mkdir()
    for path in (folder / "IM1", folder / "other", tmp_path / "outside"):
        path.write_bytes(PNG)
    found = found_then(folder, "IM1")
    found.path.unlink()
    if thing == "pipe":
        os.mkfifo(found.path)
    elif thing == "socket":
        os.mknod(found.path, 0o140600)
    elif thing == "folder":
        found.path.mkdir()
    elif thing == "link inside":
        found.path.symlink_to("other")
    elif thing == "link outside":
        found.path.symlink_to(tmp_path / "outside")
    gone = ("unreadable", "No such file or directory", False)
    assert classified(found) == (gone if thing == "nothing" else TOOK_ITS_PLACE)


def test_a_pipe_that_takes_the_place_of_a_file_between_two_looks_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "IM1").write_bytes(PNG)
    found = found_then(tmp_path, "IM1")
    open_ = os.open

    def just_then(path: Path | str, flags: int, dir_fd: int | None = None) -> int:
        if path == "IM1":
            found.path.unlink()
            os.mkfifo(found.path)
        return open_(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", just_then)
    assert classified(found) == TOOK_ITS_PLACE


@pytest.mark.parametrize("content", [b"", b"text"])
def test_an_image_that_is_no_image_for_a_moment_is_not_skipped(tmp_path: Path, content: bytes) -> None:
    """As when a file is written anew, and has no suffix that tells what it is."""
    (tmp_path / "IM1").write_bytes(PNG)
    found = found_then(tmp_path, "IM1")
    found.path.write_bytes(content)
    assert classified(found) == TOOK_ITS_PLACE


def test_a_link_is_opened_where_it_led_when_it_was_found(tmp_path: Path) -> None:
    (tmp_path / "outside.dcm").write_bytes(DICOM)
    folder = tmp_path / "export"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(PNG)
    (folder / "link").symlink_to("sub/a.png")
    found = found_then(folder, "link")
    (folder / "link").unlink()
    (folder / "link").symlink_to(tmp_path / "outside.dcm")
    ref = classify(found.path, found.name, found.version)
    assert isinstance(ref, ImageRef)
    assert (ref.name, ref.path, ref.kind) == ("link", folder.resolve() / "sub" / "a.png", FileKind.PNG)


def test_a_link_that_takes_the_place_of_a_folder_is_not_entered(tmp_path: Path) -> None:
    """The folder is swapped when its neighbour before it is handed out: it has been listed by then."""
    folder, outside = tmp_path / "export", tmp_path / "outside"
    (folder / "b").mkdir(parents=True)
    outside.mkdir()
    for path in (folder / "a.png", folder / "b" / "c.png", outside / "c.png"):
        path.write_bytes(PNG)
    found = walk(folder)
    assert next(found).name == "a.png"
    shutil.rmtree(folder / "b")
    (folder / "b").symlink_to(outside)
    (left,) = found
    assert left.failure is not None
    assert (left.name, left.failure.reason) == ("b/", Reason.UNREADABLE)


def test_a_link_that_takes_the_place_of_the_folder_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Though what lies there looks the same: size and time of modification can be set at will."""
    folder, outside = tmp_path / "export", tmp_path / "outside"
    for path in (folder / "a" / "b", outside / "b"):
        (path).mkdir(parents=True)
        (path / "IM1").write_bytes(PNG)
        os.utime(path / "IM1", (0, 0))
    found = found_then(folder, "a/b/IM1")
    shutil.rmtree(folder / "a")
    (folder / "a").symlink_to(outside)
    assert classified(found) == ("unreadable", "Not a directory", False)


@pytest.mark.parametrize("seconds", [-(2**31), 2**33 + 2**30, 2**34 - 1])
def test_times_that_the_state_cannot_store_are_cut_to_what_it_can(tmp_path: Path, seconds: int) -> None:
    """SQLite keeps 64 bits: nanoseconds up to the year 2262."""
    (tmp_path / "a.png").write_bytes(PNG)
    os.utime(tmp_path / "a.png", (seconds, seconds))
    version = found_then(tmp_path, "a.png").version
    assert abs(version.mtime_ns) < 2**63
    assert replace(version, mtime_ns=0, ctime_ns=0) == FileVersion(size_bytes=len(PNG))


# --- files that others are still writing


def modified(name: str = "a.dcm", age_s: float = 3600) -> FoundFile:
    version = FileVersion(size_bytes=1, mtime_ns=NOW_NS - int(age_s * SECOND_NS), ctime_ns=0)
    return FoundFile(path=Path(name), name=name, version=version)


@pytest.mark.parametrize(
    ("age_s", "changing"), [(0, True), (59.9, True), (60, False), (-59.9, True), (-60, False)]
)
def test_files_that_were_just_written(age_s: float, changing: bool) -> None:
    refused = check_settled(modified(age_s=age_s), 60, NOW_NS)
    assert (refused is not None) is changing
    if refused:
        assert (refused.reason, refused.detail) == (Reason.STILL_CHANGING, "last modified less than 60 s ago")


def test_by_default_a_fresh_copy_is_read_at_once() -> None:
    assert check_settled(modified(age_s=0), 0, NOW_NS) is None


@pytest.mark.parametrize("name", ["a.dcm.part", "s/a.TMP", "study.lock"])
def test_names_that_say_so(name: str) -> None:
    refused = check_settled(modified(name), 0, NOW_NS)
    assert refused is not None
    assert (refused.name, refused.reason, refused.skipped) == (name, Reason.STILL_CHANGING, False)


@pytest.mark.parametrize("name", ["a.part.dcm", "tmp/a.dcm", "parts"])
def test_names_that_only_look_so(name: str) -> None:
    assert check_settled(modified(name), 0, NOW_NS) is None

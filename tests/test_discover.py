"""What is found in a folder, and as what."""

import bz2
import gzip
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from cxrbatch import discover as discover_module
from cxrbatch._lib.file_formats import recognise
from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.discover import check_settled, classify, discover, found_again, sniff, walk
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
        ("report.pdf", b"%PDF-1.4", True),
        ("report.dcm", b"%PDF-1.4", False),
        ("._film.tif", b"\0\5\x16\7\0\2\0\0Mac OS X        ", True),
        ("._IM1.dcm", b"\0\5\x16\7\0\2\0\0Mac OS X        ", True),
        ("IM1.dcm", b"\0\5\x16\7\0\2\0\0Mac OS X        ", False),
        ("film.jp2", b"plain words", False),
        (".DS_Store", b"\0\0\0\1Bud1\0\0\x10\0", True),
        ("viewer.exe", b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff", True),
        ("viewer", b"\x7fELF\2\1\1\0", True),
        ("index.html", b"<!DOCTYPE html><html>", True),
        ("film.xml", b"<?xml version='1.0'?>", True),
        ("dictated.m4a", b"\0\0\0\x1cftypM4A \0\0\0\0M4A isom", True),
    ],
)
def test_a_missing_radiograph_is_told_from_other_files(
    tmp_path: Path, name: str, content: bytes, skipped: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    (failure,) = discover(tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.skipped) == (Reason.NOT_AN_IMAGE, skipped)


# --- pictures of other formats, videos and archives: a radiograph may be in there


def drawn(kind: str) -> bytes:
    stream = BytesIO()
    Image.new("L", (300, 200), 90).save(stream, kind)
    return stream.getvalue()


def zipped(name: str = "IM1.dcm") -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, DICOM)
    return stream.getvalue()


def tarred(format_: int) -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format_) as archive:
        entry = tarfile.TarInfo("export/IM1.dcm")
        entry.size = len(DICOM)
        archive.addfile(entry, BytesIO(DICOM))
    return stream.getvalue()


def box(type_: bytes, content: bytes) -> bytes:
    """A box of ISO/IEC 14496-12."""
    return (8 + len(content)).to_bytes(4, "big") + type_ + content + b"\0" * 64


REST = bytes(range(256)) * 2
READ = {
    FileKind.BMP: [
        drawn("BMP"),
        drawn("BMP")[:18],
        drawn("BMP")[:10],
        *(
            b"BM\x36\x10\0\0\0\0\0\0\x36\0\0\0" + bytes([size]) + b"\0\0\0" + REST
            for size in (12, 16, 40, 52, 56, 64, 108, 124)
        ),
    ],
    FileKind.TIFF: [
        drawn("TIFF"),
        b"MM\0*\0\0\0\x08" + REST,
        b"II+\0\x08\0\0\0" + REST,
        b"MM\0+\0\x08\0\0" + REST,
        b"II*\0",
    ],
    FileKind.WEBP: [drawn("WEBP"), drawn("WEBP")[:12]],
    FileKind.JPEG_2000: [
        drawn("JPEG2000"),
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\xff\x4f\xff\x51\0\x29" + REST,
        b"\xff\x4f\xff\x51",
    ],
    FileKind.DICOM: [
        gzip.compress(DICOM),
        gzip.compress(DICOM, 0),
        gzip.compress(b"\x08\0\5\0CS\x0a\0ISO_IR 100" + REST),
        gzip.compress(DICOM)[:40],
    ],
}
"""Formats that are read, whatever their names."""
FORMATS = {
    "a GIF image": [drawn("GIF"), b"GIF87a\x40\1\xc8\0\xf7\0\0", b"GIF89a"],
    "a JPEG XL image": [b"\xff\x0a\xfa\x1f\x44" + REST, b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n" + REST],
    "a JPEG XR image": [b"II\xbc\1\x20\0\0\0" + REST, b"II\xbc\1"],
    "a HEIF (HEIC) image": [
        *(
            box(b"ftyp", brand + b"\0\0\0\0mif1heic")
            for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
        ),
        b"\0\0\0\x18ftypheic",
    ],
    "an AVIF image": [
        *(box(b"ftyp", brand + b"\0\0\0\0mif1avifmiaf") for brand in (b"avif", b"avis", b"mif1")),
        b"\0\0\0\x20ftypavif",
    ],
    "a NIfTI volume": [
        b"\x5c\1\0\0" + b"\0" * 340 + b"n+1\0" + REST,
        b"\0\0\1\x5c" + b"\0" * 340 + b"ni1\0",
        b"\x1c\2\0\0n+2\0\r\n\x1a\n" + REST,
    ],
    "an NRRD volume": [b"NRRD0004\ntype: short\ndimension: 2\nencoding: raw\n\n" + REST, b"NRRD0005\r\n"],
    "a MetaImage volume": [b"ObjectType = Image\nNDims = 2\nDimSize = 300 200\n"],
    "an MP4 or QuickTime video": [
        *(box(b"ftyp", brand + b"\0\0\2\0isom") for brand in (b"isom", b"mp42", b"qt  ", b"M4V ", b"3gp4")),
        box(b"moov", b"\0\0\0\x6cmvhd"),
        box(b"wide", b""),
        b"\0\0\0\x14ftypqt  ",
    ],
    "an AVI video": [b"RIFF\xf2\x0a\1\0AVI LIST\xc0\0\0\0hdrl", b"RIFF\xf2\x0a\1\0AVI "],
    "a Matroska or WebM video": [b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\1" + REST, b"\x1a\x45\xdf\xa3"],
    "a ZIP archive": [zipped(), zipped()[:4], b"PK\5\6" + b"\0" * 18, b"PK\7\x08PK\3\4" + REST],
    "a 7z archive": [b"7z\xbc\xaf\x27\x1c\0\4" + REST, b"7z\xbc\xaf\x27\x1c"],
    "a RAR archive": [b"Rar!\x1a\7\0\xcf\x90\x73" + REST, b"Rar!\x1a\7\1\0" + REST, b"Rar!\x1a\7\0"],
    "a tar archive": [
        tarred(form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    ],
    "a gzip file": [
        gzip.compress(gzip.compress(DICOM)),
        gzip.compress(DICOM)[:12],
        gzip.compress(b"")[:3],
        gzip.compress(tarred(tarfile.GNU_FORMAT)),
        gzip.compress(PNG),
        b"\x1f\x8b" + REST,
    ],
    "a bzip2 file": [bz2.compress(DICOM), bz2.compress(b""), bz2.compress(REST)[:10]],
    "an xz file": [lzma.compress(DICOM), lzma.compress(b"")[:6]],
    "a zstd file": [b"\x28\xb5\x2f\xfd\x04\x58\x41\0\0" + REST, b"\x28\xb5\x2f\xfd"],
}
CONTENTS = [(what, number) for what, contents in FORMATS.items() for number in range(len(contents))]


@pytest.mark.parametrize("name", ["film", "film.dcm", "film.JPG", "film.bin", "film.txt"])
@pytest.mark.parametrize(("what", "number"), CONTENTS)
def test_what_may_hold_a_radiograph_and_is_not_read_is_for_a_human(
    tmp_path: Path, what: str, number: int, name: str
) -> None:
    (tmp_path / name).write_bytes(FORMATS[what][number])
    (failure,) = discover(tmp_path)
    assert isinstance(failure, Failure)
    is_packed = what.endswith((" archive", " file"))
    advice = "unpack it into the export" if is_packed else "as DICOM, PNG or JPEG"
    assert failure.detail.startswith(what + "; ")
    assert failure.detail.endswith(advice)
    assert failure.reason is (Reason.PACKED_FILE if is_packed else Reason.UNSUPPORTED_FORMAT)
    assert not failure.skipped


@pytest.mark.parametrize("name", ["film", "film.dcm", "film.JPG", "film.bin", "film.txt"])
@pytest.mark.parametrize("kind", READ)
def test_formats_that_are_read(tmp_path: Path, kind: FileKind, name: str) -> None:
    for content in READ[kind]:
        (tmp_path / name).write_bytes(content)
        assert outcome(tmp_path) == [(name, kind.value)]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_avif_as_pillow_writes_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(drawn("AVIF"))
    assert outcome(tmp_path) == [("a", "unsupported_format")]


NEAR_MISSES = [
    b"BMI 31, BP 120/80, please see the images of yesterday evening",
    b"BM",
    b"BMI\n",
    b"BM" + b"\1" * 200,
    b"GIF89a is a picture format",
    b"GIF files are not read",
    b"GIF88a\0\0",
    b"PK 12345",
    b"PK",
    b"Rarely seen",
    b"Rar! is an archive",
    b"RIFF and WEBP are two words",
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0",
    b"II. Findings",
    b"MM* is not TIFF",
    b"BZh9 is how bzip2 begins",
    b"BZh0" + b"1AY&SY\0",
    b"7zip was used",
    b"NRRD0004 is a version",
    b"ObjectType = Scene\n",
    b"The ftypheic of a file\n",
    b"\0\0\0\x08free",
    b"x" * 257 + b"ustar in the middle of a line",
    b"y" * 344 + b"n+1",
    b"ustar\0" * 9,
    "Größe 1,80 m: MM* II* ÿ".encode("latin-1"),
    "BMI 31".encode("utf-16"),
    "BMI 31".encode("utf-16-le"),
]


@pytest.mark.parametrize("content", NEAR_MISSES)
@pytest.mark.parametrize(("name", "skipped"), [("note", True), ("note.png", False)])
def test_near_misses_are_unknown_content(tmp_path: Path, content: bytes, name: str, skipped: bool) -> None:
    (tmp_path / name).write_bytes(content)
    (failure,) = discover(tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.skipped) == (Reason.NOT_AN_IMAGE, skipped)
    assert failure.detail == "unknown content; DICOM, PNG, JPEG, JPEG 2000, TIFF, WebP and BMP are read"


@pytest.mark.parametrize("suffix", [".docx", ".XLSX", ".pptx", ".odt", ".jar", ".epub"])
def test_documents_and_programs_that_are_zip_archives_inside_are_skipped(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(zipped("word/document.xml"))
    (tmp_path / f"b{suffix}").write_bytes(gzip.compress(PNG))
    a, b = discover(tmp_path)
    assert isinstance(a, Failure)
    assert isinstance(b, Failure)
    assert (a.reason, a.skipped) == (Reason.NOT_AN_IMAGE, True)
    assert (b.reason, b.skipped) == (Reason.PACKED_FILE, False)


@pytest.mark.parametrize("beginning", [b"II*\0\x84\0\0\0", b"PK\3\4", b"GIF89a\0"])
def test_a_dicom_file_whose_preamble_is_another_format_is_read(tmp_path: Path, beginning: bytes) -> None:
    """PS3.10 7.1: the preamble is for others, such as readers of TIFF."""
    (tmp_path / "IM1").write_bytes(beginning.ljust(128, b"\0") + DICOM[128:])
    assert outcome(tmp_path) == [("IM1", "dicom")]


@given(st.text(max_size=600))
def test_no_printable_text_is_taken_for_a_picture_or_an_archive(text: str) -> None:
    printable = "".join(letter for letter in text if letter.isprintable())
    assert recognise(("Dear colleague: " + printable).encode()) is None


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


def test_a_file_is_found_again_by_its_name_and_version(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(PNG)
    (folder / "link").symlink_to("sub/a.png")
    found = list(walk(folder))
    assert [found_again(folder, file.name, file.version) for file in found] == found
    (folder / "link").unlink()
    (folder / "link").symlink_to(tmp_path)
    assert found_again(folder, "link", found[0].version).failure


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


def test_a_large_folder_is_read_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover_module, "_STATS_AT_ONCE", 3)
    for name in "abcdefgh":
        (tmp_path / name).touch()
    (tmp_path / "dd").mkdir()
    (tmp_path / "dd" / "x").touch()
    assert [file.name for file in walk(tmp_path)] == ["a", "b", "c", "d", "dd/x", "e", "f", "g", "h"]


def test_a_large_folder_that_becomes_a_link_is_not_entered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discover_module, "_STATS_AT_ONCE", 3)
    night, elsewhere = tmp_path / "export" / "night", tmp_path / "elsewhere"
    for folder in (night, elsewhere):
        folder.mkdir(parents=True)
        for name in "abcdefgh":
            (folder / name).touch()
    files = walk(tmp_path / "export")
    names = [next(files).name for _ in range(3)]
    shutil.rmtree(night)
    night.symlink_to(elsewhere)
    (rest,) = files
    assert names == ["night/a", "night/b", "night/c"]
    assert rest.failure is not None
    assert (rest.name, rest.failure.reason) == ("night/", Reason.UNREADABLE)


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

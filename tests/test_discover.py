"""What is found in a folder, and as what."""

import os
import socket
from pathlib import Path

import pytest

from cxrbatch.discover import discover, sniff
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, ImageRef

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 200
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 200
DICOM = b"\0" * 128 + b"DICM" + b"\0" * 64


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
    scandir = os.scandir

    def denied(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert outcome(tmp_path) == [("a.png", "png"), ("locked/", "unreadable")]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\n.png"
    Path(os.fsdecode(raw)).write_bytes(PNG)
    (found,) = discover(tmp_path)
    assert found.name == "\udcff\n.png"

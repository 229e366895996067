"""ZIP archives that are uploaded: what is taken out, and what cannot be done with them."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from cxrbatch.web.archives import ArchiveRefused, Budget, Member, count_members, extract, is_archive
from cxrbatch.web.spool import open_spool

BUDGET = 1 << 20


def made(folder: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, total: int = BUDGET, each: int = BUDGET) -> list[Member]:
    folder = path.parent / "spool"
    open_spool(folder)
    return list(extract(path, folder, Budget(total, each)))


def test_files_come_out_with_their_names_and_nothing_else(tmp_path: Path) -> None:
    members = {"a/b.png": b"1", "é.dcm": b"2", "empty/": b"", "__MACOSX/._b.png": b"3", "a/.DS_Store": b"4"}
    path = made(tmp_path, members)
    assert count_members(path, 9) == 2
    found = unpacked(path)
    assert [(one.name, one.path and one.path.read_bytes()) for one in found] == [
        ("a/b.png", b"1"),
        ("é.dcm", b"2"),
    ]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a/../../../x", "C:\\x"])
def test_no_name_leads_out_of_the_spool(name: str, tmp_path: Path) -> None:
    (found,) = unpacked(made(tmp_path, {name: b"x"}))
    assert found.path
    assert found.path.parent == tmp_path / "spool"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "spool"]
    assert found.path.stat().st_mode & 0o777 == 0o600


def test_a_link_in_an_archive_is_a_file_that_holds_its_target(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        item = zipfile.ZipInfo("link")
        item.external_attr = 0o120777 << 16
        archive.writestr(item, "/etc/passwd")
    (found,) = unpacked(path)
    assert found.path
    assert (found.path.is_symlink(), found.path.read_bytes()) == (False, b"/etc/passwd")


def test_bombs_are_refused_while_they_are_inflated(tmp_path: Path) -> None:
    path = made(tmp_path, {f"{i}": bytes(1 << 20) for i in range(4)} | {"small": b"x"})
    assert path.stat().st_size < 8 << 10
    found = unpacked(path, total=2 << 20, each=1 << 20)
    assert [one.failure.reason if one.failure else "" for one in found] == ["", "", *["too_large"] * 3]
    assert len(list((tmp_path / "spool").iterdir())) == 2
    (one, *_) = unpacked(path, total=1 << 30, each=1 << 10)
    assert one.failure
    assert one.failure.reason == "too_large"


def test_a_size_that_lies_is_not_believed(tmp_path: Path) -> None:
    path = made(tmp_path, {"a": bytes(100_000)})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<L", content, at + 24, 10)  # uncompressed size in the directory
    path.write_bytes(content)
    (found,) = unpacked(path, each=1000)
    assert (found.path, bool(found.failure)) == (None, True) or (
        found.path and found.path.stat().st_size <= 10
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_not_read(method: int, tmp_path: Path) -> None:
    (found,) = unpacked(made(tmp_path, {"a": b"x"}, method))
    assert found.failure
    assert found.failure.reason == "packed_file"


def test_a_damaged_member_costs_itself(tmp_path: Path) -> None:
    path = made(tmp_path, {"a": b"a" * 1000, "b": b"b" * 1000}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"axaa", 1))
    first, second = unpacked(path)
    assert first.failure
    assert first.failure.reason == "corrupt"
    assert second.path


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    path = made(tmp_path, {"a": b"x"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    (found,) = unpacked(path)
    assert found.failure
    assert "encrypted" in found.failure.detail


def long_directory() -> bytes:
    return b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 5 << 20, 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and nothing more", "damaged"),
        (long_directory(), "too long a list"),
        (b"PK\x05\x06" + bytes(18), "holds no file"),
        (b"PK\x05\x06", "damaged"),
    ],
)
def test_archives_that_are_refused_as_a_whole(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    assert is_archive(content)
    with pytest.raises(ArchiveRefused, match=message):
        count_members(path, 9)


def test_too_many_files_are_refused_before_any_is_inflated(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="holds 10 files, and 9 may"):
        count_members(made(tmp_path, {str(i): b"" for i in range(10)}), 9)


def test_zip64_directories_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"x")
    content = stream.getvalue()
    at = content.rindex(b"PK\x05\x06")
    path = tmp_path / "a.zip"
    path.write_bytes(content[:at] + b"PK\x06\x07" + bytes(16) + content[at:])
    with pytest.raises(ArchiveRefused, match="too long a list"):
        count_members(path, 9)

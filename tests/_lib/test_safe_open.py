"""Opening what others may swap for something else at any moment."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cxrbatch._lib import safe_open
from cxrbatch._lib.safe_open import FileVersion, NotRegular, has_changed, hold_open, open_regular, version_of


def known(path: Path) -> FileVersion:
    return version_of(path.stat())


def test_a_regular_file_is_opened_at_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    with open_regular(tmp_path / "a", follow=False) as stream:
        assert stream.read() == b"content"


def n_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("thing", ["pipe", "socket", "folder", "link"])
def test_nothing_else_is_opened(tmp_path: Path, thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    (tmp_path / "b").write_bytes(b"content")
    if thing == "pipe":
        os.mkfifo(path)
    elif thing == "socket":
        os.mknod(path, 0o140600)
    elif thing == "folder":
        path.mkdir()
    else:
        path.symlink_to("b")
    asked_for: list[str] = []
    open_ = os.open

    def noted(name: str, flags: int, dir_fd: int | None = None) -> int:
        asked_for.append(name)
        return open_(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(NotRegular), open_regular(path, follow=False):
        pass
    assert asked_for == list(path.parts[:-1])


@pytest.mark.parametrize("thing", ["pipe", "folder", "link"])
def test_what_takes_the_place_just_then_is_closed_again(
    tmp_path: Path, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    for name in "ab":
        (tmp_path / name).write_bytes(b"content")
    swaps: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("b"),
    }
    swap, open_ = swaps[thing], os.open

    def just_then(name: str, flags: int, dir_fd: int | None = None) -> int:
        if name == "a":
            path.unlink()
            swap()
        return open_(name, flags, dir_fd=dir_fd)

    n_before = n_open()
    monkeypatch.setattr(os, "open", just_then)
    with pytest.raises(OSError if thing == "link" else NotRegular), open_regular(path, follow=False):
        pass
    monkeypatch.undo()
    assert n_open() == n_before


def test_a_link_is_followed_where_it_may_be_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    with hold_open(tmp_path / "b", FileVersion()) as (path, _):
        assert path.read_bytes() == b"content"
    with pytest.raises(NotRegular), hold_open(tmp_path / "b", known(tmp_path / "a")):
        pass


def test_no_folder_on_the_way_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"content")
    (tmp_path / "x").symlink_to("a")
    with open_regular(tmp_path / "x" / "b" / "c", follow=True) as stream:
        assert stream.read() == b"content"
    n_before = n_open()
    with pytest.raises(NotADirectoryError), open_regular(tmp_path / "x" / "b" / "c", follow=False):
        pass
    assert n_open() == n_before


def test_who_holds_a_file_reads_it_whatever_becomes_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    version = known(path)
    with hold_open(path, version) as (other, descriptor):
        (tmp_path / "b").write_bytes(b"second")
        (tmp_path / "b").replace(path)
        assert other.read_bytes() == b"first"
        path.unlink()
        assert other.read_bytes() == other.read_bytes() == b"first"
        assert not has_changed(version, os.fstat(descriptor))


def test_who_writes_into_a_file_that_is_held_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    os.utime(path, (0, 0))
    version = known(path)
    with hold_open(path, version) as (_, descriptor):
        path.write_bytes(b"other")
        assert has_changed(version, os.fstat(descriptor))
        os.utime(path, (0, 0))
        path.chmod(0o600)
        assert not has_changed(version, os.fstat(descriptor))
        assert not has_changed(FileVersion(), os.fstat(descriptor))


@pytest.mark.parametrize("seconds", [2**33 + 2**30, 2**34 - 1])
def test_a_file_of_the_far_future_has_not_changed(tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    os.utime(path, (seconds, seconds))
    assert known(path).mtime_ns == 2**63 - 1
    assert not has_changed(known(path), path.stat())


LEASE = """
import fcntl, os, signal, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
def give_up(*_):
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, give_up if sys.argv[2] == "polite" else signal.SIG_IGN)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("manners", ["polite", "stubborn"])
def test_a_lease_is_waited_for_but_not_for_ever(
    tmp_path: Path, manners: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Samba server holds it on a file that a client is writing; it is asked by the kernel to give it up."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    monkeypatch.setattr(safe_open, "_N_TRIES", 20)
    monkeypatch.setattr(safe_open, "_PAUSE_S", 0.02)
    words: list[str | Path] = [sys.executable, "-c", LEASE, path, manners]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        if not holder.stdout.readline():
            pytest.skip("no leases here")
        if manners == "polite":
            with open_regular(path, follow=False) as stream:
                assert stream.read() == b"content"
        else:
            with pytest.raises(BlockingIOError), open_regular(path, follow=False):
                pass
        holder.kill()

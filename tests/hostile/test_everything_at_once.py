"""All that can lie in a folder lies in one; every row of its report is known."""

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.hostile.places import Place, cell, write_dcm, write_png

Outcome = tuple[str, str, str]
Books = dict[str, Outcome]
SCORED = ("scored", "", "")
NO_FILE = ("skipped", "not_an_image", "not a regular file")
DENIED = ("not_scored", "unreadable", "Permission denied")
LEADS_OUT = ("not_scored", "unreadable", "symbolic link that leads out of the folder, or nowhere")
YEAR_2300_S = 10_413_792_000
NAMES = [
    "new\nline.png",
    "tab\t.png",
    "com,ma.png",
    'quo"te.png',
    "=1+1.png",
    "-x",
    "@x",
    "semi;=colon",
    "\u202egnp.exe",
    "caf\u00e9",
    "cafe\u0301",
    "back\\slash",
    " ",
    "...",
    ".hidden",
    "\x7f\x01",
    "<b>&amp;{{ 7 * 7 }}",
    "%s%n$HOME`id`",
    "CON.png",
    "n" * 251 + ".png",
    "é" * 127,
    "\udcff\udcfe.png",
    "\udced\udca0\udc80",
]
"""The last ones are no UTF-8."""


@pytest.fixture
def place(tmp_path: Path, tiny_bundle: Path) -> Iterator[Place]:
    place = Place(tmp_path, tiny_bundle)
    place.export.mkdir()
    yield place
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=True)
    subprocess.run(["rm", "-rf", tmp_path], check=True)  # deeper than what Python can remove


def with_names(folder: Path) -> Books:
    for number, name in enumerate(NAMES):
        write_png(folder / name, number)
    return dict.fromkeys(NAMES, SCORED)


def with_files(folder: Path) -> Books:
    write_dcm(folder / "good", 50)
    write_png(folder / "half.png", 51)
    os.truncate(folder / "half.png", 3000)
    write_dcm(folder / "half", 52)
    os.truncate(folder / "half", 3000)
    write_dcm(folder / "coming.part", 53)
    write_png(folder / "of the future", 54)
    os.utime(folder / "of the future", (YEAR_2300_S, YEAR_2300_S))
    write_png(folder / "hard", 55)
    (folder / "hard too").hardlink_to(folder / "hard")
    for name in ("empty", "empty.dcm", "README", "text.png"):
        (folder / name).write_text("" if "empty" in name else "no picture")
    with (folder / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    return {
        "good": SCORED,
        "half.png": ("not_scored", "truncated", "the png data ends before the image does"),
        "half": ("not_scored", "truncated", "PixelData holds 2388 of 28800 bytes"),
        "coming.part": ("not_scored", "still_changing", "its name says that it is still being written"),
        "of the future": SCORED,
        "hard": SCORED,
        "hard too": ("not_scored", "duplicate", "the same image as hard"),
        "empty": ("skipped", "not_an_image", "an empty file"),
        "empty.dcm": ("not_scored", "truncated", "an empty file"),
        "README": (
            "skipped",
            "not_an_image",
            "unknown content; DICOM, PNG, JPEG, JPEG 2000, TIFF, WebP and BMP are read",
        ),
        "text.png": (
            "not_scored",
            "not_an_image",
            "unknown content; DICOM, PNG, JPEG, JPEG 2000, TIFF, WebP and BMP are read",
        ),
        "sparse": (
            "skipped",
            "not_an_image",
            "unknown content; DICOM, PNG, JPEG, JPEG 2000, TIFF, WebP and BMP are read",
        ),
    }


def with_links(folder: Path, outside: Path) -> Books:
    outside.mkdir()
    write_png(outside / "secret.png", 60)
    write_png(folder / "target", 61)
    links: dict[str, str | Path] = {
        "to file": "target",
        "to folder": "sub",
        "to file out": outside / "secret.png",
        "to folder out": outside,
        "out and back": f"../../{outside.parent.name}/export/target",
        "dangling": "nowhere",
        "to itself": "to itself",
        "to another": "to the first",
        "to the first": "to another",
        "to all": ".",
        "to a pipe": "pipe",
        "to zeros": "/dev/zero",
        "to this process": "/proc/self/mem",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    is_out = ["to file out", "to folder out", "dangling", "to itself", "to another", "to the first"]
    return dict.fromkeys([*is_out, "to zeros", "to this process"], LEADS_OUT) | {
        "out and back": SCORED,
        "target": ("not_scored", "duplicate", "the same image as out and back"),
        "to file": ("not_scored", "duplicate", "the same image as out and back"),
        "to a pipe": NO_FILE,
    }


def with_things(folder: Path) -> Books:
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.png")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        before = Path.cwd()
        os.chdir(folder)  # the name of a socket has 108 bytes at most
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
    things = ["pipe", "pipe.png", "socket"]
    for name, kind, device in (("null", stat.S_IFCHR, (1, 3)), ("disk", stat.S_IFBLK, (7, 255))):
        try:
            os.mknod(folder / name, kind | 0o666, os.makedev(*device))
        except PermissionError:
            continue
        things.append(name)
    return dict.fromkeys(things, NO_FILE)


def with_modes(folder: Path) -> Books:
    (folder / "sub" / "listed only" / "below").mkdir(parents=True)
    (folder / "sub" / "closed").mkdir()
    for path in ("locked.png", "sub/listed only/a", "sub/closed/a", "sub/ok"):
        write_png(folder / path, 70 + len(path))
    for path, mode in (("locked.png", 0), ("sub/listed only", 0o444), ("sub/closed", 0o111)):
        (folder / path).chmod(mode)
    closed = ("not_scored", "unreadable", "folder: Permission denied")
    return {
        "locked.png": DENIED,
        "sub/listed only/a": DENIED,
        "sub/listed only/below/": closed,
        "sub/closed/": closed,
        "sub/ok": SCORED,
    }


def with_deep_folders(folder: Path) -> Books:
    """A picture in the innermost of 200 and of 1,200 folders, and folders deeper than any path can say."""
    for number, depth in enumerate((200, 1200)):
        innermost = folder / f"depth {depth}" / ("d/" * depth)
        innermost.mkdir(parents=True) if depth < 900 else dig(folder / f"depth {depth}", depth)
        write_png(innermost / "x", 100 + number)
    dig(folder / "endless", 2100)
    longest = os.pathconf(folder, "PC_PATH_MAX") - 1
    n_listed = (longest - len(os.fsencode(folder / "endless"))) // 2
    too_long = ("not_scored", "unreadable", "folder: File name too long")
    return {
        f"depth 200/{'d/' * 200}x": SCORED,
        f"depth 1200/{'d/' * 1200}x": SCORED,
        f"endless/{'d/' * (n_listed + 1)}": too_long,
    }


def dig(folder: Path, depth: int) -> None:
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        above, descriptor = descriptor, os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(above)
    os.close(descriptor)


def look(folder: Path) -> list[tuple[str, int, int, int]]:
    """What a program that writes there would change."""
    top = [(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(folder)]
    return sorted((name, found.st_mode, found.st_mtime_ns, found.st_ctime_ns) for name, found in top)


@pytest.mark.slow
def test_every_file_has_its_row(place: Place) -> None:
    folder = place.export
    expected = with_modes(folder) | with_names(folder) | with_files(folder) | with_things(folder)
    expected |= with_links(folder, place.folder / "outside") | with_deep_folders(folder)
    before = look(folder)
    done = place.run("--state", place.folder / "state")
    assert look(folder) == before
    rows = [(row["file"], row["status"], row["reason"], row["detail"]) for row in place.rows()]
    assert sorted(rows) == sorted((cell(name), *outcome) for name, outcome in expected.items())
    assert (done["n_found"], done["exit_code"]) == (len(expected), 3)
    again = place.run("--state", place.folder / "state")
    assert sorted(rows) == sorted(
        (row["file"], row["status"], row["reason"], row["detail"]) for row in place.rows()
    )
    n_unreadable = sum(outcome[1] in ("unreadable", "still_changing") for outcome in expected.values())
    assert again["n_remembered"] == len(expected) - n_unreadable

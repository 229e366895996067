"""Files that are swapped at the worst moment: nothing of another file is scored under a name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cxrbatch import read
from cxrbatch.discover import classify, walk
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import OpenImage
from cxrbatch.records import Failure, ImageRef, ModelInput
from tests.hostile.places import write_dcm, write_png

OPTIONS = PrepareOptions(spec=PreprocessSpec(height=32, width=32))
Write = Callable[[Path, int], Path]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "export" / "s"
    folder.mkdir(parents=True)
    return folder.parent


def found(export: Path, name: str) -> ImageRef:
    (file,) = (file for file in walk(export) if file.name == name)
    ref = classify(file.path, file.name, file.version)
    assert isinstance(ref, ImageRef)
    return ref


def just_like(path: Path, model: Path) -> None:
    """Of the same size, and modified at the same time."""
    times = model.stat()
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def scored(result: ModelInput | Failure) -> tuple[str, bytes]:
    assert isinstance(result, ModelInput)
    return result.header.patient_id, result.pixels.tobytes()


def refused(result: ModelInput | Failure) -> tuple[str, str, str]:
    assert isinstance(result, Failure)
    assert result.header is not None
    return result.reason.value, result.detail, result.header.patient_id


def between_header_and_pixels(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    open_image = read.open_image

    def then(*given: object) -> OpenImage:
        open_state = open_image(*given)  # type: ignore[arg-type]
        do()
        return open_state

    monkeypatch.setattr(read, "open_image", then)


def test_header_and_pixels_are_of_one_file(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its name leads to another one, which looks the same, from the first look at the pixels on."""
    path, other = write_dcm(export / "a", 1), write_dcm(tmp_path / "b", 3)
    just_like(other, path)
    ref = found(export, "a")
    alone = scored(prepare(ref, OPTIONS))
    between_header_and_pixels(monkeypatch, lambda: other.replace(path))
    assert scored(prepare(ref, OPTIONS)) == alone


@pytest.mark.parametrize("write", [write_dcm, write_png])
def test_a_file_that_is_written_over_is_refused(
    export: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    path = write(export / "a", 1)
    os.utime(path, (0, 0))
    between_header_and_pixels(monkeypatch, lambda: write(path, 3))
    reason, detail, _ = refused(prepare(found(export, "a"), OPTIONS))
    assert (reason, detail) == ("still_changing", "it changed while it was read")


def test_a_link_in_place_of_a_file_is_not_followed(export: Path, tmp_path: Path) -> None:
    """What it leads to has the size and the time of the file: both can be set at will."""
    path, secret = write_dcm(export / "a", 1), write_dcm(tmp_path / "secret", 3)
    just_like(secret, path)
    ref = found(export, "a")
    path.unlink()
    path.symlink_to(secret)
    assert refused(prepare(ref, OPTIONS)) == ("still_changing", "something else took its place", "a")


def test_a_link_in_place_of_a_folder_is_not_followed(export: Path, tmp_path: Path) -> None:
    path, secret = write_dcm(export / "s" / "a", 1), tmp_path / "secrets" / "a"
    secret.parent.mkdir()
    just_like(write_dcm(secret, 3), path)
    ref = found(export, "s/a")
    (export / "s").rename(tmp_path / "aside")
    (export / "s").symlink_to(secret.parent)
    assert refused(prepare(ref, OPTIONS)) == ("unreadable", "Not a directory", "s/a")


def test_a_pipe_in_place_of_a_file_is_not_waited_for(export: Path) -> None:
    path = write_dcm(export / "a", 1)
    ref = found(export, "a")
    path.unlink()
    os.mkfifo(path)
    assert refused(prepare(ref, OPTIONS)) == ("still_changing", "something else took its place", "a")


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o600), lambda path: path.unlink()])
def test_what_does_not_touch_the_content_costs_nothing(
    export: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = write_dcm(export / "a", 1)
    ref = found(export, "a")
    alone = scored(prepare(ref, OPTIONS))
    between_header_and_pixels(monkeypatch, lambda: change(path))
    assert scored(prepare(ref, OPTIONS)) == alone


def test_a_file_of_the_year_2300_is_read(export: Path) -> None:
    """Its nanoseconds are more than SQLite can store."""
    path = write_dcm(export / "a", 1)
    os.utime(path, (10_413_792_000, 10_413_792_000))
    patient, _ = scored(prepare(found(export, "a"), OPTIONS))
    assert patient == "P0001"

"""PNG files whose picture is inflated before Pillow sees them: the same pictures, and hands off all others."""

import io
import struct
import warnings
import zlib
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from cxrbatch.read import PatientRule, open_image, png_inflate
from cxrbatch.read.png_inflate import store_uncompressed
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import FileKind, ImageRef
from tests.factories.png_files import chunk
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import small

N_FILTERS = 5


def picture(rows: int, columns: int, dtype: str = "u1", *, seed: int = 0) -> NDArray[np.unsignedinteger]:
    """A gradient with noise, which compresses, but not to nothing."""
    highest = np.iinfo(dtype).max
    noise = np.random.default_rng(seed).random((rows, columns)) / 8
    return ((np.linspace(0, 0.8, columns) + noise) * highest).astype(dtype)


def paeth(left: int, up: int, corner: int) -> int:
    """PNG specification, 9.4."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def filtered(lines: NDArray[np.uint8], step: int, kinds: list[int]) -> bytes:
    """Filter lines of bytes, each by another of the five types (PNG specification, 9.2)."""
    out = bytearray()
    above = np.zeros(lines.shape[1], np.uint8)
    for line, kind in zip(lines, kinds, strict=True):
        left = np.concatenate((np.zeros(step, np.uint8), line[:-step]))
        corner = np.concatenate((np.zeros(step, np.uint8), above[:-step]))
        guesses = (
            np.zeros_like(line),
            left,
            above,
            ((left.astype(int) + above) // 2).astype(np.uint8),
            np.array(
                [
                    paeth(*values)
                    for values in zip(left.tolist(), above.tolist(), corner.tolist(), strict=True)
                ]
            ),
        )
        out += bytes([kind]) + ((line.astype(int) - guesses[kind]) % 256).astype(np.uint8).tobytes()
        above = line
    return bytes(out)


def written(pixels: NDArray[np.unsignedinteger], kinds: list[int], n_data_chunks: int = 1) -> bytes:
    """A PNG with chosen filters, its picture cut into some chunks."""
    rows, columns = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    lines = np.frombuffer(pixels.astype(pixels.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(rows, -1)
    data = zlib.compress(filtered(lines, samples * pixels.itemsize, kinds))
    cuts = np.linspace(0, len(data), n_data_chunks + 1).astype(int)
    head = struct.pack(">IIBBBBB", columns, rows, 8 * pixels.itemsize, {1: 0, 3: 2}[samples], 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *(chunk(b"IDAT", data[begin:end]) for begin, end in pairwise(cuts)),
            chunk(b"IEND", b""),
        )
    )


def saved(image: Image.Image, **how: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **how)
    return stream.getvalue()


def after(data: bytes) -> bytes:
    return store_uncompressed(io.BytesIO(data)).read()


def is_left(data: bytes) -> bool:
    stream = io.BytesIO(data)
    return store_uncompressed(stream) is stream and stream.tell() == 0


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 40),
    dtype=st.sampled_from(["u1", "u2"]),
    in_colour=st.booleans(),
    n_data_chunks=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_picture_stays_the_same(
    rows: int, columns: int, dtype: str, in_colour: bool, n_data_chunks: int, seed: int
) -> None:
    """Read by another decoder (libpng), which checks every sum; all five filters occur."""
    pixels = picture(rows, columns, dtype, seed=seed)
    if in_colour:
        pixels = np.stack([pixels, pixels[::-1], pixels[:, ::-1]], axis=-1)
    kinds = np.random.default_rng(seed).integers(0, N_FILTERS, rows).tolist()
    data = written(pixels, kinds, n_data_chunks)
    assert np.array_equal(imagecodecs.png_decode(data), pixels)
    assert np.array_equal(imagecodecs.png_decode(after(data)), pixels)
    assert not is_left(data)


@pytest.mark.parametrize("n_bytes", [65535 - 256, 65535, 65536, 3 * 65535, 200_000])
def test_stored_blocks_join_without_a_gap(n_bytes: int) -> None:
    """Lines of 257 bytes with their filter: below, at and beyond what a block holds."""
    pixels = picture(max(n_bytes // 257, 1), 256)
    assert np.array_equal(imagecodecs.png_decode(after(saved(Image.fromarray(pixels)))), pixels)


def test_what_stands_beside_the_picture_stays() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "kept")
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(picture(20, 30)), pnginfo=info, exif=exif, dpi=(100, 100))
    late = data.replace(chunk(b"IEND", b""), chunk(b"tEXt", b"Late\0too") + chunk(b"IEND", b""))
    with Image.open(io.BytesIO(after(late))) as image:
        image.load()
        assert image.getexif()[0x0112] == 6
        assert image.info["Comment"] == "kept"
        assert image.info["Late"] == "too"
        assert image.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def interlaced() -> bytes:
    """Says so, which is all that is looked at."""
    data = bytearray(saved(Image.fromarray(picture(20, 30))))
    data[28] = 1
    return bytes(data)


def too_short() -> bytes:
    data = written(picture(20, 30), [0] * 20)
    return data.replace(struct.pack(">II", 30, 20), struct.pack(">II", 30, 21))


def with_a_chunk_between() -> bytes:
    """Data chunks must follow each other (PNG specification, 5.6)."""
    one, other = (chunk(b"IDAT", part) for part in (b"", zlib.compress(b"\0" * 4)))
    head = saved(Image.fromarray(picture(1, 3)))[:33]
    return head + one + chunk(b"tEXt", b"a\0b") + other + chunk(b"IEND", b"")


def damaged(place: float) -> bytes:
    data = bytearray(saved(Image.fromarray(picture(60, 80))))
    data[int(len(data) * place)] ^= 0x10
    return bytes(data)


OTHERS = {
    "palette": saved(Image.fromarray(picture(20, 30)).convert("P")),
    "grey with alpha": saved(Image.fromarray(picture(20, 30)).convert("LA")),
    "1 bit": saved(Image.fromarray(picture(20, 30)).convert("1")),
    "interlaced": interlaced(),
    "fewer lines than announced": too_short(),
    "a chunk between": with_a_chunk_between(),
    "cut off": saved(Image.fromarray(picture(60, 80)))[:-30],
    "cut off in its head": saved(Image.fromarray(picture(60, 80)))[:20],
    "damaged": damaged(0.5),
    "a wrong sum": damaged(1 - 18 / len(saved(Image.fromarray(picture(60, 80))))),
    "no picture": b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
    "empty": b"",
}


@pytest.mark.parametrize("case", OTHERS)
def test_all_others_are_left_as_they_are(case: str) -> None:
    assert is_left(OTHERS[case])


def test_what_would_take_much_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.fromarray(picture(20, 30)))
    monkeypatch.setattr(png_inflate, "_MOST_BYTES", 20 * 31 - 1)
    assert is_left(data)
    monkeypatch.setattr(png_inflate, "_MOST_BYTES", 20 * 31)
    assert not is_left(data)


def test_an_enormous_size_asks_for_no_memory() -> None:
    data = written(picture(2, 3), [0, 0]).replace(
        struct.pack(">II", 3, 2), struct.pack(">II", 2**31 - 1, 2**31 - 1)
    )
    assert is_left(data)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_large_radiograph_is_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """And gives to the last bit what it gives without."""
    Image.fromarray(picture(1200, 1300, dtype)).save(tmp_path / "a.png")
    opened = open_image(ImageRef(path=tmp_path / "a.png", name="a.png", kind=FileKind.PNG), PatientRule())
    quick = opened.decode(288)
    monkeypatch.setattr(png_inflate, "store_uncompressed", lambda stream: stream)
    slow = opened.decode(288)
    assert quick.pixels.shape == (300, 325)
    assert np.array_equal(quick.pixels, slow.pixels)


def test_damage_is_refused_as_ever(tmp_path: Path) -> None:
    data = bytearray(saved(Image.fromarray(picture(1200, 1300))))
    data[len(data) // 2 :] = b""
    (tmp_path / "a.png").write_bytes(data)
    opened = open_image(ImageRef(path=tmp_path / "a.png", name="a.png", kind=FileKind.PNG), PatientRule())
    with pytest.raises(Refusal) as refused:
        opened.decode(288)
    assert refused.value.reason is Reason.TRUNCATED


def seen(data: BinaryIO) -> object:
    """What Pillow makes of a file: its pixels and what stands beside them, or how it fails."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(data, formats=["PNG"]) as image:
            image.load()
            beside = {key: value for key, value in image.info.items() if key != "exif"}
            return image.mode, image.tobytes(), sorted(map(repr, beside.items())), dict(image.getexif())
    except Exception as error:
        return type(error)


def test_damaged_files_read_the_same_as_without(tmp_path: Path) -> None:
    """And enough of them go this way for that to say something."""
    of_png = [seed for seed in small(tmp_path) if seed.format == "png"]
    files = [mutated(of_png, seed=11, number=number).data for number in range(600)]
    for data in files:
        assert seen(store_uncompressed(io.BytesIO(data))) == seen(io.BytesIO(data))
    assert sum(not is_left(data) for data in files) > 60

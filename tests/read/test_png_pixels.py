"""PNG files that are decoded without Pillow: the same pixels, and all others are left to it."""

import io
import struct
import warnings
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.read import PatientRule, open_image, png_pixels
from cxrbatch.read.png_pixels import Pixels, plain_pixels
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each test overwrites."""
    return tmp_path_factory.mktemp("png") / "a.png"


def decoded(data: bytes, place: Path) -> Pixels | None:
    place.write_bytes(data)
    return plain_pixels(place)


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 40),
    dtype=st.sampled_from(["u1", "u2"]),
    in_colour=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_pixels_are_those_that_were_written(
    rows: int, columns: int, dtype: str, in_colour: bool, seed: int, place: Path
) -> None:
    """All five filters occur; colours of 16 bits are left to Pillow, which keeps 8 of them."""
    pixels = picture(rows, columns, dtype, seed=seed)
    if in_colour:
        pixels = np.stack([pixels, pixels[::-1], pixels[:, ::-1]], axis=-1)
    kinds = np.random.default_rng(seed).integers(0, N_FILTERS, rows).tolist()
    data = written(pixels, kinds, n_data_chunks=1 + seed % 4)
    found = decoded(data, place)
    if in_colour and dtype == "u2":
        assert found is None
    else:
        assert found is not None
        assert found.dtype == pixels.dtype
        assert np.array_equal(found, pixels)


@pytest.mark.parametrize("n_bytes", [65535 - 256, 65535, 65536, 3 * 65535, 200_000])
def test_stored_blocks_join_without_a_gap(n_bytes: int, place: Path) -> None:
    """Lines of 257 bytes with their filter: below, at and beyond what a block holds."""
    pixels = picture(max(n_bytes // 257, 1), 256)
    found = decoded(saved(Image.fromarray(pixels)), place)
    assert found is not None
    assert np.array_equal(found, pixels)


def with_chunk(kind: bytes, content: bytes, data: bytes | None = None, *, late: bool = False) -> bytes:
    """Insert a chunk after the header, or before the end."""
    data = data or saved(Image.fromarray(picture(20, 30)))
    at = len(data) - 12 if late else 33
    return data[:at] + chunk(kind, content) + data[at:]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"tEXt", b"Comment\0a film"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"a film")),
        (b"iCCP", b"grey\0\0" + zlib.compress(b"a profile")),
        (b"gAMA", struct.pack(">I", 45455)),
        (b"pHYs", struct.pack(">IIB", 3937, 3937, 1)),
        (b"sRGB", b"\0"),
        (b"sBIT", b"\x07"),
        (b"tIME", struct.pack(">HBBBBB", 2020, 4, 1, 2, 0, 0)),
    ],
)
def test_what_changes_no_pixel_may_stand_beside(kind: bytes, content: bytes, late: bool, place: Path) -> None:
    data = with_chunk(kind, content, late=late)
    found = decoded(data, place)
    with Image.open(io.BytesIO(data)) as image:
        assert found is not None
        assert np.array_equal(found, np.asarray(image))


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


def in_colour() -> bytes:
    return saved(Image.fromarray(np.stack([picture(20, 30)] * 3, axis=-1)))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(picture(20, 30)), exif=exif)


def animated() -> bytes:
    pages = [Image.fromarray(picture(20, 30, seed=seed)) for seed in range(2)]
    return saved(pages[0], save_all=True, append_images=pages[1:])


OTHERS = {
    "turned by EXIF": turned(),
    "turned by XMP": with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>"),
    "turned by a profile": with_chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"exif"), late=True
    ),
    "animated": animated(),
    "transparent colour": with_chunk(b"tRNS", bytes(6), in_colour()),
    "transparent grey": with_chunk(b"tRNS", bytes(2)),
    "too much text": with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 21)), late=True),
    "a text that does not inflate": with_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a film")[:-1]),
    "too short a gamma": with_chunk(b"gAMA", b"\0\0", late=True),
    "an unknown chunk": with_chunk(b"abCd", b"?"),
    "a damaged text": with_chunk(b"tEXt", b"Comment\0a film").replace(b"a film", b"a firm"),
    "a damaged text behind": with_chunk(b"tEXt", b"a\0a film", late=True).replace(b"a film", b"a firm"),
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
def test_all_others_are_left_to_pillow(case: str, place: Path) -> None:
    assert decoded(OTHERS[case], place) is None


def test_what_would_take_much_memory_is_left(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    data = saved(Image.fromarray(picture(20, 30)))
    monkeypatch.setattr(png_pixels, "_MOST_BYTES", 20 * 31 - 1)
    assert decoded(data, place) is None
    monkeypatch.setattr(png_pixels, "_MOST_BYTES", 20 * 31)
    assert decoded(data, place) is not None


def test_an_enormous_size_asks_for_no_memory(place: Path) -> None:
    data = written(picture(2, 3), [0, 0]).replace(
        struct.pack(">II", 3, 2), struct.pack(">II", 2**31 - 1, 2**31 - 1)
    )
    assert decoded(data, place) is None


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_large_radiograph_is_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """And gives to the last bit what it gives without."""
    Image.fromarray(picture(1200, 1300, dtype)).save(tmp_path / "a.png")
    opened = open_image(ImageRef(path=tmp_path / "a.png", name="a.png", kind=FileKind.PNG), PatientRule())
    quick = opened.decode(288)
    monkeypatch.setattr("cxrbatch.read.raster.plain_pixels", lambda _: None)
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


def seen(data: bytes) -> tuple[str, NDArray[np.unsignedinteger], int]:
    """What Pillow makes of a file: mode, pixels, orientation."""
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        return image.mode, np.asarray(image), image.getexif().get(0x0112, 1)


def test_damaged_files_are_read_as_pillow_reads_them_or_left(tmp_path: Path, place: Path) -> None:
    """And enough of them are read for that to say something."""
    of_png = [seed for seed in small(tmp_path) if seed.format == "png"]
    files = [mutated(of_png, seed=11, number=number).data for number in range(2000)]
    read = [(data, found) for data in files if (found := decoded(data, place)) is not None]
    for data, found in read:
        mode, pixels, turn = seen(data)
        assert (mode in ("L", "I;16", "RGB"), turn) == (True, 1)
        assert (found.dtype, found.shape) == (pixels.dtype, pixels.shape)
        assert np.array_equal(found, pixels)
    assert len(read) > 60

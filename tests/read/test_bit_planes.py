"""JPEG 2000 without its lowest bit planes: Pillow encodes in all ways it knows, OpenJPEG decodes both."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from cxrbatch.read.codecs.bit_planes import coarse_codestream, without_low_planes
from cxrbatch.read.codecs.packet_header import BitReader, TagTree, packed, read_passes, write_passes
from cxrbatch.read.codecs.reduced import Form, Jpeg2KAtLevel, decode_reduced

EXACT = 1e-6
ROWS, COLUMNS = 203, 330


def drawing(bits: int) -> NDArray[Any]:
    """Smooth, with the noise of a radiograph."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    grey = 0.5 + 0.4 * np.sin(x / 40) * np.cos(y / 30)
    noisy = grey + np.random.default_rng(0).normal(0, 0.01, grey.shape)
    return np.rint(np.clip(noisy, 0, 1) * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def encode(pixels: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000", no_jp2=True, **options)
    return stream.getvalue()


def decode(codestream: bytes, halvings: int = 0) -> NDArray[np.int64]:
    with Jpeg2KAtLevel(io.BytesIO(codestream), halvings) as image:
        return np.asarray(image).astype(np.int64)


OPTIONS = [
    {},
    {"irreversible": True},
    {"irreversible": True, "quality_mode": "rates", "quality_layers": [3]},
    {"codeblock_size": (16, 64)},
    {"codeblock_size": (4, 4), "num_resolutions": 6},
    {"num_resolutions": 1},
    {"comment": b"\xff\x90 in a comment"},
    {"plt": True},
    {"precinct_size": (64, 64), "progression": "RPCL"},
    {"precinct_size": (128, 32), "progression": "RLCP", "irreversible": True},
    {"precinct_size": (32, 32), "progression": "LRCP", "codeblock_size": (64, 64)},
    *(
        {"progression": order, "quality_mode": "rates", "quality_layers": [40, 20, 8, 2, 1], **more}
        for order in ("RLCP", "RPCL")
        for more in ({}, {"precinct_size": (64, 128)})
    ),
]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_where_every_bit_plane_is_kept_the_pixels_are_the_same(options: dict[str, Any], bits: int) -> None:
    codestream = encode(drawing(bits), **options)
    for halvings in range(min(options.get("num_resolutions", 6), 4)):
        rewritten = without_low_planes(codestream, halvings, EXACT)
        assert rewritten is not codestream
        assert np.array_equal(decode(rewritten, halvings), decode(codestream, halvings))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_pixels_are_near_and_the_codestream_says_less(options: dict[str, Any]) -> None:
    codestream = encode(drawing(16), **options)
    found = decode(without_low_planes(codestream, 0, 512))
    apart = np.abs(found - decode(codestream))
    assert 0 < apart.mean() < 512
    assert apart.max() < 6 * 512


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_first_bytes_give_the_same_or_nothing(options: dict[str, Any]) -> None:
    codestream, halvings = encode(drawing(16), **options), min(options.get("num_resolutions", 6) - 1, 2)
    whole = without_low_planes(codestream, halvings, 64)
    cuts = np.linspace(1, len(codestream), 60).astype(int)
    found = [coarse_codestream(codestream[:n_bytes], halvings, 64) for n_bytes in cuts.tolist()]
    first = found.index(whole)
    assert found == [None] * first + [whole] * (len(cuts) - first)
    assert 0 < first < (len(cuts) / 4 if halvings == 2 else len(cuts))


@pytest.mark.parametrize("bits_used", [16, 12, 9])
def test_what_is_left_out_depends_on_the_range_of_the_pixels(bits_used: int) -> None:
    pixels = drawing(16) >> (16 - bits_used)
    form = Form(shape=pixels.shape, allocated=16, stored=16, high=15, signed=False)
    found = decode_reduced(encode(pixels), JPEG2000Lossless, form, 1).pixels
    whole = decode(encode(pixels), 1)
    assert 0 < np.abs(found - whole).mean() < (1 << bits_used) / 256


def test_a_decoder_ignores_the_bytes_of_passes_that_are_left_out() -> None:
    codestream = encode(drawing(16))
    assert len(without_low_planes(codestream, 0, 4096)) == pytest.approx(len(codestream), rel=0.01)
    assert len(without_low_planes(codestream, 2, EXACT)) < len(codestream) / 8


@pytest.mark.parametrize(
    "options",
    [
        {"progression": "PCRL"},
        {"progression": "CPRL"},
        {"progression": "LRCP", "quality_mode": "rates", "quality_layers": [20, 1]},
    ],
    ids=str,
)
def test_other_orders_of_packets_are_left_as_they_are(options: dict[str, Any]) -> None:
    codestream = encode(drawing(8), **options)
    assert without_low_planes(codestream, 1, 64) is codestream


def test_what_would_take_longer_than_it_saves_is_left_as_it_is() -> None:
    layers = {"progression": "RPCL", "quality_mode": "rates", "quality_layers": [40, 20, 8, 2, 1]}
    codestream = encode(drawing(8), codeblock_size=(4, 4), **layers)
    assert without_low_planes(codestream, 0, 64) is codestream
    assert without_low_planes(codestream, 1, 64) is not codestream


def test_damage_is_left_to_the_decoder() -> None:
    codestream = encode(drawing(8), progression="RPCL", quality_mode="rates", quality_layers=[20, 1])
    rng = np.random.default_rng(1)
    for n_bytes in rng.integers(0, len(codestream) - 200, 20).tolist():
        cut = codestream[:n_bytes]
        assert without_low_planes(cut, 0, 4) is cut
    for place in rng.integers(0, 400, 100).tolist():
        damaged = bytearray(codestream)
        damaged[place] = int(rng.integers(256))
        assert isinstance(without_low_planes(bytes(damaged), 1, 4), bytes)


@pytest.mark.parametrize("n", range(1, 165))
def test_numbers_of_passes(n: int) -> None:
    written = BitReader(b"", 0)
    write_passes(written, n)
    assert read_passes(BitReader(packed(written.copied), 0)) == n


def test_bits_after_a_byte_of_ones_are_stuffed() -> None:
    bits = [1] * 8 + [1] * 7 + [0, 1]
    assert packed(bits) == b"\xff\x7f\x40"
    assert packed([1] * 8) == b"\xff\x00"
    reader = BitReader(packed(bits), 0)
    assert [reader.bit() for _ in bits] == bits
    assert reader.end() == 3
    for n_bits in range(1, len(bits) + 1):
        assert BitReader(packed(bits), 0).number(n_bits) == int("".join(map(str, bits[:n_bits])), 2)


def test_a_tag_tree_of_the_standard() -> None:
    """The example of ISO/IEC 15444-1 B.10.2: leaves (0, 0), (1, 0) and (2, 0) of 6 × 3 with 1, 3 and 2.

    Limits that rise, as layers do, take the same bits as the last of them alone.
    """
    coded = [0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1]
    for limits_of in (lambda value: range(1, value + 2), lambda value: [value + 1], lambda _: [100]):
        bits, tree = iter(coded), TagTree(6, 3)
        for column, value in enumerate((1, 3, 2)):
            found = [(limit, tree.number(column, 0, limit, bits.__next__)) for limit in limits_of(value)]
            assert found == [(limit, min(value, limit)) for limit, _ in found]
            assert found[-1][1] == value
        assert not list(bits)

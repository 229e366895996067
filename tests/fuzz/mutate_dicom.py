"""Mutations of DICOM: elements, lengths, VRs, sequences, encapsulation, and what the header says of the pixels."""

import struct
import zlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
from pydicom import uid

from tests.fuzz.dicom_bytes import ITEM, ITEM_END, LONG, SEQUENCE_END, UNDEFINED, Element, File, item
from tests.fuzz.draw import Mutation, below, one_of, place
from tests.fuzz.mutate_bytes import MUTATIONS as OF_BYTES

_VRS = (*LONG, b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH",
        b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"ZZ", b"\0\0", b"??")  # fmt: skip
_SYNTAXES = (*uid.AllTransferSyntaxes, uid.UID("1.2.3"), uid.UID(""))
_NUMBERS = (b"", b"0", b"-1", b"1", b"NaN", b"inf", b"-inf", b"1e400", b"-1e400", b"1e-400", b"1e38", b"-3e38",
            b"1e308", b"9" * 400, b"4096", b"65536", b"2147483648", b"\\", b"1\\", b"\\1", b"1\\2\\3", b"0.5\\NaN",
            b"abc", b"1,5", b" ",
            b"\0\0", b"--1", b"0x10", b"1\\" * 9000)  # fmt: skip
_LENGTHS = (0, 1, 2, 3, 0x7F, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
_SHORTS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 64, 127, 128, 160, 255, 4095, 32767, 32768, 65535)
_TEXTS = (b"", b" ", b"CT", b"DX", b"CR", b"MR", b"\\", b"DX\\CT", b"\xff\xfe", b"\x1b$B", b"A" * 3000, b"PA", b"LL",
          b"CHEST",
          b"^^^^", b"\0", b"=1+1", b"../../x", b"<b>", b"19700101", b"000Y", b"999Y")  # fmt: skip
_PIXEL_DATA, _SYNTAX, _CHARSET = 0x7FE00010, 0x00020010, 0x00080005


def value(data: bytes, random: np.random.Generator) -> bytes:
    """Another value of any element."""
    file = File.of(data)
    number = place(len(file.elements), random)
    old = file.elements[number]
    new = one_of((*_NUMBERS, *_TEXTS, random.bytes(below(300, random) + 1)), random)
    return bytes(file.changed(number, replace(old, value=_even(new))))


def vr(data: bytes, random: np.random.Generator) -> bytes:
    file = File.of(data)
    number = place(len(file.elements), random)
    return bytes(file.changed(number, replace(file.elements[number], vr=one_of(_VRS, random))))


def length(data: bytes, random: np.random.Generator) -> bytes:
    """A length field that is not true."""
    file = File.of(data)
    number = place(len(file.elements), random)
    old = file.elements[number]
    near = len(old.value) + int(random.integers(-4, 5))
    return bytes(
        file.changed(number, replace(old, length=one_of((*_LENGTHS, near, near), random) & UNDEFINED))
    )


def tag(data: bytes, random: np.random.Generator) -> bytes:
    """Another tag: of another element, of a private one, of an item."""
    file = File.of(data)
    number = place(len(file.elements), random)
    tags = (one_of(file.elements, random).tag, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00091001, 0x00000000,
            int(random.integers(1 << 32)))  # fmt: skip
    return bytes(file.changed(number, replace(file.elements[number], tag=one_of(tags, random))))


def order(data: bytes, random: np.random.Generator) -> bytes:
    """Elements left out, doubled, or in another order."""
    file = File.of(data)
    elements = list(file.elements)
    number, other = place(len(elements), random), place(len(elements), random)
    how = int(random.integers(3))
    if how == 0:
        del elements[number]
    elif how == 1:
        elements.insert(other, elements[number])
    else:
        elements[number], elements[other] = elements[other], elements[number]
    return bytes(replace(file, elements=tuple(elements)))


def syntax(data: bytes, random: np.random.Generator) -> bytes:
    """A transfer syntax that the content does not have."""
    name = one_of(_SYNTAXES, random).encode()
    return bytes(File.of(data).with_element(_SYNTAX, b"UI", _even(name, b"\0")))


def encoding(data: bytes, random: np.random.Generator) -> bytes:
    """The data set in another encoding than its transfer syntax has, or the file without meta information."""
    file = File.of(data)
    meta = [element for element in file.elements if element.tag >> 16 == 2]
    rest = [element for element in file.elements if element.tag >> 16 != 2]
    implicit_vr, order = bool(random.integers(2)), one_of("<>", random)
    body = b"".join(element.encoded(implicit_vr=implicit_vr, order=order) for element in rest)
    head = file.preamble + b"".join(element.encoded() for element in meta)
    return one_of((head + body, body, head[:-2] + body), random)


def deflate(data: bytes, random: np.random.Generator) -> bytes:
    """The data set deflated: well, damaged, cut off, or with zeros without end."""
    file = File.of(data).with_element(_SYNTAX, b"UI", b"1.2.840.10008.1.2.1.99")
    head = file.preamble + b"".join(element.encoded() for element in file.elements if element.tag >> 16 == 2)
    body = b"".join(element.encoded() for element in file.elements if element.tag >> 16 != 2)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(body + b"\0" * one_of((0, 0, 1 << 20), random)) + packer.flush()
    damage = one_of(tuple(OF_BYTES.values()), random)
    return head + (packed if random.random() < 0.4 else damage(packed, random))


def sequence(data: bytes, random: np.random.Generator) -> bytes:
    """Sequences in sequences, deep or wide, of defined or undefined length, closed or not."""
    depth, width = below(one_of((4, 40, 2000), random), random) + 1, below(200, random) + 1
    content = b"".join(item(b"") for _ in range(width))
    undefined = bool(random.integers(2))
    for _ in range(depth if undefined else min(depth, 300)):
        content = _in_sequence(content, undefined=undefined)
    if random.random() < 0.3:
        content = content[: -int(random.integers(1, 40))]
    where = one_of((0x00081140, 0x00283010, 0x00283000, 0x00082218, 0x00540220, 0x00091001), random)
    length = UNDEFINED if undefined else None
    return bytes(File.of(data).with_element(where, one_of((b"SQ", b"SQ", b"UN"), random), content, length))


def _in_sequence(content: bytes, *, undefined: bool) -> bytes:
    length = UNDEFINED if undefined else None
    value = content + (SEQUENCE_END + b"\0\0\0\0" if undefined else b"")
    inner = Element(tag=0x00081140, vr=b"SQ", value=value, length=length).encoded()
    return item(inner, length=length, closed=undefined)


def encapsulation(data: bytes, random: np.random.Generator) -> bytes:
    """Pixel data in many fragments, with a wrong offset table, without a delimiter."""
    file = File.of(data)
    pixels = file[_PIXEL_DATA]
    if pixels is None:
        raise LookupError
    frame = pixels.value[16:-8] if pixels.length == UNDEFINED else pixels.value
    pieces = _pieces(frame, one_of((1, 1, 2, 7, 500), random), random)
    table = one_of((b"", b"\0" * 4, b"\0" * 8, random.bytes(4), random.bytes(5), b"\xff" * 400), random)
    lie = int(random.integers(len(pieces))) if random.random() < 0.4 else -1
    fragments = [
        item(piece, length=_untrue(piece, random) if i == lie else None) for i, piece in enumerate(pieces)
    ]
    end = one_of(
        (SEQUENCE_END + b"\0\0\0\0", SEQUENCE_END + b"\0\0\0\0", b"", SEQUENCE_END, ITEM_END + b"\0" * 4),
        random,
    )
    content = item(table) + b"".join(fragments) + end
    if random.random() < 0.2:
        content = content.replace(ITEM, random.bytes(4), 1)
    length = one_of((UNDEFINED, UNDEFINED, UNDEFINED, None), random)
    return bytes(file.with_element(_PIXEL_DATA, b"OB", content, length))


def _untrue(piece: bytes, random: np.random.Generator) -> int:
    return one_of((*_LENGTHS, len(piece) + 2, max(len(piece) - 2, 0)), random)


def _pieces(frame: bytes, n: int, random: np.random.Generator) -> list[bytes]:
    cuts = [0, *sorted(place(len(frame), random) for _ in range(n - 1)), len(frame)]
    return [frame[begin:end] for begin, end in pairwise(cuts)]


def codestream(data: bytes, random: np.random.Generator) -> bytes:
    """Damage within the compressed data, near its beginning more often than behind."""
    file = File.of(data)
    pixels = file[_PIXEL_DATA]
    if pixels is None:
        raise LookupError
    begin = 16 if pixels.length == UNDEFINED else 0
    reach = min(200, len(pixels.value) - begin) if random.random() < 0.6 else len(pixels.value) - begin
    damaged = one_of(tuple(OF_BYTES.values()), random)(pixels.value[begin : begin + reach], random)
    value = pixels.value[:begin] + damaged + pixels.value[begin + reach :]
    return bytes(file.with_element(_PIXEL_DATA, pixels.vr, value, pixels.length))


def announced_size(data: bytes, random: np.random.Generator) -> bytes:
    """Another size in the codestream (SOF, SIZ, RLE header) than in the header."""
    file = File.of(data)
    pixels = file[_PIXEL_DATA]
    if pixels is None or pixels.length != UNDEFINED:
        raise LookupError
    value, frame = bytearray(pixels.value), 16
    number = one_of((0, 1, 161, 4096, 65535, 160_000, 1 << 31, UNDEFINED), random)
    siz, sof = (
        value.find(b"\xff\x51", frame),
        [value.find(bytes((0xFF, m)), frame) for m in (0xC0, 0xC1, 0xC3, 0xF7)],
    )
    if 0 <= siz < frame + 4:
        struct.pack_into(">L", value, siz + 6 + 4 * int(random.integers(8)), number)
    elif max(sof) > 0:
        struct.pack_into(">H", value, max(sof) + one_of((5, 7), random), number & 0xFFFF)
    else:
        struct.pack_into("<L", value, frame + 4 * int(random.integers(4)), number)
    return bytes(file.with_element(_PIXEL_DATA, pixels.vr, bytes(value), pixels.length))


def _decimal(tags: tuple[int, ...]) -> Mutation:
    def change(data: bytes, random: np.random.Generator) -> bytes:
        file = File.of(data)
        for where in tags:
            file = file.with_element(
                where,
                one_of((b"DS", b"DS", b"DS", b"IS", b"UT", b"UN"), random),
                _even(one_of(_NUMBERS, random)),
            )
        return bytes(file)

    return change


def _shorts(tags: tuple[int, ...]) -> Mutation:
    def change(data: bytes, random: np.random.Generator) -> bytes:
        file = File.of(data)
        for where in tags:
            if random.random() < 0.6:
                vr = one_of((b"US", b"US", b"US", b"SS", b"UL", b"OB"), random)
                value = b"".join(
                    struct.pack("<H", one_of(_SHORTS, random))
                    for _ in range(one_of((1, 1, 1, 0, 2, 3), random))
                )
                file = file.with_element(where, vr, value[: len(value) - int(random.random() < 0.05)])
        return bytes(file)

    return change


def voi_function(data: bytes, random: np.random.Generator) -> bytes:
    file = File.of(data)
    name = one_of((b"SIGMOID ", b"LINEAR_EXACT", b"LINEAR", b"NONE", b""), random)
    return _decimal((0x00281050, 0x00281051))(
        bytes(file.with_element(0x00281056, b"CS", _even(name))), random
    )


def lut(data: bytes, random: np.random.Generator) -> bytes:
    """Lookup tables with any descriptor and any number of entries."""
    descriptor = struct.pack("<HHH", *(one_of(_SHORTS, random) for _ in range(3)))
    descriptor = one_of(
        (descriptor, descriptor, descriptor[:4], b"", random.bytes(6), struct.pack("<HHH", 256, 0, 16)),
        random,
    )
    entries = random.bytes(one_of((0, 1, 2, 255, 256, 512, 8192, 65534), random))
    content = Element(
        tag=0x00283002, vr=one_of((b"US", b"SS", b"LO"), random), value=_even(descriptor)
    ).encoded()
    content += Element(
        tag=0x00283006, vr=one_of((b"OW", b"US", b"OB", b"DS"), random), value=_even(entries)
    ).encoded()
    items = item(content) * one_of((1, 1, 1, 2, 300), random)
    return bytes(File.of(data).with_element(one_of((0x00283000, 0x00283010), random), b"SQ", items))


def palette(data: bytes, random: np.random.Generator) -> bytes:
    file = File.of(data).with_element(0x00280004, b"CS", b"PALETTE COLOR ")
    for hue in range(3):
        descriptor = struct.pack("<HHH", *(one_of(_SHORTS, random) for _ in range(3)))
        file = file.with_element(0x00281101 + hue, b"US", descriptor)
        segmented = random.random() < 0.2
        table = random.bytes(one_of((0, 2, 510, 512, 65534), random))
        file = file.with_element((0x00281221 if segmented else 0x00281201) + hue, b"OW", table)
    return bytes(file)


def photometric(data: bytes, random: np.random.Generator) -> bytes:
    names = (b"MONOCHROME1 ", b"RGB ", b"YBR_FULL", b"YBR_FULL_422", b"YBR_ICT ", b"YBR_RCT ", b"YBR_PARTIAL_420 ",
             b"ARGB", b"HSV ", b"CMYK", b"XYZ ", b"", b"monochrome2 ")  # fmt: skip
    return bytes(File.of(data).with_element(0x00280004, b"CS", one_of(names, random)))


def character_set(data: bytes, random: np.random.Generator) -> bytes:
    name = one_of(
        (
            b"ISO_IR 192",
            b"ISO 2022 IR 87",
            b"\\ISO 2022 IR 149",
            b"GB18030",
            b"UTF-8",
            b"\\" * 9000,
            b"ISO_IR 999",
        ),
        random,
    )
    file = File.of(data).with_element(_CHARSET, b"CS", _even(name))
    return bytes(file.with_element(0x00100020, b"LO", _even(random.bytes(below(60, random) + 1))))


def long_value(data: bytes, random: np.random.Generator) -> bytes:
    """Values far longer than their VR allows, in implicit VR, where lengths have 32 bits."""
    file = File.of(data).with_element(_SYNTAX, b"UI", b"1.2.840.10008.1.2\0")
    where = one_of(
        (0x00281050, 0x00281051, 0x00280010, 0x00280008, 0x00100020, 0x00200020, 0x00283010, 0x00091001),
        random,
    )
    long = one_of((b"1\\", b"9", b"1.5\\", b"A", b"\0"), random) * one_of((40_000, 400_000), random)
    file = file.with_element(where, b"DS", _even(long))
    meta = b"".join(element.encoded() for element in file.elements if element.tag >> 16 == 2)
    rest = b"".join(element.encoded(implicit_vr=True) for element in file.elements if element.tag >> 16 != 2)
    return file.preamble + meta + rest


def _even(value: bytes, pad: bytes = b" ") -> bytes:
    return value + pad * (len(value) % 2)


MUTATIONS: dict[str, Mutation] = {
    "value": value,
    "vr": vr,
    "length": length,
    "tag": tag,
    "order": order,
    "syntax": syntax,
    "encoding": encoding,
    "deflate": deflate,
    "sequence": sequence,
    "encapsulation": encapsulation,
    "codestream": codestream,
    "announced_size": announced_size,
    "window": _decimal((0x00281050, 0x00281051)),
    "voi_function": voi_function,
    "rescale": _decimal((0x00281052, 0x00281053)),
    "lut": lut,
    "palette": palette,
    "bits": _shorts((0x00280100, 0x00280101, 0x00280102, 0x00280103)),
    "size": _shorts((0x00280002, 0x00280006, 0x00280010, 0x00280011)),
    "frames": _decimal((0x00280008,)),
    "padding": _shorts((0x00280120, 0x00280121)),
    "photometric": photometric,
    "character_set": character_set,
    "long_value": long_value,
}

"""Who the patient of a DICOM file is: two identities never have one key, and one identity has one key."""

import io
import itertools
import random
import warnings
from collections.abc import Mapping
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxrbatch._lib.text import meant, shown
from cxrbatch.read.dicom.header import read_header
from cxrbatch.read.dicom.identifiers import identifier
from cxrbatch.read.dicom.patient import patient_flag, read_patient
from cxrbatch.reasons import Flag
from cxrbatch.records import PatientKey
from cxrbatch.report import Pseudonymiser

STUDY = {"StudyInstanceUID": b"1.2.3"}


def dataset(vr: str = "", /, **values: bytes) -> Dataset:
    """Elements as they are before they are parsed; `vr` is that of PatientID."""
    made = Dataset()
    for keyword, value in values.items():
        tag = Tag(keyword)
        stated = vr if keyword == "PatientID" and vr else pydicom.datadict.dictionary_VR(tag)
        made._dict[tag] = RawDataElement(tag, stated, len(value), value, 0, False, True)
    return made


def key(vr: str = "", /, **values: bytes) -> PatientKey:
    return read_patient(dataset(vr, **values), "file").key


def key_of(patient_id: bytes, character_set: bytes = b"", **more: bytes) -> PatientKey:
    return key(SpecificCharacterSet=character_set, PatientID=patient_id, **more)


# --- what stands in one element

EXACT: Mapping[str, tuple[bytes, bytes, str]] = {
    "plain": (b"", b"4711", "4711"),
    "padded": (b"", b"4711 ", "4711"),
    "padded with NUL": (b"", b"4711\0", "4711"),
    "blanks around": (b"", b"  4711  ", "4711"),
    "blank within": (b"", b"47 11", "47 11"),
    "two blanks within": (b"", b"47  11", "47  11"),
    "NUL within": (b"", b"47\x0011", "47\x0011"),
    "tab": (b"", b"\t4711", "\t4711"),
    "newline": (b"", b"47\n11", "47\n11"),
    "zeros": (b"", b"004711", "004711"),
    "case": (b"", b"Ab47", "Ab47"),
    "backslash": (b"", b"12\\34", "12\\34"),
    "backslash first": (b"", b"\\34", "\\34"),
    "backslash last": (b"", b"12\\ ", "12\\"),
    "three parts": (b"", b"12\\34\\56", "12\\34\\56"),
    "blank behind a backslash": (b"", b"12\\ 34", "12\\ 34"),
    "caret": (b"", b"12^34", "12^34"),
    "text of an escape": (b"", b"M\\xFCller", "M\\xFCller"),
    "declared Latin-1": (b"ISO_IR 100", b"M\xfcller", "Müller"),
    "declared UTF-8": (b"ISO_IR 192", b"M\xc3\xbcller", "Müller"),
    "decomposed": (b"ISO_IR 192", b"Mu\xcc\x88ller", "Mu\u0308ller"),
    "full width": (b"ISO_IR 192", b"\xef\xbc\x94711", "\uff14711"),
    "no-break space": (b"ISO_IR 192", b"\xc2\xa04711", "\xa04711"),
    "Cyrillic A": (b"ISO_IR 144", b"\xb01", "\u04101"),
    "Greek": (b"ISO_IR 126", b"\xc1\xe2", "\u0391\u03b2"),
    "GB18030": (b"GB18030", b"\xcd\xf51", "王1"),
    "Japanese": (b"\\ISO 2022 IR 87", b"\x1b$B;3\x1b(B", "山"),
    "Korean": (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8", "김"),
    "nothing declared": (b"", b"M\xfcller", "M\udcfcller"),
    "not UTF-8": (b"ISO_IR 192", b"M\xfcller", "M\udcfcller"),
    "cut-off UTF-8": (b"ISO_IR 192", b"M\xc3", "M\udcc3"),
    "overlong UTF-8": (b"ISO_IR 192", b"\xc0\xb1x", "\udcc0\udcb1x"),
    "surrogate in UTF-8": (b"ISO_IR 192", b"\xed\xb3\xbcx", "\udced\udcb3\udcbcx"),
    "replaced before": (b"ISO_IR 192", b"M\xef\xbf\xbdller", "M\udcef\udcbf\udcbdller"),
    "not GB18030": (b"GB18030", b"1\xff", "1\udcff"),
    "unknown character set": (b"KLINGON", b"M\xfcller", "M\udcfcller"),
    "NUL in the character set": (b"ISO\0IR", b"M\xfcller", "M\udcfcller"),
    "no DICOM character set": (b"cp037", b"\xf4\xf7\xf1", "\udcf4\udcf7\udcf1"),
    "escape that changes nothing": (b"\\ISO 2022 IR 87", b"\x1b(B47", "\x1b(B47"),
    "escape that is unknown": (b"\\ISO 2022 IR 87", b"\x1b%G47", "\x1b%G47"),
    "control of ISO 6429": (b"ISO_IR 100", b"47\x85", "47\x85"),
}
AS_PYDICOM = [
    name
    for name, (declared, value, text) in EXACT.items()
    if declared and max(text) < "\udc80" and b"\x1b(B4" not in value
]


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "StudyInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("name", EXACT)
def test_an_identifier_is_what_the_file_holds(name: str, keyword: str) -> None:
    declared, value, expected = EXACT[name]
    found = identifier(dataset(SpecificCharacterSet=declared, **{keyword: value}), keyword)
    assert found == expected
    assert "\ufffd" not in shown(found)
    assert meant(shown(found)) == expected


@pytest.mark.parametrize("name", AS_PYDICOM)
def test_what_decodes_is_decoded_as_by_pydicom(name: str) -> None:
    declared, value, expected = EXACT[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codecs = convert_encodings(declared.decode().split("\\"))
        assert decode_bytes(value.strip(b" "), codecs, set()) == expected


def test_a_byte_that_does_not_decode_is_shown_as_its_number() -> None:
    header = read_header(dataset(PatientID=b"M\xe9LLER", SpecificCharacterSet=b"ISO_IR 192"), "file")
    assert shown(header.patient_id) == r"M\xE9LLER"
    assert shown("47\x85") == r"47\u0085" != shown("47\udc85")


@pytest.mark.parametrize(
    ("vr", "expected"), [("LO", "AB"), ("UN", "AB"), ("OB", "AB"), ("IS", "AB"), ("US", "AB ")]
)
def test_a_wrong_value_representation_loses_nothing(vr: str, expected: str) -> None:
    """The blank may be the upper byte of a number."""
    assert key(vr, PatientID=b"AB ") == ("dicom", "", expected)


def test_a_long_identifier_is_kept() -> None:
    longest = b"7" + b"1" * 65_000
    assert key_of(longest) == ("dicom", "", longest.decode())
    assert key_of(longest) != key_of(longest + b"2")


def test_private_elements_say_nothing_about_the_patient() -> None:
    made = dataset(PatientID=b"4711")
    made.private_block(0x0011, "VENDOR", create=True).add_new(0x20, "LO", "other")
    assert read_patient(made, "file").key == ("dicom", "", "4711")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", ["backslash", "not UTF-8", "blanks around", "declared UTF-8"])
def test_a_file_is_read_like_its_elements(name: str, syntax: str) -> None:
    declared, value, expected = EXACT[name]
    made = pydicom.Dataset()
    made.SpecificCharacterSet = declared.decode() or None
    made.PatientID = "@" * (len(value) + len(value) % 2)
    stream = io.BytesIO()
    made.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    content = stream.getvalue().replace(made.PatientID.encode(), value.ljust(len(made.PatientID)))
    read = pydicom.dcmread(io.BytesIO(content), force=True)
    assert read_patient(read, "file").key == ("dicom", "", expected)


# --- the issuer


def issued(local: str = "", *items: Mapping[str, Any], patient_id: str = "77") -> Dataset:
    made = Dataset()
    made.PatientID, made.IssuerOfPatientID = patient_id, local
    made.IssuerOfPatientIDQualifiersSequence = [_item(item) for item in items]
    return made


def _item(values: Mapping[str, Any]) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, [_item(one) for one in value] if isinstance(value, list) else value)
    return made


DE, FR = ([{"CodeValue": code, "CodingSchemeDesignator": "ISO3166_1"}] for code in ("DE", "FR"))
A, B = ({"UniversalEntityID": f"1.2.{n}", "UniversalEntityIDType": "ISO"} for n in (1, 2))
ISSUERS = {
    "none": issued(),
    "local": issued("H"),
    "other local": issued("K"),
    "universal": issued("", A),
    "other universal": issued("", B),
    "both": issued("H", A),
    "both, other": issued("H", B),
    "without type": issued("", {"UniversalEntityID": "1.2.1"}),
    "another type": issued("", A | {"UniversalEntityIDType": "UUID"}),
    "the universal one as local": issued("1.2.1"),
    "type of identifier": issued("", A | {"IdentifierTypeCode": "MR"}),
    "another type of identifier": issued("", A | {"IdentifierTypeCode": "PI"}),
    "type of identifier alone": issued("", {"IdentifierTypeCode": "MR"}),
    "jurisdiction": issued("", A | {"AssigningJurisdictionCodeSequence": DE}),
    "another jurisdiction": issued("", A | {"AssigningJurisdictionCodeSequence": FR}),
    "agency": issued("", A | {"AssigningAgencyOrDepartmentCodeSequence": DE}),
    "two": issued("", A, B),
    "two in the other order": issued("", B, A),
    "two halves": issued("", {"UniversalEntityID": "1.2.1"}, {"UniversalEntityIDType": "ISO"}),
    "issuer within the ID": issued("", patient_id="H77"),
    "leading blank": issued("", {"UniversalEntityID": " 1.2.1"}),
}  # fmt: skip


def test_issuers_are_told_apart() -> None:
    keys = [read_patient(made, "file").key for made in ISSUERS.values()]
    assert len(set(keys)) == len(ISSUERS)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("universal", issued("", A | {"AssigningFacilitySequence": [{"LocalNamespaceEntityID": "WARD"}]})),
        ("universal", issued("", A | {"UniversalEntityID": "1.2.1 "})),
        ("none", issued("", {})),
        ("none", issued("", {"UniversalEntityID": ""})),
        ("local", issued(" H ")),
    ],
)
def test_what_is_no_part_of_the_issuer_changes_nothing(name: str, other: Dataset) -> None:
    assert read_patient(other, "file").key == read_patient(ISSUERS[name], "file").key


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", ""),
        ("local", "H"),
        ("universal", "1.2.1"),
        ("both", "H&1.2.1&ISO"),
        ("without type", "1.2.1"),
    ],
)
def test_the_report_names_the_issuer(name: str, expected: str) -> None:
    assert read_header(ISSUERS[name], "file").issuer_of_patient_id == expected


def test_a_sequence_that_cannot_be_parsed_still_tells_issuers_apart() -> None:
    keys = {
        key(PatientID=b"77", IssuerOfPatientIDQualifiersSequence=junk) for junk in (b"", b"\0" * 9, b"\1" * 9)
    }
    assert len(keys) == 3


# --- placeholders

PLACEHOLDERS = [
    *(
        "0",
        "000000",
        "0000-0000",
        "ANONYMOUS",
        "anonymous",
        "Anonymous^Anonymous",
        "ANON",
        "anonymisé",
        "UNKNOWN",
    ),
    *(
        "-UNKNOWN-",
        "[unknown]",
        "TEST",
        "Test Patient",
        "NONE",
        "N/A",
        "n.a.",
        "null",
        "X",
        "XXX",
        "xxxxxxxx",
        "?",
    ),
    *("---", "***", ".", "\\", "NO ID", "no_id", "PatientID", "111111", "999999999", "AAAAAA", "123456"),
    *("1234567890", "De-Identified", "REMOVED", "unbekannt", "DESCONOCIDO", "НЕИЗВЕСТНО", "匿名", "John Doe"),
]
IDENTIFIERS = [
    *(
        "1",
        "10",
        "01",
        "TEST-1",
        "TEST1",
        "ANON-0001",
        "ANON7",
        "UNKNOWN-3",
        "11111",
        "12345",
        "1234567891",
        "X1",
    ),
    *(
        "XY",
        "0A",
        "00001",
        "Q",
        "NATHAN",
        "TESTA",
        "IDA",
        "\udce9",
        "\udce9\udcea",
        "ANONYMOUS\udce9",
        "1000000",
    ),
]


@pytest.mark.parametrize("stated", PLACEHOLDERS)
def test_a_placeholder_joins_no_two_studies(stated: str) -> None:
    value = {"PatientID": stated.encode(), "SpecificCharacterSet": b"ISO_IR 192"}
    made = dataset(**value, StudyInstanceUID=b"1.2.3")
    assert read_patient(made, "file").key == ("study", "1.2.3")
    assert read_header(made, "file").patient_id == stated
    assert patient_flag(made) is Flag.PLACEHOLDER_PATIENT_ID
    assert key(**value) == key(**value, StudyInstanceUID=b"0") == ("file", "file")


@pytest.mark.parametrize("stated", IDENTIFIERS)
def test_what_only_looks_like_a_placeholder_is_an_identifier(stated: str) -> None:
    value = stated.encode("utf-8", "surrogateescape")
    made = dataset(PatientID=value, SpecificCharacterSet=b"ISO_IR 192", **STUDY)
    assert read_patient(made, "file").key == ("dicom", "", stated)
    assert patient_flag(made) is None


@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_an_empty_identifier_is_none(value: bytes) -> None:
    assert key_of(value, **STUDY) == ("study", "1.2.3")
    assert key_of(value) == ("file", "file")
    assert patient_flag(dataset(PatientID=value)) is Flag.NO_PATIENT_ID


# --- all pairs

ALPHABET = [
    *(b"1", b"2", b"A", b" ", b"\\", b"\0", b"x", b"\x1b", b"(B", b"$B", b"&", b"=", b"\\xE9"),
    *(b"\xc3", b"\xa9", b"\xe9", b"\xc3\xa9", b"\xef\xbf\xbd", b"e\xcc\x81", b"\xcd\xf5"),
]
N_IDENTITIES = 4_000


@pytest.mark.parametrize(
    "declared", [b"", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"ISO_IR 13", b"\\ISO 2022 IR 87"]
)
def test_no_two_of_many_identities_have_one_key(declared: bytes) -> None:
    """All eight million pairs: identities of few and nasty signs, so that many are nearly the same."""
    draw = random.Random(16)
    spelt = {_drawn(draw) for _ in range(N_IDENTITIES)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keys = {
            identity: key_of(identity[1], declared, IssuerOfPatientID=identity[0], StudyInstanceUID=b"")
            for identity in spelt
        }
    stated = {identity: found for identity, found in keys.items() if found[0] == "dicom"}
    assert len(stated) > 0.8 * N_IDENTITIES / 2
    assert len(set(stated.values())) == len(stated)


def _drawn(draw: random.Random) -> tuple[bytes, bytes]:
    """Issuer and PatientID without what does not count, so that different ones are different identities."""
    issuer, patient_id = (b"".join(draw.choices(ALPHABET, k=draw.randint(0, 5))) for _ in range(2))
    return issuer.rstrip(b" \0").lstrip(b" "), patient_id.rstrip(b" \0").lstrip(b" ")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
@settings(max_examples=100, deadline=None)
def test_equal_identities_and_only_those_have_one_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    plain = [tuple(text.rstrip(" \0").lstrip(" ") for text in pair) for pair in (one, other)]
    keys = [
        key_of(patient_id.encode(), b"ISO_IR 192", IssuerOfPatientID=issuer.encode())
        for issuer, patient_id in (one, other)
    ]
    if all(found[0] == "dicom" for found in keys):
        assert (keys[0] == keys[1]) is (plain[0] == plain[1])
    padded = key_of(
        b"  " + one[1].encode() + b" \0", b"ISO_IR 192", IssuerOfPatientID=b" " + one[0].encode() + b" "
    )
    assert padded == keys[0]


def test_one_text_in_two_character_sets_is_one_identity() -> None:
    assert key_of("Müller".encode("latin-1"), b"ISO_IR 100") == key_of("Müller".encode(), b"ISO_IR 192")


def test_pseudonyms_of_different_identities_differ() -> None:
    """The bytes of UTF-8 that are not declared as such are not the text."""
    hashed = Pseudonymiser(b"k" * 16)._hash
    texts = [
        identifier(dataset(PatientID=b"\xc3\xa9", SpecificCharacterSet=said), "PatientID")
        for said in (b"", b"ISO_IR 192")
    ]
    assert hashed(texts[0]) != hashed(texts[1])


def test_identities_that_look_alike_are_told_apart() -> None:
    texts = [
        "A1",
        "\u03911",
        "\u04101",
        "\uff211",
        "A\u200b1",
        "A\u00ad1",
        "a1",
        "Al",
        "AI",
        "A\u00b9",
        "\u212b",
        "\u00c5",
        "A\u030a",
    ]
    keys = [key_of(text.encode(), b"ISO_IR 192") for text in texts]
    assert all(one != other for one, other in itertools.combinations(keys, 2))

"""Words and codes for body parts and views: every row of the tables, and what people and devices write."""

# ruff: noqa: RUF001

from typing import Any

import pytest

from cxrbatch.terms import Part, View, codes, mend, part_of, part_of_code, view_of, view_of_code, words
from cxrbatch.terms.placeholders import PLACEHOLDERS
from cxrbatch.terms.spelling import normalise
from tests.conftest import REPOSITORY


def written(rows: words.Rows) -> list[str]:
    return [term.strip("*") for term in words.all_of(rows)]


@pytest.mark.parametrize("term", written(words.CHEST))
@pytest.mark.parametrize("form", ["{}", "W033_{} PA", "{}.", "-{}-", "PORT {} 1"])
def test_chest(term: str, form: str) -> None:
    assert part_of(form.format(term)) is Part.CHEST
    assert part_of(form.format(term.lower())) is Part.CHEST


@pytest.mark.parametrize("term", written(words.OTHER_PART))
def test_another_part_wins(term: str) -> None:
    assert {part_of(text) for text in (term, f"{term} CHEST", f"THORAX/{term}")} == {Part.OTHER}


@pytest.mark.parametrize("term", written(words.FRONTAL))
def test_frontal(term: str) -> None:
    assert {view_of(text) for text in (term, term.lower(), f"{term} SUPINE", f"CHEST_{term}")} == {
        View.FRONTAL
    }


@pytest.mark.parametrize("term", written(words.NOT_FRONTAL))
def test_not_frontal_wins(term: str) -> None:
    assert {view_of(text) for text in (term, term.lower(), f"PA {term}", f"{term}/AP")} == {View.OTHER}


@pytest.mark.parametrize(
    "term", [*written(words.NOTHING), "", "-", "--", "N/A", "n.a.", "?", "?????", "NOT SPECIFIED"]
)
def test_words_that_say_nothing(term: str) -> None:
    assert (part_of(term), view_of(term)) == (Part.UNKNOWN, View.UNKNOWN)


@pytest.mark.parametrize("supine", words.SUPINE)
def test_a_patient_on_the_back_may_be_seen_from_the_front(supine: str) -> None:
    assert view_of(f"AP {supine}") is View.FRONTAL


def test_no_term_is_listed_twice_for_opposite_meanings() -> None:
    for one, other in ((words.CHEST, words.OTHER_PART), (words.FRONTAL, words.NOT_FRONTAL)):
        assert not set(written(one)) & set(written(other))


def test_languages() -> None:
    assert len({language for rows, _ in words.CHEST for language in rows.split(", ")}) > 40


PARTS: dict[Part, tuple[str, ...]] = {
    Part.CHEST: (
        *(
            "T?RAX",
            "T??RAX",
            "T\ufffdRAX",
            "T\ufffd\ufffdRAX",
            "TÓRAX",
            "TO\u0301RAX",
            "Thorax",
            "THORAX a.p.",
            "CHEST_PA",
        ),
        *(
            "W033 CHEST PA",
            "CHEST2",
            "ＣＨＥＳＴ",
            "RÖNTGENTHORAX",
            "BR?STKORGEN",
            "AKC??ER",
            "CHEST-PORTABLE",
        ),
        *(
            "胸部正位",
            "흉부 PA",
            "الصدر",
            "קפסולה חזה",
            "Органы грудной клетки",
            "грудная клетка",
            "Θώρακος",
            "LỒNG NGỰC",
        ),
        *(
            "RTG KLATKI PIERSIOWEJ",
            "klatka piersiowa",
            "hrudník",
            "Akciğer grafisi",
            "akciğer",
            "pľúca",
            "CHEST WALL",
            "C.H.E.S.T",
        ),
        *("TELETORACE", "RXTORACE", "kl. piersiowej", "krūtinės ląsta", "легочные поля", "Röntgenlunge"),
        *("LUNGENÜBERSICHT", "LUNGRÖNTGEN", "pľúc", "THORAX STAAND"),
    ),
    Part.OTHER: (
        *(
            "THORACIC SPINE",
            "THORACIC_SPINE",
            "T-SPINE",
            "TSPINE",
            "SPINE THORACIC",
            "CHEST ABDOMEN",
            "CHESTABDPELVIS ABDO",
        ),
        *(
            "RIBS",
            "CHEST RIBS",
            "STERNUM",
            "CLAVICLE",
            "SHOULDER",
            "BRUSTWIRBELSÄULE",
            "BRUSTBEIN",
            "BRUSTWIRBELS?ULE",
        ),
        *(
            "COLUMNA TORÁCICA",
            "COLONNA TORACICA",
            "RACHIS THORACIQUE",
            "грудной отдел позвоночника",
            "Грудина",
            "胸椎",
            "胸骨",
        ),
        *(
            "흉추",
            "kręgosłup piersiowy",
            "HAND",
            "DOE^JANE",
            "H?ND",
            "THORACOLUMBAR",
            "CERVICOTHORACIC",
            "ΘΩΡΑΚΙΚΗ ΜΟΙΡΑ",
            "W033X",
        ),
        *("LONG LEGS", "LONG BONES", "Handstellung", "ABTEILUNG", "Darstellung"),
        *("TORACOLUMBAR", "Toracolombare", "thorakolumbal", "ZERVIKOTHORAKAL", "CERVIKOTHORAKAL"),
        *(
            "CHESTABDOMEN",
            "THORAXABDOMEN",
            "CHESTABDPELVIS",
            "CHEST/ABD",
            "NECKCHEST",
            "CHESTRIBS",
            "CHEST LEG",
        ),
        *("BONY THORAX", "TÓRAX ÓSEO", "thorax osseux", "knöcherner Thorax"),
        *("krūtinkaulis", "krūtininė stuburo dalis", "гръден гръбнак", "гръден отдел", "hrudná kosť"),
        *("shtylla kurrizore torakale", "brjósthryggur", "brystrygg", "가슴 갈비뼈"),
    ),
    Part.UNKNOWN: (
        "UNKNOWN",
        "Unknown.",
        "OTHER",
        "N/A",
        "NA",
        "NONE",
        "DEFAULT",
        "SUPINE",
        "ERECT",
        "—",
        "000",
        "未知",
        "AUTRE",
    ),
}
VIEWS: dict[View, tuple[str, ...]] = {
    View.FRONTAL: (
        *("P.A.", "A.P.", "P.A", "p-a", "P A", "A/P"),
        *("PA", "AP SUPINE", "CHEST PA", "PA_ERECT", "POSTEROANTERIOR", "ＰＡ"),
        *("POSTERO-ANTERIOR", "POSTERO_ANTERIOR", "Posteroanteriore"),
        *("ANTEROPOSTERIOR", "ANTERO-POSTERIOR", "antéro-postérieure"),
        *("FRONTALE", "DE FACE", "de frente", "PRZEDNIO-TYLNA"),
        *("задне-передняя", "прямая", "正位", "AP BILATERAL"),
    ),
    View.OTHER: (
        *("AP OBL", "PA RAO", "PA OBLIQUE", "L.L.", "R.A.O.", "LLD"),
        *("LL", "RL", "LAT", "PA/LAT", "AP LORDOTIC", "PROFIL GAUCHE"),
        *("LEFT LATERAL", "LATERALE", "LLAT", "dorsal decubitus", "LAT?RAL", "боковая"),
        *("AP APICAL", "侧位", "측면", "πλάγια", "bočná", "XYZ", "SCHRÄG"),
    ),
    View.UNKNOWN: (
        *("UNKNOWN", "OTHER", "N/A", "NONE", "-", "ERECT", "DEFAULT", "?"),
        *("RECUMBENT", "INSPIRATION", "STEHEND", "debout", "STÅENDE", "leżąc", "vleže", "СТОЯ", "ayakta"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "part"), [(text, part) for part in PARTS for text in PARTS[part]])
def test_parts_as_they_are_written(text: str, part: Part) -> None:
    assert part_of(text) is part


@pytest.mark.parametrize(("text", "view"), [(text, view) for view in VIEWS for text in VIEWS[view]])
def test_views_as_they_are_written(text: str, view: View) -> None:
    assert view_of(text) is view


@pytest.mark.parametrize(
    "text", ["?" * 10_000, "CHE?T" * 5_000, "P " * 5_000, "A?" * 10_000, "\ufdfa" * 10_000]
)
def test_long_texts_are_looked_at_in_part(text: str) -> None:
    assert len(normalise(text)) < 10_000
    part_of(text), view_of(text)


@pytest.mark.parametrize("text", ["TÓRAX", "грудь", "胸部", "CHEST", "ΘΏΡΑΚΑΣ"])
def test_utf_8_that_was_read_as_latin_1(text: str) -> None:
    assert mend(text.encode().decode("latin-1")) == text
    assert mend(text) == text


def test_latin_1_is_no_utf_8() -> None:
    assert mend("TÓRAX") == "TÓRAX"


@pytest.mark.parametrize("row", codes.PARTS, ids=str)
def test_codes_of_parts(row: tuple[str, str, str]) -> None:
    sct, srt, word = row
    assert part_of_code("SCT", sct) == word
    assert {part_of_code(scheme, srt) for scheme in ("SRT", "SNM3", "99SDM") if srt} <= {word}
    assert part_of(word) is (Part.CHEST if word == "CHEST" else Part.OTHER)


@pytest.mark.parametrize("row", codes.VIEWS, ids=str)
def test_codes_of_views(row: tuple[str, str, str]) -> None:
    sct, srt, word = row
    assert {view_of_code(*key) for key in (("SCT", sct), ("SRT", srt)) if key[1]} == {word}
    assert view_of(word) is (View.FRONTAL if word in ("FRONTAL", "PA", "AP") else View.OTHER)


@pytest.mark.parametrize("rows", [codes.PARTS, codes.VIEWS])
def test_no_code_is_listed_twice(rows: Any) -> None:
    for column in zip(*((sct, srt) for sct, srt, _ in rows), strict=True):
        assert len(set(filter(None, column))) == len([*filter(None, column)])


def test_codes_of_other_schemes() -> None:
    assert {part_of_code(*key) for key in codes.OTHER_SCHEMES} == {"CHEST"}
    assert part_of_code("99LOCAL", "T-D3000") == view_of_code("99LOCAL", "R-10202") == ""
    assert part_of_code("SRT", "T-FFFFF") == view_of_code("SCT", "1") == ""


def test_the_list_for_users_has_every_placeholder() -> None:
    text = (REPOSITORY / "docs" / "patients.md").read_text(encoding="utf-8")
    assert [f"`{word}`" for _, row in PLACEHOLDERS for word in row if f"`{word}`" not in text] == []

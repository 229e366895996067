"""Words that a hospital adds: their file, what is refused in it, and what they mean."""

from pathlib import Path

import pytest

from cxrbatch.errors import RecipeError
from cxrbatch.terms import HeaderWords, Part, View, load_header_words, part_of, view_of, words

GOOD = (
    'chest = ["Trx", "Lunge stat*"]\nother_part = ["Zeh*"]\nfrontal = ["Übersicht"]\nnot_frontal = ["Kipp"]\n'
)


def load(folder: Path, text: str) -> HeaderWords:
    path = folder / "words é.toml"
    path.write_text(text, encoding="utf-8")
    return load_header_words(path)


def test_a_file_of_words(tmp_path: Path) -> None:
    added = load(tmp_path, GOOD + 'says_nothing = ["Routine"]\n')
    assert added == HeaderWords(
        chest=("TRX", "LUNGE STAT*"),
        other_part=("ZEH*",),
        frontal=("UBERSICHT",),
        not_frontal=("KIPP",),
        says_nothing=("ROUTINE",),
    )
    assert added.n_words == 6
    assert (part_of("trx", added), part_of("trx")) == (Part.CHEST, Part.OTHER)
    assert part_of("TRX ZEHEN", added) is Part.OTHER
    assert (view_of("übersicht", added), view_of("Übersicht kipp", added)) == (View.FRONTAL, View.OTHER)
    assert part_of("routine", added) is Part.UNKNOWN


def test_letters_that_were_lost_are_made_up_for_as_in_the_built_in_words() -> None:
    assert part_of("?bergang", HeaderWords(chest=("Übergang",))) is Part.CHEST


@pytest.mark.parametrize("text", ["", "# nothing\n", "chest = []\n"])
def test_an_empty_file_adds_nothing(tmp_path: Path, text: str) -> None:
    added = load(tmp_path, text)
    assert added == HeaderWords() == load_header_words(None)
    assert (added.n_words, added.digest) == (0, "")


def test_the_digest_depends_on_the_words_and_not_on_their_order_or_spelling() -> None:
    one = HeaderWords(chest=("TRX", "Brk"))
    assert one.digest == HeaderWords(chest=("brk", "t-r-x", "trx")).digest != ""
    others = [
        HeaderWords(chest=("TRX",)),
        HeaderWords(other_part=("TRX", "BRK")),
        HeaderWords(chest=("TRX", "BRK*")),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 4


NO_WORD = ("", " ", "*", "**", "A", "7", "W033", "-", "A*B", "**AB", "AB**", "T?RAX", "X" * 65, "*A")
CONTRADICTIONS = {
    "chest": (
        "ABDOMEN",
        "spine",
        "CHEST RIBS",
        "SHOULDER LEFT",
        "UNKNOWN",
        "portable",
        "RIB*",
        "*SPINE*",
        "胸椎",
    ),
    "other_part": (
        "CHEST",
        "thorax",
        "Tórax",
        "THX",
        "TH*",
        "*RAX*",
        "klatka piersiowa",
        "胸部",
        "OTHER",
        "N A",
    ),
    "frontal": ("LATERAL", "lat", "LL", "PA OBL", "PROFIL", "LAT*", "ERECT", "侧位"),
    "not_frontal": ("PA", "P.A.", "AP", "AP*", "frontale", "POSTEROANTERIOR", "PA AP", "STANDARD", "正位"),
    "says_nothing": ("CHEST", "PA", "SPINE", "LATERAL", "CHEST ROUTINE", "Thorax"),
}


@pytest.mark.parametrize("key", CONTRADICTIONS)
@pytest.mark.parametrize("word", NO_WORD)
def test_what_is_no_word(key: str, word: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: .* is no word"):
        HeaderWords(**{key: ("GOOD", word)})


@pytest.mark.parametrize(
    ("key", "word"), [(key, word) for key in CONTRADICTIONS for word in CONTRADICTIONS[key]]
)
def test_words_that_contradict_the_built_in_ones(tmp_path: Path, key: str, word: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"words é.toml: {key}: .* contradicts the built-in words: there it means"
    ):
        load(tmp_path, f'{key} = ["{word}"]')


def test_every_built_in_word_contradicts_the_list_of_the_opposite() -> None:
    for key, rows in (
        ("other_part", words.CHEST),
        ("chest", words.OTHER_PART),
        ("not_frontal", words.FRONTAL),
        ("frontal", words.NOT_FRONTAL),
    ):
        for word in words.all_of(rows):
            with pytest.raises(ValueError, match=r"contradicts|no word"):
                HeaderWords(**{key: (word,)})


def test_built_in_words_may_be_repeated_and_made_narrower() -> None:
    added = HeaderWords(
        chest=("CHEST", "胸"), other_part=("THORAX GIPS",), not_frontal=("PA KIPP",), frontal=("PA",)
    )
    assert (part_of("THORAX", added), part_of("THORAX GIPS", added)) == (Part.CHEST, Part.OTHER)
    assert (view_of("PA", added), view_of("PA KIPP", added)) == (View.FRONTAL, View.OTHER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('chest = ["TRX"]\nother_part = ["t.r.x."]', r"other_part: 't\.r\.x\.' is in the list chest, too"),
        ('chests = ["TRX"]', "unknown key 'chests'; did you mean 'chest'"),
        ('[body_part]\nchest = ["TRX"]', "unknown key 'body_part'"),
        ('chest = "TRX"', "chest: expected a list, found 'TRX'"),
        ("chest = [1]", r"chest: \[0\]: expected text, found 1"),
        ("chest = [", "not TOML"),
        ('says_nothing = ["ROUT*"]', r"says_nothing: 'ROUT\*': stems with a \* are not possible"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"words é.toml: {message}"):
        load(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none.toml: No such file"):
        load_header_words(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes('chest = ["THÖRX"]'.encode("latin-1"))
    with pytest.raises(RecipeError, match="not TOML"):
        load_header_words(tmp_path / "latin.toml")
    with pytest.raises(RecipeError, match="Is a directory"):
        load_header_words(tmp_path)

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrbatch._lib.toml import load_recipe
from cxrbatch.datasets.collections import LOADERS
from cxrbatch.datasets.labelled import Excluded, LabelledImage
from cxrbatch.datasets.loading import count_excluded, load_dataset
from cxrbatch.datasets.spec import SourceSpec
from cxrbatch.datasets.tables import LABELS, label_of, load_folder, load_table, published_table, year_in
from cxrbatch.errors import RecipeError
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS
from cxrbatch.training.recipe import TrainRecipe
from tests.factories.dicom_files import write_dicom

HEADER = "file,label,patient,source"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (200, 180)) -> None:
    """A film of smooth blobs, another one for each seed."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(random.integers(0, 256, (24, 24)).astype(np.uint8))
    coarse.resize(size[::-1], Image.Resampling.BILINEAR).save(path, format="PNG")


def table(
    folder: Path, *rows: str, header: str = HEADER, name: str = "labels.csv"
) -> list[LabelledImage | Excluded]:
    (folder / name).write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return list(load_table(folder if name == "labels.csv" else folder / name))


def reasons(rows: list[LabelledImage | Excluded]) -> list[str]:
    return [row.reason if isinstance(row, Excluded) else "" for row in rows]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("COVID", "covid"),
        ("COVID-19", "covid"),
        ("covid_19", "covid"),
        ("Covid19", "covid"),
        ("SARS-CoV-2", "covid"),
        ("Viral Pneumonia", "pneumonia"),
        ("BACTERIAL_PNEUMONIA", "pneumonia"),
        ("Non-COVID pneumonia", "pneumonia"),
        ("PNEUMONIA", "pneumonia"),
        ("No Finding", "normal"),
        ("No_Finding", "normal"),
        (" NORMAL ", "normal"),
        ("healthy", "normal"),
        ("todo", None),
        ("", None),
        ("non-COVID", None),
        ("negative", None),
        ("Lung_Opacity", None),
        ("COVID?", None),
        ("SARS", None),
        ("normal pneumonia", None),
    ],
)
def test_words_for_labels(words: str, label: str | None) -> None:
    assert label_of(words) == label


def test_all_known_words_lead_to_a_finding_and_are_spelled_as_they_are_looked_up() -> None:
    assert set(LABELS.values()) == set(FINDINGS)
    assert {words: label_of(words) for words in LABELS} == dict(LABELS)


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("2020", 2020),
        ("March 10, 2020", 2020),
        ("2004-11-30", 2004),
        ("03/16/20", 2020),
        ("11/27/19", 2019),
        ("January 12", None),
        ("?", None),
        ("", None),
        ("12020", None),
        ("1820", None),
    ],
)
def test_year_of_a_date(date: str, year: int | None) -> None:
    assert year_in(date) == year


def test_folder_with_two_levels_takes_the_file_as_the_patient(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    picture(folder / "COVID-19" / "1.png")
    picture(folder / "No Finding" / "1.png")
    assert list(load_folder(folder)) == [
        LabelledImage(
            path=folder / "COVID-19" / "1.png", label="covid", patient="north/COVID-19/1.png", source="north"
        ),
        LabelledImage(
            path=folder / "No Finding" / "1.png",
            label="normal",
            patient="north/No Finding/1.png",
            source="north",
        ),
    ]


def test_folder_with_three_levels_names_the_patient(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    picture(folder / "covid" / "p7" / "a.png")
    picture(folder / "covid" / "p7" / "series 2" / "b.png")
    picture(folder / "normal" / "p7" / "c.png")
    rows = list(load_folder(folder))
    assert [(row.label, row.patient) for row in rows if isinstance(row, LabelledImage)] == [
        ("covid", "north/p7"),
        ("covid", "north/p7"),
        ("normal", "north/p7"),
    ]


def test_folder_images_is_no_patient_and_masks_are_no_radiographs(tmp_path: Path) -> None:
    folder = tmp_path / "database"
    picture(folder / "COVID" / "images" / "1.png")
    picture(folder / "COVID" / "masks" / "1.png")
    image, mask = load_folder(folder)
    assert isinstance(image, LabelledImage)
    assert image.patient == "database/COVID/images/1.png"
    assert mask == Excluded(source="database", name="COVID/masks/1.png", reason="a mask")


def test_every_file_of_a_folder_is_a_case_or_excluded_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    picture(folder / "covid" / "a.png")
    picture(folder / "Lung_Opacity" / "b.png")
    picture(folder / "c.png")
    (folder / "covid" / "notes.txt").write_text("seen by two readers\n")
    (folder / "covid" / "d.png").write_bytes(b"")
    rows = list(load_folder(folder))
    assert Counter(reasons(rows)) == {
        "": 1,
        "label Lung_Opacity": 1,
        "no label: not in a folder of its own": 1,
        "not scored: not_an_image": 1,
        "not scored: truncated": 1,
    }


def test_folder_follows_no_link_that_leads_out(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere.png")
    (tmp_path / "north" / "covid").mkdir(parents=True)
    (tmp_path / "north" / "covid" / "a.png").symlink_to(tmp_path / "elsewhere.png")
    assert reasons(list(load_folder(tmp_path / "north"))) == ["not scored: unreadable"]


def test_folder_may_be_called_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "north" / "covid" / "a.png")
    monkeypatch.chdir(tmp_path / "north")
    (row,) = load_folder(Path())
    assert row.source == "north"


def test_table_row_with_everything(tmp_path: Path) -> None:
    picture(tmp_path / "films" / "a.png")
    header = f"{HEADER},view,age,sex,year,reader"
    assert table(tmp_path, "films/a.png,COVID-19,7,north,ap,66.5,female,2021-03-04,X", header=header) == [
        LabelledImage(
            path=tmp_path / "films" / "a.png",
            label="covid",
            patient="north/7",
            source="north",
            view="AP",
            age_years=66.5,
            sex="F",
            year=2021,
        )
    ]


def test_table_needs_no_more_than_four_columns(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (case,) = table(tmp_path, " a.png , normal , 7 , north ", name="mine.csv")
    assert case == LabelledImage(path=tmp_path / "a.png", label="normal", patient="north/7", source="north")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.png,todo,7,north", "label todo"),
        ("a.png,,7,north", "no label"),
        ("a.png,covid,,north", "no patient"),
        ("a.png,covid,7,", "no source"),
        (",covid,7,north", "no file"),
        ("a.png,covid,7", "no source"),
        ("gone.png,covid,7,north", "file missing"),
        ("films,covid,7,north", "file missing"),
        ("../outside.png,covid,7,north", "file outside the folder of the table"),
        ("{outside},covid,7,north", "file outside the folder of the table"),
        ("link.png,covid,7,north", "file outside the folder of the table"),
        ("a.png,covid,7,north,lateral", "lateral view"),
        ("a.png,covid,7,north,LL", "lateral view"),
        ("a.png,covid,7,north,oblique", "view oblique"),
        ("a.png,covid,7,north,PA,17", "younger than 18"),
        ("a.png,covid,7,north,PA,sixty", "age sixty"),
        ("a.png,covid,7,north,PA,-3", "age -3"),
        ("a.png,covid,7,north,PA,nan", "age nan"),
        ("a.png,covid,7,north,PA,999", "age 999"),
    ],
)
def test_table_exclusions_are_counted_never_mapped(tmp_path: Path, row: str, reason: str) -> None:
    folder = tmp_path / "mine"
    picture(folder / "a.png")
    (folder / "films").mkdir()
    picture(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (excluded,) = table(folder, row.format(outside=tmp_path / "outside.png"), header=f"{HEADER},view,age")
    assert isinstance(excluded, Excluded)
    assert excluded.reason == reason
    assert excluded.source == ("mine" if reason == "no source" else "north")


def test_a_file_named_again_counts_once(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    rows = table(tmp_path, "a.png,covid,7,north", "./a.png,COVID-19,7,north")
    assert reasons(rows) == ["", "file named again"]


@pytest.mark.parametrize("other", ["normal,7,north", "covid,8,north", "covid,7,south", "todo,7,north"])
def test_a_file_on_which_rows_disagree_teaches_nothing(tmp_path: Path, other: str) -> None:
    picture(tmp_path / "a.png")
    rows = table(tmp_path, "a.png,covid,7,north", f"a.png,{other}")
    assert all(isinstance(row, Excluded) for row in rows)
    assert reasons(rows)[0] == "file named again with another label, patient or source"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"file,label,patient\na.png,covid,7\n",
            "column 'source' is missing; found: 'file', 'label', 'patient'",
        ),
        (b"file,labels,patient,source\n", "column 'label' is missing; is 'labels' meant?"),
        (b"file;label;patient;source\n", "column 'file' is missing; found: 'file;label;patient;source'"),
        (b"", "not a CSV in UTF-8 with as many cells as columns: No columns to parse from file"),
        (
            b"file,label,patient,source\na.png,covid,7,north,PA\n",
            "not a CSV in UTF-8 with as many cells as columns: Length of header",
        ),
        (b"file,label,patient,source\n\xe4.png,covid,7,north\n", "not a CSV in UTF-8"),
        (b'file,label,patient,source\n"a.png,covid,7,north\n', "not a CSV in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(RecipeError, match=re.escape(message)):
        list(load_table(tmp_path))


def test_a_folder_without_its_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"labels\.csv: No such file"):
        list(load_table(tmp_path))


def test_a_table_saved_by_a_spreadsheet_begins_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbffile,label\r\na.png,COVID\r\n")
    assert published_table(tmp_path / "labels.csv") == [{"file": "a.png", "label": "COVID"}]


def test_cells_are_the_text_that_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n007,"No, ""nothing"""\nNA,\n')
    assert published_table(tmp_path / "t.csv") == [{"a": "007", "b": 'No, "nothing"'}, {"a": "NA", "b": ""}]


def spec(layout: str, folder: str) -> SourceSpec:
    return SourceSpec(layout=layout, folder=folder)


@pytest.mark.parametrize("place", ["mine", "mine/labels.csv"])
def test_a_recipe_names_the_folder_of_a_table_or_the_table(tmp_path: Path, place: str) -> None:
    picture(tmp_path / "mine" / "a.png", seed=1, size=(200, 180))
    picture(tmp_path / "mine" / "b.png", seed=2, size=(300, 280))
    table(tmp_path / "mine", "a.png,covid,1,north", "b.png,normal,2,north")
    dataset = load_dataset([spec("table", place)], tmp_path, PreprocessSpec())
    assert [(case.patient, case.rows, case.columns) for case in dataset.cases] == [
        ("north/1", 200, 180),
        ("north/2", 300, 280),
    ]


def test_only_a_table_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(HEADER + "\n")
    with pytest.raises(RecipeError, match="no such folder"):
        load_dataset([spec("nih", "labels.csv")], tmp_path, PreprocessSpec())


def test_sources_without_one_image_are_an_error_that_says_why(tmp_path: Path) -> None:
    table(tmp_path, "a.png,todo,1,north", "b.png,covid,1,north")
    with pytest.raises(RecipeError, match=r"not one image can be used.*'label todo': 1"):
        load_dataset([spec("table", ".")], tmp_path, PreprocessSpec())


def blocks(kind: str) -> list[str]:
    """Fenced blocks of the document."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("layout", ["nih", "kaggle", "folder", "siim"])
def test_the_trees_of_the_document_load_as_it_says(tmp_path: Path, layout: str) -> None:
    (block,) = blocks(layout)
    said = dict(re.split(r"  +", line, maxsplit=1) for line in block.splitlines())
    folder = tmp_path / "north"
    for index, name in enumerate(said):
        picture(folder / name, seed=index)
    for manifest in blocks("manifest") if layout == "siim" else ():
        (folder / "manifest.csv").write_text(manifest)
    found = {}
    for row in LOADERS[layout](folder):
        if isinstance(row, LabelledImage):
            found[row.path.relative_to(folder).as_posix()] = f"{row.label}, patient {row.patient}"
        else:
            (name,) = (name for name in said if name.endswith(row.name))
            found[name] = f"excluded: {row.reason}"
    assert found == said


def test_the_table_of_the_document_loads_as_it_says(tmp_path: Path) -> None:
    (block,) = blocks("csv")
    (tmp_path / "labels.csv").write_text(block)
    for index, name in enumerate("abcde"):
        picture(tmp_path / "films" / f"{name}.png", seed=index)
    used, *others = load_table(tmp_path)
    assert isinstance(used, LabelledImage)
    assert (used.label, used.patient, used.view, used.age_years) == ("covid", "north/17", "PA", 66.0)
    prose = " ".join(DOCUMENT.split())
    assert all(isinstance(row, Excluded) and f"`{row.reason}`" in prose for row in others)
    disagree = [row.name for row in others if isinstance(row, Excluded) and "named again" in row.reason]
    assert disagree == ["films/b.png", "films/b.png"]


def test_the_recipe_of_the_document_is_one(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    (tmp_path / "r.toml").write_text(f'name = "r"\nfolds = []\n{block}')
    sources = load_recipe(tmp_path / "r.toml", TrainRecipe).sources
    assert [source.layout for source in sources] == ["nih", "folder", "table"]
    assert [len(source.teaches) for source in sources] == [4, 4, 0]


def test_the_document_names_every_layout_and_every_word_for_a_label() -> None:
    assert all(f"`{layout}`" in DOCUMENT for layout in LOADERS)
    prose = " ".join(DOCUMENT.split())
    assert all(f"`{words}`" in prose for words in LABELS)


def test_dicom_without_suffix_fills_in_what_the_folder_does_not_say(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (24, 24)).repeat(9, 0).repeat(8, 1).astype(np.uint16)
    (tmp_path / "north" / "covid" / "p1").mkdir(parents=True)
    write_dicom(tmp_path / "north" / "covid" / "p1" / "IM0001", stored)
    (case,) = load_dataset([spec("folder", "north")], tmp_path, PreprocessSpec()).cases
    assert case == LabelledImage(
        path=(tmp_path / "north" / "covid" / "p1" / "IM0001").resolve(),
        label="covid",
        patient="north/p1",
        source="north",
        view="PA",
        age_years=45.0,
        year=2020,
        rows=216,
        columns=192,
    )


def test_what_the_table_says_of_a_file_stands_before_its_header(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (24, 24)).repeat(9, 0).repeat(8, 1).astype(np.uint16)
    write_dicom(tmp_path / "a.dcm", stored)
    table(tmp_path, "a.dcm,covid,1,north,AP,70,2019", header=f"{HEADER},view,age,year")
    (case,) = load_dataset([spec("table", ".")], tmp_path, PreprocessSpec()).cases
    assert (case.view, case.age_years, case.year) == ("AP", 70.0, 2019)


@pytest.mark.real
def test_a_published_tree_loads_as_a_folder(real_data: Path) -> None:
    rows = list(load_folder(real_data / "nih-chestxray8-subset"))
    assert Counter(row.label for row in rows if isinstance(row, LabelledImage)) == {
        "normal": 317,
        "pneumonia": 297,
    }
    excluded = count_excluded(row for row in rows if isinstance(row, Excluded))
    assert excluded == {
        "nih-chestxray8-subset": {"not scored: not_an_image": 1}
    }  # the table beside the images

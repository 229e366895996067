"""Words of a hospital: from command line and Python to the worker that reads the header, and in the state."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from cxrbatch import predict, screen
from cxrbatch.cli.app import cli
from cxrbatch.errors import RecipeError
from cxrbatch.records import TriageRun
from cxrbatch.screening import ScreenOptions
from cxrbatch.terms import HeaderWords

WORDS = 'chest = ["TRX"]\nfrontal = ["VORN"]\n'


@pytest.fixture
def folder(sample_night: Path, tmp_path: Path) -> Path:
    """One film with a local word for the body part, one with a local word for the view."""
    export = tmp_path / "export é"
    export.mkdir()
    for number, (keyword, word) in enumerate({"BodyPartExamined": "TRX 1", "ViewPosition": "VORN"}.items()):
        film = dcmread(sample_night / "emergency" / f"SAMPLE-00{number + 1}" / "IM0001.dcm")
        setattr(film, keyword, word)
        film.save_as(export / f"{number}.dcm")
    return export


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "our words.toml"
    path.write_text(WORDS)
    return path


def command(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False, catch_exceptions=False)
    return result.return_value or 0, result.stdout


def reasons(run: TriageRun) -> list[str]:
    return sorted(failure.reason for failure in run.failures)


def test_outcomes_are_found_anew_with_other_words(
    folder: Path, words: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    options = ScreenOptions(bundle=tiny_bundle, state=tmp_path / "state.sqlite").with_changes(n_workers=1)
    before = screen(folder, options=options)
    assert (reasons(before), before.n_remembered) == (["lateral_view", "wrong_body_part"], 0)
    after = screen(folder, tmp_path / "report.csv", options, header_words=str(words))
    assert (after.n_scored, after.n_remembered) == (2, 0)
    digest = HeaderWords(chest=("TRX",), frontal=("VORN",)).digest
    assert after.provenance.header_words_sha256 == digest
    assert digest in (tmp_path / "report.html").read_text(encoding="utf-8")
    words.write_text("# the same\n" + WORDS)
    assert screen(folder, options=options, header_words=words).n_remembered == 2


def test_a_recipe_and_single_images(folder: Path, words: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    recipe = tmp_path / "night.toml"
    recipe.write_text(
        f'folder = "{folder.name}"\nbundle = "{tiny_bundle}"\nheader_words = "{words.name}"\nworkers = 1\n'
    )
    code, _ = command("screen", "--recipe", recipe, "--out", tmp_path / "a.csv")
    with (tmp_path / "a.files.csv").open(encoding="utf-8-sig") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["scored", "scored"]
    assert code == 0
    code, text = command("predict", folder / "0.dcm", "--bundle", tiny_bundle, "--header-words", words)
    assert (code, text.split("\t")[1]) == (0, "scored")


def test_words_that_cannot_be_used_end_a_run_before_it_reads(
    folder: Path, words: Path, tiny_bundle: Path
) -> None:
    words.write_text('chest = ["ABDOMEN"]')
    message = (
        "our words.toml: chest: 'ABDOMEN' contradicts the built-in words: there it means another body part"
    )
    with pytest.raises(RecipeError, match=message):
        screen(folder, bundle=tiny_bundle, header_words=words)
    with pytest.raises(RecipeError, match=message):
        list(predict(folder / "0.dcm", tiny_bundle, header_words=words))
    assert RecipeError.exit_code == 2

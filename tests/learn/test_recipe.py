from pathlib import Path

import pytest

from cxrbatch.errors import RecipeError
from cxrbatch.learn.sources import LOADERS
from cxrbatch.recipe import FitSpec, SourceSpec, TrainRecipe, load_recipe

SHIPPED = Path(__file__).parents[2] / "pipelines" / "train.toml"
SMALLEST = 'name = "x"\nfolds = [["nih"]]\n[[sources]]\nlayout = "nih"\nfolder = "f"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_smallest_recipe_takes_the_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALLEST + "[fit]\nlearning_rate = 1\n"), TrainRecipe)
    assert recipe == TrainRecipe(
        name="x",
        sources=(SourceSpec(layout="nih", folder="f"),),
        folds=(("nih",),),
        fit=FitSpec(learning_rate=1.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nstep = 3", "fit: unknown key 'step'; did you mean 'steps'?"),
        ("[fit]\nzzz = 3", "fit: unknown key 'zzz'; known keys: abnormal_pairs, average"),
        ("[fit]\nsteps = 3.5", "fit: steps: expected a whole number, found 3.5 (a number)"),
        ("[fit]\nsteps = true", "fit: steps: expected a whole number, found True (true or false)"),
        ("[fit]\nseeds = 3", "fit: seeds: expected a list, found 3"),
        ('[network]\nwidths = [8, "16"]', "network: widths: [1]: expected a whole number, found '16' (text)"),
        ("[preprocess]\nheight = 4", "preprocess: input size 4×160 is not within 8…4096"),
        ("[fit]\nseeds = []", "fit: seeds must name at least one network"),
        ('[network]\nhead = "max"', "network: head must be flatten or mean, found 'max'"),
        ("fit = 3", "fit: expected a table, found 3"),
        ("[fit", "not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    head, table = (SMALLEST, text) if text.startswith("[") else (text + "\n" + SMALLEST, "")
    path = write(tmp_path, head + table)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, TrainRecipe)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_missing_keys_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="key 'name' is missing"):
        load_recipe(write(tmp_path, "folds = []\nsources = []"), TrainRecipe)
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(tmp_path / "none.toml", TrainRecipe)


def test_the_shipped_recipe_loads_and_names_no_place() -> None:
    recipe = load_recipe(SHIPPED, TrainRecipe)
    assert {source.layout for source in recipe.sources} == set(LOADERS)
    assert not any(Path(source.folder).is_absolute() for source in recipe.sources)

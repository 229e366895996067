import dataclasses
import json
from pathlib import Path

import pytest

from cxrbatch._lib.toml import load_recipe, read_recipe
from cxrbatch.datasets import IMAGE_LABELS
from cxrbatch.datasets.collections import LOADERS
from cxrbatch.datasets.spec import SourceSpec
from cxrbatch.errors import RecipeError
from cxrbatch.training import fit
from cxrbatch.training.network import BUILDERS
from cxrbatch.training.recipe import ARCHITECTURES, METHODS, FitSpec, FoldSpec, TrainRecipe

SHIPPED = Path(__file__).parents[2] / "pipelines" / "train.toml"
FOLDS = 'folds = [{leave_out = ["nih"]}]\n'
SMALLEST = f'name = "x"\n{FOLDS}[[sources]]\nlayout = "nih"\nfolder = "f"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_smallest_recipe_takes_the_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SMALLEST + "[fit]\nlearning_rate = 1\n"), TrainRecipe)
    assert recipe == TrainRecipe(
        name="x",
        sources=(SourceSpec(layout="nih", folder="f"),),
        folds=(FoldSpec(leave_out=("nih",)),),
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
        (
            '[network]\narchitecture = "vgg"',
            "network: architecture must be lung or residual or classic, found 'vgg'",
        ),
        ('[fit]\nmethod = "pool"', "fit: method must be pairs or classes, found 'pool'"),
        ("[fit]\nepochs = 0", "fit: epochs and batch_size must be at least 1"),
        ("test_share = 1.0", "test_share must be within [0, 1)"),
        ("patient_folds = 1", "patient_folds must be 0, or at least 2"),
        ('[fit]\nschedule = "step"', "fit: schedule must be constant or cosine, found 'step'"),
        (
            "[fit]\nperson_pairs = -1",
            "fit: steps and abnormal_pairs must be at least 1, covid_pairs and person_pairs",
        ),
        ("[network]\nsize_px = 100", "network: size_px must be a multiple of 32"),
        ("[fit]\nimage_px = 100", "fit: image_px must be 0 or a multiple of 32"),
        ("[fit]\nimage_px = 256", "fit.image_px is for network.architecture lung"),
        (
            '[network]\narchitecture = "lung"',
            "network.architecture is lung: lungs.images and lungs.masks must say",
        ),
        ("bootstraps = 0", "bootstraps must be at least 1"),
        ('gate = "../gate.npz"', "gate must be relative and without .., found '../gate.npz'"),
        ('[lungs]\nimages = "/etc"', "lungs: images must be relative and without .., found '/etc'"),
        ('[lungs]\nmasks = "a/../../b"', "lungs: masks must be relative and without .., found 'a/../../b'"),
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


@pytest.mark.parametrize("folder", ["/etc", "../elsewhere", "a/../../b", ".."])
def test_sources_lie_within_the_data(tmp_path: Path, folder: str) -> None:
    text = SMALLEST.replace('folder = "f"', f'folder = "{folder}"')
    with pytest.raises(RecipeError, match=r"sources: \[0\]: folder must be relative and without \.\., found"):
        load_recipe(write(tmp_path, text), TrainRecipe)


def test_a_source_may_teach_some_of_its_labels_or_none(tmp_path: Path) -> None:
    whole, some, none = (
        load_recipe(write(tmp_path, f"{SMALLEST}{line}"), TrainRecipe).sources[0].teaches
        for line in ("", 'teaches = ["covid"]', "teaches = []")
    )
    assert (whole, some, none) == (IMAGE_LABELS, ("covid",), ())
    with pytest.raises(RecipeError, match=r"sources: \[0\]: teaches must be covid or .*, found 'COVID-19'"):
        load_recipe(write(tmp_path, f'{SMALLEST}teaches = ["COVID-19"]'), TrainRecipe)


def test_folds_may_be_empty_but_none_of_them(tmp_path: Path) -> None:
    without = SMALLEST.replace(FOLDS, "")
    assert load_recipe(write(tmp_path, without), TrainRecipe).folds == ()
    with pytest.raises(RecipeError, match=r"folds: \[0\]: leave_out must name at least one site"):
        load_recipe(write(tmp_path, "folds = [{leave_out = []}]\n" + without), TrainRecipe)


def test_what_is_written_into_a_bundle_reads_as_the_same_recipe() -> None:
    recipe = load_recipe(SHIPPED, TrainRecipe)
    stored = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert read_recipe(stored, TrainRecipe) == recipe
    del stored["fit"]["method"]
    assert read_recipe(stored, TrainRecipe) == recipe


def test_every_name_that_a_recipe_may_give_is_implemented() -> None:
    assert set(ARCHITECTURES) == set(BUILDERS)
    assert set(METHODS) == set(fit.METHODS)


TRAINING = sorted(
    set(SHIPPED.parent.glob("*.toml"))
    - {SHIPPED.with_name(name) for name in ("cluster.toml", "nightly.toml")}
)


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.name)
def test_every_recipe_of_the_repository_loads_and_names_no_place(path: Path) -> None:
    recipe = load_recipe(path, TrainRecipe)
    assert {source.layout for source in recipe.sources} <= set(LOADERS)
    assert not any(Path(source.folder).is_absolute() for source in recipe.sources)

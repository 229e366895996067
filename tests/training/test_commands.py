"""``cxrbatch train`` and ``cxrbatch evaluate``, end to end on a small made-up collection."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.cli.app import cli
from cxrbatch.errors import BundleError, CxrbatchError, RecipeError, UsageProblem
from cxrbatch.evaluation.model_card import model_card
from tests.factories.collections import collection, write_table

RECIPE = """
name = "small"
folds = [{ leave_out = ["north"] }]
bootstraps = 20

[[sources]]
layout = "table"
folder = "collection"

[preprocess]
height = 32
width = 32

[network]
widths = [6, 8]
reduce = 4
equalise_bins = 6

[fit]
steps = 150
abnormal_pairs = 3
covid_pairs = 1
"""
OTHER = '\n[[sources]]\nlayout = "table"\nfolder = "collection"\nteaches = ["covid"]\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recipes, with the collection beside them."""
    folder = tmp_path_factory.mktemp("commands")
    write_table(collection(5, size=64), folder / "collection")
    (folder / "small.toml").write_text(RECIPE)
    (folder / "other.toml").write_text('name = "other"\nbootstraps = 20\n' + OTHER)
    return folder


@pytest.fixture(scope="module")
def killed_and_trained(folder: Path) -> Path:
    """A bundle whose training was killed between its two networks, and went on."""
    arguments = ["train", str(folder / "small.toml"), "--out", str(folder / "small")]
    process = subprocess.Popen([sys.executable, "-m", "cxrbatch", *arguments], stderr=subprocess.DEVNULL)
    try:
        while not finished(folder / "small.work"):
            assert process.poll() is None, "ended before its first network"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / "small").exists()
    run(*arguments)
    return folder / "small"


def finished(work: Path) -> list[Path]:
    """Networks that are done; a name with another dot is one that is not, or not yet whole."""
    return [path for path in work.glob("*.npz") if path.name.count(".") == 1]


def run(*arguments: str | Path) -> None:
    assert cli.main([str(argument) for argument in arguments], standalone_mode=False) == 0


def test_a_run_after_a_kill_ends_at_the_weights_of_one_without(
    killed_and_trained: Path, folder: Path
) -> None:
    run("train", folder / "small.toml", "--out", folder / "whole", "--log-dir", folder / "logs")
    killed, whole = (
        keras.models.load_model(load_bundle(path).model_path, compile=False).get_weights()
        for path in (killed_and_trained, folder / "whole")
    )
    assert all((one == other).all() for one, other in zip(killed, whole, strict=True))
    evaluations = [load_bundle(path).evaluation for path in (killed_and_trained, folder / "whole")]
    assert evaluations[0] == evaluations[1]
    runs = {path.name for path in (folder / "logs").iterdir()}
    assert runs == {"without north, seed 0", "bundle, seed 0"}


def test_train_says_what_the_bundle_is_worth(
    killed_and_trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", folder / "small.toml", "--out", killed_and_trained)
    assert capsys.readouterr().out == f"{load_bundle(killed_and_trained).worth}\n"
    run("train", folder / "small.toml", "--out", folder / "alone", "--no-folds")
    assert capsys.readouterr().out == "Nothing was measured: what its scores are worth is not known.\n"


def test_fresh_trains_again(
    killed_and_trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_bundle(killed_and_trained).evaluation
    for option, what in (
        ([], f"taken from {killed_and_trained}.work"),
        (["--fresh"], "trained from step 0 of 150"),
    ):
        run("train", folder / "small.toml", "--out", killed_and_trained, *option)
        lines = capsys.readouterr().err.splitlines()
        losses = [line for line in lines if re.fullmatch(r"step 150: loss \d\.\d{4} \(mean of 150\)", line)]
        assert len(losses) == (2 if option else 0)
        networks = [line for line in lines[:-1] if line not in losses]
        assert networks[-2:] == [f"without north, seed 0: {what}", f"bundle, seed 0: {what}"]
        assert load_bundle(killed_and_trained).evaluation == before


def test_evaluate_takes_the_networks_of_the_folds_and_prints_what_matters(
    killed_and_trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("evaluate", killed_and_trained, folder / "small.toml", "--out", folder / "report")
    printed = capsys.readouterr()
    assert printed.out.startswith("Headline, the worst within one site: AUROC ")
    assert "\nConfound floor, AUROC without any image:\n" in printed.out
    parts = (
        *(" images read; ", f"without north, seed 0: taken from {killed_and_trained}.work"),
        *("images scored; ", "evaluation written to "),
    )
    places = [printed.err.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
    assert sorted(path.name for path in (folder / "report").iterdir()) == [
        *("MODEL_CARD.md", "evaluation.json", "index.html", "patients.csv")
    ]
    measured = json.loads((folder / "report" / "evaluation.json").read_text())
    bundle = load_bundle(killed_and_trained)
    assert measured["bundle_sha256"] == bundle.sha256
    assert measured["within_site"] == bundle.evaluation["within_site"]
    assert measured["source_probe"] == bundle.evaluation["source_probe"]
    card = (folder / "report" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == model_card(bundle)


def test_evaluate_by_another_recipe_measures_what_never_taught(
    killed_and_trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("evaluate", killed_and_trained, folder / "other.toml", "--out", folder / "foreign")
    assert "south is left out: it took part in the training of the bundle" in capsys.readouterr().err
    measured = json.loads((folder / "foreign" / "evaluation.json").read_text())
    assert measured["headline"] is None  # the only source left has one label
    sites = {
        line.split(",")[0] for line in (folder / "foreign" / "patients.csv").read_text().splitlines()[1:]
    }
    assert sites == {"healthy"}


def test_no_folds_takes_the_network_alone_and_evaluate_measures_it_later(
    killed_and_trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", folder / "small.toml", "--out", folder / "alone", "--no-folds")
    assert "without north" not in capsys.readouterr().err
    assert load_bundle(folder / "alone").evaluation == {}
    (folder / "alone.work").rename(folder / "alone.own")
    (folder / "small.work").rename(folder / "alone.work")  # the networks of the folds
    try:
        run("evaluate", folder / "alone", folder / "small.toml", "--out", folder / "later")
    finally:
        (folder / "alone.work").rename(folder / "small.work")
    measured = json.loads((folder / "later" / "evaluation.json").read_text())
    whole = load_bundle(killed_and_trained).evaluation
    assert measured["headline"]["site"] == whole["headline"]["site"] == "north"
    assert measured["headline"]["auroc"]["value"] == pytest.approx(whole["headline"]["auroc"]["value"])


def test_mistakes_are_named_and_leave_their_exit_code(killed_and_trained: Path, folder: Path) -> None:
    def failure(*arguments: str | Path) -> CxrbatchError:
        with pytest.raises(CxrbatchError) as caught:
            run(*arguments, "--out", folder / "nothing")
        assert not (folder / "nothing").exists()
        return caught.value

    lines = (folder / "collection" / "labels.csv").read_text().splitlines()
    (folder / "taught").mkdir()
    (folder / "taught" / "labels.csv").write_text("\n".join([lines[0], *lines[1:5]]) + "\n")
    for line in lines[1:5]:
        name = line.split(",")[0]
        (folder / "taught" / name).write_bytes((folder / "collection" / name).read_bytes())
    (folder / "taught.toml").write_text('name = "t"\n' + OTHER.replace("collection", "taught"))
    missing = failure("evaluate", folder / "no bundle", folder / "small.toml")
    assert (type(missing), missing.exit_code) == (BundleError, 1)
    wrong = failure("evaluate", killed_and_trained, folder / "no.toml")
    assert (type(wrong), wrong.exit_code) == (RecipeError, 2)
    known = failure("evaluate", killed_and_trained, folder / "taught.toml")
    assert (type(known), known.exit_code) == (UsageProblem, 2)
    mute = failure("train", folder / "other.toml")
    assert (type(mute), mute.exit_code) == (RecipeError, 2)

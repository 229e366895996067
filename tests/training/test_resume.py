"""A training that is killed goes on where it was, to the very weights of one that was not."""

import dataclasses
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.datasets.loading import Dataset
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import checkpoint, tensorboard
from cxrbatch.training.checkpoint import Checkpoint, TrainOptions, dataset_digest, network_key, work_folder
from cxrbatch.training.fit import fit
from cxrbatch.training.recipe import FitSpec, FoldSpec, NetworkSpec, TrainRecipe
from tests.factories.collections import collection

# Dropout and batch normalisation have states of their own, which must come back too.
PAIRS = TrainRecipe(
    name="tiny",
    sources=(),
    preprocess=PreprocessSpec(height=32, width=32),
    network=NetworkSpec(widths=(6, 8), reduce=4, equalise_bins=6, dropout=0.5),
    fit=FitSpec(steps=30, abnormal_pairs=4, covid_pairs=2, learning_rate=3e-3, average=0.9),
)
CLASSES = dataclasses.replace(PAIRS, fit=FitSpec(method="classes", epochs=2, batch_size=8, average=0.5))
SEED = 5


@pytest.fixture(scope="module")
def data() -> Dataset:
    return collection(4)


def weights(
    data: Dataset, recipe: TrainRecipe, options: TrainOptions | None = None
) -> list[NDArray[np.float32]]:
    return fit(data.images[..., None], data.cases, recipe, SEED, options).get_weights()


def same(one: list[NDArray[np.float32]], other: list[NDArray[np.float32]]) -> bool:
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("recipe", [PAIRS, CLASSES], ids=["pairs", "classes"])
def test_an_interrupted_training_ends_at_the_same_weights(
    data: Dataset, recipe: TrainRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    options = TrainOptions(work=tmp_path / "work", checkpoint_steps=4, on_progress=said.append)
    save = Checkpoint.save_unfinished

    def save_and_stop(self: Checkpoint, arrays: list[NDArray[np.float32]]) -> None:
        save(self, arrays)
        if len(said) and next(calls) == 2:
            raise KeyboardInterrupt

    calls = iter(range(100))
    monkeypatch.setattr(Checkpoint, "save_unfinished", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        weights(data, recipe, options)
    monkeypatch.undo()
    (left,) = (tmp_path / "work").iterdir()
    assert left.name.endswith(".unfinished.npz")
    resumed = weights(data, recipe, options)
    n_steps = 30 if recipe is PAIRS else 2 * -(-len(data.cases) // 8)
    assert said == [f"seed 5: trained from step {done} of {n_steps}" for done in (0, 12)]
    assert same(resumed, weights(data, recipe))
    assert [path.name.count("unfinished") for path in (tmp_path / "work").iterdir()] == [0]


def test_a_finished_network_is_taken_and_with_fresh_it_is_not(data: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    options = TrainOptions(work=tmp_path / "work", on_progress=said.append).named("without north")
    first, again = weights(data, PAIRS, options), weights(data, PAIRS, options)
    fresh = weights(data, PAIRS, dataclasses.replace(options, fresh=True))
    assert said == [
        "without north, seed 5: trained from step 0 of 30",
        f"without north, seed 5: taken from {tmp_path / 'work'}",
        "without north, seed 5: trained from step 0 of 30",
    ]
    assert same(first, again)
    assert same(first, fresh)


def test_whatever_decides_the_weights_makes_another_network() -> None:
    def key(recipe: TrainRecipe = PAIRS, digest: str = "images", seed: int = 1, *program: ModuleType) -> str:
        return network_key(digest, recipe, seed, program)

    others = [
        key(digest="others"),
        key(seed=2),
        key(PAIRS, "images", 1, checkpoint),
        key(CLASSES),
        key(dataclasses.replace(PAIRS, preprocess=PreprocessSpec(height=32, width=40))),
        key(dataclasses.replace(PAIRS, network=dataclasses.replace(PAIRS.network, dropout=0.4))),
        key(dataclasses.replace(PAIRS, augment=dataclasses.replace(PAIRS.augment, noise=0.1))),
    ]
    assert len({key(), *others}) == 1 + len(others)
    renamed = dataclasses.replace(
        PAIRS, name="other", bootstraps=3, folds=(FoldSpec(leave_out=("north",)),), gate="mine.npz"
    )
    assert key(renamed) == key()
    assert key(dataclasses.replace(PAIRS, fit=dataclasses.replace(PAIRS.fit, seeds=(1, 2)))) == key()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    kept = Checkpoint(TrainOptions(work=tmp_path), "key")
    assert kept.finished() is None
    arrays = [np.arange(3.0), np.array(4, np.uint32), *(np.full(1, i) for i in range(9))]
    kept.save_finished(arrays)
    loaded = kept.finished()
    assert loaded is not None
    assert [array.dtype for array in loaded] == [array.dtype for array in arrays]
    assert [array.tolist() for array in loaded] == [array.tolist() for array in arrays]
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert kept.finished() is None


def test_the_digest_tells_order_labels_and_pixels(data: Dataset) -> None:
    swapped = data.at([1, 0, *range(2, len(data.cases))])
    brighter = data.images.copy()
    brighter[-1, -1, -1] ^= 1
    digests = {
        dataset_digest(data.images, data.cases),
        dataset_digest(swapped.images, swapped.cases),
        dataset_digest(swapped.images, data.cases),
        dataset_digest(brighter, data.cases),
    }
    assert len(digests) == 4
    assert dataset_digest(data.images.copy(), data.cases) in digests


def test_the_work_folder_is_beside_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert work_folder(Path("models/mine/")) == tmp_path / "models" / "mine.work"
    assert work_folder(Path()) == tmp_path.with_name(f"{tmp_path.name}.work")


def test_tensorboard_gets_the_loss_of_every_step_and_the_log_their_means(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorboard, "REPORTED_STEPS", 20)
    caplog.set_level(logging.INFO, "cxrbatch.training.tensorboard")
    options = TrainOptions(log_dir=tmp_path).named("without south/east")
    logged = weights(data, PAIRS, options)
    (file,) = (tmp_path / "without south_east, seed 5").iterdir()
    assert file.name.startswith("events.out.tfevents.")
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    assert events[0].file_version == "brain.Event:2"
    assert [event.step for event in events[1:]] == list(range(30))
    losses = [value.simple_value for event in events[1:] for value in event.summary.value]
    # From zero every logit is 0, so that each of the two questions costs log 2 at first.
    assert losses[0] == pytest.approx(2 * np.log(2), rel=1e-6)
    means = [np.mean(losses[:20]), np.mean(losses[20:])]
    assert [record.message for record in caplog.records if record.name.endswith("tensorboard")] == [
        f"step 20: loss {means[0]:.4f} (mean of 20)",
        f"step 30: loss {means[1]:.4f} (mean of 10)",
    ]
    assert same(logged, weights(data, PAIRS))


_KILLED = """
import sys
from pathlib import Path
from cxrbatch.training import tensorboard
from cxrbatch.training.checkpoint import TrainOptions
from tests.training.test_resume import LONG, collection, weights

if __name__ == "__main__":
    weights(collection(4), LONG, TrainOptions(work=Path(sys.argv[1]), checkpoint_steps=20))
"""
LONG = dataclasses.replace(PAIRS, fit=dataclasses.replace(PAIRS.fit, steps=400))


def test_a_training_killed_at_any_moment_ends_at_the_same_weights(data: Dataset, tmp_path: Path) -> None:
    work = tmp_path / "work"
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(work)], stderr=subprocess.DEVNULL)
    try:
        while not list(work.glob("*.unfinished.npz")):
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    said: list[str] = []
    resumed = weights(data, LONG, TrainOptions(work=work, on_progress=said.append))
    (line,) = said
    done = int(line.removeprefix("seed 5: trained from step ").split()[0])
    assert 0 < done < 400
    assert done % 20 == 0
    assert same(resumed, weights(data, LONG))

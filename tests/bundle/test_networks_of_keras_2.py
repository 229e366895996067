"""Networks that Keras 2 itself saved score as they did there: the original runs in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.bundle import load_bundle
from cxrbatch.bundle.import_model import ImportSpec, import_bundle
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device, Runtime, start_runtime
from tests.conftest import REPOSITORY

TF_KERAS = os.environ.get("CXRBATCH_TF_KERAS", "")
pytestmark = [
    pytest.mark.keras2,
    pytest.mark.skipif(not TF_KERAS, reason="CXRBATCH_TF_KERAS names no folder with tf_keras"),
]
SIDE = 96
MOST_DIFFERENCE = 1e-5
"""From `predict` of Keras 2. Of MobileNetV2, `predict` and a call of the model differ by more there."""
FOUR = ("covid", "ignore", "normal", "pneumonia")
THREE = ("covid", "pneumonia", "normal")
TWO = ("normal", "covid")
LABELS = {
    "densenet121": FOUR,
    "mobilenetv2": THREE,
    "efficientnetb0": THREE,
    "xception": THREE,
    "four_classes": FOUR,
    "augmented": TWO,
    "normalised": THREE,
    "tutorial": TWO,
    "on_a_base": TWO,
}
LOGITS = ("tutorial",)


def drawn(n: int = 6) -> NDArray[np.uint8]:
    """Coarse patterns with noise."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (n, 7, 7)).astype(np.uint8)
    smooth = np.stack([np.asarray(Image.fromarray(grid).resize((SIDE, SIDE))) for grid in coarse])
    return np.clip(smooth + np.rint(rng.normal(0, 12, smooth.shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras_2")
    np.save(folder / "images.npy", drawn())
    script = REPOSITORY / "tests" / "factories" / "networks_of_keras_2.py"
    environment = os.environ | {"PYTHONPATH": str(Path(TF_KERAS).resolve()), "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, script, folder / "images.npy", folder], env=environment, check=True)
    return folder


@pytest.fixture(scope="module")
def started() -> Runtime:
    return start_runtime(Device.CPU)


def findings(scores: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Say in NumPy what the labels mean: COVID-19, pneumonia, normal."""
    if scores.shape[1] == 1:
        covid = 1 / (1 + np.exp(-scores)) if name in LOGITS else scores
        return np.hstack([covid, np.zeros_like(covid), 1 - covid])
    columns = [
        scores[:, [label == finding for label in LABELS[name]]].sum(axis=1)
        for finding in ("covid", "pneumonia", "normal")
    ]
    return np.stack(columns, axis=1) / np.sum(columns, axis=0)[:, np.newaxis]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", LABELS)
def test_scores_are_those_of_the_original(
    originals: Path, name: str, suffix: str, tmp_path: Path, started: Runtime
) -> None:
    spec = ImportSpec(labels=LABELS[name])
    bundle = import_bundle(originals / f"{name}{suffix}", tmp_path / "bundle", spec)
    given = KerasPredictor(load_bundle(bundle.path), started, 6)({"pixels": drawn()})["scores"]
    expected = findings(np.load(originals / f"{name}.npy").astype(np.float64), name)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(given - expected).max() <= MOST_DIFFERENCE

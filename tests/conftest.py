"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, OperatingPoints, write_bundle
from cxrbatch.preprocess import PreprocessSpec

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real radiographs, which is not part of the repository."""
    folder = Path(os.environ.get("CXRBATCH_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the folder of real radiographs is not here (CXRBATCH_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def sample_night() -> Path:
    """The sample night of the repository."""
    return REPOSITORY / "sample_data" / "night"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a small untrained network, whose scores spread over their range."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((64, 64, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 5, strides=4, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=0.4)),
            layers.Softmax(dtype="float32"),
        ]
    )
    folder = tmp_path_factory.mktemp("bundle")
    model.save(folder / "model.keras")
    write_bundle(
        folder / "tiny",
        name="tiny",
        model=folder / "model.keras",
        gate=DEFAULT_BUNDLE / "gate.npz",
        preprocess=PreprocessSpec(height=64, width=64),
        aggregation="mean",
        operating_points=OperatingPoints(urgent=0.6, high=0.3),
        training={},
        evaluation={},
    )
    return folder / "tiny"


@pytest.fixture(scope="session")
def lite_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle with its network for LiteRT, so in format 2."""
    from cxrbatch.bundle import convert_bundle, load_bundle

    return convert_bundle(load_bundle(tiny_bundle), tmp_path_factory.mktemp("lite") / "tiny").path

"""Features are what the last layer gets, and every file found has a row."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cxrbatch import embed, screen
from cxrbatch.bundle import features_only, load_bundle, load_network
from cxrbatch.cli.app import cli
from cxrbatch.embedding import KNOWN_COLUMNS
from cxrbatch.engines import EngineOptions
from cxrbatch.errors import CxrbatchError, NoImageFound, UsageProblem


@pytest.fixture(scope="module")
def features(sample_night: Path, tiny_bundle: Path) -> pd.DataFrame:
    return embed(sample_night, tiny_bundle, EngineOptions(batch_size=7, n_workers=1))


def vectors(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.filter(like="feature_")


def test_the_last_layer_makes_the_scores_of_the_features(
    features: pd.DataFrame, sample_night: Path, tiny_bundle: Path
) -> None:
    files = screen(sample_night, bundle=tiny_bundle, n_workers=1).files_frame()
    assert features["file"].tolist() == files["file"].tolist()
    scored = files["status"] == "scored"
    weights, bias = load_network(load_bundle(tiny_bundle).model_path).layers[-2].get_weights()
    logits = vectors(features)[scored].to_numpy() @ weights + bias
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = files.loc[scored].filter(like="score_").to_numpy()
    assert scores.shape == (22, 3)
    np.testing.assert_allclose(scores, expected, atol=2e-6)


def test_every_file_has_a_row_and_only_images_have_features(features: pd.DataFrame) -> None:
    assert tuple(features.columns[: len(KNOWN_COLUMNS)]) == KNOWN_COLUMNS
    assert features["status"].value_counts().to_dict() == {"embedded": 23, "not_scored": 6, "skipped": 2}
    has_features = vectors(features).notna().all(axis=1)
    assert has_features.equals(features["status"] == "embedded")
    assert vectors(features)[~has_features].isna().all(axis=None)
    assert (features.loc[~has_features, "reason"] != "").all()
    assert {str(kind) for kind in vectors(features).dtypes} == {"float32"}
    assert features.attrs["bundle"].startswith("tiny@")


def test_a_row_depends_on_no_other(features: pd.DataFrame, sample_night: Path, tiny_bundle: Path) -> None:
    alone = embed(
        sample_night / "pictures", tiny_bundle, EngineOptions(batch_size=7, n_workers=2), patients="folder"
    )
    together = features[features["file"].str.startswith("pictures/")]
    assert (vectors(alone).to_numpy() == vectors(together).to_numpy()).all()
    assert len(alone) == 4


def test_features_of_the_shipped_network() -> None:
    network = features_only(load_network(load_bundle().model_path))
    assert network is not None
    assert network.output.shape == (None, 512)


def test_a_network_without_such_a_layer_has_no_features() -> None:
    import keras

    image = keras.Input((8, 8, 1))
    assert features_only(keras.Model(image, keras.layers.Softmax()(image))) is None
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert features_only(keras.Model(image, inner(image))) is None


def test_no_folder_and_no_image(tmp_path: Path, tiny_bundle: Path) -> None:
    with pytest.raises(UsageProblem, match="no such folder"):
        embed(tmp_path / "none", tiny_bundle)
    (tmp_path / "text.txt").write_text("no image")
    with pytest.raises(NoImageFound, match="1 file, not one image"):
        embed(tmp_path, tiny_bundle)


@pytest.mark.parquet
@pytest.mark.parametrize(
    ("out", "message"),
    [("features.csv", r"ends in \.parquet"), ("none/f.parquet", "no folder"), ("in/f.parquet", "only read")],
)
def test_places_that_cannot_be(out: str, message: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "in").mkdir()
    arguments = ["embed", str(tmp_path / "in"), "-o", str(tmp_path / out)]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert isinstance(result.exception, CxrbatchError)
    with pytest.raises(CxrbatchError, match=message):
        raise result.exception


@pytest.mark.parquet
def test_the_command_writes_the_table(
    features: pd.DataFrame, sample_night: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "é features.parquet"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cxrbatch", "embed", str(sample_night), "-o", str(out)),
            *("--bundle", str(tiny_bundle), "--batch-size", "7"),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert done.stderr.splitlines()[0] == "31 files found; starting…"
    assert done.stderr.splitlines()[1].startswith("31 files found = 23 embedded + 6 not scored + 2 skipped; ")
    written = pd.read_parquet(out)
    pd.testing.assert_frame_equal(written, features)
    assert written.attrs == features.attrs
    assert out.stat().st_mode & 0o777 == 0o640

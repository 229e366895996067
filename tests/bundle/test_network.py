"""A network is looked through before it is loaded, even where its hash is right."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from cxrbatch.bundle import network
from cxrbatch.bundle.bundle import DEFAULT_BUNDLE
from cxrbatch.bundle.network import load_network, scores_only
from cxrbatch.errors import BundleError

Config = dict[str, Any]


@pytest.fixture
def path(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_bundle / "model.keras", tmp_path))


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def edit(path: Path, change: Callable[[Config], object]) -> None:
    parts = parts_of(path)
    config = json.loads(parts["config.json"])
    change(config)
    pack(path, parts | {"config.json": json.dumps(config).encode()})


def layer_of(config: Config) -> Config:
    """The first convolution."""
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")


def test_sound_networks_pass(path: Path) -> None:
    assert load_network(path).output_shape == (None, 3)
    shipped = load_network(DEFAULT_BUNDLE / "model.keras")
    assert set(shipped.output) == {"scores", "evidence"}
    assert shipped.output["evidence"].shape == (None, 16, 16, 2)
    assert scores_only(shipped).output_shape == (None, 3)


def test_a_lambda_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = str(tmp_path / "was here")
    run = layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])  # type: ignore[func-returns-value]  # noqa: PTH123
    keras.Sequential([layers.Input((4, 4, 1)), run, layers.Flatten(), layers.Dense(3)]).save(
        tmp_path / "model.keras"
    )
    Path(marker).unlink()
    with pytest.raises(
        BundleError, match=r"model.keras holds a layer 'Lambda', which runs code out of the file"
    ):
        load_network(tmp_path / "model.keras")
    assert not Path(marker).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.update(class_name="Conv9D"), "holds 'Conv9D', which is no layer of Keras"),
        (lambda layer: layer.update(module="os", class_name="system"), "holds 'system'"),
        (lambda layer: layer.update(module="somebody.layers"), "holds 'Conv2D'"),
        (lambda layer: layer.update(registered_name="elsewhere>Conv2D"), "holds 'Conv2D'"),
        (lambda layer: layer.update(class_name="TFSMLayer"), "'TFSMLayer', which runs code"),
        (lambda layer: layer.update(class_name="StringLookup"), "'StringLookup', which may read other files"),
        (lambda layer: layer.update(compile_config={"loss": {"class_name": "Evil"}}), "holds 'Evil'"),
        (lambda layer: layer.update(class_name="x" * 10_000), "holds 'x{60}', which"),
        (
            lambda layer: layer["config"]["kernel_initializer"].update(module="os", class_name="popen"),
            "holds 'popen'",
        ),
        (
            lambda layer: layer["config"].update(
                activation={"class_name": "function", "module": "keras.utils", "config": "get_file"}
            ),
            "holds 'function'",
        ),
        (
            lambda layer: layer["config"].update(
                activation={"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}
            ),
            "'__lambda__', which runs code",
        ),
    ],
)
def test_what_is_not_of_keras_is_refused(
    change: Callable[[Config], object], message: str, path: Path
) -> None:
    edit(path, lambda config: change(layer_of(config)))
    with pytest.raises(BundleError, match=message) as error:
        load_network(path)
    assert str(error.value).startswith(f"bundle {path.parent}: model.keras ")


def test_what_only_training_needs_is_not_looked_at(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3)])
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    assert load_network(tmp_path / "model.keras").output_shape == (None, 3)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"../../outside": b"x"}, "must hold config.json, metadata.json, model.weights.h5 and nothing else"),
        ({"/etc/cron.d/x": b"x"}, "nothing else"),
        ({"assets/vocabulary.txt": b"x"}, "nothing else"),
        ({"config.json": b" " * (network._MOST_CONFIG_BYTES + 1)}, "more than 16 MiB"),
        ({"config.json": b"[" * 100_000}, r"cannot be loaded \(RecursionError\)"),
        ({"config.json": b"[1, 2]"}, r"cannot be loaded \(TypeError\)"),
        ({"config.json": b"{}"}, "cannot be loaded"),
        ({"config.json": b"no JSON"}, r"cannot be loaded \(JSONDecodeError\)"),
        ({"model.weights.h5": b"no HDF5"}, "cannot be loaded"),
    ],
)
def test_archives_that_are_none(extra: dict[str, bytes], message: str, path: Path) -> None:
    pack(path, parts_of(path) | extra)
    with pytest.raises(BundleError, match=message):
        load_network(path)


def test_a_part_that_is_there_twice_or_not_at_all(path: Path) -> None:
    parts = parts_of(path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", parts["config.json"])
    with pytest.raises(BundleError, match="nothing else"):
        load_network(path)
    del parts["metadata.json"]
    pack(path, parts)
    with pytest.raises(BundleError, match="must hold"):
        load_network(path)


def test_an_archive_that_grows_when_it_is_unpacked(path: Path) -> None:
    parts = parts_of(path)
    pack(path, parts | {"model.weights.h5": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    with pytest.raises(BundleError, match="is compressed, which Keras never does"):
        load_network(path)


@pytest.mark.parametrize("how", ["external", "link"])
def test_weights_that_lie_in_another_file(how: str, path: Path, tmp_path: Path) -> None:
    """HDF5 can point at any file of the machine; Keras before 3.13.2 read it (CVE-2026-1669)."""
    (tmp_path / "secret").write_bytes(np.zeros(10_000, np.float32).tobytes())
    parts = parts_of(path)
    (tmp_path / "w.h5").write_bytes(parts["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        name = _first_dataset(file)
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        if how == "link":
            file[name] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
        else:
            place = [(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset(name, shape, kind, external=place)
    pack(path, parts | {"model.weights.h5": (tmp_path / "w.h5").read_bytes()})
    with pytest.raises(BundleError, match="cannot be loaded"):
        load_network(path)


def _first_dataset(file: h5py.File) -> str:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names[0]

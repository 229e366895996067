"""Writing models as Keras 2 saved them, without Keras 2: HDF5 and archives, in the layout of tf_keras 2.21."""

import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Config = dict[str, Any]
Weights = Sequence[NDArray[Any]]

SIDE = 16
INPUT: Config = {
    "class_name": "InputLayer",
    "config": {
        "batch_input_shape": [None, SIDE, SIDE, 3],
        "dtype": "float32",
        "sparse": False,
        "name": "input_1",
    },
}


def layer(class_name: str, name: str = "", **config: Any) -> Config:
    """Describe a layer."""
    named = {"name": name or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower(), "trainable": True}
    return {"class_name": class_name, "config": named | {"dtype": "float32"} | config}


def conv(name: str, channels: int = 3, **config: Any) -> Config:
    """Describe a convolution of single pixels."""
    return layer("Conv2D", name, filters=channels, kernel_size=[1, 1], groups=1, **config)


def sequential(*layers: Config, name: str = "sequential") -> Config:
    """Describe a Sequential model."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": [INPUT, *layers]}}


def functional(*calls: tuple[Config, Any], end: str = "", n_end: int = 0, name: str = "model") -> Config:
    """Describe a functional model: layers, each with its calls as Keras 2 wrote them."""
    layers = [INPUT | {"name": "input_1", "inbound_nodes": []}]
    layers += [part | {"name": part["config"]["name"], "inbound_nodes": nodes} for part, nodes in calls]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [[end or layers[-1]["name"], n_end, 0]]}
    return {"class_name": "Functional", "config": {"name": name, "layers": layers} | ends}


def call(*names: str, n: int = 0, **arguments: Any) -> list[Any]:
    """Describe a call of a layer on the outputs of others."""
    return [[name, n, 0, arguments] for name in names]


def save_h5(path: Path, model: Config, weights: dict[str, Weights], version: str = "2.15.0") -> Path:
    """Write HDF5: the description, and the weights by the names of the layers."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = version.encode(), b"tensorflow"
        file.attrs["model_config"] = json.dumps(model).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([name.encode() for name in weights])
        for name, values in weights.items():
            part = group.create_group(name)
            names = [f"{name}/weight_{index}:0" for index in range(len(values))]
            part.attrs["weight_names"] = np.array([each.encode() for each in names])
            for each, value in zip(names, values, strict=True):
                part[each] = value
    return path


def save_archive(path: Path, model: Config, weights: dict[str, Weights], version: str = "2.15.0") -> Path:
    """Write an archive (``.keras``): the weights by the classes of the layers."""
    stream, seen = BytesIO(), Counter[str]()
    with h5py.File(stream, "w") as file:
        for part in model["config"]["layers"]:
            kind = (
                re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part["class_name"])
                .lower()
                .replace("conv2_d", "conv2d")
            )
            place = f"layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
            seen[kind] += 1
            group = file.create_group(f"{place}/vars")
            for index, value in enumerate(weights.get(part["config"]["name"], ())):
                group[str(index)] = value
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-01@00:00:00"})
        )
        archive.writestr("config.json", json.dumps(_in_archive(model)))
        archive.writestr("model.weights.h5", stream.getvalue())
    return path


def _in_archive(model: Config) -> Config:
    """Add what archives state beside HDF5: module and registered name."""
    home = {"module": "tf_keras.src.engine.functional", "registered_name": "Functional"}
    if model["class_name"] == "Sequential":
        home = {"module": "keras", "registered_name": ""}
    layers = [
        part | {"module": "keras.layers", "registered_name": None, "build_config": {"input_shape": [None, 1]}}
        if part["class_name"] not in ("TFOpLambda", "SlicingOpLambda", "Sequential", "Functional")
        else part
        for part in model["config"]["layers"]
    ]
    config = model["config"] | {"layers": layers}
    return model | {key: value or None for key, value in home.items()} | {"config": config}

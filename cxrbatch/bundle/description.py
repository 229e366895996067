"""Shared words for descriptions of Keras models, the JSON from which Keras builds the layers."""

from typing import Any

Config = dict[str, Any]

MODELS = frozenset({"Functional", "Model", "Sequential"})
"""Classes that hold layers of their own."""
ADVICE = "rebuild the model with layers of Keras only, such as Rescaling, load its weights and save it again"


class CannotConvert(ValueError):
    """Keras 3 has nothing that computes the same; the message says what, and what to do."""


def replaced_by(layer: Config, name: str, **config: Any) -> Config:
    """Describe another layer in the place and under the name of a layer."""
    kept = {key: value for key, value in layer["config"].items() if key in ("name", "batch_input_shape")}
    home = {"module": "keras.layers", "registered_name": None} if "module" in layer else {}
    rest = {key: value for key, value in layer.items() if key != "build_config"}
    return rest | home | {"class_name": name, "config": kept | config}

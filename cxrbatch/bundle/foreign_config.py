"""Check the description of a foreign Keras model before Keras reads it, and convert it for Keras 3.

The JSON that describes the layers may name any Python function and may even hold its byte code. Only objects that are
built into Keras and carry no code themselves are accepted. Entries that only training needs are dropped unread.
"""

from collections.abc import Iterator
from typing import Any

import keras

Config = dict[str, Any]

_ADVICE = "rebuild the model with layers of Keras only, such as Rescaling, load its weights and save it again"
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint", "compile_config")
_CARRY_CODE = frozenset({"__lambda__", "Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"})
_READ_FILES = frozenset({"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"})
_PLAIN_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__"})
_NAMESPACES = (
    *(keras.layers, keras.dtype_policies),
    *(keras.initializers, keras.regularizers, keras.constraints),
)
_MODELS = frozenset({"Functional", "Model", "Sequential"})
_MOST_SHOWN = 60
_WITHOUT_GROUPS = frozenset({"Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"})


class NotTrusted(ValueError):
    """The model holds something that might run code."""


def for_inference(value: Any) -> Any:
    """Drop the entries that only training needs, often custom objects, and convert older forms for Keras 3.

    Parameters
    ----------
    value : JSON value
        A description of Keras 2 or 3, or a part of one.

    Raises
    ------
    KeyError, TypeError, AttributeError, ValueError
        It is no such description.
    """
    if isinstance(value, list):
        return [for_inference(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: for_inference(item) for key, item in value.items() if not key.endswith(_TRAINING_ONLY)}
    if kept.get("class_name") == "Sequential":
        kept["config"] = _sequential(kept["config"])
    elif isinstance(kept.get("config"), dict):
        kept["config"] = _layer(kept["class_name"], kept["config"])
    return kept


def check_built_in(config: Config) -> None:
    """Check that loading a model runs nothing but Keras.

    Raises
    ------
    NotTrusted
        It holds something else; the message names it.
    """
    for part in _objects(config):
        name = part["class_name"]
        if name in _CARRY_CODE:
            raise NotTrusted(f"holds a layer {name!r}, which runs code out of the file; {_ADVICE}")
        if name in _READ_FILES:
            raise NotTrusted(f"holds a layer {name!r}, which may read other files; {_ADVICE}")
        if not (name in _PLAIN_VALUES or _is_activation(part) or _is_built_in(part)):
            shown = repr(name[:_MOST_SHOWN])
            raise NotTrusted(f"holds {shown}, which is no layer of Keras {keras.__version__}; {_ADVICE}")


def _sequential(config: Any) -> Config:
    """Convert the config of a Sequential model.

    Before Keras 2.2.3 the config was a list of layers. The first layer often states the input shape.
    """
    config = {"name": "sequential", "layers": config} if isinstance(config, list) else config
    first, *_ = layers = config["layers"]
    shape = first["config"].get("batch_input_shape")
    if shape and first["class_name"] != "InputLayer":
        layers = [{"class_name": "InputLayer", "config": {"batch_shape": shape}}, *layers]
    return config | {"layers": [_without(layer, "batch_input_shape") for layer in layers]}


def _without(layer: Config, key: str) -> Config:
    return layer | {"config": {name: value for name, value in layer["config"].items() if name != key}}


def _layer(name: str, config: Config) -> Config:
    renamed = {"batch_input_shape": "batch_shape"} if name == "InputLayer" else {}
    dropped = "groups" if name in _WITHOUT_GROUPS and config.get("groups") == 1 else None
    changed = {renamed.get(key, key): value for key, value in config.items() if key != dropped}
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        changed["axis"] = axis[0]
    return changed | {key: config[key][0] for key in _ENDS if _is_list_of_one(config.get(key))}


_ENDS = ("input_layers", "output_layers")


def _is_list_of_one(ends: Any) -> bool:
    """Check for one tensor in a list: Keras 3 would pass the list on to the next layer of the outer model."""
    return isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list)


def _objects(value: Any) -> Iterator[Config]:
    """Yield every described object, at any depth."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value | {"class_name": str(value["class_name"])}
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _is_activation(part: Config) -> bool:
    of_keras = part.get("module") in ("builtins", "keras.activations")
    return (
        part["class_name"] == "function" and of_keras and hasattr(keras.activations, str(part.get("config")))
    )


def _is_built_in(part: Config) -> bool:
    name, module = part["class_name"], str(part.get("module") or "keras")
    if part.get("registered_name") not in (None, name):
        return False
    if module.startswith("keras.src.ops."):
        return True  # arithmetic between layers
    classes = (getattr(namespace, name, None) for namespace in _NAMESPACES)
    known = name in _MODELS or any(isinstance(found, type) for found in classes)
    return known and (module == "keras" or module.startswith("keras."))

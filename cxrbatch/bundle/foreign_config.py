"""Check the description of a foreign Keras model before Keras reads it.

The JSON that describes the layers may name any Python function and may even hold its byte code. Only objects that are
built into Keras and carry no code themselves are accepted.
"""

from collections.abc import Iterator
from typing import Any

import keras

from cxrbatch.bundle.description import ADVICE, MODELS, Config

_CARRY_CODE = frozenset({"__lambda__", "Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"})
_READ_FILES = frozenset({"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"})
_PLAIN_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__"})
_NAMESPACES = (
    *(keras.layers, keras.dtype_policies),
    *(keras.initializers, keras.regularizers, keras.constraints),
)
_MOST_SHOWN = 60


class NotTrusted(ValueError):
    """The model holds something that might run code."""


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
            raise NotTrusted(f"holds a layer {name!r}, which runs code out of the file; {ADVICE}")
        if name in _READ_FILES:
            raise NotTrusted(f"holds a layer {name!r}, which may read other files; {ADVICE}")
        if not (name in _PLAIN_VALUES or _is_activation(part) or _is_built_in(part)):
            shown = repr(name[:_MOST_SHOWN])
            raise NotTrusted(f"holds {shown}, which is no layer of Keras {keras.__version__}; {ADVICE}")


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
    known = name in MODELS or any(isinstance(found, type) for found in classes)
    return known and (module == "keras" or module.startswith("keras."))

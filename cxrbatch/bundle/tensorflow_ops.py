"""Replace the TensorFlow functions between the layers of a Keras 2 model by layers of Keras 3.

``x / 127.5 - 1`` on the output of a layer, and with it most ``preprocess_input`` of ``keras.applications``, stands in
the file as a layer ``TFOpLambda`` that names the function and its constants. It holds no code, and few functions are
enough for the models that people train on images.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from cxrbatch.bundle.description import ADVICE, CannotConvert, Config, replaced_by

_OPS = frozenset({"TFOpLambda", "SlicingOpLambda"})
_CONSTANT = "_CONSTANT_VALUE"
_NOT_ARGUMENTS = ("name", "training")
_LAST = (-1, 3)
_FLOATS = ("float32", "float64", "float16", "bfloat16")
_BOTH_SPATIAL = [[1, 2], [2, 1], [-3, -2], [-2, -3]]
_ACTIVATIONS = {
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.selu": "selu",
    "nn.elu": "elu",
    "nn.gelu": "gelu",
    "nn.silu": "silu",
    "nn.swish": "silu",
    "nn.sigmoid": "sigmoid",
    "nn.softmax": "softmax",
    "nn.softplus": "softplus",
    "nn.tanh": "tanh",
    "math.sigmoid": "sigmoid",
    "math.softplus": "softplus",
    "math.tanh": "tanh",
}
_ARITHMETIC = {
    "__operators__.add": "add",
    "math.add": "add",
    "nn.bias_add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.divide": "divide",
    "math.truediv": "divide",
    "math.negative": "negative",
}
_OF_TWO_TENSORS = {"add": "Add", "subtract": "Subtract", "multiply": "Multiply"}
_UNCHANGED = frozenset({"identity", "stop_gradient"})

Arguments = Mapping[str, Any]
Number = float | list[float]


class _Unknown(Exception):
    """No layer computes this."""


def as_layer(layer: Config) -> Config:
    """Replace a TensorFlow function by a layer that computes the same; other layers are returned unchanged.

    Parameters
    ----------
    layer : Config
        A layer of a functional model.

    Raises
    ------
    CannotConvert
        No layer computes the same.
    """
    if layer["class_name"] not in _OPS:
        return layer
    function = str(layer["config"].get("function", layer["config"].get("name")))
    try:
        (node,) = layer["inbound_nodes"]
        return _replaced(layer, function, *_tensors_and_arguments(node))
    except (_Unknown, ArithmeticError, ValueError, TypeError, LookupError) as error:
        raise CannotConvert(
            f"holds the TensorFlow function {function[:60]!r}, for which no layer is known; {ADVICE}"
        ) from error


def _tensors_and_arguments(node: Any) -> tuple[list[Any], dict[str, Any]]:
    """Split the tensors of a call from its constants, by name; the first one is called ``x``."""
    calls = node if isinstance(node[0], list) else [node]
    arguments = {
        key: value for key, value in calls[0][3].items() if key not in _NOT_ARGUMENTS and value is not None
    }
    tensors = [[*call[:3], {}] for call in calls if call[0] != _CONSTANT]
    if calls[0][0] == _CONSTANT:
        arguments["x"] = calls[0][2]
    tensors += [[*value, {}] for value in arguments.values() if is_reference(value)]
    return tensors, {key: value for key, value in arguments.items() if not is_reference(value)}


def is_reference(value: Any) -> bool:
    """Check whether a value is the output of a layer: its name, number of its call, number of the output."""
    numbers = value[1:3] if isinstance(value, list) and len(value) in (3, 4) else ()
    return len(numbers) == 2 and isinstance(value[0], str) and all(type(number) is int for number in numbers)


def _replaced(layer: Config, function: str, tensors: list[Any], arguments: Arguments) -> Config:
    if function == "image.grayscale_to_rgb":
        function, tensors, arguments = "concat", tensors * 3, {"axis": -1}
    name, config = _find(function, len(tensors), arguments)
    module = {"module": "keras.src.ops.numpy", "registered_name": None} if name == "Flip" else {}
    return replaced_by(layer, name, **config) | module | {"inbound_nodes": [tensors]}


def _find(function: str, n_tensors: int, arguments: Arguments) -> tuple[str, Config]:
    """Find the layer, and its config, for a function of some tensors and constants."""
    if function in _ARITHMETIC:
        return _arithmetic(_ARITHMETIC[function], n_tensors, arguments)
    if function in _ACTIVATIONS and n_tensors == 1 and not arguments:
        return "Activation", {"activation": _ACTIVATIONS[function]}
    if function in _OTHERS:
        return _OTHERS[function](arguments)
    raise _Unknown


def _arithmetic(operation: str, n_tensors: int, arguments: Arguments) -> tuple[str, Config]:
    numbers = {key: value for key, value in arguments.items() if key != "data_format"}
    if n_tensors == 2 and not numbers:
        return _OF_TWO_TENSORS[operation], {}
    if operation == "negative" and not numbers:
        return "Rescaling", {"scale": -1.0, "offset": 0.0}
    ((side, number),) = numbers.items()
    _check_number(number)
    scale, offset = _line(operation, number, is_first=side == "x")
    return "Rescaling", {"scale": scale, "offset": offset}


def _line(operation: str, number: Number, *, is_first: bool) -> tuple[Number, Number]:
    """Return scale and offset of a line that computes the operation."""
    if operation == "add":
        return 1.0, number
    if operation == "multiply":
        return number, 0.0
    if operation == "subtract":
        return (-1.0, number) if is_first else (1.0, _each(lambda value: -value, number))
    if operation == "divide" and not is_first:
        return _each(lambda value: 1 / value, number), 0.0
    raise _Unknown


def _each(function: Callable[[float], float], number: Number) -> Number:
    return [function(value) for value in number] if isinstance(number, list) else function(number)


def _check_number(number: Any) -> None:
    values = number if isinstance(number, list) else [number]
    if not values or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise _Unknown


def _concat(arguments: Arguments) -> tuple[str, Config]:
    return "Concatenate", {"axis": int(arguments["axis"])}


def _cast(arguments: Arguments) -> tuple[str, Config]:
    return _only(arguments["dtype"] in _FLOATS, "Identity", {})


def _unchanged(_: Arguments) -> tuple[str, Config]:
    return "Identity", {}


def _mean(arguments: Arguments) -> tuple[str, Config]:
    return _pooling("GlobalAveragePooling2D", arguments)


def _most(arguments: Arguments) -> tuple[str, Config]:
    return _pooling("GlobalMaxPooling2D", arguments)


def _pooling(name: str, arguments: Arguments) -> tuple[str, Config]:
    keepdims = bool(arguments.get("keepdims", False))
    return _only(
        arguments.get("axis") in _BOTH_SPATIAL, name, {"keepdims": keepdims, "data_format": "channels_last"}
    )


def _resize(arguments: Arguments) -> tuple[str, Config]:
    height, width = arguments["size"]
    method = arguments.get("method", "bilinear")
    known = set(arguments) <= {"size", "method"} and method in ("bilinear", "nearest")
    return _only(known, "Resizing", {"height": height, "width": width, "interpolation": method})


def _reversed_channels(arguments: Arguments) -> tuple[str, Config]:
    """Find the layer that reverses the last dimension, as ``x[..., ::-1]`` makes BGR of RGB."""
    *others, last = arguments["slice_spec"]
    whole = {"start": None, "stop": None}
    known = others in ([{"class_name": "__ellipsis__"}], [whole | {"step": None}] * 3)
    return _only(known and last == whole | {"step": -1}, "Flip", {"axis": -1})


def _only(known: bool, name: str, config: Config) -> tuple[str, Config]:
    if not known:
        raise _Unknown
    return name, config


_OTHERS: Mapping[str, Callable[[Arguments], tuple[str, Config]]] = {
    "__operators__.getitem": _reversed_channels,
    "cast": _cast,
    "concat": _concat,
    "identity": _unchanged,
    "image.resize": _resize,
    "math.reduce_max": _most,
    "math.reduce_mean": _mean,
    "stop_gradient": _unchanged,
}

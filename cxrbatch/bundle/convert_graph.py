"""Convert how the layers of a foreign Keras model are put together: config of a model in, config for Keras 3 out."""

from collections.abc import Iterator
from typing import Any

from cxrbatch.bundle.description import MODELS, CannotConvert, Config, replaced_by
from cxrbatch.bundle.tensorflow_ops import as_layer, is_reference

_ENDS = ("input_layers", "output_layers")
_NORMALISES_BATCHES = "BatchNormalization"
HARD_SIGMOID = "hard_sigmoid"


def without_slashes(model: Any) -> Any:
    """Replace ``/`` in the names of layers, such as those of DenseNet: Keras 3 refuses it.

    Parameters
    ----------
    model : JSON value
        Description of a model. Weights are found by the order of the layers or by their classes, not by these names.
    """
    names = set(_names(model))
    renamed: dict[str, str] = {}
    for name in sorted(name for name in names if "/" in name):
        new = name.replace("/", "_")
        while new in names:
            new += "_"
        names.add(new)
        renamed[name] = new
    return _renamed(model, renamed) if renamed else model


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def sequential(config: Any, *, from_keras_2: bool) -> Config:
    """Convert the config of a Sequential model, whose layers are converted.

    Before Keras 2.2.3 the config was a list of layers. The first layer often states the input shape.
    """
    config = {"name": "sequential", "layers": config} if isinstance(config, list) else config
    first, *_ = layers = config["layers"]
    shape = first["config"].get("batch_input_shape") if isinstance(first["config"], dict) else None
    if shape and first["class_name"] != "InputLayer":
        layers = [{"class_name": "InputLayer", "config": {"batch_shape": shape}}, *layers]
    layers = [_without_shape(layer) for layer in layers]
    if from_keras_2:
        layers = [part for layer in layers for part in _hard_sigmoid_of_keras_2(layer)]
    return config | {"layers": layers}


def functional(config: Config, *, from_keras_2: bool) -> Config:
    """Convert the config of a functional model, whose layers are converted.

    Raises
    ------
    CannotConvert
        A layer is always called as in training, or computes what Keras 3 does not.
    """
    config = _with_calls_from_0(config) if from_keras_2 else config
    layers = [_functional_layer(layer) for layer in config["layers"]]
    if from_keras_2:
        layers = [part for layer in layers for part in _hard_sigmoid_of_keras_2(layer)]
    ends = {key: config[key][0] for key in _ENDS if _is_list_of_one(config.get(key))}
    return config | {"layers": layers} | ends


def _with_calls_from_0(config: Config) -> Config:
    """Count the calls of models within the model from 0, as Keras 3 does, and not from 1.

    Where such a model makes an output, Keras 3 numbers from 1, too, unless it is a Sequential model.
    """
    nodes = [layer["inbound_nodes"] for layer in config["layers"]]
    ends = {key: config[key] for key in _ENDS}
    calls = list(_references([nodes, *ends.values()]))
    models = {
        _name(layer): layer["class_name"] for layer in config["layers"] if layer["class_name"] in MODELS
    }
    first = {name: min((call[1] for call in calls if call[0] == name), default=0) for name in models}
    counted = {name for name, number in first.items() if number == 1}
    ends_counted = {name for name in counted if models[name] == "Sequential"}
    layers = [
        layer | {"inbound_nodes": _one_less(layer["inbound_nodes"], counted)} for layer in config["layers"]
    ]
    return config | {"layers": layers} | {key: _one_less(end, ends_counted) for key, end in ends.items()}


def _name(layer: Config) -> str:
    return str(layer.get("name") or layer["config"]["name"])


def _references(value: Any) -> Iterator[list[Any]]:
    """Yield the outputs of layers that a call names: layer, number of its call, number of the output."""
    if is_reference(value):
        yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _references(item)


def _one_less(value: Any, layers: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _one_less(item, layers) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [_one_less(item, layers) for item in value]
    return [items[0], items[1] - 1, *items[2:]] if is_reference(value) and value[0] in layers else items


def _is_list_of_one(ends: Any) -> bool:
    """Check for one tensor in a list: Keras 3 would pass the list on to the next layer of the outer model."""
    return isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list)


def _functional_layer(layer: Config) -> Config:
    layer = _without_shape(as_layer(layer))
    nodes = (_as_in_use(node, layer) for node in layer["inbound_nodes"])
    return layer | {"inbound_nodes": [_with_tensors_in_arguments(node) for node in nodes]}


def _with_tensors_in_arguments(node: Any) -> Any:
    """Describe a call as Keras 3 does where a tensor is passed by name: in the older form it is not found."""
    calls = node if isinstance(node, list) else []
    arguments = calls[0][3] if calls and len(calls[0]) > 3 else {}
    if not any(map(is_reference, arguments.values())):
        return node
    first = [_tensor(call) for call in calls]
    by_name = {key: _tensor(value) if is_reference(value) else value for key, value in arguments.items()}
    return {"args": first if len(first) == 1 else [first], "kwargs": by_name}


def _tensor(reference: list[Any]) -> Config:
    history = {"shape": [], "dtype": "float32", "keras_history": reference[:3]}
    return {"class_name": "__keras_tensor__", "config": history}


def _without_shape(layer: Config) -> Config:
    if not isinstance(layer["config"], dict):
        return layer
    return layer | {
        "config": {key: value for key, value in layer["config"].items() if key != "batch_input_shape"}
    }


def _as_in_use(node: Any, layer: Config) -> Any:
    """Drop how a layer is called in training.

    Raises
    ------
    CannotConvert
        It normalises by the images of a batch whenever it is called: no image would have a score of its own.
    """
    if isinstance(node, list):
        return [_as_in_use(item, layer) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("training") and _NORMALISES_BATCHES in _classes(layer):
        name = layer["config"].get("name", layer["class_name"])
        raise CannotConvert(
            f"calls the layer {name!r} with training=True, so that a score would depend on the other images of its "
            "batch; build the model with training=False there, load its weights and save it again"
        )
    kept = {key: value for key, value in node.items() if key != "training"}
    return kept | ({"kwargs": _as_in_use(node["kwargs"], layer)} if "kwargs" in node else {})


def _classes(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["class_name"])} if "class_name" in value else set()
        return own.union(*(_classes(item) for item in value.values()))
    return set().union(*(_classes(item) for item in value)) if isinstance(value, list) else set()


def _hard_sigmoid_of_keras_2(layer: Config) -> list[Config]:
    """Write the activation as a line that is cut off at 0 and 1: that of Keras 3 is less steep.

    Keras 2 has 0.2 x + 0.5, and Keras 3 x / 6 + 0.5.
    """
    config = layer["config"]
    recurs = isinstance(config, dict) and "recurrent_activation" in config
    if not isinstance(config, dict) or config.get("activation") != HARD_SIGMOID or recurs:
        return [layer]
    linear = _named(layer | {"config": config | {"activation": "linear"}}, f"{config['name']}_linear")
    line = _named(_after(linear, "Rescaling", scale=0.2, offset=0.5), f"{config['name']}_line")
    return [linear, line, _named(_after(line, "ReLU", max_value=1.0), config["name"])]


def _after(layer: Config, name: str, **config: Any) -> Config:
    """Describe a layer that comes after another one each time that one is called."""
    follower = replaced_by(layer, name, **config)
    if "inbound_nodes" not in layer:
        return follower
    calls = range(len(layer["inbound_nodes"]))
    return follower | {"inbound_nodes": [[[layer["name"], call, 0, {}]] for call in calls]}


def _named(layer: Config, name: str) -> Config:
    own = {"name": name} if "name" in layer else {}
    return layer | own | {"config": layer["config"] | {"name": name}}

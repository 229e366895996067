"""Convert the description of a foreign Keras model for inference in Keras 3: JSON value in, JSON value out.

Nothing here loads or runs anything; `cxrbatch.bundle.foreign_config` checks the result. Entries that only training
needs are dropped unread. What Keras 2 named or meant otherwise is written as Keras 3 means it.
"""

from typing import Any

import keras

from cxrbatch.bundle.convert_graph import HARD_SIGMOID, functional, sequential, without_slashes
from cxrbatch.bundle.description import ADVICE, MODELS, CannotConvert, Config, replaced_by

_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint", "compile_config")
_HOMES_OF_KERAS_2 = ("keras", "tf_keras", "tensorflow")
_SAME_WHEN_NOT_TRAINING = frozenset(
    (
        *("Dropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        *("GaussianDropout", "GaussianNoise", "ActivityRegularization"),
        *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration"),
        *("RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip"),
        *("RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert"),
        *(
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
        ),
        *("RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom"),
    )
)
"""Layers that pass their input on unchanged outside training."""
_RENAMED = {"batch_input_shape": "batch_shape"}
_NO_LONGER_STATED = {
    "groups": (1,),
    "implementation": (0, 1, 2),
    "input_length": (None,),
    "key_shape": None,
    "query_shape": None,
    "ragged": (False,),
    "renorm": (False,),
    "softmax_robust_masking": (False,),
    "time_major": (False,),
    "value_shape": None,
    "virtual_batch_size": (None,),
}
"""Entries that Keras 3 does not know, and the values with which they say nothing (None: all do)."""
_LAYER = {"module": "keras.layers", "registered_name": None}
_SEQUENTIAL = {"module": "keras", "registered_name": None}
_FUNCTIONAL = {"module": "keras.src.models.functional", "registered_name": None, "class_name": "Functional"}
_WITH_GROUPS = frozenset({"Conv1D", "Conv2D", "Conv3D", "GroupNormalization"})


def convert(model: Any, *, from_keras_2: bool) -> Any:
    """Drop what only training needs, often custom objects, and convert older forms for Keras 3.

    Layers that do something in training only become ``Identity``. All layers compute in float32; the bundle's reader
    may choose another precision.

    Parameters
    ----------
    model : JSON value
        A description of Keras 2 or 3.
    from_keras_2 : bool
        Some words mean something else in Keras 2.

    Raises
    ------
    CannotConvert
        Keras 3 has nothing that computes the same.
    KeyError, TypeError, AttributeError, ValueError
        It is no such description.
    """
    converted = _for_inference(without_slashes(model), from_keras_2=from_keras_2)
    if from_keras_2 and _uses_hard_sigmoid(converted):
        raise CannotConvert(
            f"computes 'hard_sigmoid' within a layer, which Keras 3 computes otherwise; {ADVICE}"
        )
    return converted


def _for_inference(value: Any, *, from_keras_2: bool) -> Any:
    if isinstance(value, list):
        return [_for_inference(item, from_keras_2=from_keras_2) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _for_inference(item, from_keras_2=from_keras_2)
        for key, item in value.items()
        if not key.endswith(_TRAINING_ONLY)
    }
    return _converted(kept, from_keras_2=from_keras_2) if isinstance(kept.get("class_name"), str) else kept


def _uses_hard_sigmoid(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            (key.endswith("activation") and item == HARD_SIGMOID) or _uses_hard_sigmoid(item)
            for key, item in value.items()
        )
    return isinstance(value, list) and any(map(_uses_hard_sigmoid, value))


def _converted(part: Config, *, from_keras_2: bool) -> Config:
    """Convert one described object, whose own parts are converted."""
    part = _without_home(part) if from_keras_2 else part
    if part["class_name"] == "Sequential":
        return part | {"config": sequential(part["config"], from_keras_2=from_keras_2)}
    if not isinstance(part.get("config"), dict):
        return part
    if part["class_name"] in MODELS and "layers" in part["config"]:
        return part | {"config": functional(part["config"], from_keras_2=from_keras_2)}
    return _layer(_replaced(part), from_keras_2=from_keras_2)


def _without_home(part: Config) -> Config:
    """Write the module of a class of Keras 2 as that of Keras 3, and drop what was stated for its building."""
    part = {key: value for key, value in part.items() if key != "build_config"}
    name, module = part["class_name"], str(part.get("module") or "")
    is_layer = isinstance(getattr(keras.layers, name, None), type)
    known = module.partition(".")[0] in _HOMES_OF_KERAS_2 and part.get("registered_name") in (None, name)
    if not known or not (is_layer or name in MODELS):
        return part
    return part | (_LAYER if is_layer else _SEQUENTIAL if name == "Sequential" else _FUNCTIONAL)


def _replaced(part: Config) -> Config:
    """Replace a layer by one that Keras 3 has, and that computes the same when nothing is trained."""
    name, config = part["class_name"], part["config"]
    if name in _SAME_WHEN_NOT_TRAINING:
        return replaced_by(part, "Identity")
    if name == "RandomCrop":
        size = {key: config[key] for key in ("height", "width")}
        return replaced_by(part, "Resizing", crop_to_aspect_ratio=True, **size)
    if name == "Softmax" and config.get("axis", -1) in (-1, [-1]):
        return replaced_by(part, "Activation", activation="softmax")  # an activation can be taken off again
    if name == "ThresholdedReLU":
        return replaced_by(part, "ReLU", threshold=config["theta"])
    return part


def _layer(part: Config, *, from_keras_2: bool) -> Config:
    name, config = part["class_name"], part["config"]
    if name == "InputLayer":
        config = {_RENAMED.get(key, key): value for key, value in config.items()}
    if from_keras_2:
        config = {key: value for key, value in config.items() if not _says_nothing(name, key, value)}
    axis = config.get("axis")
    changed = {"axis": axis[0]} if isinstance(axis, list) and len(axis) == 1 else {}
    if _is_float_policy(config.get("dtype")):
        changed["dtype"] = "float32"
    return part | {"config": config | changed}


def _says_nothing(name: str, key: str, value: Any) -> bool:
    if key not in _NO_LONGER_STATED or (key == "groups" and name in _WITH_GROUPS):
        return False
    neutral = _NO_LONGER_STATED[key]
    return neutral is None or value in neutral


def _is_float_policy(dtype: Any) -> bool:
    if isinstance(dtype, dict):
        dtype = dtype["config"].get("name") if dtype.get("class_name") in ("Policy", "DTypePolicy") else None
    return isinstance(dtype, str)

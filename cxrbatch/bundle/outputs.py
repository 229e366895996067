"""Make scores of the outputs of a foreign network: network and labels in, network that ends in scores out."""

from enum import StrEnum
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.records import FINDINGS

IGNORE = "ignore"
"""Label of an output that is none of the findings: it is dropped, and the others are divided by their sum."""
_LEAST_SCORE = 1e-7
_NEVER = -1e4
"""Logit of a score of 0; within the range of 16 bits."""


class OutputActivation(StrEnum):
    """Function that turns the values of the last layer into scores."""

    AUTO = "auto"
    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


def check_labels(labels: tuple[str, ...]) -> None:
    """Check that labels name COVID-19 and something that it is told from.

    Raises
    ------
    UsageProblem
        They do not, or one is unknown.
    """
    known = (*FINDINGS, IGNORE)
    if unknown := sorted(set(labels) - set(known)):
        shown = ", ".join(label or "an empty label" for label in unknown)
        raise UsageProblem(
            f"--labels: {shown}: choose from {', '.join(known)}; {IGNORE} stands for an output that is no finding"
        )
    if "covid" not in labels or len(set(labels) - {IGNORE}) < 2:
        raise UsageProblem(
            f"--labels: name covid and what it is told from, of {', '.join(FINDINGS)}, such as covid,normal"
        )


def count_outputs(foreign: keras.Model, labels: tuple[str, ...], where: str) -> int:
    """Return the number of outputs, which fits the labels.

    Raises
    ------
    BundleError
        It does not, or the network gives something else than one score per label.
    """
    if len(foreign.outputs) != 1 or len(foreign.outputs[0].shape) != 2:
        shapes = [tuple(tensor.shape) for tensor in foreign.outputs]
        raise BundleError(f"{where}: gives {shapes}, expected one score per label (batch, labels)")
    n_outputs = foreign.outputs[0].shape[-1]
    if n_outputs == len(labels) or (n_outputs == 1 and len(labels) == 2 and IGNORE not in labels):
        return int(n_outputs)
    raise BundleError(
        f"{where}: has {n_outputs} outputs for {len(labels)} labels ({', '.join(labels)}); name one label per "
        f"output, {IGNORE} for one that is none of the findings, or two findings for a single output"
    )


def with_scores(
    foreign: keras.Model, labels: tuple[str, ...], requested: OutputActivation, where: str
) -> keras.Model | keras.Sequential:
    """Make the outputs of a network scores that sum to 1 (a single output: lies within 0–1).

    Parameters
    ----------
    foreign : keras.Model
        Its last activation may be changed.

    Raises
    ------
    BundleError
        It cannot be told how its outputs become scores.
    """
    n_outputs = count_outputs(foreign, labels, where)
    last = _last_layer(foreign)
    own = _activation_name(last)
    if requested is OutputActivation.SOFTMAX and n_outputs == 1:
        raise BundleError(f"{where}: a softmax of a single output is always 1; use --activation sigmoid")
    wanted = _wanted(own, n_outputs, where) if requested is OutputActivation.AUTO else str(requested)
    if wanted == "none" and IGNORE not in labels:
        return foreign
    is_done = wanted == "sigmoid" if n_outputs == 1 else wanted == "softmax" and IGNORE not in labels
    if is_done:
        return (
            foreign if wanted == own else _followed_by(foreign, layers.Activation(wanted, name="activation"))
        )
    if wanted == own:
        last.activation = keras.activations.linear
    before = _before_shares(wanted, n_outputs)
    return _followed_by(foreign, *before, _without_ignored(labels), layers.Softmax(name="shares"))


def _before_shares(wanted: str, n_outputs: int) -> tuple[Any, ...]:
    """Make the layers after which a softmax is the share of each score in their sum."""
    if wanted == "none":
        return (_logarithm(n_outputs),)
    return (layers.Activation("log_sigmoid", name="logarithm"),) if wanted == "sigmoid" else ()


def _logarithm(n: int) -> keras.Model:
    scores = layers.Input((n,), name="values")
    raised = keras.ops.maximum(scores, _LEAST_SCORE)
    logarithm = keras.ops.log(raised)
    for tensor, name in ((raised, "raised"), (logarithm, "log")):
        tensor._keras_history.operation.name = name  # a counter would name it
    return keras.Model(scores, logarithm, name="logarithm")


def _without_ignored(labels: tuple[str, ...]) -> keras.Layer:
    return layers.Rescaling(1.0, [_NEVER if label == IGNORE else 0.0 for label in labels], name="kept")


def _followed_by(foreign: keras.Model, *others: keras.Layer) -> keras.Sequential:
    image = layers.Input(foreign.input_shape[1:], name="image")  # without it, a counter would name the input
    return keras.Sequential([image, foreign, *others], name="outputs")


def _wanted(own: str, n_outputs: int, where: str) -> str:
    if own == "linear":
        return "sigmoid" if n_outputs == 1 else "softmax"
    if own == "sigmoid" or (own == "softmax" and n_outputs > 1):
        return own
    raise BundleError(
        f"{where}: the outputs end in {own!r}, from which no scores can be guessed; say with "
        "--activation how they are made"
    )


def _last_layer(model: Any) -> Any:
    """Return the layer that makes the output; of a nested model, its last layer."""
    last = model.outputs[0]._keras_history.operation
    return _last_layer(last) if isinstance(last, keras.Model) else last


def _activation_name(layer: Any) -> str:
    if isinstance(layer, layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", keras.activations.linear), "__name__", "unknown")


def to_findings(labels: tuple[str, ...], n_outputs: int) -> list[NDArray[np.float32]]:
    """Make the kernel and bias that map scores of outputs to findings.

    Outputs of one finding are summed; a finding without an output scores 0.
    """
    kernel, bias = np.zeros((n_outputs, len(FINDINGS)), np.float32), np.zeros(len(FINDINGS), np.float32)
    places = {index: FINDINGS.index(label) for index, label in enumerate(labels) if label != IGNORE}
    if n_outputs == 1:
        kernel[0, [places[0], places[1]]] = (-1, 1)
        bias[places[0]] = 1
    else:
        kernel[list(places), list(places.values())] = 1
    return [kernel, bias]

"""Export trained networks as the one network of the bundle: radiograph in, scores out, standard operations only."""

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from cxrbatch.training.calibration import Calibration, Line
from cxrbatch.training.ensemble import Ensemble
from cxrbatch.training.lung_crop import onto_image
from cxrbatch.training.lung_network import copy_weights, evidence, heads, lung_network
from cxrbatch.training.network import CERTAIN
from cxrbatch.training.recipe import NetworkSpec

EVIDENCE_CELLS = 16
"""Cells of the evidence along each side of the image."""


def export_scores(ensemble: Ensemble, calibration: Calibration, spec: NetworkSpec) -> keras.Model:
    """Average the logits of an ensemble and turn them into scores, with standard operations only.

    With p and q the logistic functions of the calibrated logits: covid = p·q, pneumonia = p·(1 − q), normal = 1 − p.

    Returns
    -------
    keras.Model
        Values 0–255 → scores (batch, 3), 0–1, in the order of `cxrbatch.records.FINDINGS`. Networks that
        read the lung have two outputs: ``scores``, and ``evidence`` (batch, 16, 16, 2), what each cell of the image
        adds to the two calibrated logits; the sum over the cells is the logit.
    """
    if ensemble.crop is None:
        radiograph = layers.Input(ensemble.members[0].input.shape[1:], name="radiograph")
        shown = [radiograph, ops.flip(radiograph, axis=2)] if ensemble.mirrored else [radiograph]
        logits = _average([_on(image, member) for member in ensemble.members for image in shown])
        return keras.Model(radiograph, _scores(logits, calibration), name="cxrbatch")
    return _export_lung(ensemble.crop, ensemble, calibration, spec)


def _export_lung(
    crop: keras.Model, ensemble: Ensemble, calibration: Calibration, spec: NetworkSpec
) -> keras.Model:
    radiograph, seen = crop.input, crop.output
    lines = (calibration.abnormal, calibration.covid_given_abnormal)
    logits, parts = [], []
    for number, member in enumerate(ensemble.members):
        prefix = f"network{number}_" if len(ensemble.members) > 1 else ""
        tensors = lung_network(seen["box"], spec, prefix, mirrored=ensemble.mirrored)
        copy_weights(member, keras.Model(radiograph, tensors.logits), prefix)
        kernels, bias = _calibrated(*heads(member, spec.taps), lines)
        logits.append(tensors.logits)
        parts.append(evidence(tensors, kernels, bias, prefix))
    outputs = {
        "scores": _scores(_average(logits), calibration),
        "evidence": onto_image(
            _average(parts), seen["rows"], seen["columns"], EVIDENCE_CELLS, radiograph.shape[1]
        ),
    }
    return keras.Model(radiograph, outputs, name="cxrbatch")


def _calibrated(
    kernels: list[NDArray[np.float32]], bias: NDArray[np.float32], lines: tuple[Line, Line]
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    slope = np.array([line.slope for line in lines], np.float32)
    intercept = np.array([line.intercept for line in lines], np.float32)
    return [kernel * slope for kernel in kernels], bias * slope + intercept


def _average(tensors: list[keras.KerasTensor]) -> keras.KerasTensor:
    return layers.Average()(tensors) if len(tensors) > 1 else tensors[0]


def _scores(logits: keras.KerasTensor, calibration: Calibration) -> keras.KerasTensor:
    a, b = calibration.abnormal, calibration.covid_given_abnormal
    is_abnormal = layers.Dense(3, "sigmoid", name="abnormal_abnormal_normal", trainable=False)
    is_covid = layers.Dense(3, "sigmoid", name="covid_other_any", trainable=False)
    scores = layers.Multiply(name="scores")([is_abnormal(logits), is_covid(logits)])
    is_abnormal.set_weights(
        _arrays([[a.slope, a.slope, -a.slope], [0, 0, 0]], [a.intercept, a.intercept, -a.intercept])
    )
    is_covid.set_weights(_arrays([[0, 0, 0], [b.slope, -b.slope, 0]], [b.intercept, -b.intercept, CERTAIN]))
    return scores


def _on(radiograph: keras.KerasTensor, network: keras.Model) -> keras.KerasTensor:
    """Call the layers of a network on another input and return the output."""
    called = {id(network.input): radiograph}
    for layer in network.layers[1:]:
        given = layer.input
        called[id(layer.output)] = layer(
            [called[id(tensor)] for tensor in given] if isinstance(given, list) else called[id(given)]
        )
    return called[id(network.output)]


def _arrays(kernel: list[list[float]], bias: list[float]) -> list[NDArray[np.float32]]:
    return [np.array(kernel, np.float32), np.array(bias, np.float32)]
